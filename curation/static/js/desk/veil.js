// The text of an example, and what covers it: a veil over severe ones, masks over words, a fold under long ones.
// What is covered is not in the page at all, so no screen reader reads it out and no glance finds it.

import { byId } from "./dom.js";
import { rendered } from "./visible.js";
import { fill, gettext, say } from "./words.js";

const LONG = 1_200; // characters that are shown at once
const TALL = 16; // lines

export class Veil {
  constructor({ categories }) {
    this.categories = categories;
    this.text = byId("text");
    this.reset(null);
    for (const id of ["veil-hold", "unmask"]) this.holdable(byId(id));
    byId("veil-open").addEventListener("click", () => this.leaveOpen());
    addEventListener("blur", () => this.cover()); // whoever switches away has let go
  }

  reset(item) {
    this.item = item;
    this.isOpen = !item?.veiled; // stays open until the next example
    this.isHeld = false;
    this.isUnfolded = false;
    this.wasRead = this.isOpen;
    this.draw();
  }

  get covers() { return this.item !== null && (!this.isOpen || this.item.masks?.length > 0); }

  // By pointer as long as it is pressed; by keyboard and by screen readers, which cannot hold, press by press.
  holdable(button) {
    button.addEventListener("pointerdown", (event) => { button.setPointerCapture?.(event.pointerId); this.uncover(); });
    for (const type of ["pointerup", "pointercancel", "lostpointercapture"]) button.addEventListener(type, () => this.cover());
    button.addEventListener("click", (event) => { if (event.detail === 0) (this.isHeld ? this.cover() : this.uncover()); });
    button.addEventListener("contextmenu", (event) => event.preventDefault()); // a long press on a phone
  }

  uncover() {
    if (!this.covers || this.isHeld) return;
    this.isHeld = true;
    this.wasRead = true;
    this.draw();
  }

  cover() {
    if (!this.isHeld) return;
    this.isHeld = false;
    this.draw();
  }

  leaveOpen() {
    this.isOpen = true;
    this.wasRead = true;
    this.draw();
    byId("heading").focus({ preventScroll: true });
    say(gettext("The text is open."));
  }

  unfold() {
    this.isUnfolded = !this.isUnfolded;
    this.draw();
  }

  draw() {
    const { item } = this;
    const shows = item !== null && (this.isOpen || this.isHeld);
    byId("veil").hidden = item === null || this.isOpen;
    this.text.hidden = !shows;
    byId("reading").classList.toggle("is-veiled", item !== null && !this.isOpen);
    if (item && !this.isOpen) this.drawVeil();
    if (!shows) {
      this.text.replaceChildren();
      byId("unfold").hidden = byId("unmask").hidden = true;
      return;
    }
    const masks = this.isHeld ? [] : item.masks ?? [];
    const [shown, isFolded] = this.isUnfolded ? [item.text, false] : folded(item.text);
    const visible = isFolded ? within(masks, [...shown].length) : masks;
    this.text.replaceChildren(rendered(shown, visible, gettext("masked word")));
    if (isFolded) this.text.append(" …");
    byId("unmask").hidden = !item.masks?.length || !this.isOpen;
    this.drawFold(item.text, isFolded);
  }

  drawVeil() {
    const { item } = this;
    const names = item.proposed.categories.map((key) => this.categories.get(key)?.name ?? key);
    byId("veil-categories").textContent = names.join(", ") || gettext("Veiled");
    byId("veil-severity").textContent = item.severity ? fill(gettext("severity %(n)s of 4"), { n: item.severity }) : "";
    byId("veil-length").textContent = fill(gettext("%(n)s characters. You may decide without reading it, but not approve or relabel it."), { n: item.text.length });
  }

  drawFold(text, isFolded) {
    const fold = byId("unfold");
    fold.hidden = !isFolded && !this.isUnfolded;
    byId("unfold-text").textContent = isFolded ? fill(gettext("Show all %(n)s characters"), { n: text.length }) : gettext("Fold again");
    fold.setAttribute("aria-expanded", String(!isFolded));
  }
}

const within = (masks, end) => masks.filter(([from]) => from < end).map(([from, to]) => [from, Math.min(to, end)]);

/** The beginning of a text that is too long to show, and whether something was left out. */
export function folded(text, long = LONG, tall = TALL) {
  const lines = text.split("\n");
  let shown = lines.length > tall ? lines.slice(0, tall).join("\n") : text;
  if (shown.length > long * 1.25) shown = shown.slice(0, long).replace(/\s+\S*$|[\uD800-\uDBFF]$/u, "");
  return [shown, shown.length < text.length];
}

// Choosing labels: one press decides; `several` collects categories until Enter; `because` gives a rejection its reason.

import { byId } from "./dom.js";
import { notice, settle } from "./notices.js";
import { gettext, say } from "./words.js";

export class Labels {
  constructor({ relabel, reject }) {
    Object.assign(this, { relabel, reject });
    this.buttons = [...byId("labels").querySelectorAll("[data-category]")];
    this.form = byId("because");
    byId("several-save").addEventListener("click", () => this.save());
    byId("several-leave").addEventListener("click", () => this.close());
    byId("labels").addEventListener("keydown", (event) => {
      if (!this.isCollecting || event.key !== "Enter" || event.target.closest("#several")) return;
      event.preventDefault(); // Enter on a category would press it; here it means: done
      this.save();
    });
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.give(byId("because-text").value); });
    for (const button of this.form.querySelectorAll("[data-reason]")) button.addEventListener("click", () => this.give(button.dataset.reason));
    document.addEventListener("keydown", (event) => { if (event.key === "Escape" && !event.isComposing && !document.querySelector("dialog[open]")) this.close(); });
  }

  get isCollecting() { return !byId("several").hidden; }
  get isExplaining() { return !this.form.hidden; }

  /** A digit, or a press on a category: decide, collect, or choose a reason, by what is open. */
  press(number) {
    if (this.isExplaining) {
      this.form.querySelectorAll("[data-reason]")[number - 1]?.click();
      return;
    }
    if (number === 0) { this.relabel("safe", []); return; }
    const button = this.buttons[number - 1];
    if (button) this.choose(button.dataset.category);
  }

  /** Decide for a category, or collect it. */
  choose(category) {
    if (this.isExplaining) this.close();
    if (!this.isCollecting) { this.relabel("unsafe", [category]); return; }
    const button = this.buttons.find((one) => one.dataset.category === category);
    button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
    button.focus({ preventScroll: true });
  }

  /** Begin to collect, from what is proposed; a second time saves, so that the key alone is enough. */
  collect(categories) {
    if (this.isCollecting) { this.save(); return; }
    this.close();
    byId("several").hidden = false;
    byId("labels").classList.add("is-collecting");
    for (const button of this.buttons) button.setAttribute("aria-pressed", String(categories.includes(button.dataset.category)));
    this.buttons[0]?.focus({ preventScroll: true });
    say(gettext("Choose categories, then Enter."));
  }

  save() {
    const chosen = this.buttons.filter((button) => button.getAttribute("aria-pressed") === "true");
    if (!chosen.length) {
      notice("attempt", { title: gettext("Choose at least one category.") });
      return;
    }
    settle("attempt");
    const categories = chosen.map((button) => button.dataset.category);
    this.close();
    this.relabel("unsafe", categories);
  }

  explain() {
    this.close();
    this.form.hidden = false;
    byId("because-text").value = "";
    this.form.querySelector("[data-reason]")?.focus({ preventScroll: true });
  }

  give(reason) {
    if (!reason.trim()) { byId("because-text").focus(); return; }
    this.close();
    this.reject(reason.trim());
  }

  close() {
    const wasOpen = this.isCollecting || this.isExplaining;
    byId("several").hidden = true;
    this.form.hidden = true;
    byId("labels").classList.remove("is-collecting");
    for (const button of this.buttons) button.removeAttribute("aria-pressed");
    if (wasOpen) byId("heading").focus({ preventScroll: true });
  }
}

// The list of all categories, found by typing: for those that no digit reaches. While it is open, the desk's keys sleep.

import { byId } from "./dom.js";
import { gettext } from "./words.js";

/** Letters alone: small ones, without their accents. */
const bare = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase().trim();

export class Picker {
  constructor({ choose }) {
    this.choose = choose;
    this.dialog = byId("picker");
    this.field = byId("picker-find");
    this.options = [...byId("picker-list").children];
    this.field.addEventListener("input", () => this.filter());
    this.field.addEventListener("keydown", (event) => this.press(event));
    byId("picker-list").addEventListener("click", (event) => this.take(event.target.closest("[role=option]")));
  }

  get shown() { return this.options.filter((option) => !option.hidden); }
  get marked() { return this.shown.find((option) => option.ariaSelected === "true"); }

  open() {
    this.field.value = "";
    this.dialog.showModal();
    this.field.focus();
    this.filter();
  }

  close() { this.dialog.close(); }

  /** Show what fits; where a word begins with what was typed, it comes before one that only holds it. */
  filter() {
    const wanted = bare(this.field.value);
    const name = (option) => bare(option.querySelector(".picker-name").textContent);
    for (const option of this.options) option.hidden = option.dataset.number !== wanted && !name(option).includes(wanted);
    const fits = (test) => this.shown.find(test);
    this.mark(fits((option) => option.dataset.number === wanted) ?? fits((option) => ` ${name(option)}`.includes(` ${wanted}`)) ?? this.shown[0]);
    byId("picker-none").textContent = this.shown.length ? "" : gettext("No category is called that.");
  }

  mark(wanted) {
    for (const option of this.options) option.ariaSelected = String(option === wanted);
    if (wanted) this.field.setAttribute("aria-activedescendant", wanted.id);
    else this.field.removeAttribute("aria-activedescendant");
    wanted?.scrollIntoView({ block: "nearest" });
  }

  press(event) {
    if (event.isComposing) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      const { shown } = this;
      this.mark(shown.at((shown.indexOf(this.marked) + step) % shown.length));
    } else if (event.key === "Enter" && !event.repeat) this.take(this.marked); // still held from the button that opened it
    else if (event.key !== "Enter") return;
    event.preventDefault();
  }

  take(option) {
    if (!option) return;
    this.close();
    this.choose(option.dataset.category);
  }
}

// Editing the text and commenting on it. What is typed is kept in the browser until the server has it.

import { Refusal, SignedOut } from "./api.js";
import { changed, diff, renderedDiff } from "./diff.js";
import { byId } from "./dom.js";
import { fill, gettext, ngettext, say } from "./words.js";

const SILENT = () => gettext("The server does not answer. What you typed stays here; try again.");
const storage = (act) => { try { return act(sessionStorage); } catch { return null; } };

/** Bind Ctrl+Enter and Esc of a form. */
function bindKeys(form, close) {
  form.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); form.requestSubmit(); }
    if (event.key === "Escape") { event.preventDefault(); event.stopPropagation(); close(); }
  });
}

export class Editor {
  constructor({ api, bring, onChanged, onSignedOut }) {
    Object.assign(this, { api, bring, onChanged, onSignedOut });
    this.form = byId("edit");
    this.field = byId("edit-text");
    this.item = null;
    this.held = null; // acts that were asked for while a text is being saved
    this.field.addEventListener("input", () => { this.remember(); this.compare(); });
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.save(); });
    this.form.querySelector("[data-close]").addEventListener("click", () => this.close());
    bindKeys(this.form, () => this.close());
  }

  get isOpen() { return !this.form.hidden; }
  get draft() { return `draft-${this.item.example}-${this.item.version}`; }

  open(item) {
    this.item = item;
    this.field.value = storage((kept) => kept.getItem(this.draft)) ?? item.text;
    this.complain("");
    this.form.hidden = false;
    byId("text").hidden = true;
    this.compare();
    this.field.focus();
  }

  remember() { storage((kept) => kept.setItem(this.draft, this.field.value)); }

  compare() {
    const steps = diff(this.item.text, this.field.value);
    const words = changed(steps);
    byId("edit-count").textContent = words ? fill(ngettext("One word differs", "%(n)s words differ", words), { n: words }) : gettext("Nothing differs yet");
    byId("edit-diff").replaceChildren(words ? renderedDiff(steps) : "");
  }

  /** Let an act wait for the text that is being saved; false where none is. */
  holds(act) {
    if (this.held === null) return false;
    this.held.push(act);
    return true;
  }

  async save() {
    if (!this.item || this.held !== null) return;
    const { item } = this;
    const text = this.field.value;
    if (!text.trim()) { this.complain(gettext("The text is empty. Write what it should say, or leave it as it is.")); return; }
    if (text === item.text) { this.close(); return; }
    const before = { text: item.text, version: item.version, masks: item.masks };
    this.held = [];
    this.close();
    this.onChanged(item, { text, version: before.version, masks: [] });
    let problem = null;
    try {
      const { version } = await this.api.put(`examples/${item.example}/text`, { text }, { "If-Match": String(before.version) });
      storage((kept) => kept.removeItem(this.draft));
      this.onChanged(item, { text, version, masks: [] });
      say(gettext("The new text is saved; the old one is kept."));
    } catch (error) {
      problem = error;
      this.onChanged(item, before);
    }
    const { held } = this;
    this.held = null;
    if (!this.bring(item)) return; // it left the desk meanwhile: what was pressed was meant for it alone
    if (problem === null) for (const act of held) act();
    else this.reopen(item, text, problem, held.length);
  }

  /** The text was not saved: its draft stands in the editor again, and what was pressed meanwhile is told, not done. */
  reopen(item, text, error, count) {
    this.open(item);
    this.field.value = text;
    this.compare();
    this.failed(error, item);
    if (count) this.complain(`${byId("edit-problem").textContent} ${gettext("What you pressed meanwhile was not done.")}`.trim());
  }

  failed(error, item) {
    if (error instanceof SignedOut) { this.onSignedOut(); return; }
    if (!(error instanceof Refusal)) { this.complain(SILENT()); return; }
    if (error.status === 412 && typeof error.answer.text === "string") {
      Object.assign(item, { text: error.answer.text, version: error.answer.version });
      this.remember();
      this.compare();
      this.complain(gettext("Somebody else changed this text meanwhile. Below is what differs from theirs; save again to replace it."));
      return;
    }
    this.complain(error.message);
  }

  complain(problem) {
    byId("edit-problem").textContent = problem;
    this.field.setAttribute("aria-invalid", String(problem !== ""));
  }

  close() {
    if (!this.isOpen) return;
    this.form.hidden = true;
    byId("text").hidden = false;
    byId("heading").focus({ preventScroll: true });
  }
}

export class Commenting {
  constructor({ api, current, onSaved, onSignedOut }) {
    Object.assign(this, { api, current, onSaved, onSignedOut });
    this.form = byId("comment");
    this.field = byId("comment-text");
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.send(); });
    bindKeys(this.form, () => byId("heading").focus({ preventScroll: true }));
  }

  open() {
    byId("panel-comments").open = true;
    this.field.focus();
  }

  async send() {
    const item = this.current();
    const text = this.field.value.trim();
    if (!item || !text) { this.complain(gettext("The comment is empty.")); return; }
    try {
      await this.api.post(`examples/${item.example}/comments`, { text });
      this.field.value = "";
      this.complain("");
      this.onSaved(item);
      say(gettext("The comment is saved."));
    } catch (error) {
      if (error instanceof SignedOut) this.onSignedOut();
      else this.complain(error instanceof Refusal ? error.message : SILENT());
    }
  }

  complain(problem) {
    byId("comment-problem").textContent = problem;
    this.field.setAttribute("aria-invalid", String(problem !== ""));
  }
}

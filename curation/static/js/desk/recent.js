// The last ten decisions, each of which can be taken back: those of this page, and before them those that the server knows.

import { Refusal } from "./api.js";
import { fill, gettext, say } from "./words.js";

const DEEP = 10;

export class Recent {
  constructor({ outbox, queue, api, settled, onChange, onProblem }) {
    Object.assign(this, { outbox, queue, api, onChange, onProblem });
    this.entries = settled.map((entry) => ({ ...entry, state: "saved", key: `verdict-${entry.verdict}`, item: null }));
  }

  /** Put what an earlier visit left unsent on top. */
  restore() {
    const left = this.outbox.waiting.filter((entry) => entry.body.example).reverse().map(({ key, body, withdraw }) => ({
      key, item: null, example: body.example, decision: body.decision, label: body.label, categories: body.categories,
      state: withdraw ? "withdrawing" : "waiting", verdict: null,
    }));
    const unsent = new Set(left.map((entry) => entry.example));
    this.entries = [...left, ...this.entries.filter((entry) => !unsent.has(entry.example))].slice(0, DEEP);
  }

  add(key, item, shown) {
    this.entries = [{ key, item, example: item.example, state: "waiting", verdict: null, ...shown }, ...this.entries].slice(0, DEEP);
  }

  find(key) { return this.entries.find((entry) => entry.key === key); }

  saved({ key }, { verdict }) { this.mark(key, { state: "saved", verdict }); }
  lost({ key }) { this.mark(key, { state: "lost" }); }

  mark(key, changes) {
    const entry = this.find(key);
    if (entry) Object.assign(entry, changes);
    this.onChange();
  }

  forget(key) {
    this.entries = this.entries.filter((entry) => entry.key !== key);
    this.onChange();
  }

  /** The server would not have it as it was: back on the desk, with the reason beside it. */
  refused({ key, shown }, { message, text, version }) {
    const entry = this.find(key);
    this.forget(key);
    if (entry?.item && text !== undefined) Object.assign(entry.item, { text, version, masks: [] }); // somebody changed it
    if (entry?.item) this.queue.putBack(entry.item);
    this.onProblem(fill(gettext("Example %(id)s: %(problem)s"), { id: shown.example, problem: message }));
  }

  /** Taken back, after the verdict had arrived all the same. */
  withdrawn({ key }, item) {
    this.forget(key);
    this.queue.putBack(item);
  }

  /** Take a decision back, the newest where none is named. */
  async undo(entry = this.entries.find((one) => one.state !== "withdrawing")) {
    if (!entry) { say(gettext("Nothing to take back.")); return; }
    if (entry.state === "withdrawing") return;
    if (entry.verdict === null) await this.cancel(entry);
    else await this.withdraw(entry);
  }

  async cancel(entry) {
    if (!this.outbox.entries.has(entry.key)) return; // confirmed this very moment: the next press finds its verdict
    if (entry.state === "lost") { await this.outbox.drop(entry.key); this.forget(entry.key); return; }
    if (await this.outbox.cancel(entry.key)) {
      this.forget(entry.key);
      if (entry.item) this.queue.putBack(entry.item);
      else await this.queue.fetchAgain(entry.example);
      say(gettext("Taken back."));
    } else this.mark(entry.key, { state: "withdrawing" });
  }

  async withdraw(entry) {
    this.mark(entry.key, { state: "withdrawing" });
    try {
      const item = await this.api.post("undo", { verdict: entry.verdict });
      this.forget(entry.key);
      this.queue.putBack(item);
      say(gettext("Taken back."));
    } catch (error) {
      this.mark(entry.key, { state: "saved" });
      this.onProblem(error instanceof Refusal ? error.message : gettext("This needs the server, and it does not answer. Try again in a moment."));
    }
  }
}

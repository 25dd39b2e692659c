// What is on the desk: the current item and the next ones, fetched before they are needed.

import { Refusal, SignedOut, Unreached } from "./api.js";

const SLACK = 2; // how many may be missing before more are fetched

/** Events: `change` (what is shown may differ), `counts`, `pause` with its reason, `signedout`, `unreached`. */
export class Queue extends EventTarget {
  constructor({ api, prefetch, isAway = () => false, claim = {} }) {
    super();
    Object.assign(this, { api, prefetch, isAway, claim });
    this.items = [];
    this.judged = new Set(); // leases that a verdict of this page has used up
    this.counts = {};
    this.pause = null;
    this.claiming = null;
  }

  get current() { return this.items[0] ?? null; }
  get ahead() { return this.items.slice(1); }

  /** Fetch until the next ones are there; `more` is how many leases wait for their verdict to arrive. */
  fill(more = 0) {
    const short = this.prefetch + 1 - this.items.length;
    if (this.claiming || this.pause || (this.current && short < Math.min(SLACK, this.prefetch) + 1)) return this.claiming;
    this.claiming = this.fetchMore(this.prefetch + 1 + more + this.items.filter((item) => item.held).length).finally(() => { this.claiming = null; });
    return this.claiming;
  }

  async fetchMore(count) {
    try {
      this.take(await this.api.post("claim", { n: count, ...this.claim }));
    } catch (error) {
      if (error instanceof SignedOut) this.tell("signedout");
      else if (error instanceof Unreached) this.tell("unreached");
      else if (error instanceof Refusal) this.tell("pause", { kind: error.code, message: error.answer.message });
      else throw error;
    }
  }

  /** Bring an item back that this page never had: it is still leased to the person. */
  async fetchAgain(example) {
    this.judged.clear();
    await this.fetchMore(this.prefetch + 1);
    this.bring(example);
  }

  take({ items = [], counts = {}, pause = null }) {
    const known = new Set(this.items.map((item) => item.example));
    const fresh = items.filter((item) => !known.has(item.example) && !this.judged.has(item.lease) && !this.isAway(item));
    const wasEmpty = !this.current;
    for (const item of items) {
      const here = this.items.find((one) => one.lease === item.lease);
      if (here) here.expires = deadline(item);
    }
    this.items.push(...fresh.map(received));
    this.counts = counts;
    this.pause = pause?.kind === "break" ? null : pause; // a break is suggested, never imposed
    this.tell("counts", counts);
    if (pause) this.tell("pause", pause);
    if (wasEmpty || fresh.length) this.tell("change");
  }

  /** Take the current item off the desk, because it is judged. */
  advance() {
    const item = this.items.shift();
    this.judged.add(item.lease);
    this.tell("change");
    return item;
  }

  /** Put an item on top again: taken back, or refused. */
  putBack(item) {
    this.judged.delete(item.lease);
    this.items = [received(item), ...this.items.filter((one) => one.example !== item.example)];
    this.tell("change");
  }

  /** Look at another one first; nothing is decided. */
  rotate(step) {
    if (this.items.length < 2) return;
    if (step > 0) this.items.push(this.items.shift());
    else this.items.unshift(this.items.pop());
    this.tell("change");
  }

  /** Take a certain one next. */
  bring(example) {
    const item = this.items.find((one) => one.example === example);
    if (!item || item === this.current) return;
    this.items = [item, ...this.items.filter((one) => one !== item)];
    this.tell("change");
  }

  /** Take an item off without judging it. */
  remove(item) {
    this.items = this.items.filter((one) => one.example !== item.example);
    this.judged.add(item.lease);
    this.tell("change");
  }

  /** Keep the leases alive that would run out soon. */
  async renew(seconds) {
    const due = this.items.filter((item) => item.expires - Date.now() < seconds * 1000);
    for (const item of due) {
      try {
        const { expires_in: left } = await this.api.post(`leases/${item.lease}/renew`);
        item.expires = Date.now() + left * 1000;
      } catch (error) {
        if (!(error instanceof Refusal)) return; // silence: the next beat tries again
        item.isLost = true;
        this.tell("lostlease", item);
      }
    }
  }

  /** Give everything back, without a reason. */
  async returnAll() {
    const items = this.items;
    this.items = [];
    await Promise.allSettled(items.map((item) => this.api.post(`leases/${item.lease}/return`)));
  }

  tell(type, detail = {}) { this.dispatchEvent(new CustomEvent(type, { detail })); }
}

const deadline = (item) => Date.now() + (item.expires_in ?? 900) * 1000;
const received = (item) => ({ ...item, expires: item.expires ?? deadline(item) });

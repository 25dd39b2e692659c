// Verdicts on their way. Each is written to IndexedDB before it is sent and leaves it when the server has confirmed it,
// so a closed tab, a dead server or a lost connection costs nothing. The key makes a repeated send harmless.
// No text of any example is kept here: ids and decisions only.

import { Refusal, SignedOut, Unreached } from "./api.js";

const NAME = "whetstone-desk";
const STORE = "outbox";
const FIRST_WAIT = 500; // milliseconds
const LONGEST_WAIT = 8_000;
const LANES = 3; // under way at the same time: a server that takes its time must not make a queue of its own

/** A random UUID. `crypto.randomUUID` is missing where the site is not reached through TLS or loopback. */
export function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

const asked = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

function opened() {
  const request = indexedDB.open(NAME, 1);
  request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "key" });
  return asked(request);
}

/**
 * Entries are `{key, owner, project, path, body, at, tries, state: "waiting" | "lost", withdraw, problem}`.
 * Events: `change`; `saved`, `lost`, `refused`, `withdrawn` with the entry (and answer) as detail; `signedout`.
 */
export class Outbox extends EventTarget {
  constructor({ api, owner, project }) {
    super();
    Object.assign(this, { api, owner, project, entries: new Map(), flying: new Set(), kept: new Set(), database: null, wait: FIRST_WAIT });
    this.running = false;
    this.stopped = false;
    this.isDurable = true;
    addEventListener("online", () => this.hurry());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.hurry());
  }

  /** Read what an earlier visit left, and start sending it. */
  async open() {
    try {
      this.database = await opened();
      const all = await asked(this.store("readonly").getAll());
      for (const entry of all.sort((one, other) => one.at - other.at)) {
        if (entry.owner === this.owner && entry.project === this.project) this.entries.set(entry.key, entry);
        this.kept.add(entry.key);
      }
    } catch {
      this.isDurable = false; // a private window without storage: kept as long as the tab
    }
    this.changed();
    this.hurry();
  }

  store(mode) { return this.database.transaction(STORE, mode, { durability: "strict" }).objectStore(STORE); }

  async keep(entry) {
    if (!this.database) return;
    try {
      const store = this.store("readwrite");
      const written = asked(store.put(entry));
      store.transaction.commit(); // now, and not when this page comes round to it: it may be closed before
      await written;
    } catch {
      this.isDurable = false;
    }
  }

  async forget(entry) {
    this.entries.delete(entry.key);
    this.kept.delete(entry.key);
    this.changed();
    if (this.database) await asked(this.store("readwrite").delete(entry.key)).catch(() => {});
  }

  get waiting() { return [...this.entries.values()].filter((entry) => entry.state === "waiting"); }
  get lost() { return [...this.entries.values()].filter((entry) => entry.state === "lost"); }

  /** Take a verdict; `key` is what makes it count once. */
  add(key, body, shown = {}, path = "verdicts") {
    const entry = {
      key, owner: this.owner, project: this.project, path, body, shown, at: Date.now() + this.entries.size / 1000,
      tries: 0, state: "waiting", withdraw: false, problem: "",
    };
    this.entries.set(key, entry);
    const written = this.keep(entry);
    this.changed();
    written.then(() => {
      this.kept.add(key);
      this.changed();
      if (!this.isBackingOff) this.run();
    });
    return entry;
  }

  /**
   * Take a verdict back that is not confirmed yet. True: it was never sent, so it never was. False: it may have
   * arrived, so it is withdrawn as soon as the server confirms it.
   */
  async cancel(key) {
    const entry = this.entries.get(key);
    if (!entry) return false;
    if (entry.tries === 0) {
      await this.forget(entry);
      return true;
    }
    entry.withdraw = true;
    await this.keep(entry);
    this.changed();
    return false;
  }

  /** Send a lost verdict again, because the person wants it. */
  async again(key) {
    const entry = this.entries.get(key);
    if (!entry) return;
    Object.assign(entry, { state: "waiting", problem: "", tries: 0 });
    await this.keep(entry);
    this.changed();
    this.hurry();
  }

  /** Let go of a lost verdict. */
  async drop(key) {
    const entry = this.entries.get(key);
    if (entry) await this.forget(entry);
  }

  hurry() {
    this.wait = FIRST_WAIT;
    clearTimeout(this.timer);
    this.run();
  }

  /** Send all, a few at a time, in the order they were given; one tab at a time, where the browser can say. */
  async run() {
    if (this.running || this.stopped || !this.waiting.length) return;
    this.running = true;
    try {
      await (navigator.locks ? navigator.locks.request(`${NAME}-${this.owner}`, () => this.drain()) : this.drain());
    } finally {
      this.running = false;
    }
    if (this.waiting.length && !this.stopped) this.later();
  }

  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.run(), this.wait * (0.75 + Math.random() / 2));
    this.wait = Math.min(this.wait * 2, LONGEST_WAIT);
  }

  async drain() {
    let goesOn = true;
    const lane = async () => {
      for (let entry = this.next(); entry && goesOn; entry = this.next()) {
        this.flying.add(entry.key);
        goesOn = (await this.send(entry)) && goesOn;
        this.flying.delete(entry.key);
      }
    };
    await Promise.all(Array.from({ length: this.isBackingOff ? 1 : LANES }, lane)); // one asks whether anybody is there
  }

  get isBackingOff() { return this.wait > FIRST_WAIT; }

  next() { return this.waiting.find((entry) => !this.flying.has(entry.key)); }

  /** Send one; whether the next may be tried. */
  async send(entry) {
    entry.tries += 1;
    await this.keep(entry); // from here on it may have arrived, whatever happens to this page
    if (!this.entries.has(entry.key)) return true;
    try {
      await this.confirmed(entry, await this.api.post(entry.path, entry.body, { "Idempotency-Key": entry.key }));
      this.wait = FIRST_WAIT;
      return true;
    } catch (error) {
      return this.failed(entry, error);
    }
  }

  async confirmed(entry, answer) {
    if (entry.withdraw) {
      const item = await (entry.path === "bulk"
        ? this.api.post("bulk/undo", { bulk: answer.bulk }) : this.api.post("undo", { verdict: answer.verdict }));
      await this.forget(entry);
      this.tell("withdrawn", { entry, item });
      return;
    }
    await this.forget(entry);
    this.tell("saved", { entry, answer });
  }

  /** Whether the next entry may be tried: a refusal concerns one verdict, silence concerns all. */
  async failed(entry, error) {
    if (error instanceof SignedOut) {
      this.stopped = true;
      this.tell("signedout", { entry });
      return false;
    }
    if (error instanceof Unreached) {
      this.changed();
      return false;
    }
    if (!(error instanceof Refusal)) throw error;
    const { status, answer } = error;
    if (status === 409 || status === 404) {
      Object.assign(entry, { state: "lost", problem: answer.message ?? "", code: answer.code ?? String(status) });
      await this.keep(entry);
      this.changed();
      this.tell("lost", { entry, answer, status });
    } else {
      await this.forget(entry);
      this.tell("refused", { entry, answer, status });
    }
    return true;
  }

  /** Whether the last send found nobody. */
  get isStuck() { return this.waiting.some((entry) => entry.tries > 0) && (this.isBackingOff || !navigator.onLine); }

  changed() { this.tell("change", {}); }
  tell(type, detail) { this.dispatchEvent(new CustomEvent(type, { detail })); }
}

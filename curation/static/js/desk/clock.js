// Time on an example, and time at the desk. Active is what was visible and touched: nobody is measured while away.

const STILL = 30_000; // milliseconds without a touch until the time stops counting
const BEAT = 1_000;

export class Clock extends EventTarget {
  constructor() {
    super();
    this.touched = performance.now();
    this.sitting = 0; // active seconds since the last break
    for (const type of ["keydown", "pointerdown", "pointermove", "wheel", "touchstart"]) {
      addEventListener(type, () => { this.touched = performance.now(); }, { passive: true, capture: true });
    }
    this.start();
    setInterval(() => this.beat(), BEAT);
  }

  /** A new example is on the desk. */
  start() {
    this.begun = performance.now();
    this.active = 0;
    this.touched = this.begun;
    this.counted = this.begun;
  }

  get isActive() { return document.visibilityState === "visible" && performance.now() - this.touched < STILL; }

  count() {
    const now = performance.now();
    if (this.isActive) {
      this.active += Math.min(now - this.counted, BEAT * 2) / 1000;
      this.sitting += Math.min(now - this.counted, BEAT * 2) / 1000;
    }
    this.counted = now;
  }

  beat() {
    this.count();
    this.dispatchEvent(new CustomEvent("beat", { detail: { isActive: this.isActive } }));
  }

  /** Seconds on this example: all of them, and those that were active. */
  read() {
    this.count();
    return { seconds: round((performance.now() - this.begun) / 1000), active_seconds: round(this.active) };
  }
}

const round = (seconds) => Math.round(seconds * 10) / 10;

// Rest: what the server says about pauses and limits, a nudge after a while, and what stands where nothing is left.
// No count is compared with anybody's, nothing locks while one is away.

import { byId } from "./dom.js";
import { notice, settle } from "./notices.js";
import { fill, gettext, ngettext, say } from "./words.js";

const MINUTE = 60;

export class Pauses {
  constructor({ clock, rules, leave }) {
    Object.assign(this, { clock, rules, leave });
    this.done = 0;
    this.waiting = 0;
    clock.sitting = rules.sitting_seconds ?? 0; // loading the desk again is no break
    clock.addEventListener("beat", () => this.beat());
  }

  showCounts({ mine_today: mine, waiting, waiting_capped: isCapped }) {
    if (mine !== undefined) this.done = mine;
    if (waiting !== undefined) Object.assign(this, { waiting, isCapped });
    this.draw();
  }

  counted(decision) {
    if (decision === "skip") return;
    this.done += 1;
    this.waiting = Math.max(0, this.waiting - 1);
    this.draw();
  }

  draw() {
    byId("counts").textContent = fill(gettext("%(done)s today, %(waiting)s to go"), { done: this.done, waiting: this.isCapped ? `${this.waiting}+` : this.waiting });
    byId("progress").max = Math.max(1, this.done + this.waiting);
    byId("progress").value = this.done;
  }

  beat() {
    const after = this.rules.break_after_minutes * MINUTE;
    const place = byId("break");
    place.hidden = !after;
    if (!after) return;
    const left = Math.ceil((after - this.clock.sitting) / MINUTE);
    place.textContent = left > 0 ? fill(ngettext("break in a minute", "break in %(n)s min", left), { n: left }) : gettext("time for a break");
    if (left <= 0 && !this.nudged) this.nudge();
  }

  nudge() {
    this.nudged = true;
    const rested = () => { settle("break"); this.clock.sitting = 0; this.nudged = false; };
    notice("break", {
      title: gettext("You have read for a while"), kind: "live",
      text: gettext("A few minutes away do good. Nothing is lost, and no figure of yours gets worse."),
      acts: [[gettext("I had a break"), rested], [gettext("Leave the desk"), this.leave]],
    });
    say(gettext("Time for a break."));
  }

  /** The server hands out nothing for a reason; it says it in words. */
  show({ kind, message, support }, queue) {
    this.reason = { kind, message, support };
    if (!queue.current) this.showVoid(queue);
    else if (kind === "break") notice("break", { title: message, kind: "live" });
  }

  showVoid(queue, outbox) {
    byId("void").hidden = false;
    const reason = queue.pause ? this.reason : null;
    const isOffline = outbox?.isStuck;
    byId("void-title").textContent = reason ? TITLES[reason.kind]?.() ?? gettext("A pause")
      : isOffline ? gettext("The server does not answer") : gettext("Nothing left for you");
    byId("void-text").textContent = reason?.message
      ?? (isOffline ? gettext("Your decisions are kept on this device. This page goes on by itself when the server answers.")
        : gettext("What you skipped, somebody else will look at. New examples stand here once a round has made them."));
    byId("void-support").textContent = reason?.support ?? "";
    byId("void-title").focus({ preventScroll: true });
  }

  /** What a question with a known answer teaches. */
  teach({ right, explanation }, example) {
    notice("feedback", {
      title: right ? gettext("You and the team agree") : fill(gettext("Example %(id)s: the team decided otherwise"), { id: example }),
      text: explanation, kind: right ? "good" : "warn", acts: [[gettext("Close"), () => settle("feedback")]],
    });
  }
}

const TITLES = {
  break: () => gettext("Time for a break"), budget: () => gettext("Enough for today"), paused: () => gettext("Your lead would like a word first"),
  exam: () => gettext("An exam comes first"), limit: () => gettext("Enough of these for today"),
};

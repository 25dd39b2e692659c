// What the person should know: each beside what it is about, with what to do, until it is settled.

import { button, byId, element } from "./dom.js";
import { fill, gettext, ngettext, say } from "./words.js";

/** Show a note under a key; the same key replaces it. */
export function notice(key, { title, text = "", kind = "warn", acts = [] }) {
  const made = element("div", { classes: `note ${kind}`, role: kind === "bad" ? "alert" : "status", "data-notice": key },
    element("b", { text: title }), text && element("span", { text }),
    acts.length > 0 && element("div", { classes: "note-acts" }, ...acts.map(([word, act]) => button(word, act, "btn plain btn-sm"))));
  const old = find(key);
  if (old) old.replaceWith(made);
  else byId("notices").append(made);
}

const find = (key) => [...byId("notices").children].find((one) => one.dataset.notice === key);

export const settle = (key) => find(key)?.remove();

/** A word in passing, with its undo, for a few seconds. */
let fading;
export function toast(text, undo) {
  clearTimeout(fading);
  byId("toast")?.remove();
  const made = element("div", { classes: "toast-line", id: "toast" }, text);
  if (undo) made.append(button(gettext("Undo"), () => { made.remove(); undo(); }, "btn plain btn-sm"));
  document.querySelector("main").append(made);
  fading = setTimeout(() => made.remove(), 8_000);
}

/** The badge: saved, or how many wait, and whether the server answers. */
export function showOutbox(outbox) {
  const waiting = outbox.waiting.length;
  const kept = outbox.waiting.filter((entry) => outbox.kept.has(entry.key)).length; // the others are not on disk yet
  const badge = byId("saved");
  const state = outbox.stopped ? "stuck" : !waiting ? "saved" : outbox.isStuck ? "stuck" : "waiting";
  const text = kept ? fill(ngettext("%(n)s waiting", "%(n)s waiting", kept), { n: kept }) : gettext("saved");
  if (badge.dataset.state !== state && state !== "waiting") say(text);
  badge.dataset.state = state;
  if (kept || !waiting) byId("saved-text").textContent = text;
  badge.title = outbox.isDurable ? "" : gettext("This window keeps nothing: what waits is lost when the tab is closed.");
  if (state === "stuck" && !outbox.stopped) {
    notice("offline", { title: gettext("The server does not answer"), text: gettext("Go on: your decisions are kept on this device and sent when it answers again.") });
  } else settle("offline");
}

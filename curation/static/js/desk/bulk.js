// Many at once: the same keys over cards. What is not read cannot be approved, above twenty one confirms, one undo takes
// the whole act back.

import { Api, Refusal, SignedOut } from "./api.js";
import { byId, chip, element, replace } from "./dom.js";
import { Keymap, sleeps } from "./keymap.js";
import { notice, settle, showOutbox, toast } from "./notices.js";
import { Outbox, uuid } from "./outbox.js";
import { Picker } from "./picker.js";
import { Queue } from "./queue.js";
import { folded } from "./veil.js";
import { rendered } from "./visible.js";
import { fill, gettext, ngettext, say } from "./words.js";

const MANY = 20; // cards above which one confirms
const NEED_READING = new Set(["accept", "relabel"]);

const config = JSON.parse(byId("desk-config").textContent);
const size = Number(document.querySelector("main").dataset.cards);
const categories = new Map(config.categories.map((category) => [category.key, category]));
const api = new Api({ base: config.api, csrf: config.csrf });
const keymap = new Keymap(config.keys);
const outbox = new Outbox({ api, owner: config.user, project: config.project });
const queue = new Queue({
  api, prefetch: size - 1, claim: { bulk: true },
  isAway: (item) => item.origin === "adversarial" && !config.bulk_adversarial || outbox.waiting.some((entry) => entry.shown.examples?.includes(item.example)),
});
const chosen = new Set();
const opened = new Set(); // veiled ones that were read
let at = null; // the example that has the frame
let anchor = null;

const cardOf = (example) => byId("cards").querySelector(`[data-example="${example}"]`);
const current = () => queue.items.find((item) => item.example === at) ?? queue.current;

function draw() {
  const there = new Set(queue.items.map((item) => item.example));
  for (const example of [...chosen]) if (!there.has(example)) chosen.delete(example);
  if (!there.has(at)) at = queue.current?.example ?? null;
  for (const card of [...byId("cards").children]) if (!there.has(Number(card.dataset.example))) card.remove();
  for (const item of queue.items) if (!cardOf(item.example)) byId("cards").append(made(item));
  mark();
  drawCounts();
  byId("board").hidden = queue.items.length === 0;
  byId("void").hidden = queue.items.length > 0;
  if (!queue.items.length) showVoid();
}

/** What waits beside the cards, and the cards. */
function drawCounts() {
  const { waiting, waiting_capped: isCapped } = queue.counts;
  const all = (waiting ?? 0) + queue.items.length;
  byId("counts").textContent = waiting === undefined ? "" : fill(gettext("%(waiting)s to go"), { waiting: isCapped ? `${all}+` : all });
}

function showVoid() {
  byId("void-title").textContent = queue.pause ? gettext("A pause") : gettext("Nothing left for you");
  byId("void-text").textContent = queue.pause?.message ?? gettext("Nothing waits here that may be judged together.");
}

function made(item) {
  const box = element("input", { type: "checkbox", id: `choose-${item.example}`, "aria-label": fill(gettext("Choose example %(id)s"), { id: item.example }) });
  const head = element("div", { classes: "chips" },
    element("label", { for: box.id, classes: "mono", text: String(item.example) }),
    chip(item.proposed.label === "safe" ? gettext("Safe") : gettext("Unsafe"), item.proposed.label),
    ...item.proposed.categories.map((key) => chip(categories.get(key)?.name ?? key, `category hue-${categories.get(key)?.hue ?? 0}`)),
    item.severity ? chip(fill(gettext("severity %(n)s of 4"), { n: item.severity })) : null);
  const text = element("div", { classes: "text-block", dir: "auto", tabindex: "0", role: "group", "aria-label": fill(gettext("Text of example %(id)s"), { id: item.example }) });
  if (item.veiled || item.masks?.length) head.append(holdable(item.example));
  const card = element("li", { classes: "bulk-card", "data-example": String(item.example) }, box, head, text);
  write(item, text, false);
  box.addEventListener("click", (event) => choose(item.example, { range: event.shiftKey }));
  card.addEventListener("focusin", () => { at = item.example; mark(); });
  card.addEventListener("click", (event) => { if (event.target !== box) { at = item.example; mark(); } });
  return card;
}

/** A button that shows the text while it is pressed; by keyboard and screen reader press by press. */
function holdable(example) {
  const hold = element("button", { type: "button", classes: "btn plain btn-sm hold", text: gettext("Hold to read") });
  let isShown = false;
  const turn = (isOpen) => { isShown = isOpen; at = example; show(isOpen); };
  hold.addEventListener("pointerdown", (event) => { hold.setPointerCapture?.(event.pointerId); turn(true); });
  for (const type of ["pointerup", "pointercancel", "lostpointercapture"]) hold.addEventListener(type, () => turn(false));
  hold.addEventListener("click", (event) => { if (event.detail === 0) turn(!isShown); });
  hold.addEventListener("contextmenu", (event) => event.preventDefault());
  return hold;
}

function write(item, place, isOpen) {
  if (item.veiled && !isOpen && !opened.has(item.example)) {
    replace(place, element("span", { classes: "soft", text: gettext("Veiled") }));
    return;
  }
  const [shown, isFolded] = folded(item.text, 600, 8);
  place.replaceChildren(rendered(shown, isOpen ? [] : item.masks ?? [], gettext("masked word")));
  if (isFolded) place.append(" …");
}

function mark() {
  for (const card of byId("cards").children) {
    const example = Number(card.dataset.example);
    card.classList.toggle("is-current", example === at);
    card.classList.toggle("is-chosen", chosen.has(example));
    card.querySelector("input").checked = chosen.has(example);
  }
  byId("chosen").textContent = chosen.size ? fill(ngettext("%(n)s chosen", "%(n)s chosen", chosen.size), { n: chosen.size }) : "";
  byId("choose-all").textContent = chosen.size === queue.items.length && chosen.size ? gettext("Choose none") : gettext("Choose all");
}

function choose(example, { range = false } = {}) {
  const order = queue.items.map((item) => item.example);
  if (range && anchor !== null && order.includes(anchor)) {
    const [from, to] = [order.indexOf(anchor), order.indexOf(example)].sort((one, other) => one - other);
    for (const one of order.slice(from, to + 1)) chosen.add(one);
  } else if (!chosen.delete(example)) chosen.add(example);
  anchor = example;
  at = example;
  mark();
  say(byId("chosen").textContent);
}

function move(step) {
  const order = queue.items.map((item) => item.example);
  at = order[Math.max(0, Math.min(order.length - 1, order.indexOf(at) + step))] ?? null;
  mark();
  cardOf(at)?.scrollIntoView({ block: "nearest" });
  cardOf(at)?.querySelector("input").focus({ preventScroll: true });
}

async function decide(decision, more = {}) {
  const items = chosen.size ? queue.items.filter((item) => chosen.has(item.example)) : [current()].filter(Boolean);
  if (!items.length) return;
  const unread = items.filter((item) => item.veiled && !opened.has(item.example));
  if (unread.length && NEED_READING.has(decision)) {
    notice("attempt", { title: fill(ngettext("One of them is veiled and unread", "%(n)s of them are veiled and unread", unread.length), { n: unread.length }), text: gettext("Read them, or take them out of the choice.") });
    at = unread[0].example;
    move(0);
    return;
  }
  if (items.length > MANY && !(await confirmed(items.length, decision))) return;
  settle("attempt");
  const key = uuid();
  const examples = items.map((item) => item.example);
  for (const item of items) queue.remove(item);
  outbox.add(key, { key, items: examples, decision, ...more }, { examples, decision }, "bulk");
  toast(fill(ngettext("One decided", "%(n)s decided", items.length), { n: items.length }), undo);
  queue.fill(outbox.waiting.length ? size : 0);
}

let answered = null; // tells the one who asked last
byId("confirm").addEventListener("close", ({ target }) => { if (!target.open) answered?.(target.returnValue === "yes"); });

function confirmed(count, decision) {
  answered?.(false); // closed a moment ago, and the event is still on its way
  const dialog = byId("confirm");
  const words = { accept: gettext("Approve %(n)s examples?"), reject: gettext("Reject %(n)s examples?"), skip: gettext("Skip %(n)s examples?") };
  byId("confirm-title").textContent = fill(words[decision] ?? gettext("Relabel %(n)s examples?"), { n: count });
  dialog.returnValue = "no";
  dialog.showModal();
  byId("confirm-yes").focus();
  return new Promise((resolve) => { answered = resolve; });
}

async function undo() {
  const unsent = outbox.waiting.at(-1);
  byId("toast")?.remove();
  try {
    if (!unsent || !(await outbox.cancel(unsent.key))) {
      if (unsent) return; // taken back as soon as it has arrived
      await api.post("bulk/undo");
    }
    queue.judged.clear();
    await queue.fetchMore(size);
    say(gettext("Taken back."));
    settle("attempt");
  } catch (error) {
    if (error instanceof SignedOut) signedOut();
    else notice("attempt", { title: error instanceof Refusal ? error.message : gettext("This needs the server, and it does not answer. Try again in a moment.") });
  }
}

const signedOut = () => notice("signedout", {
  title: gettext("You were signed out"), kind: "bad", text: gettext("What you decided is kept on this device, and sent when you come back here."),
  acts: [[gettext("Sign in again"), () => location.assign(`${config.login}?next=${encodeURIComponent(location.pathname)}`)]],
});

function show(isOpen) {
  const item = current();
  if (!item || !(item.veiled || item.masks?.length)) return;
  if (isOpen) opened.add(item.example);
  const place = cardOf(item.example).querySelector(".text-block");
  if (!isOpen && item.veiled) replace(place, element("span", { classes: "soft", text: gettext("Veiled again; you have read it.") }));
  else write(item, place, isOpen);
}

const unsafe = (category) => decide("relabel", { label: "unsafe", categories: [category] });
const picker = new Picker({ choose: unsafe });
const relabel = (number) => {
  if (number === 0) { decide("relabel", { label: "safe", categories: [] }); return; }
  const button = document.querySelectorAll(".bulk-labels [data-category]")[number - 1];
  if (button) unsafe(button.dataset.category);
};
const ACTS = {
  approve: () => decide("accept"), reject: () => decide("reject"), skip: () => decide("skip"), undo,
  pick: () => { if (current()) picker.open(); },
  select: () => { const item = current(); if (item) choose(item.example); },
  next: () => move(1), back: () => move(-1), reveal: () => show(true), help: () => byId("keys-help").showModal(),
  exit: async () => {
    await Promise.race([queue.returnAll(), new Promise((resolve) => { setTimeout(resolve, 1_500); })]);
    location.assign(config.overview);
  },
};

const act = (name) => { if (name.startsWith("category-")) relabel(Number(name.slice(9))); else ACTS[name]?.(); };
document.addEventListener("keydown", (event) => {
  const isRange = event.shiftKey && !event.ctrlKey && !event.metaKey && !sleeps(event) && keymap.mode !== "off"
    && event.altKey === (keymap.mode === "alt") && keymap.released(event) === "select";
  const name = isRange ? null : keymap.act(event);
  if (!isRange && !(name && (name.startsWith("category-") || ACTS[name]))) return;
  event.preventDefault();
  if (isRange && current()) choose(current().example, { range: true });
  else if (name) act(name);
});
document.addEventListener("keyup", (event) => { if (!sleeps(event) && keymap.released(event) === "reveal") show(false); });
document.addEventListener("click", (event) => { const pressed = event.target.closest("[data-act]"); if (pressed) act(pressed.dataset.act); });
byId("choose-all").addEventListener("click", () => {
  const all = chosen.size === queue.items.length;
  chosen.clear();
  if (!all) for (const item of queue.items) chosen.add(item.example);
  mark();
});

queue.addEventListener("change", draw);
queue.addEventListener("counts", drawCounts);
queue.addEventListener("signedout", signedOut);
queue.addEventListener("unreached", () => { setTimeout(() => queue.fill(), 3_000); });
outbox.addEventListener("change", () => showOutbox(outbox));
outbox.addEventListener("signedout", signedOut);
for (const type of ["lost", "refused"]) {
  outbox.addEventListener(type, ({ detail: { entry, answer } }) => {
    if (type === "lost") outbox.drop(entry.key); // all or none: nothing of it counts, the cards come again
    notice("attempt", { title: answer.message || gettext("This was not taken"), text: gettext("None of them was decided. They stand here again.") });
    queue.judged.clear();
    queue.fetchMore(size);
  });
}
outbox.addEventListener("withdrawn", () => { queue.judged.clear(); queue.fetchMore(size); });

// Whoever leaves by the address or closes the page keeps no cards from others, except what they put aside on purpose.
addEventListener("pagehide", () => {
  queue.items = queue.items.filter((item) => !item.held);
  queue.returnAll();
});
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); }); // its cards were given back

keymap.print(document);
byId("desk").hidden = false;
await outbox.open();
await queue.fill();
draw();
document.documentElement.dataset.desk = "ready";

// The review desk: one decision, one key, and the next text is there.

import { Api, Refusal, SignedOut } from "./api.js";
import { Clock } from "./clock.js";
import { byId } from "./dom.js";
import { Keymap, sleeps } from "./keymap.js";
import { Labels } from "./labels.js";
import { notice, settle, showOutbox, toast } from "./notices.js";
import { Outbox, uuid } from "./outbox.js";
import { Pauses } from "./pauses.js";
import { Picker } from "./picker.js";
import { Queue } from "./queue.js";
import { Recent } from "./recent.js";
import { Veil } from "./veil.js";
import { View } from "./view.js";
import { Commenting, Editor } from "./writing.js";
import { fill, gettext, say } from "./words.js";

const DWELL = 350; // milliseconds on an example until its neighbours are fetched: who decides faster needs none
const NEED_READING = new Set(["accept", "relabel"]);
const RENEW_BELOW = 1 / 3; // of a lease

const config = JSON.parse(byId("desk-config").textContent);
const categories = new Map(config.categories.map((category) => [category.key, category]));
const api = new Api({ base: config.api, csrf: config.csrf });
const keymap = new Keymap(config.keys);
const clock = new Clock();
const outbox = new Outbox({ api, owner: config.user, project: config.project });
const veil = new Veil({ categories });
const view = new View({ categories, veil });
const queue = new Queue({
  api, prefetch: config.prefetch,
  isAway: (item) => [...outbox.entries.values()].some((entry) => entry.body.lease === item.lease && entry.state === "waiting"),
});
const recent = new Recent({ outbox, queue, api, settled: config.recent, onChange: () => drawRail(), onProblem: problem });
const labels = new Labels({
  relabel: (label, keys) => decide("relabel", { label, categories: keys }), reject: (reason) => decide("reject", { reason }),
});
const picker = new Picker({ choose: (category) => act("pick", category) });
const onSignedOut = () => notice("signedout", {
  title: gettext("You were signed out"), kind: "bad",
  text: gettext("What you decided is kept on this device, and sent when you come back here."),
  acts: [[gettext("Sign in again"), () => location.assign(`${config.login}?next=${encodeURIComponent(location.pathname)}`)]],
});
const editor = new Editor({ api, onSignedOut, onChanged: edited, bring: (item) => { queue.bring(item.example); return queue.current === item; } });
const commenting = new Commenting({ api, current: () => queue.current, onSignedOut, onSaved: (item) => { item.comments += 1; fetchContext(item); } });
const pauses = new Pauses({ clock, rules: config.wellbeing, leave });
let shown = null;
let dwelling;

function show() {
  const item = queue.current;
  if (item !== shown || item === null) {
    picker.close();
    labels.close();
    editor.close();
    shown = item;
    view.show(item);
    byId("unsure").setAttribute("aria-pressed", "false");
    openSheet(false);
    clock.start();
    if (item) arrive(item);
    else pauses.showVoid(queue, outbox);
  }
  byId("void").hidden = item !== null;
  drawRail();
}

/** On a narrow screen: the rest of the decision, above the two main keys. */
function openSheet(isOpen) {
  byId("decide").classList.toggle("is-open", isOpen);
  byId("more").setAttribute("aria-expanded", String(isOpen));
}

function arrive(item) {
  byId("heading").focus({ preventScroll: true });
  clearTimeout(dwelling);
  dwelling = setTimeout(() => fetchContext(item), DWELL);
}

const drawRail = () => view.drawRail(queue.items, recent.entries, (example) => queue.bring(example), (entry) => recent.undo(entry));

/** Decide about the current item: it leaves at once, the verdict follows by itself. */
function decide(decision, more = {}) {
  const item = queue.current;
  if (!item) return;
  if (NEED_READING.has(decision) && !veil.wasRead) {
    say(gettext("Hold the key to read it first, or skip it."));
    byId("veil-hold").focus();
    byId("veil").classList.add("is-asked");
    return;
  }
  const isUnsure = byId("unsure").getAttribute("aria-pressed") === "true";
  const body = { lease: item.lease, example: item.example, version: item.version, decision, ...more, ...clock.read() };
  if (isUnsure) body.confidence = 1;
  const key = uuid();
  const copies = byId("alike-too").checked ? item.copies ?? [] : [];
  settle(`item-${item.example}`);
  recent.add(key, item, { ...more, decision: agrees(item, decision, more) ? "accept" : decision });
  queue.advance();
  outbox.add(key, body, { example: item.example, decision });
  if (copies.length) decideAlike(copies, decision, more);
  queue.fill(outbox.waiting.length);
}

/** Whether a new label is the proposed one: the server counts that as an approval. */
function agrees({ proposed }, decision, { label, categories = [] }) {
  return decision === "relabel" && label === proposed.label
    && [...categories].sort().join() === [...proposed.categories].sort().join();
}

/** What nearly repeats the item, decided with it in one act of its own. */
function decideAlike(examples, decision, more) {
  const key = uuid();
  for (const item of queue.items.filter((one) => examples.includes(one.example))) queue.remove(item);
  outbox.add(key, { key, items: examples, decision, ...more }, { examples, decision, example: examples.join(", ") }, "bulk");
}

async function fetchContext(item) {
  if (item !== queue.current) return;
  try {
    const context = await api.get(`examples/${item.example}/context`);
    item.copies = (context.near_duplicates ?? []).map((one) => one.example);
    if (item === queue.current) view.drawContext(context);
  } catch (error) {
    if (error instanceof SignedOut) onSignedOut(); // else: the panels stay empty, judging goes on
  }
}

function edited(item, changes) {
  Object.assign(item, changes);
  if (item !== queue.current) return;
  view.show(item);
  veil.leaveOpen();
}

async function toggleFlag() {
  const item = queue.current;
  const path = `examples/${item.example}/flag`;
  item.flagged = !item.flagged;
  view.drawChips(item);
  byId("flag").setAttribute("aria-pressed", String(item.flagged));
  await attempt(() => (item.flagged ? api.post(path) : api.delete(path)), () => { item.flagged = !item.flagged; view.drawChips(item); });
}

async function hold() {
  const item = queue.current;
  await attempt(async () => {
    const { expires_in: left } = await api.post(`leases/${item.lease}/hold`);
    Object.assign(item, { held: true, expires: Date.now() + left * 1000 });
    queue.rotate(1);
    say(gettext("Kept for you; it comes back later."));
  });
}

/** Do what needs the server now, and say so where it cannot be done. */
async function attempt(act, otherwise = () => {}) {
  try {
    await act();
    settle("attempt");
  } catch (error) {
    otherwise();
    if (error instanceof SignedOut) onSignedOut();
    else notice("attempt", { title: error instanceof Refusal ? error.message : gettext("This needs the server, and it does not answer. Try again in a moment.") });
  }
}

async function leave() {
  await Promise.race([queue.returnAll(), new Promise((resolve) => { setTimeout(resolve, 1_500); })]);
  location.assign(config.overview);
}

function togglePanel(name, draw) {
  const panel = byId(`panel-${name}`);
  if (panel.hidden) return;
  panel.open = !panel.open;
  if (panel.open) { draw?.(); panel.querySelector("summary").scrollIntoView({ block: "nearest" }); }
}

const toggle = (id) => byId(id).setAttribute("aria-pressed", String(byId(id).getAttribute("aria-pressed") !== "true"));
const withItem = (act) => (more) => { if (queue.current && !editor.isOpen) act(queue.current, more); };
const ACTS = {
  approve: withItem(() => decide("accept")),
  reject: withItem(() => decide("reject")),
  "reject-because": withItem(() => labels.explain()),
  relabel: withItem((item) => labels.collect(item.proposed.categories)),
  pick: withItem((item, category) => { if (category) labels.choose(category); else picker.open(); }),
  skip: withItem(() => decide("skip")),
  escalate: withItem(() => decide("escalate")),
  undo: () => recent.undo(),
  unsure: withItem(() => toggle("unsure")),
  edit: withItem((item) => { if (veil.wasRead) editor.open(item); else byId("veil-hold").focus(); }),
  flag: withItem(toggleFlag),
  comment: withItem(() => commenting.open()),
  hold: withItem(hold),
  reveal: withItem(() => veil.uncover()),
  unfold: withItem(() => { if (!byId("unfold").hidden) veil.unfold(); }),
  diff: withItem(() => togglePanel("diff")),
  similar: withItem(() => togglePanel("similar")),
  policy: withItem(() => togglePanel("policy")),
  next: withItem(() => queue.rotate(1)),
  back: withItem(() => queue.rotate(-1)),
  exit: leave,
  help: () => byId("keys-help").showModal(),
};

/** Do what a key or a button names; while a text is being saved, as soon as it is. */
export function act(name, more) {
  if (name !== "reveal" && editor.holds(() => act(name, more))) return;
  if (name.startsWith("category-")) { withItem(() => labels.press(Number(name.slice(9))))(); return; }
  ACTS[name]?.(more);
}

document.addEventListener("keydown", (event) => {
  const name = keymap.act(event);
  if (!name || !(name.startsWith("category-") || ACTS[name])) return;
  event.preventDefault();
  act(name);
});
document.addEventListener("keyup", (event) => { if (!sleeps(event) && keymap.released(event) === "reveal") veil.cover(); });
document.addEventListener("click", (event) => {
  const pressed = event.target.closest("[data-act]");
  if (pressed) act(pressed.dataset.act);
});
byId("panel-diff").addEventListener("toggle", () => { if (byId("panel-diff").open && queue.current && veil.wasRead) view.drawDiff(queue.current); });
byId("panel-policy").addEventListener("toggle", () => { if (byId("panel-policy").open && queue.current) view.drawPolicy(queue.current.proposed.categories); });
byId("more").addEventListener("click", () => openSheet(!byId("decide").classList.contains("is-open")));
byId("void-again").addEventListener("click", () => { queue.pause = null; queue.fill(outbox.waiting.length); });

function problem(title, text = "") { notice("attempt", { title, text }); }

queue.addEventListener("change", show);
queue.addEventListener("counts", ({ detail }) => pauses.showCounts(detail));
queue.addEventListener("pause", ({ detail }) => pauses.show(detail, queue));
queue.addEventListener("signedout", onSignedOut);
queue.addEventListener("unreached", () => { if (!queue.current) show(); setTimeout(() => queue.fill(outbox.waiting.length), 3_000); });
queue.addEventListener("lostlease", ({ detail }) => {
  if (detail === queue.current) notice(`item-${detail.example}`, { title: gettext("Your time with this example ran out"), text: gettext("Decide all the same: it counts unless somebody else has it now.") });
  else queue.remove(detail);
});
outbox.addEventListener("change", () => showOutbox(outbox));
outbox.addEventListener("signedout", onSignedOut);
outbox.addEventListener("saved", ({ detail: { entry, answer } }) => {
  recent.saved(entry, answer);
  pauses.counted(entry.body.decision);
  if (answer.feedback) pauses.teach(answer.feedback, entry.shown.example);
  if (!queue.current) queue.fill(outbox.waiting.length);
});
outbox.addEventListener("lost", ({ detail: { entry, answer } }) => { recent.lost(entry); showLost(entry, answer.message); });
outbox.addEventListener("refused", ({ detail: { entry, answer } }) => recent.refused(entry, answer));
outbox.addEventListener("withdrawn", ({ detail: { entry, item } }) => recent.withdrawn(entry, item));

function showLost(entry, message) {
  const key = `lost-${entry.key}`;
  const done = (then) => async () => { settle(key); await then(); recent.forget(entry.key); };
  notice(key, {
    title: fill(gettext("Example %(id)s: %(problem)s"), { id: entry.shown.example, problem: message || entry.problem }),
    text: gettext("Your decision is kept here."),
    acts: [[gettext("Send it again"), done(() => outbox.again(entry.key))], [gettext("Let it go"), done(() => outbox.drop(entry.key))]],
  });
}

clock.addEventListener("beat", ({ detail }) => {
  const item = queue.current;
  if (!item) return;
  const left = Math.max(0, Math.round((item.expires - Date.now()) / 1000));
  byId("lease").textContent = fill(gettext("yours for %(time)s"), { time: `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}` });
  if (detail.isActive) queue.renew(config.lease_seconds * RENEW_BELOW);
});

keymap.print(document);
byId("keys-mode").textContent = { alt: gettext("Each together with Alt."), off: gettext("Keys are off in your settings; the buttons do the same.") }[keymap.mode] ?? "";
document.querySelector("noscript")?.remove(); // its form holds the text, which a veil may cover
byId("desk").hidden = false;
await outbox.open();
for (const entry of outbox.waiting) queue.judged.add(entry.body.lease); // of an earlier visit: not to be judged again
recent.restore();
for (const entry of outbox.lost) showLost(entry, entry.problem);
await queue.fill(outbox.waiting.length);
show();
document.documentElement.dataset.desk = "ready";
export { queue, outbox, toast };

// What stands on the desk. Drawing is one synchronous pass, so that the next text is painted in the next frame.

import { diff, renderedDiff } from "./diff.js";
import { byId, chip, element, replace } from "./dom.js";
import { rendered } from "./visible.js";
import { fill, gettext, ngettext } from "./words.js";

export const LABELS = { safe: () => gettext("Safe"), unsafe: () => gettext("Unsafe") };
const ORIGINS = {
  seed: () => gettext("seed"), augmented: () => gettext("augmented"), paraphrased: () => gettext("paraphrased"),
  adversarial: () => gettext("adversarial"), human: () => gettext("written by a person"),
};
const SAID = {
  accept: () => gettext("approved"), reject: () => gettext("rejected"), relabel: () => gettext("relabelled"),
  skip: () => gettext("skipped"), escalate: () => gettext("handed on"),
};

export class View {
  constructor({ categories, veil }) {
    this.categories = categories;
    this.veil = veil;
  }

  name(key) { return this.categories.get(key)?.name ?? key; }
  category(key) { return chip(this.name(key), `category hue-${this.categories.get(key)?.hue ?? 0}`); }

  /** Show an item, or what stands where there is none. */
  show(item) {
    const grid = byId("reading").parentElement;
    grid.hidden = item === null;
    byId("lease").hidden = item === null;
    this.veil.reset(item);
    if (item === null) return;
    byId("heading").textContent = fill(gettext("Example %(id)s"), { id: item.example });
    this.drawChips(item);
    this.drawProposal(item);
    this.drawPanels(item);
    byId("flag").setAttribute("aria-pressed", String(Boolean(item.flagged)));
    this.offerAlike([]);
  }

  /** Offer to decide what nearly repeats this one in the same act. */
  offerAlike(copies) {
    byId("alike").hidden = copies.length === 0;
    byId("alike-too").checked = false;
    byId("alike-text").textContent = fill(ngettext("Decide alike the one that nearly repeats it", "Decide alike the %(n)s that nearly repeat it", copies.length), { n: copies.length });
  }

  drawChips(item) {
    const made = ORIGINS[item.origin]?.() ?? item.origin;
    const chips = [chip(item.stage ? `${made}: ${item.stage}` : made, item.origin, item.recipe || undefined)];
    if (item.language) chips.push(chip(item.language, "", gettext("language")));
    if (item.severity) chips.push(chip(fill(gettext("severity %(n)s of 4"), { n: item.severity })));
    if (item.priority_reason) chips.push(chip(item.priority_reason, "running", gettext("why this one comes now")));
    if (item.flagged) chips.push(chip(gettext("flagged"), "queued"));
    if (item.held) chips.push(chip(gettext("kept for later"), "queued"));
    for (const finding of item.findings ?? []) {
      if (!finding.keep) chips.push(chip(`${finding.filter}: ${finding.reason}`, "unsafe"));
    }
    replace(byId("chips"), ...chips);
  }

  drawProposal(item) {
    const { label, categories } = item.proposed;
    const word = element("strong", { text: LABELS[label]?.() ?? label, classes: `strong-${label}` });
    replace(byId("proposal"), word, ...categories.flatMap((key) => [" ", this.category(key)]));
    const guard = byId("guard");
    guard.hidden = !item.guard;
    if (item.guard) guard.textContent = fill(gettext("The guard gives it %(score)s"), { score: item.guard.score.toFixed(2) });
    for (const button of byId("labels").querySelectorAll("[data-category]")) {
      button.classList.toggle("is-proposed", categories.includes(button.dataset.category));
      button.removeAttribute("aria-pressed");
    }
  }

  drawPanels(item) {
    for (const panel of document.querySelectorAll(".panels details")) panel.open = false;
    byId("panel-diff").hidden = !item.parent;
    if (item.parent) byId("parent-title").textContent = fill(gettext("Written from %(label)s example %(id)s"), { label: LABELS[item.parent.label]?.() ?? item.parent.label, id: item.parent.id });
    byId("parent").replaceChildren(); // a diff of long texts takes time: made when somebody looks
    const said = (item.findings ?? []).filter((finding) => finding.keep && finding.reason);
    byId("panel-filters").hidden = !(item.findings ?? []).length;
    byId("filters-title").textContent = fill(ngettext("One filter looked at it", "%(n)s filters looked at it", item.findings?.length ?? 0), { n: item.findings?.length ?? 0 });
    replace(byId("filters"), ...(item.findings ?? []).map((finding) => this.finding(finding)));
    byId("panel-filters").classList.toggle("has-news", said.length > 0);
    byId("comments-title").textContent = item.comments ? fill(ngettext("One comment", "%(n)s comments", item.comments), { n: item.comments }) : gettext("Comments");
    byId("panel-comments").classList.toggle("has-news", item.comments > 0);
    replace(byId("comments"));
    replace(byId("similar"), element("p", { text: "…", classes: "soft" }));
  }

  finding({ filter, keep, score, reason }) {
    const verdict = keep ? chip(gettext("keep"), "safe") : chip(gettext("drop"), "unsafe");
    const text = [reason, typeof score === "number" ? score.toFixed(2) : ""].filter(Boolean).join(" · ");
    return element("li", {}, `${filter} `, verdict, ` ${text}`);
  }

  /** The word-level difference to the parent, made on demand. */
  drawDiff(item) {
    if (item.parent) byId("parent").replaceChildren(renderedDiff(diff(item.parent.text, item.text)));
  }

  /** The policy's words for these categories; for a safe example those of what it resembles cannot be known, so all. */
  drawPolicy(keys) {
    const wanted = keys.length ? keys : [...this.categories.keys()];
    replace(byId("policy"), ...wanted.map((key) => this.policy(key)));
  }

  policy(key) {
    const category = this.categories.get(key);
    if (!category) return null;
    return element("section", { classes: "policy" },
      element("h3", {}, this.category(key)),
      element("p", { text: category.definition }),
      category.includes.length > 0 && element("p", { classes: "small" }, element("b", { text: gettext("In it: ") }), category.includes.join(", ")),
      category.excludes.length > 0 && element("p", { classes: "small" }, element("b", { text: gettext("Not in it: ") }), category.excludes.join(", ")));
  }

  /** Decided neighbours, comments and revisions, once they came. */
  drawContext({ similar = [], comments = [], near_duplicates: copies = [] }) {
    this.offerAlike(copies);
    if (copies.length) similar = [...copies, ...similar];
    const rows = similar.map((one) => element("article", { classes: "similar" },
      element("p", {}, chip(LABELS[one.label]?.() ?? one.label, one.label), one.state === "queued" && chip(gettext("waits, nearly the same"), "queued"), ...(one.categories ?? []).flatMap((key) => [" ", this.category(key)])),
      element("div", { classes: "text-block small", dir: "auto" }, rendered(one.text))));
    replace(byId("similar"), ...(rows.length ? rows : [element("p", { text: gettext("Nothing decided is like it yet."), classes: "soft" })]));
    replace(byId("comments"), ...comments.map((one) => element("article", { classes: "comment" },
      element("p", { classes: "small soft", text: one.by ?? "" }), element("div", { classes: "text-block small", dir: "auto" }, rendered(one.text)))));
  }

  /** The rail: what comes, and the last ten decisions, each a button that takes it back. */
  drawRail(items, recent, onBring, onUndo) {
    replace(byId("ahead"), ...items.map((item, index) => element("li", {}, this.railItem(item, index, onBring))));
    replace(byId("recent"), ...recent.map((entry) => element("li", {}, this.recentItem(entry, onUndo))));
    byId("recent-void").hidden = recent.length > 0;
  }

  railItem(item, index, onBring) {
    const made = element("button", { classes: "rail-item", type: "button", "aria-current": index === 0 ? "true" : undefined },
      element("span", { text: String(item.example), classes: "mono" }),
      element("span", { text: this.summary(item.proposed.label, item.proposed.categories), classes: `rail-what strong-${item.proposed.label}` }));
    if (index > 0) made.addEventListener("click", () => onBring(item.example));
    return made;
  }

  recentItem(entry, onUndo) {
    const { example, decision, label, categories, state } = entry;
    const what = decision === "relabel" ? this.summary(label, categories ?? []) : SAID[decision]?.() ?? decision;
    const made = element("button", { classes: `rail-item is-${state}`, type: "button", title: gettext("Take it back") },
      element("span", { text: String(example), classes: "mono" }),
      element("span", { text: what, classes: `rail-what said-${decision}` }),
      element("span", { text: STATES[state]?.() ?? "", classes: "small soft" }));
    made.addEventListener("click", () => onUndo(entry));
    return made;
  }

  summary(label, categories) {
    if (label === "safe") return LABELS.safe();
    return categories.length ? this.name(categories[0]) + (categories.length > 1 ? ` +${categories.length - 1}` : "") : LABELS.unsafe();
  }
}

const STATES = {
  saved: () => "", waiting: () => gettext("waits"), lost: () => gettext("not taken"), withdrawing: () => gettext("being taken back"),
};

// Word-level differences between two texts.

import { rendered } from "./visible.js";

const TOKEN = /\s+|[\p{L}\p{N}\p{M}_'’]+|[^]/gu;
const MOST = 4_000_000; // cells of the table; beyond, what stands between the common ends counts as replaced

const tokens = (text) => text.match(TOKEN) ?? [];

/** Steps that turn `old` into `now`: `{op: "same" | "out" | "in", text}`. */
export function diff(old, now) {
  const [before, after] = [tokens(old), tokens(now)];
  let head = 0;
  while (head < before.length && head < after.length && before[head] === after[head]) head += 1;
  let tail = 0;
  while (tail < before.length - head && tail < after.length - head
    && before[before.length - 1 - tail] === after[after.length - 1 - tail]) tail += 1;
  const middle = between(before.slice(head, before.length - tail), after.slice(head, after.length - tail));
  return joined([
    ...before.slice(0, head).map((text) => ({ op: "same", text })),
    ...middle,
    ...before.slice(before.length - tail).map((text) => ({ op: "same", text })),
  ]);
}

/** The longest common subsequence of two lists of tokens, as steps. */
function between(before, after) {
  const [rows, columns] = [before.length, after.length];
  const whole = [...before.map((text) => ({ op: "out", text })), ...after.map((text) => ({ op: "in", text }))];
  if (!rows || !columns || rows * columns > MOST) return whole;
  const width = columns + 1;
  const common = new Uint16Array((rows + 1) * width);
  for (let i = rows - 1; i >= 0; i -= 1) {
    for (let j = columns - 1; j >= 0; j -= 1) {
      common[i * width + j] = before[i] === after[j]
        ? common[(i + 1) * width + j + 1] + 1
        : Math.max(common[(i + 1) * width + j], common[i * width + j + 1]);
    }
  }
  const steps = [];
  let [i, j] = [0, 0];
  while (i < rows && j < columns) {
    if (before[i] === after[j]) { steps.push({ op: "same", text: before[i] }); i += 1; j += 1; }
    else if (common[(i + 1) * width + j] >= common[i * width + j + 1]) { steps.push({ op: "out", text: before[i] }); i += 1; }
    else { steps.push({ op: "in", text: after[j] }); j += 1; }
  }
  return [...steps, ...before.slice(i).map((text) => ({ op: "out", text })), ...after.slice(j).map((text) => ({ op: "in", text }))];
}

/** Neighbouring steps of a kind as one; a lone space between two changes belongs to the change. */
function joined(steps) {
  const found = [];
  for (const step of steps) {
    const last = found.at(-1);
    if (last && last.op === step.op) last.text += step.text;
    else found.push({ ...step });
  }
  return found;
}

/** How many words went out or came in. */
export const changed = (steps) => steps
  .filter((step) => step.op !== "same")
  .reduce((sum, step) => sum + tokens(step.text).filter((token) => /\S/u.test(token)).length, 0);

/** A fragment with `<del>` and `<ins>`, told apart by more than colour. */
export function renderedDiff(steps) {
  const fragment = document.createDocumentFragment();
  for (const step of steps) {
    const place = step.op === "same" ? fragment : document.createElement(step.op === "out" ? "del" : "ins");
    place.append(rendered(step.text));
    if (place !== fragment) fragment.append(place);
  }
  return fragment;
}

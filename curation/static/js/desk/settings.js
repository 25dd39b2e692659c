// Keys that collide are told while one types; the server refuses them all the same.

import { collisions } from "./keymap.js";
import { fill, gettext } from "./words.js";

const form = document.getElementById("settings");
const fields = [...form.querySelectorAll("[data-key-for]")];
const words = (act) => form.querySelector(`label[for="${CSS.escape(fields.find((field) => field.dataset.keyFor === act).id)}"]`).textContent;

function check() {
  const keys = Object.fromEntries(fields.map((field) => [field.dataset.keyFor, field.value.trim()]));
  const problems = new Map();
  for (const [one, other] of collisions(keys)) {
    problems.set(other, fill(gettext("%(key)s is already the key of “%(act)s”"), { key: keys[other].toUpperCase(), act: words(one) }));
  }
  for (const field of fields) {
    const problem = problems.get(field.dataset.keyFor) ?? "";
    field.setAttribute("aria-invalid", String(problem !== ""));
    const place = form.querySelector(`[data-problem-of="${CSS.escape(field.id)}"]`);
    if (place) place.textContent = problem;
  }
}

for (const field of fields) {
  field.addEventListener("focus", () => field.select());
  field.addEventListener("input", check);
}
const reset = document.getElementById("reset-keys");
reset.hidden = false;
reset.addEventListener("click", () => {
  for (const field of fields) field.value = field.dataset.ours.toUpperCase();
  check();
});

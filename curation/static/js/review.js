// The keys of the review page. Every key presses a button that says so; without this file the buttons still work.
const desk = () => document.getElementById("desk"); // asked for each time: every answer replaces it
const help = document.getElementById("keys-help");
let shown = performance.now();

const isTyping = (target) =>
  target.closest("textarea, select, [contenteditable], input:not([type=radio]):not([type=checkbox])") !== null;

function toggleCategory(digit) {
  const panel = desk().querySelector("details[data-relabel][open]");
  const box = panel?.querySelectorAll("input[type=checkbox]")[digit - 1];
  if (!box) return false;
  panel.querySelector("input[value=unsafe]").checked = true;
  box.checked = !box.checked;
  return true;
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.repeat) return;
  if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
  if (event.key === "?") { help.showModal(); event.preventDefault(); return; }
  if (/^[1-9]$/.test(event.key) && toggleCategory(Number(event.key))) { event.preventDefault(); return; }
  const target = desk().querySelector(`[data-key="${CSS.escape(event.key.toLowerCase())}"]`);
  if (!target) return;
  event.preventDefault();
  target.click();
  if (target.tagName === "SUMMARY") target.parentElement.querySelector("input")?.focus();
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-open-help]")) help.showModal();
  if (event.target.closest("[data-close-help]")) help.close();
});

// Time on the example, and nothing else, goes with the verdict.
document.addEventListener("submit", (event) => {
  const field = event.target.querySelector("input[name=seconds]");
  if (field) field.value = ((performance.now() - shown) / 1000).toFixed(1);
}, true);

document.addEventListener("htmx:afterSwap", () => {
  shown = performance.now();
  document.getElementById("example-heading")?.focus({ preventScroll: true });
});
// A refusal is an answer too: show it instead of dropping it.
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.xhr.status === 409) { event.detail.shouldSwap = true; event.detail.isError = false; }
});

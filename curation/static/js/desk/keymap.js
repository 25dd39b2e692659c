// Which act a key press stands for. The keys come from the person's settings; badges and the help sheet come from here.

export const MODES = ["letters", "alt", "off"];
const TYPING = "textarea, select, [contenteditable]:not([contenteditable=false]), input:not([type=radio], [type=checkbox], [type=button], [type=submit])";
const UNDO = "z"; // with Ctrl or Cmd, in every mode: it is no single-character key

/** Whether keys belong to what has the focus, to a dialog or to an input method, and not to the desk. */
export function sleeps(event) {
  const target = event.target instanceof Element ? event.target : document.body;
  return event.isComposing || event.keyCode === 229 || target.closest(TYPING) !== null
    || document.querySelector("dialog[open]") !== null;
}

export class Keymap {
  /** `keys` names the key of each act, in the order of the help sheet. */
  constructor({ mode, keys }) {
    this.mode = MODES.includes(mode) ? mode : "letters";
    this.keys = { ...keys };
    this.acts = new Map(Object.entries(keys).map(([act, key]) => [key.toLowerCase(), act]));
  }

  /** The act of a key press: its name, `category-0` to `category-9` for digits, or null. */
  act(event) {
    if (event.repeat || sleeps(event)) return null;
    if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === UNDO) return "undo";
    if (this.mode === "off" || event.ctrlKey || event.metaKey || event.altKey !== (this.mode === "alt")) return null;
    if (event.key === "?") return "help";
    const digit = digitOf(event);
    if (digit !== null) return event.shiftKey && !isShiftedDigit(event) ? null : `category-${digit}`;
    if (event.shiftKey) return null;
    return this.acts.get(event.key.toLowerCase()) ?? this.acts.get(letterOf(event)) ?? null;
  }

  /** The act that a released key ends, whatever is held beside it: letting go must always veil again. */
  released(event) {
    return this.acts.get(event.key.toLowerCase()) ?? this.acts.get(letterOf(event)) ?? null;
  }

  /** What stands on the button of an act; nothing where it has no key. */
  badge(act) {
    if (this.mode === "off") return act === "undo" ? "Ctrl+Z" : "";
    const digit = /^category-(\d+)$/.exec(act)?.[1]; // there are more categories than digits
    const key = act === "help" ? "?" : digit ? (digit.length === 1 ? digit : "") : this.keys[act]?.toUpperCase();
    return key ? (this.mode === "alt" ? `Alt+${key}` : key) : "";
  }

  /** The same for `aria-keyshortcuts`. */
  shortcut(act) {
    const badge = this.badge(act).replace("Ctrl+", "Control+");
    return act === "undo" && badge && this.mode !== "off" ? `${badge} Control+Z` : badge;
  }

  /** Print the keys on everything that names an act. */
  print(root) {
    for (const badge of root.querySelectorAll("kbd[data-key-of]")) {
      badge.textContent = this.badge(badge.dataset.keyOf);
      badge.hidden = badge.textContent === "";
    }
    for (const button of root.querySelectorAll("[data-act]")) {
      const shortcut = this.shortcut(button.dataset.act);
      if (shortcut) button.setAttribute("aria-keyshortcuts", shortcut);
    }
  }
}

// With Alt, some systems write another sign (å for Alt+A): then the place of the key says which letter it is.
function letterOf(event) {
  if (!event.altKey || /^[a-z]$/i.test(event.key)) return "";
  return /^Key([A-Z])$/.exec(event.code)?.[1].toLowerCase() ?? "";
}

// By its place too, so that the row of digits works on keyboards where it writes signs (&é" on a French one).
function digitOf(event) {
  if (/^[0-9]$/.test(event.key)) return Number(event.key);
  const place = /^(?:Digit|Numpad)([0-9])$/.exec(event.code);
  return place && !event.shiftKey && !/^\p{L}$/u.test(event.key) && event.key.length === 1 ? Number(place[1]) : null;
}

const isShiftedDigit = (event) => /^[0-9]$/.test(event.key);

/** Acts that share a key, as pairs; empty where all differ. Used by the settings page while one types. */
export function collisions(keys) {
  const seen = new Map();
  const found = [];
  for (const [act, key] of Object.entries(keys)) {
    const small = key.toLowerCase();
    if (!small) continue;
    if (seen.has(small)) found.push([seen.get(small), act]);
    else seen.set(small, act);
  }
  return found;
}

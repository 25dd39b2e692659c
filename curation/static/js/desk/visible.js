// Example text as text: what does not show, or pretends to be another letter, is made visible. Text nodes only, never HTML.

const HIDDEN = /[\p{Cf}\p{Cc}\p{Co}\p{Cn}\p{Cs}\p{Zl}\p{Zp}\p{Zs}\u034F\u115F\u1160\u2800\u3164\uFFA0\uFE00-\uFE0E\u{E0100}-\u{E01EF}]/u;
const SHOWN_SPACE = new Set(["\n", "\t", " "]);
const NAMES = {
  0x00a0: "no-break space", 0x00ad: "soft hyphen", 0x061c: "arabic letter mark", 0x200b: "zero width space",
  0x200c: "zero width non-joiner", 0x200d: "zero width joiner", 0x200e: "left-to-right mark", 0x200f: "right-to-left mark",
  0x2028: "line separator", 0x2029: "paragraph separator", 0x202a: "left-to-right embedding", 0x202b: "right-to-left embedding",
  0x202c: "pop directional formatting", 0x202d: "left-to-right override", 0x202e: "right-to-left override",
  0x2060: "word joiner", 0x2066: "left-to-right isolate", 0x2067: "right-to-left isolate", 0x2068: "first strong isolate",
  0x2069: "pop directional isolate", 0xfeff: "byte order mark", 0x3164: "hangul filler",
};
// Letters of other alphabets that look like Latin ones.
const TWINS = new Map(Object.entries({
  а: "a", е: "e", о: "o", р: "p", с: "c", у: "y", х: "x", і: "i", ј: "j", ѕ: "s", һ: "h", ԁ: "d", ԛ: "q", ԝ: "w", ё: "ë", ї: "ï",
  А: "A", В: "B", Е: "E", К: "K", М: "M", Н: "H", О: "O", Р: "P", С: "C", Т: "T", У: "Y", Х: "X", І: "I", Ј: "J", Ѕ: "S",
  ο: "o", ν: "v", α: "a", ι: "i", ρ: "p", υ: "u", κ: "k", Α: "A", Β: "B", Ε: "E", Ζ: "Z", Η: "H", Ι: "I", Κ: "K", Μ: "M",
  Ν: "N", Ο: "O", Ρ: "P", Τ: "T", Υ: "Y", Χ: "X", օ: "o", ո: "n", ս: "u", հ: "h", ց: "g",
}));
const WORD = /[\p{L}\p{N}\p{M}]+/gu;
const LATIN = /\p{Script=Latin}/u;
const FOREIGN = /[\p{Script=Cyrillic}\p{Script=Greek}\p{Script=Armenian}\p{Script=Cherokee}]/u;
const STYLED = /[\u{1D400}-\u{1D7FF}\uFF01-\uFF5E\u2460-\u24FF\u{1F130}-\u{1F189}]/u;
const MARKS = /\p{M}{4,}/gu; // piles of accents that bury the letters below

const code = (character) => `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;

/** Split text into `{kind: "plain" | "hidden" | "twin" | "pile", text, note}`; the texts joined are the text again. */
export function runs(text) {
  const twins = disguised(text);
  const found = [];
  let plain = "";
  const push = (kind, piece, note) => {
    if (plain) found.push({ kind: "plain", text: plain, note: "" });
    plain = "";
    found.push({ kind, text: piece, note });
  };
  const piles = new Map([...text.matchAll(MARKS)].map((match) => [match.index, match[0]]));
  for (let at = 0; at < text.length;) {
    const character = String.fromCodePoint(text.codePointAt(at));
    if (piles.has(at)) {
      push("pile", piles.get(at), `${[...piles.get(at)].length}`);
      at += piles.get(at).length;
      continue;
    }
    if (HIDDEN.test(character) && !SHOWN_SPACE.has(character)) push("hidden", character, NAMES[character.codePointAt(0)] ?? code(character));
    else if (twins.has(at)) push("twin", character, `${code(character)} ≈ ${twins.get(at)}`);
    else plain += character;
    at += character.length;
  }
  if (plain) found.push({ kind: "plain", text: plain, note: "" });
  return found;
}

/** Places of letters that stand for Latin ones: in words of two alphabets, and whole words in a Latin text. */
function disguised(text) {
  const found = new Map();
  const mostlyLatin = (text.match(/\p{Script=Latin}/gu)?.length ?? 0) * 2 > (text.match(/\p{L}/gu)?.length ?? 0);
  for (const match of text.matchAll(WORD)) {
    const letters = [...match[0]].filter((letter) => /\p{L}/u.test(letter));
    const foreign = letters.filter((letter) => FOREIGN.test(letter));
    const allTwins = foreign.length > 0 && foreign.length === letters.length && foreign.every((letter) => TWINS.has(letter));
    const mixed = foreign.length > 0 && letters.some((letter) => LATIN.test(letter));
    let at = match.index;
    for (const letter of match[0]) {
      if (STYLED.test(letter)) found.set(at, letter.normalize("NFKC"));
      else if ((mixed || (allTwins && mostlyLatin)) && FOREIGN.test(letter)) found.set(at, TWINS.get(letter) ?? "?");
      at += letter.length;
    }
  }
  return found;
}

/** A fragment that shows `text`; `masks` are ranges of code points, end excluded, whose letters are left out. */
export function rendered(text, masks = [], maskedWord = "masked") {
  const fragment = document.createDocumentFragment();
  const points = masks.length ? [...text] : [];
  let at = 0;
  for (const [from, to] of [...masks].sort((one, other) => one[0] - other[0])) {
    if (from < at || to <= from) continue; // overlapping ranges hide nothing twice
    append(fragment, points.slice(at, from).join(""));
    fragment.append(mark("mask", "▒".repeat(Math.min(to - from, 12)), maskedWord));
    at = to;
  }
  append(fragment, masks.length ? points.slice(at).join("") : text);
  return fragment;
}

function append(parent, text) {
  for (const run of runs(text)) {
    if (run.kind === "plain") parent.append(run.text);
    else if (run.kind === "hidden") parent.append(mark("hidden-char", code(run.text), run.note));
    else if (run.kind === "pile") parent.append(mark("hidden-char", `+${run.note}`, "combining marks"));
    else parent.append(mark("twin", run.text, run.note));
  }
}

function mark(name, text, note) {
  const span = document.createElement("span");
  span.className = name;
  span.title = note;
  span.textContent = text;
  if (name === "mask") { span.setAttribute("role", "img"); span.setAttribute("aria-label", note); }
  return span;
}

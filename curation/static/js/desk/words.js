// The desk's words in the person's language; the catalogue is loaded before the modules.

export const gettext = (text) => window.gettext?.(text) ?? text;
export const ngettext = (one, many, count) => window.ngettext?.(one, many, count) ?? (count === 1 ? one : many);

/** Put named values into `%(name)s`. */
export const fill = (text, values) => text.replace(/%\((\w+)\)s/g, (whole, name) => String(values[name] ?? whole));

/** Say something to whoever does not see the page. */
export function say(text) {
  const place = document.getElementById("said");
  if (place) place.textContent = place.textContent === text ? `${text}\u00a0` : text; // the same words twice are news too
}

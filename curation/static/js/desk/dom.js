// Small elements. Text goes through textContent and nothing else.

export const byId = (id) => document.getElementById(id);

export function element(name, { text, classes = "", title, icon, ...attributes } = {}, ...children) {
  const made = document.createElement(name);
  if (classes) made.className = classes;
  if (title) made.title = title;
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  if (text !== undefined) made.append(text);
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

export const chip = (text, classes = "", title) => element("span", { text, classes: `chip ${classes}`, title });

export function replace(place, ...children) {
  place.replaceChildren(...children.filter(Boolean));
  return place;
}

export const button = (text, act, classes = "btn plain") => {
  const made = element("button", { text, classes, type: "button" });
  made.addEventListener("click", act);
  return made;
};

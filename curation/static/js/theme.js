// Loaded in <head>, before anything is painted, so that no page flashes in the wrong theme.
(() => {
  const root = document.documentElement;
  const stored = () => { try { return localStorage.getItem("theme"); } catch { return null; } };
  const dark = () => stored() ? stored() === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const apply = () => { root.dataset.bsTheme = dark() ? "dark" : "light"; };
  apply();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply);
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-toggle]")) return;
    try { localStorage.setItem("theme", dark() ? "light" : "dark"); } catch { /* private window: this page only */ }
    root.dataset.bsTheme = root.dataset.bsTheme === "dark" ? "light" : "dark";
  });
})();

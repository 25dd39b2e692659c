// Fragments that replace themselves: keep what the reader opened, and say so when the session has ended.
let opened = [];

document.addEventListener("htmx:beforeSwap", (event) => {
  // A request of somebody who was signed out is answered by the page to sign in: show it as a page, not inside one.
  if (new URL(event.detail.xhr.responseURL || location.href).pathname === "/login") {
    event.detail.shouldSwap = false;
    location.reload();
    return;
  }
  opened = [...event.detail.target.querySelectorAll("details[id][open]")].map((details) => details.id);
});

document.addEventListener("htmx:afterSwap", () => {
  for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
});

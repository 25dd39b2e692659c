// A button that copies the secret beside it; it stays away where the browser lets no page write to the clipboard.

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    const word = button.querySelector("span");
    const before = word.textContent;
    try {
      await navigator.clipboard.writeText(button.parentElement.querySelector("[data-secret]").textContent);
      word.textContent = "Copied";
      setTimeout(() => { word.textContent = before; }, 2_000);
    } catch {
      getSelection().selectAllChildren(button.parentElement.querySelector("[data-secret]")); // to be copied by hand
    }
  });
}

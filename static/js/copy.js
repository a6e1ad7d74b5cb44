/* Copies what is shown only once. Without a clipboard the text is selected, ready for the keyboard. */
"use strict";

for (const button of document.querySelectorAll("[data-copy]")) {
  const field = document.getElementById(button.dataset.copy);
  button.hidden = false;
  field.addEventListener("focus", () => field.select());
  button.addEventListener("click", async () => {
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
      button.textContent = document.getElementById("copied").textContent = "Copied";
    } catch {
      button.textContent = document.getElementById("copied").textContent = "Selected: press Ctrl+C";
    }
  });
}

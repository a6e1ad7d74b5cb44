/* The reading page by keyboard, and its refusals in words. Saving and deciding is htmx's; without scripts the form is sent
   as a whole. */
"use strict";

(() => {
  document.documentElement.classList.add("js");
  document.querySelectorAll("[data-print]").forEach((button) => button.addEventListener("click", () => window.print()));
  const keys = document.getElementById("keys");
  if (!keys) return;
  document.querySelectorAll("[data-keys-open]").forEach((button) => button.addEventListener("click", () => keys.showModal()));

  const decisions = () => [...document.querySelectorAll("[data-decision]")];

  /** The finding with the focus, else the first that is undecided, else the first. */
  function atHand() {
    return document.activeElement.closest("[data-decision]")
      || document.querySelector("[data-undecided]") || decisions()[0];
  }

  function move(step) {
    const all = decisions();
    const here = all.indexOf(document.activeElement.closest("[data-decision]"));
    const next = here < 0 ? 0 : Math.min(Math.max(here + step, 0), all.length - 1);
    all[next]?.focus();
  }

  /** Press what this key means for the finding at hand, or for the page. */
  function press(key) {
    const find = (within) => within?.querySelector(`[data-press="${key}"]`);
    const button = find(atHand()) || [...document.querySelectorAll(`[data-press="${key}"]`)].find(
      (each) => !each.closest("[data-decision]"));
    button?.click();
    if (key === "r") button?.parentElement.querySelector("button")?.focus();
    return Boolean(button);
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || keys.open) return;
    const typing = event.target.matches("input:not([type=range]), textarea, select");
    if (event.key === "Escape" && typing) event.target.blur();
    if (typing) return;
    const key = event.key.toLowerCase();
    const field = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
    if (key === "?") keys.showModal();
    else if (key === "j") move(1);
    else if (key === "k") move(-1);
    else if (field) field.focus();
    else if (!/^[a-z1-9]$/.test(key) || !press(key)) return;
    event.preventDefault();
  });

  /* After a decision the next undecided finding is at hand. */
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.target.id !== "decisions") return;
    const open = document.querySelector("[data-undecided]");
    (open || document.getElementById("decisions").querySelector("[data-decision]"))?.focus();
  });

  /* Typed and not yet saved: said at once, and asked about before the page is left. */
  let unsaved = false;
  const say = (words, bad) => {
    const line = document.querySelector(".saved-words");
    line.textContent = words;
    line.classList.toggle("saved-not", Boolean(bad));
  };
  document.addEventListener("input", (event) => {
    if (!event.target.matches("#findings-text, #impression")) return;
    unsaved = true;
    say("Not saved yet …");
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.successful) unsaved = false;
  });
  document.getElementById("report-form")?.addEventListener("submit", () => (unsaved = false));
  addEventListener("beforeunload", (event) => unsaved && event.preventDefault());

  document.addEventListener("htmx:responseError", (event) => {
    let words = "Not saved. The server answered with a fault.";
    try {
      words = `Not saved. ${JSON.parse(event.detail.xhr.responseText).detail}`;
    } catch {
      // no problem+json: the sentence above
    }
    say(words, true);
  });
  document.addEventListener("htmx:sendError", () => say("Not saved: the link to the server is interrupted.", true));
})();

/* Reading by keyboard, from study to study in one document, and refusals in words. Saving and deciding is htmx's; without
   scripts the form is sent as a whole. Everything listens at the document, for the page's content is exchanged under it. */
"use strict";

(() => {
  document.documentElement.classList.add("js");
  const keys = () => document.getElementById("keys");
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-print]")) window.print();
    if (event.target.closest("[data-keys-open]")) keys().showModal();
  });

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

  /** Press what this key means for the finding at hand, or for the page. Reasons have keys while they are shown. */
  function press(key) {
    const within = /^[1-9]$/.test(key) ? document.querySelector(".reject[open]") : atHand();
    const button = within?.querySelector(`[data-press="${key}"]`) || [...document.querySelectorAll(`[data-press="${key}"]`)].find(
      (each) => !each.closest("[data-decision]"));
    button?.click();
    if (key === "r") button?.parentElement.querySelector("button")?.focus();
    return Boolean(button);
  }

  /* Before the viewer's keys (frontend/src/keys.js), which gets what is not taken here. */
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const typing = event.target.matches("input:not([type=range]), textarea, select");
    if (event.key === "Escape") {
      if (typing) event.target.blur();
      document.querySelector(".reject[open]")?.removeAttribute("open");
    }
    if (typing) return;
    const shifted = event.shiftKey && /^[a-z]$/i.test(event.key);
    const key = shifted ? event.key.toUpperCase() : event.key.toLowerCase();
    const field = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
    if (key === "?" && keys()) keys().showModal();
    else if (key === "j" && decisions().length) move(1);
    else if (key === "k" && decisions().length) move(-1);
    else if (field) field.focus();
    else if (!/^[a-z1-9]$/i.test(key) || !press(key)) return;
    event.preventDefault();
  }, { capture: true });

  /* After a decision the next undecided finding is at hand; in another study, the page. */
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.target.id === "decisions") {
      const open = document.querySelector("[data-undecided]");
      (open || document.getElementById("decisions").querySelector("[data-decision]"))?.focus();
    }
  });
  document.addEventListener("htmx:load", (event) => {
    if (event.detail.elt.id !== "main") return;
    unsaved = false;
    scrollTo(0, 0);
    event.detail.elt.focus();
  });

  /* Typed and not yet saved: said at once, and asked about before the page is left. */
  let unsaved = false;
  const say = (words, bad) => {
    const line = document.querySelector(".saved-words");
    if (!line) return;
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
  document.addEventListener("submit", (event) => {
    if (event.target.id === "report-form") unsaved = false;
  });
  addEventListener("beforeunload", (event) => unsaved && event.preventDefault());

  /** What the server's refusal means for who pressed: a signature that needs a fresh sign-in is sent as a page. */
  document.addEventListener("htmx:responseError", (event) => {
    const sign = event.detail.elt.closest("[data-sign]");
    let problem = {};
    try {
      problem = JSON.parse(event.detail.xhr.responseText);
    } catch {
      // no problem+json: the sentence below
    }
    if (sign && problem.code === "reauthentication_required") {
      unsaved = false;
      sign.form.action = sign.formAction;
      sign.form.submit();
      return;
    }
    say(`${sign ? "Not signed." : "Not saved."} ${problem.detail ?? "The server answered with a fault."}`, true);
    if (problem.code === "decision_missing") document.querySelector("[data-undecided]")?.focus();
  });
  document.addEventListener("htmx:sendError", () => say("Not saved: the link to the server is interrupted.", true));
})();

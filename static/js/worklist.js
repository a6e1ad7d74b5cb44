/* The lists by keyboard: j and k move through the rows, Enter opens one (it is a link); on the worklist c claims, r
   releases, / filters, ? explains. A list that renews itself asks whether anything changed and keeps the place. */
"use strict";

(() => {
  const links = () => [...document.querySelectorAll(".row-link")];
  let place = -1; // of the row that has the focus

  function move(step) {
    const rows = links();
    const here = rows.indexOf(document.activeElement);
    rows[here < 0 ? 0 : Math.min(Math.max(here + step, 0), rows.length - 1)]?.focus();
  }

  /** The button of this key in the row that has the focus, or what has it on the page. */
  function target(key) {
    const row = document.activeElement?.closest("tr");
    return row?.querySelector(`[data-row-key="${key}"]`) ?? document.querySelector(`[data-key="${key}"]`);
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
    if (document.querySelector("dialog[open]")) return;
    const step = { j: 1, k: -1 }[event.key];
    if (step) return move(step);
    const found = "cr/?".includes(event.key) && target(event.key);
    if (!found) return;
    event.preventDefault();
    if (found.tagName !== "SUMMARY") return found.click();
    found.parentElement.open = true;
    found.parentElement.querySelector("select, input:not([type=hidden])").focus();
  });

  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-dialog]");
    if (opener) document.getElementById(opener.dataset.dialog).showModal();
  });

  document.addEventListener("focusin", (event) => {
    const row = event.target.closest("tr");
    if (row) place = links().indexOf(row.querySelector(".row-link"));
  });

  document.addEventListener("htmx:configRequest", (event) => {
    const { etag } = event.detail.elt.dataset;
    if (etag && event.detail.verb === "get") event.detail.headers["If-None-Match"] = etag;
  });

  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.xhr.status === 304) event.detail.shouldSwap = false;
  });

  /* htmx gives the focus back to what is still there. Where the row has gone, the one in its place takes it; where a
     button has changed under the finger, its row. */
  document.addEventListener("htmx:afterSwap", () => {
    const rows = links();
    if (place < 0 || !rows.length || document.activeElement !== document.body) return;
    rows[Math.min(place, rows.length - 1)].focus({ preventScroll: true });
  });
})();

/* Pages that renew themselves: say when the link is lost, and start again where the sign-in has ended. */
"use strict";

const lost = () => document.getElementById("link-lost");
for (const name of ["htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(name, () => (lost().hidden = false));
}

document.addEventListener("htmx:beforeSwap", (event) => {
  lost().hidden = true;
  const answered = new URL(event.detail.xhr.responseURL).pathname;
  const asked = new URL(event.detail.pathInfo.requestPath, location.href).pathname;
  if (answered === asked) return;
  event.detail.shouldSwap = false; // sent elsewhere: signed out
  location.reload();
});

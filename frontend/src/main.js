// Entry of the bundle: every element with `data-viewer` (templates/diagnosis/_viewer.html) becomes a viewer, also one that
// comes with a part of a page. Films stay in memory from one to the next (store.js).
import { Viewer } from "./viewer.js";

let viewers = [];

function begin() {
  for (const viewer of viewers) if (!viewer.element.isConnected) viewer.end();
  viewers = viewers.filter(({ element }) => element.isConnected);
  for (const element of document.querySelectorAll("[data-viewer]")) {
    if (viewers.some((viewer) => viewer.element === element)) continue;
    const viewer = new Viewer(element);
    viewers.push(viewer);
    viewer.start();
  }
}

begin();
document.addEventListener("htmx:load", begin);

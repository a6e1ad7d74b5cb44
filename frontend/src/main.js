// Entry of the bundle: every element with `data-viewer` (templates/diagnosis/_viewer.html) becomes a viewer.
import { Viewer } from "./viewer.js";

for (const element of document.querySelectorAll("[data-viewer]")) new Viewer(element).start();

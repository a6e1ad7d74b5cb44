// The keys of the viewer: one table, which the overlay lists and the keyboard obeys. None is a key of the reading page
// (templates/reading/_keys.html) except H, which is the same there, and numbers, which are its own while it lists reasons.

export const KEYS = [
  { keys: ["w"], shown: "W", words: "drag: window (across: contrast, up and down: brightness)", does: (viewer) => viewer.choose("window") },
  { keys: ["m"], shown: "M", words: "drag: move the film (or the middle button)", does: (viewer) => viewer.choose("pan") },
  { keys: ["z"], shown: "Z", words: "drag: zoom (or the wheel, two fingers)", does: (viewer) => viewer.choose("zoom") },
  { keys: ["l"], shown: "L", words: "draw a length", does: (viewer) => viewer.choose("length") },
  { keys: ["c"], shown: "C", words: "cardiothoracic ratio: draw the heart, then the chest", does: (viewer) => viewer.choose("ratio") },
  { keys: ["Delete", "Backspace"], shown: "Delete", words: "take the last line away", does: (viewer) => viewer.removeLast() },
  { keys: [..."123456789"], shown: "1 … 9", words: "window presets, in the order of the list", does: (viewer, key) => viewer.preset(Number(key) - 1) },
  { keys: ["v"], shown: "V", words: "invert", does: (viewer) => viewer.do("invert") },
  { keys: ["t"], shown: "T", words: "turn by a quarter", does: (viewer) => viewer.do("rotate") },
  { keys: ["x"], shown: "X", words: "mirror left and right", does: (viewer) => viewer.do("flip") },
  { keys: ["o"], shown: "O", words: "1:1, one pixel of the film on one of the screen", does: (viewer) => viewer.do("actual") },
  { keys: ["e"], shown: "E", words: "fit the whole film", does: (viewer) => viewer.do("fit") },
  { keys: ["+", "="], shown: "+", words: "closer", does: (viewer) => viewer.closer(1.25) },
  { keys: ["-"], shown: "−", words: "further", does: (viewer) => viewer.closer(0.8) },
  { keys: ["0"], shown: "0", words: "reset everything", does: (viewer) => viewer.do("reset") },
  { keys: ["h"], shown: "H", words: "model attention on and off", does: (viewer) => viewer.do("map") },
  { keys: ["b"], shown: "B", words: "prior film beside this one", does: (viewer) => viewer.do("prior") },
  { keys: ["y"], shown: "Y", words: "yoke: link zoom and window of the two films", does: (viewer) => viewer.do("link") },
  { keys: ["ArrowRight"], shown: "→", words: "next film", does: (viewer) => viewer.step(1) },
  { keys: ["ArrowLeft"], shown: "←", words: "previous film", does: (viewer) => viewer.step(-1) },
  { keys: ["?"], shown: "?", words: "this list", does: (viewer) => viewer.do("help") },
];

const TYPED_INTO = "input:not([type=range]), textarea, select, [contenteditable]";
const OWN_ARROWS = "input[type=range], select";

/** Obey the keys wherever the focus is, except where somebody types, and leave the browser's own combinations alone. */
export function listen(viewer) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.target.closest(TYPED_INTO) || document.querySelector("dialog[open]")) return;
    if (event.key.startsWith("Arrow") && event.target.closest(OWN_ARROWS)) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const entry = KEYS.find((each) => each.keys.includes(key));
    if (!entry) return;
    event.preventDefault();
    entry.does(viewer, key);
  }, { signal: viewer.ended.signal });
}

export function fill(list) {
  list.replaceChildren();
  for (const { shown, words } of KEYS) {
    const [term, says] = [document.createElement("dt"), document.createElement("dd")];
    const key = document.createElement("kbd");
    key.textContent = shown;
    term.append(key);
    says.textContent = words;
    list.append(term, says);
  }
}

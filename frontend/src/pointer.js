// Mouse, pen and fingers on a pane: one finger or the left button uses the chosen tool, the middle button moves, the
// right button and the wheel zoom, two fingers zoom and move.

export function listen(pane, viewer) {
  const { element, canvas } = pane;
  const fingers = new Map();
  let drag = null;

  const point = (event) => {
    const box = canvas.getBoundingClientRect();
    // The browser paints a canvas on whole pixels of the screen, wherever the page puts it.
    const dense = window.devicePixelRatio || 1;
    const painted = (edge) => Math.round(edge * dense) / dense;
    return { x: event.clientX - painted(box.left), y: event.clientY - painted(box.top) };
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (!pane.film) return;
    viewer.activate(pane);
    element.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, point(event));
    if (drag?.held) viewer.measures.end(pane, drag.held);
    const tool = ["tool", "pan", "zoom"][event.button] ?? "tool";
    drag = { tool: tool === "tool" ? viewer.tool : tool, from: point(event) };
    if (fingers.size > 1) drag.tool = "fingers";
    if (drag.tool === "length" || drag.tool === "ratio") drag.held = viewer.measures.begin(pane, drag.from, drag.tool);
    event.preventDefault();
  });

  canvas.addEventListener("pointermove", (event) => {
    if (!pane.film) return;
    const to = point(event);
    pane.say(to);
    pane.pointer = to;
    if (!drag || !fingers.has(event.pointerId)) return;
    const from = fingers.get(event.pointerId);
    if (drag.tool === "fingers") pinch(from, to, [...fingers].find(([id]) => id !== event.pointerId)?.[1]);
    else use(drag, from, to);
    fingers.set(event.pointerId, to);
    viewer.changed(pane);
  });

  function use({ tool, held, from: start }, from, to) {
    const [dx, dy] = [to.x - from.x, to.y - from.y];
    if (tool === "window") rewindow(dx, dy);
    if (tool === "pan") pane.pan(dx, dy);
    if (tool === "zoom") pane.zoom(1.01 ** -dy, start);
    if (held) viewer.measures.move(pane, held, to);
  }

  /** To the right: less contrast. Up: brighter, down: darker, on every film, negatives and inverted ones too. */
  function rewindow(dx, dy) {
    const { centre, width } = pane.window;
    const step = pane.film.facts.windows[0].width / 400;
    pane.window = {
      centre: centre + dy * step * pane.film.upward * (pane.turn.invert ? -1 : 1),
      width: Math.max(width + dx * step, step),
    };
  }

  function pinch(from, to, other) {
    if (!other) return;
    const before = Math.hypot(from.x - other.x, from.y - other.y);
    const after = Math.hypot(to.x - other.x, to.y - other.y);
    const middle = { x: (to.x + other.x) / 2, y: (to.y + other.y) / 2 };
    if (before > 8) pane.zoom(after / before, middle);
    pane.pan((to.x - from.x) / 2, (to.y - from.y) / 2);
  }

  const lift = (event) => {
    fingers.delete(event.pointerId);
    if (drag?.held) {
      viewer.measures.end(pane, drag.held);
      viewer.changed(pane);
    }
    drag = null;
  };
  canvas.addEventListener("pointerup", lift);
  canvas.addEventListener("pointercancel", lift);
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("pointerleave", () => {
    pane.pointer = null;
    pane.say(null);
  });
  canvas.addEventListener(
    "wheel",
    (event) => {
      if (!pane.film) return;
      event.preventDefault();
      viewer.activate(pane);
      pane.zoom(1.0015 ** -event.deltaY, point(event));
      viewer.changed(pane);
    },
    { passive: false },
  );
  element.addEventListener("focus", () => pane.film && viewer.activate(pane));
}

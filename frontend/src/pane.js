// One film on black: from pixels of the film to points of the screen and back, and painting.
//
// A look is shared by linked panes, so nothing in it depends on one film: `zoom` is relative to the whole film in the
// pane, unless the look is `actual`: one pixel of the film on one of the screen. (x, y) is the point in the middle as a
// share of the film, and the window is kept as `shift` and `stretch` of the window that the film is meant to be shown by.

export const FRESH = Object.freeze({ zoom: 1, actual: false, x: 0.5, y: 0.5, shift: 0, stretch: 1 });
const MOST_ZOOM = 40;

export class Pane {
  constructor(onChange) {
    this.look = { ...FRESH };
    this.turn = { quarter: 0, flip: false, invert: false };
    this.film = null;
    this.map = null; // { label, bitmap, strength }
    this.onChange = onChange;
    this.build();
  }

  build() {
    this.element = document.createElement("figure");
    this.element.className = "pane";
    this.element.tabIndex = 0;
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", "Chest film, not shown yet"); // until `show` knows which
    this.label = document.createElement("figcaption");
    this.foot = document.createElement("p");
    this.foot.className = "pane-foot";
    this.notice = document.createElement("p");
    this.notice.className = "pane-notice";
    this.notice.setAttribute("role", "alert");
    this.element.append(this.canvas, this.label, this.foot, this.notice);
    new ResizeObserver(() => this.paint()).observe(this.element);
  }

  /** Show a film in this pane, or nothing. Its window starts as it is meant to be; the rest of the look stays. */
  show(film) {
    this.film = film;
    this.map = null;
    this.turn = { quarter: 0, flip: false, invert: false };
    this.warn("");
    const { about } = film;
    this.label.replaceChildren(...captionOf(film));
    this.canvas.setAttribute("aria-label", `Chest film${about.view ? `, ${about.view}` : ""}, taken ${about.taken}`);
    this.element.dataset.radiograph = about.id;
    this.paint();
  }

  /** Say something over the film, which stays. */
  warn(words) {
    this.notice.textContent = words;
  }

  /** Take the film away and say why. */
  refuse(words) {
    this.warn(words);
    this.film?.release();
    this.film = null;
    this.map = null;
    delete this.element.dataset.radiograph;
    delete this.element.dataset.ready;
    this.label.replaceChildren();
    this.foot.textContent = "";
    this.paint();
  }

  get window() {
    const { centre, width } = this.film.facts.windows[0];
    return { centre: centre + this.look.shift * width, width: Math.max(width * this.look.stretch, width / 1000) };
  }

  set window({ centre, width }) {
    const first = this.film.facts.windows[0];
    this.look.shift = (centre - first.centre) / first.width;
    this.look.stretch = width / first.width;
  }

  /** Width and height of the film as it stands in the pane. */
  get upright() {
    const { width, height } = this.film;
    return this.turn.quarter % 2 ? [height, width] : [width, height];
  }

  /** Screen points (CSS pixels) per pixel of the film. */
  get scale() {
    return this.look.actual ? 1 / (window.devicePixelRatio || 1) : this.fit * this.look.zoom;
  }

  set scale(scale) {
    this.look.zoom = Math.max(Math.min(Math.max(scale, 0.01), MOST_ZOOM) / this.fit, 0.2);
    this.look.actual = false;
  }

  /** The scale at which the whole film is seen. */
  get fit() {
    const [width, height] = this.upright;
    const box = this.canvas.getBoundingClientRect();
    return Math.min(box.width / width, box.height / height);
  }

  /** From a point of the film (pixels, from its upper left corner) to one of the pane (CSS pixels). */
  get matrix() {
    const box = this.canvas.getBoundingClientRect();
    const { width, height } = this.film;
    const matrix = new DOMMatrix()
      .translate(box.width / 2, box.height / 2)
      .scale(this.scale)
      .scale(this.turn.flip ? -1 : 1, 1)
      .rotate(this.turn.quarter * 90)
      .translate(-this.look.x * width, -this.look.y * height);
    // On whole pixels of the screen, so that at 1:1 nothing is mixed.
    const dense = window.devicePixelRatio || 1;
    matrix.e = Math.round(matrix.e * dense) / dense;
    matrix.f = Math.round(matrix.f * dense) / dense;
    return matrix;
  }

  toPane(point) {
    return this.matrix.transformPoint(point);
  }

  toFilm(point) {
    return this.matrix.inverse().transformPoint(point);
  }

  /** Move the film by a distance on the screen. */
  pan(dx, dy) {
    const [from, to] = [this.toFilm({ x: 0, y: 0 }), this.toFilm({ x: dx, y: dy })];
    this.look.x = Math.min(1.2, Math.max(-0.2, this.look.x - (to.x - from.x) / this.film.width));
    this.look.y = Math.min(1.2, Math.max(-0.2, this.look.y - (to.y - from.y) / this.film.height));
  }

  /** Zoom by a factor so that the point of the pane stays where it is. */
  zoom(factor, at) {
    const before = this.toFilm(at);
    this.scale *= factor;
    const after = this.toPane(before);
    this.pan(at.x - after.x, at.y - after.y);
  }

  paint() {
    cancelAnimationFrame(this.waiting);
    this.waiting = requestAnimationFrame(() => this.draw());
  }

  draw() {
    const { canvas, film } = this;
    const box = this.element.getBoundingClientRect();
    const dense = window.devicePixelRatio || 1;
    const [width, height] = [Math.round(box.width * dense), Math.round(box.height * dense)];
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d", { alpha: false });
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = "#000";
    context.fillRect(0, 0, width, height);
    delete this.element.dataset.map;
    if (!film) return;
    context.setTransform(new DOMMatrix().scale(dense).multiply(this.matrix));
    context.imageSmoothingEnabled = this.scale * dense < 2; // enlarged, every pixel of the film is a square
    context.imageSmoothingQuality = "high";
    context.drawImage(film.grey(this.window, this.turn.invert), 0, 0);
    if (this.map) {
      context.imageSmoothingEnabled = true;
      context.globalAlpha = this.map.strength;
      context.drawImage(this.map.bitmap, 0, 0, film.width, film.height);
      context.globalAlpha = 1;
      this.element.dataset.map = this.map.label;
    }
    context.setTransform(dense, 0, 0, dense, 0, 0);
    this.onChange(this, context);
    this.element.dataset.ready = film.about.id;
  }

  /** The line under the film: window, size, and the value under the pointer. */
  say(pointer) {
    if (!this.film) return;
    const { centre, width } = this.window;
    const parts = [`C ${round(centre)} W ${round(width)}`, `${Math.round(this.scale * (window.devicePixelRatio || 1) * 100)} %`];
    if (this.turn.invert) parts.push("inverted");
    if (this.turn.flip) parts.push("mirrored");
    if (this.turn.quarter) parts.push(`turned ${this.turn.quarter * 90}°`);
    if (pointer) {
      const { x, y } = this.toFilm(pointer);
      const said = this.film.said(Math.floor(x), Math.floor(y));
      if (said) parts.push(`x ${Math.floor(x)} y ${Math.floor(y)}: ${said}`);
    }
    this.foot.textContent = parts.join(" · ");
    this.foot.classList.toggle("pane-altered", this.turn.flip || this.turn.quarter > 0);
  }
}

function round(number) {
  return Number(number.toPrecision(5));
}

function captionOf(film) {
  const { about, isTrue, facts } = film;
  const lines = [
    `${about.isPrior ? "PRIOR · " : ""}${about.taken} · ${about.view || "view not stated"} · study ${about.study.slice(0, 8)}`,
    isTrue
      ? `${facts.bits} bits${facts.photometric === "MONOCHROME1" ? ", stored as a negative" : ""}`
      : "8-bit display copy: the film was prepared before its full depth was kept",
  ];
  return lines.map((words, at) => {
    const line = document.createElement("span");
    line.textContent = words;
    if (at && !isTrue) line.className = "pane-reduced";
    return line;
  });
}

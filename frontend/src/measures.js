// Lines that a person draws on a film: lengths, and the two of the cardiothoracic ratio.

const NEAR = 14; // CSS pixels within which an end is taken hold of
const STYLE = { length: "#ffd166", heart: "#ff8fa3", chest: "#8dd5e8" };
const NAMES = { heart: "Heart", chest: "Chest" };

export class Measures {
  constructor() {
    this.lines = new Map(); // film id → [{ kind, from, to }]
  }

  of(film) {
    if (!this.lines.has(film.about.id)) this.lines.set(film.about.id, []);
    return this.lines.get(film.about.id);
  }

  /** Begin a line, or take hold of the end of one. For the ratio: first the heart, then the chest, then anew. */
  begin(pane, point, tool) {
    const lines = this.of(pane.film);
    const held = this.at(pane, point);
    if (held) return held;
    const at = pane.toFilm(point);
    const line = { kind: tool === "length" ? "length" : this.next(lines), from: plain(at), to: plain(at) };
    if (line.kind !== "length") {
      const stale = line.kind === "heart" ? ["heart", "chest"] : ["chest"];
      for (const kind of stale) remove(lines, lines.find((each) => each.kind === kind));
    }
    lines.push(line);
    return { line, end: "to" };
  }

  next(lines) {
    const has = (kind) => lines.some((line) => line.kind === kind);
    return has("heart") && !has("chest") ? "chest" : "heart";
  }

  /** The end of a line near a point of the pane. */
  at(pane, point) {
    for (const line of [...this.of(pane.film)].reverse()) {
      for (const end of ["from", "to"]) {
        const place = pane.toPane(line[end]);
        if (Math.hypot(place.x - point.x, place.y - point.y) < NEAR) return { line, end };
      }
    }
    return null;
  }

  move(pane, held, point) {
    held.line[held.end] = plain(pane.toFilm(point));
  }

  /** A click that did not draw leaves nothing behind. */
  end(pane, held) {
    const [from, to] = [pane.toPane(held.line.from), pane.toPane(held.line.to)];
    if (Math.hypot(from.x - to.x, from.y - to.y) < 4) remove(this.of(pane.film), held.line);
  }

  remove(film, line) {
    remove(this.of(film), line);
  }

  removeLast(film) {
    this.of(film).pop();
  }

  /** What the lines say: `[{ words, lines }]`. */
  said(film) {
    const lines = this.of(film);
    const heart = lines.find((line) => line.kind === "heart");
    const chest = lines.find((line) => line.kind === "chest");
    const said = lines
      .filter((line) => line.kind === "length")
      .map((line, at) => ({ words: `Length ${at + 1}: ${short(film, line)}, ${film.length(line.from, line.to).of}`, lines: [line] }));
    if (heart && chest) {
      const ratio = film.length(heart.from, heart.to).number / film.length(chest.from, chest.to).number;
      said.push({ words: `Cardiothoracic ratio ${ratio.toFixed(2)}: heart / chest, by hand`, lines: [heart, chest] });
    } else if (heart) {
      said.push({ words: "Cardiothoracic ratio: now draw the widest inner chest", lines: [heart] });
    }
    return said;
  }

  draw(pane, context) {
    for (const line of this.of(pane.film)) {
      const [from, to] = [pane.toPane(line.from), pane.toPane(line.to)];
      context.lineWidth = 4;
      context.strokeStyle = "rgb(0 0 0 / 60%)";
      stroke(context, from, to);
      context.lineWidth = 1.75;
      context.strokeStyle = STYLE[line.kind];
      stroke(context, from, to);
      label(context, NAMES[line.kind] ?? short(pane.film, line), to, STYLE[line.kind]);
    }
  }
}

function plain({ x, y }) {
  return { x, y };
}

function remove(lines, line) {
  const at = lines.indexOf(line);
  if (at >= 0) lines.splice(at, 1);
}

function short(film, line) {
  const { number, unit } = film.length(line.from, line.to);
  return `${unit === "px" ? Math.round(number) : number.toFixed(1)} ${unit}`;
}

function stroke(context, from, to) {
  context.beginPath();
  context.moveTo(from.x, from.y);
  context.lineTo(to.x, to.y);
  for (const end of [from, to]) {
    context.moveTo(end.x + 4, end.y);
    context.arc(end.x, end.y, 4, 0, 2 * Math.PI);
  }
  context.stroke();
}

function label(context, text, at, colour) {
  context.font = "600 13px Inter, system-ui, sans-serif";
  const width = context.measureText(text).width;
  const x = Math.max(4, Math.min(at.x + 10, context.canvas.clientWidth - width - 12));
  const y = Math.max(20, at.y - 10);
  context.fillStyle = "rgb(0 0 0 / 70%)";
  context.fillRect(x - 4, y - 14, width + 8, 19);
  context.fillStyle = colour;
  context.fillText(text, x, y);
}

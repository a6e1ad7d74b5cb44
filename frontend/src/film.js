// A film in memory: its own values, and how a window turns them into grey.
import { decode } from "fast-png";
import { askPicture, WrongFilmError } from "./answers.js";

const EIGHT_BITS = { lowest: 0, slope: 1, intercept: 0, inverted: false, bits: 8, spacing: null };
const WHERE = {
  detector: { unit: "mm at the detector", of: "the body is drawn larger than it is" },
  calibrated: { unit: "mm", of: "calibrated, as the file says" },
  scanned: { unit: "mm on the sheet", of: "the film was scanned, and the body is drawn larger than it is" },
  unstated: { unit: "mm", of: "the file does not say where they hold" },
};

export class Film {
  /** `about` is the server's description, `samples` the grey values row by row, `true_` whether they are the file's own. */
  constructor(about, samples, width, height, isTrue) {
    this.about = about;
    this.samples = samples;
    this.width = width;
    this.height = height;
    this.isTrue = isTrue;
    this.facts = isTrue
      ? about.reading
      : { ...EIGHT_BITS, windows: [{ centre: 127.5, width: 255, of: "full" }] };
    this.picture = null; // the grey film as it was last windowed
    this.painted = "";
  }

  /** The windows that number keys choose, the first as the film is meant to be shown. */
  get presets() {
    const [first] = this.facts.windows;
    const names = { header: "As the device set it", curve: "As the device's curve, straightened", full: "Every level", range: "The film's own range" };
    const own = this.facts.windows.map((window, at) => ({
      ...window,
      name: window.of === "header" && at > 0 ? `Window ${at + 1} of the file` : names[window.of],
    }));
    const { centre, width } = first;
    return [
      ...own,
      { name: "More contrast", centre, width: width * 0.6 },
      { name: "Less contrast", centre, width: width * 1.6 },
      { name: "Into the dark", centre: centre - this.upward * width * 0.25, width: width * 0.5 },
      { name: "Into the bright", centre: centre + this.upward * width * 0.25, width: width * 0.5 },
    ].slice(0, 9);
  }

  /** 1 where higher modality values are brighter, -1 where they are darker. */
  get upward() {
    return this.facts.inverted ? -1 : 1;
  }

  /** The stored value at a pixel, or null beside the film. */
  stored(x, y) {
    if (x < 0 || y < 0 || x >= this.width || y >= this.height) return null;
    return this.samples[y * this.width + x] + this.facts.lowest;
  }

  /** The value in words: as stored, and rescaled where the file says how. */
  said(x, y) {
    const stored = this.stored(x, y);
    if (stored === null) return "";
    const { slope, intercept } = this.facts;
    const rescaled = slope === 1 && intercept === 0 ? "" : ` → ${Number((stored * slope + intercept).toFixed(3))}`;
    return `${this.isTrue ? "value" : "display level"} ${stored}${rescaled}`;
  }

  /** The length of a line between two points of the film: millimetres only where the file says how far pixels lie. */
  length(from, to) {
    const spacing = this.facts.spacing;
    const [dx, dy] = [to.x - from.x, to.y - from.y];
    if (!spacing) return { number: Math.hypot(dx, dy), unit: "px", of: "the file does not say how large its pixels are" };
    return { number: Math.hypot(dx * spacing.column_mm, dy * spacing.row_mm), ...WHERE[spacing.at] };
  }

  /** A canvas of the film's size, grey by this window. It is painted anew only when the window changed. */
  grey({ centre, width }, invert) {
    const wanted = `${centre} ${width} ${invert}`;
    if (this.painted === wanted) return this.picture;
    if (!this.picture) {
      this.picture = document.createElement("canvas");
      this.picture.width = this.width;
      this.picture.height = this.height;
      this.context = this.picture.getContext("2d", { alpha: false });
      this.image = this.context.createImageData(this.width, this.height);
      this.pixels = new Uint32Array(this.image.data.buffer);
    }
    const table = this.table(centre, width, invert);
    const { samples, pixels } = this;
    for (let at = 0; at < samples.length; at += 1) pixels[at] = table[samples[at]];
    this.context.putImageData(this.image, 0, 0);
    this.painted = wanted;
    return this.picture;
  }

  /** Let the painted picture go: it takes more room than the values that it can be made of again. */
  release() {
    this.picture = this.context = this.image = this.pixels = null;
    this.painted = "";
  }

  /** For each possible sample its opaque grey, as the four bytes of a canvas pixel. */
  table(centre, width, invert) {
    const { lowest, slope, intercept, inverted } = this.facts;
    const table = new Uint32Array(this.samples instanceof Uint8Array ? 256 : 65536);
    const dark = inverted !== invert;
    for (let sample = 0; sample < table.length; sample += 1) {
      const value = (sample + lowest) * slope + intercept;
      const light = Math.min(1, Math.max(0, (value - centre) / width + 0.5));
      const level = Math.round((dark ? 1 - light : light) * 255);
      table[sample] = 0xff000000 | (level << 16) | (level << 8) | level;
    }
    return table;
  }
}

/** Fetch and decode a film. Throws WrongFilmError where what came is not this film. */
export async function loadFilm(about) {
  const bytes = await askPicture(about);
  const { width, height, channels, data } = decode(new Uint8Array(bytes), { checkCrc: true });
  if (channels !== 1) throw new WrongFilmError();
  const facts = about.reading;
  if (facts && (width !== facts.columns || height !== facts.rows)) throw new WrongFilmError();
  return new Film(about, data, width, height, Boolean(facts));
}

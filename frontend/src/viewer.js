// The viewer: which films there are, which stands in which pane, and what buttons and keys do to them.
import { askFilms, askMap, WrongFilmError } from "./answers.js";
import { fill, listen as listenToKeys } from "./keys.js";
import { Measures } from "./measures.js";
import { FRESH, Pane } from "./pane.js";
import { listen as listenToPointer } from "./pointer.js";
import { load } from "./store.js";

const AHEAD = 2; // films of the next study that are fetched ahead

export class Viewer {
  constructor(element) {
    this.element = element;
    this.tool = "window";
    this.linked = true;
    this.at = 0;
    this.ended = new AbortController();
    this.measures = new Measures();
    const paint = (pane, context) => {
      this.measures.draw(pane, context);
      pane.say(pane.pointer);
    };
    this.main = new Pane(paint);
    this.prior = new Pane(paint);
    this.prior.element.hidden = true;
    this.active = this.main;
  }

  part(name) {
    return this.element.querySelector(`[data-part="${name}"]`);
  }

  buttons(kind, value) {
    return this.element.querySelectorAll(`[data-${kind}${value ? `="${value}"` : ""}]`);
  }

  async start() {
    this.wire();
    const { study, patient, films: address } = this.element.dataset;
    try {
      const { films, priors } = await askFilms(address, { study, patient });
      this.films = films;
      this.priors = priors.map((film) => ({ ...film, isPrior: true }));
    } catch (error) {
      this.part("said").textContent = error.message;
      this.part("said").setAttribute("role", "alert");
      return;
    }
    if (!this.films.length) {
      this.part("said").textContent = "No film of this study can be shown yet.";
      return;
    }
    this.list();
    this.part("said").hidden = true;
    this.part("panes").append(this.main.element, this.prior.element);
    await this.open(0);
    await this.lookAhead();
  }

  /** The page shows another study now: no key reaches this one any more, and painted pictures go. */
  end() {
    this.ended.abort();
    for (const pane of [this.main, this.prior]) pane.film?.release();
  }

  /** When all of this study is there and nobody waits: the films of the study that comes next, into memory. */
  async lookAhead() {
    const { aheadStudy: study, aheadPatient: patient, aheadFilms: address } = this.element.dataset;
    if (!address) return;
    await new Promise((idle) => (window.requestIdleCallback ?? setTimeout)(idle));
    const next = await askFilms(address, { study, patient }).catch(() => ({ films: [] })); // it is said when it is opened
    for (const film of next.films.slice(0, AHEAD)) {
      if (this.ended.signal.aborted) return;
      await load(film).catch(() => null);
    }
  }

  wire() {
    for (const pane of [this.main, this.prior]) listenToPointer(pane, this);
    listenToKeys(this);
    for (const list of document.querySelectorAll("[data-viewer-keys]")) fill(list);
    for (const button of this.buttons("tool")) button.addEventListener("click", () => this.choose(button.dataset.tool));
    for (const button of this.buttons("do")) button.addEventListener("click", () => this.do(button.dataset.do));
    this.part("presets").addEventListener("change", (event) => this.preset(event.target.selectedIndex));
    this.part("priors").addEventListener("change", () => this.showPrior());
    this.part("maps").addEventListener("change", () => this.showMap());
    this.part("opacity").addEventListener("input", () => this.strengthen());
    document.addEventListener("click", (event) => this.follow(event), { signal: this.ended.signal });
  }

  /** A link of the page to one of these films opens it here. */
  follow(event) {
    const link = event.target.closest("[data-open-film]");
    const at = link && this.films ? this.films.findIndex(({ id }) => id === link.dataset.openFilm) : -1;
    if (at < 0) return;
    event.preventDefault();
    this.open(at);
  }

  /** The buttons of the films and the list of priors. */
  list() {
    const buttons = this.films.map((film, at) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "tool";
      button.textContent = film.name;
      button.addEventListener("click", () => this.open(at));
      return button;
    });
    this.part("films").replaceChildren(...(buttons.length > 1 ? buttons : []));
    this.part("priors").replaceChildren(...this.priors.map((film) => new Option(`${film.taken} ${film.view}`)));
    this.part("priors-box").hidden = !this.priors.length;
  }

  /** Show the study's film at this place, then fetch its neighbours. */
  async open(at) {
    this.at = at;
    [...this.part("films").children].forEach((button, place) => button.setAttribute("aria-pressed", String(place === at)));
    Object.assign(this.main.look, FRESH);
    this.press("map", false);
    await this.put(this.main, this.films[at]);
    if (this.at !== at) return;
    this.activate(this.main);
    for (const next of [this.films[at + 1], this.films[at - 1], this.priors[0]]) {
      if (next) await load(next).catch(() => null); // it is said when it is opened
    }
  }

  /** Put a film into a pane, or say there why not. A film that comes too late is not shown. */
  async put(pane, about) {
    pane.wanted = about.id;
    pane.refuse("Loading …");
    this.describe();
    try {
      const film = await load(about);
      if (pane.wanted === about.id) pane.show(film);
    } catch (error) {
      if (pane.wanted === about.id) pane.refuse(error.message);
    }
    this.describe();
  }

  async showPrior() {
    const shown = this.pressed("prior");
    this.prior.element.hidden = !shown;
    this.part("panes").classList.toggle("viewer-two", shown);
    this.link();
    if (shown) await this.put(this.prior, this.priors[this.part("priors").selectedIndex]);
    else this.activate(this.main);
    this.main.paint();
  }

  /** Linked panes share one look; unlinked ones go their own ways from where they are. */
  link() {
    this.prior.look = this.linked ? this.main.look : { ...this.main.look };
    this.changed(this.main);
    this.prior.paint();
  }

  activate(pane) {
    if (pane === this.active && pane.element.classList.contains("pane-active")) return;
    this.active = pane;
    for (const each of [this.main, this.prior]) each.element.classList.toggle("pane-active", each === pane);
    this.describe();
  }

  /** Something in this pane moved: paint it, and the other where they are linked. */
  changed(pane) {
    pane.paint();
    if (this.linked && !this.prior.element.hidden) (pane === this.main ? this.prior : this.main).paint();
    this.markPreset();
    this.listMeasures();
  }

  choose(tool) {
    this.tool = tool;
    for (const button of this.buttons("tool")) button.setAttribute("aria-pressed", String(button.dataset.tool === tool));
    this.element.dataset.using = tool;
  }

  pressed(what) {
    return this.buttons("do", what)[0].getAttribute("aria-pressed") === "true";
  }

  press(what, on) {
    for (const button of this.buttons("do", what)) button.setAttribute("aria-pressed", String(on));
  }

  do(what) {
    if (what === "help") return this.part("help")?.showModal();
    const pane = this.active;
    if (!pane.film) return undefined;
    const actions = {
      invert: () => (pane.turn.invert = !pane.turn.invert),
      flip: () => (pane.turn.flip = !pane.turn.flip),
      rotate: () => (pane.turn.quarter = (pane.turn.quarter + (pane.turn.flip ? 3 : 1)) % 4),
      actual: () => (pane.look.actual = true), // stays so when the pane changes its size
      fit: () => Object.assign(pane.look, { zoom: 1, actual: false, x: 0.5, y: 0.5 }),
      reset: () => {
        Object.assign(pane.look, FRESH);
        pane.turn = { quarter: 0, flip: false, invert: false };
      },
      map: () => this.toggleMap(),
      prior: () => this.priors.length && (this.press("prior", !this.pressed("prior")), this.showPrior()),
      link: () => {
        this.linked = !this.linked;
        this.press("link", this.linked);
        this.link();
      },
    };
    actions[what]();
    this.describe();
    this.changed(pane);
    return undefined;
  }

  preset(at) {
    const pane = this.active;
    const preset = pane.film?.presets[at];
    if (!preset) return;
    pane.window = preset;
    this.changed(pane);
  }

  closer(factor) {
    const pane = this.active;
    if (!pane.film) return;
    const box = pane.canvas.getBoundingClientRect();
    pane.zoom(factor, { x: box.width / 2, y: box.height / 2 });
    this.changed(pane);
  }

  step(by) {
    const at = this.at + by;
    if (this.films?.[at]) this.open(at);
  }

  // --- the map: of the study's film alone, one finding at a time, off until asked for

  toggleMap() {
    if (this.part("map-box").hidden) return;
    this.press("map", !this.pressed("map"));
    this.showMap();
  }

  async showMap() {
    const { film } = this.main;
    this.main.map = null;
    this.main.paint();
    if (film) this.main.warn("");
    if (!film || !this.pressed("map")) return;
    const map = film.about.maps[this.part("maps").selectedIndex];
    try {
      const bitmap = await askMap(film.about, map);
      const isWanted = this.main.film === film && this.pressed("map");
      if (!isWanted || map !== film.about.maps[this.part("maps").selectedIndex]) return;
      this.main.map = { label: map.label, bitmap, strength: this.strength };
    } catch (error) {
      this.press("map", false);
      if (error instanceof WrongFilmError) this.main.refuse(error.message);
      else if (this.main.film === film) this.main.warn(error.message);
    }
    this.main.paint();
  }

  get strength() {
    return this.part("opacity").value / 100;
  }

  strengthen() {
    if (!this.main.map) return;
    this.main.map.strength = this.strength;
    this.main.paint();
  }

  // --- words around the films

  describe() {
    const { film, turn } = this.active;
    this.press("invert", turn.invert);
    this.press("flip", turn.flip);
    const presets = (film?.presets ?? []).map(({ name }, at) => new Option(`${at + 1}  ${name}`));
    this.part("presets").replaceChildren(...presets);
    const about = this.main.film?.about;
    this.part("map-box").hidden = !about?.maps.length;
    const maps = (about?.maps ?? []).map(({ title, said }) => new Option(`${title}: ${said}`));
    const chosen = this.part("maps").selectedIndex;
    if (maps.length) {
      this.part("maps").replaceChildren(...maps);
      this.part("maps").selectedIndex = Math.min(Math.max(chosen, 0), maps.length - 1);
    }
    this.part("warnings").replaceChildren(...(about?.warnings ?? []).map((words) => item(words)));
    this.markPreset();
    this.listMeasures();
  }

  /** The list names the preset whose window is shown; none after a drag. */
  markPreset() {
    if (!this.active.film) return;
    const { film, window } = this.active;
    const isShown = ({ centre, width }) => Math.abs(centre - window.centre) + Math.abs(width - window.width) < width / 1e6;
    this.part("presets").selectedIndex = film.presets.findIndex(isShown);
  }

  listMeasures() {
    const said = [];
    for (const pane of [this.main, this.prior]) {
      if (!pane.film || pane.element.hidden) continue;
      for (const { words, lines } of this.measures.said(pane.film)) {
        const entry = item(pane === this.prior ? `Prior: ${words}` : words);
        const button = document.createElement("button");
        button.type = "button";
        button.className = "tool";
        button.textContent = "Remove";
        button.addEventListener("click", () => {
          lines.forEach((line) => this.measures.remove(pane.film, line));
          this.changed(pane);
        });
        entry.append(" ", button);
        said.push(entry);
      }
    }
    this.part("measures").replaceChildren(...said);
  }

  removeLast() {
    if (!this.active.film) return;
    this.measures.removeLast(this.active.film);
    this.changed(this.active);
  }
}

function item(words) {
  const entry = document.createElement("li");
  entry.textContent = words;
  return entry;
}

// Decoded films in the memory of this page and nowhere else: what was fetched is not fetched again while the page lives.
import { loadFilm } from "./film.js";

const KEPT = 6;
const kept = new Map(); // whose film it is → promise of the film

/** A film, decoded; fetched once, and forgotten when it is long unused or could not be had. Only the same film of the
    same study and patient, by the same hash, is given again. */
export function load(about) {
  const whose = [about.patient, about.study, about.id, about.sha256, about.picture].join(" ");
  const known = kept.get(whose) ?? loadFilm(about);
  known.catch(() => kept.delete(whose));
  kept.delete(whose);
  kept.set(whose, known);
  for (const old of [...kept.keys()].slice(0, -KEPT)) kept.delete(old);
  return known.then((film) => Object.assign(film, { about }));
}

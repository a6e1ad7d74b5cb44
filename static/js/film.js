/* The film page: lay the model's map over the film (button or key H), and say out loud when a film's state changes. */
"use strict";

document.documentElement.classList.add("js");

/** Load the chosen map over the film, at the chosen strength. */
function drawMap(film) {
  const map = film.querySelector(".film-map");
  const address = film.querySelector("[data-map-label]").value;
  if (map.getAttribute("src") !== address) map.src = address;
  map.style.opacity = film.querySelector("[data-map-opacity]").value / 100;
}

function toggleMap(film) {
  const button = film.querySelector("[data-map-toggle]");
  const shown = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", String(shown));
  film.querySelector(".film-map").hidden = !shown;
  if (shown) drawMap(film);
}

/** The film under the pointer, with the focus, or nearest to the middle of the window: whichever has a map. */
function filmAtHand() {
  const chosen = document.querySelector(".film:hover [data-map-toggle], .film:focus-within [data-map-toggle]");
  if (chosen) return chosen;
  const middle = window.innerHeight / 2;
  const distance = (button) => {
    const box = button.closest(".film").getBoundingClientRect();
    return Math.max(box.top - middle, middle - box.bottom, 0);
  };
  const buttons = [...document.querySelectorAll("[data-map-toggle]")];
  return buttons.sort((one, other) => distance(one) - distance(other))[0];
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-map-toggle]");
  if (button) toggleMap(button.closest(".film"));
});

document.addEventListener("input", (event) => {
  if (!event.target.matches("[data-map-label], [data-map-opacity]")) return;
  const film = event.target.closest(".film");
  if (!film.querySelector(".film-map").hidden) drawMap(film);
});

document.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() !== "h" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input:not([type=range]), textarea, select")) return;
  const button = filmAtHand();
  if (button) toggleMap(button.closest(".film"));
});

/* Polled fragments replace themselves; only a change of state is announced. */
const said = new Map();
document.addEventListener("htmx:afterSettle", () => {
  const live = document.getElementById("live");
  document.querySelectorAll(".film").forEach((film) => {
    if (live && said.has(film.id) && said.get(film.id) !== film.dataset.said) live.textContent = film.dataset.said;
    said.set(film.id, film.dataset.said);
  });
});

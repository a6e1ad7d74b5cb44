/* A minute before the sign-in ends for want of activity, say so and offer to stay. The server's clock decides. */
"use strict";

(() => {
  const warning = document.getElementById("session-warning");
  if (!warning) return;
  const form = warning.querySelector("form");
  const { state, signIn } = warning.dataset;
  const WARN = 60; // seconds before the end
  let timer;

  function plan({ seconds, renewable = true }) {
    clearTimeout(timer);
    warning.hidden = seconds > WARN;
    form.hidden = !renewable;
    warning.querySelector("[data-renewable]").hidden = !renewable;
    warning.querySelector("[data-final]").hidden = renewable;
    timer = setTimeout(ask, 1000 * (seconds > WARN ? seconds - WARN : seconds + 1));
  }

  async function ask(options = {}) {
    try {
      const answer = await fetch(state, { ...options, headers: { Accept: "application/problem+json" } });
      if (answer.status === 401 || answer.redirected) leave();
      else if (answer.ok) plan(await answer.json());
      else throw new Error(answer.statusText);
    } catch {
      timer = setTimeout(ask, 15000); // the link is interrupted
    }
  }

  function leave() {
    const query = new URLSearchParams({ ended: "idle", next: location.pathname + location.search });
    location.assign(`${signIn}?${query}`);
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask({ method: "POST", body: new FormData(form) });
  });
  // A page that slept, in a closed laptop or another tab, looks at once.
  document.addEventListener("visibilitychange", () => document.hidden || ask());
  plan({ seconds: Number(warning.dataset.seconds) });
})();

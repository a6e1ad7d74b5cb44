// What the server says, and whose it is. Nothing is handed on that does not say it belongs where it was asked for.

/** An answer about another patient, study or film than the one asked for. It must never be painted. */
export class WrongFilmError extends Error {
  constructor() {
    super("This answer belongs to another film. Nothing is shown. Tell the administrator, and read the film elsewhere.");
  }
}

async function ask(address) {
  let answer;
  try {
    answer = await fetch(address, { credentials: "same-origin", cache: "no-store" });
  } catch {
    throw new Error("The server does not answer. Check the connection and try again.");
  }
  if (answer.redirected) throw new Error("You are signed out. Sign in again.");
  if (!answer.ok) throw new Error(`The server refused this picture (${answer.status}). Open the study page.`);
  return answer;
}

function require(condition) {
  if (!condition) throw new WrongFilmError();
}

/** The films of a study and the patient's earlier ones; throws WrongFilmError unless all are of this study and patient. */
export async function askFilms(address, { study, patient }) {
  const answer = await (await ask(address)).json();
  require(answer.study === study && answer.patient === patient);
  require(answer.films.every((film) => film.study === study && film.patient === patient));
  require(answer.priors.every((film) => film.study !== study && film.patient === patient));
  return answer;
}

async function askOf(film, address, also = {}) {
  const answer = await ask(address);
  const expected = { "X-Study-ID": film.study, "X-Radiograph-ID": film.id, "X-Image-SHA256": film.sha256, ...also };
  for (const [name, value] of Object.entries(expected)) require(answer.headers.get(name) === value);
  return answer;
}

/** The bytes of a film's picture, checked by study, film and hash of the original. */
export async function askPicture(film) {
  return (await askOf(film, film.picture)).arrayBuffer();
}

/** The model's attention for one finding as a bitmap, checked by film, prediction and finding. */
export async function askMap(film, map) {
  const answer = await askOf(film, map.address, { "X-Prediction-ID": map.prediction, "X-Finding": map.label });
  return createImageBitmap(await answer.blob());
}

/* Sending several films: each file is its own request, one after another, with its own progress, refusal and retry.
   Without this script the form sends one film and goes to the study page. */
"use strict";

const form = document.getElementById("send");
const input = form.elements.file;
const drop = document.getElementById("drop");
const list = document.getElementById("uploads");
const results = document.getElementById("results");
const button = document.getElementById("send-button");
const ACCEPTED = /\.(jpe?g|png|gif|dcm|dicom)$/i;
const HAS_ENDING = /\.[a-z][a-z0-9]{0,4}$/i;
const LIMIT = Number(form.dataset.limitMb) * 1e6;
let uploads = [];
let sending = false;

input.multiple = true;
input.required = false;

/** A fresh Idempotency-Key; also where the page is not served over TLS and randomUUID is missing. */
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function sizeOf(file) {
  return file.size < 1e6 ? `${Math.max(1, Math.round(file.size / 1e3))} kB` : `${(file.size / 1e6).toFixed(1)} MB`;
}

/** Why a file need not even be sent, or nothing. The server decides about all others. */
function refusalOf(file) {
  if (HAS_ENDING.test(file.name) && !ACCEPTED.test(file.name)) {
    return "This type of file is not accepted. Accepted: jpg, jpeg, png, gif, DICOM.";
  }
  if (file.size === 0) return "The file is empty. Export the image again.";
  if (file.size > LIMIT) return `The file is ${sizeOf(file)}; the limit is ${form.dataset.limitMb} MB.`;
  return "";
}

function element(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

function addFiles(files) {
  for (const file of files) {
    const row = element("li", "upload");
    const control = element("button", "btn btn-sm btn-outline-secondary", "Remove");
    control.type = "button";
    const upload = { file, key: newKey(), row, control, said: element("span", "upload-said"), state: "chosen" };
    control.addEventListener("click", () => (upload.state === "broken" ? retry(upload) : remove(upload)));
    row.append(element("span", "upload-name", `${file.name} · ${sizeOf(file)}`), control, upload.said);
    list.append(row);
    uploads.push(upload);
    const refusal = refusalOf(file);
    if (refusal) say(upload, "refused", refusal);
  }
  input.value = "";
  showButton();
}

function remove(upload) {
  upload.row.remove();
  uploads = uploads.filter((each) => each !== upload);
  showButton();
}

function say(upload, state, text) {
  upload.state = state;
  upload.row.className = `upload upload-${state}`;
  upload.row.setAttribute("role", state === "refused" ? "alert" : "listitem");
  upload.said.textContent = text;
  upload.control.hidden = !["chosen", "refused", "broken"].includes(state);
  upload.control.textContent = state === "broken" ? "Try again" : "Remove";
}

function showButton() {
  const count = uploads.filter((upload) => upload.state === "chosen").length;
  button.textContent = count > 1 ? `Send ${count} films` : "Send";
  button.disabled = sending;
}

function retry(upload) {
  say(upload, "chosen", "");
  sendAll();
}

async function sendAll() {
  if (sending) return;
  sending = true;
  showButton();
  let next;
  while ((next = uploads.find((upload) => upload.state === "chosen"))) {
    say(next, "sending", "Sending …");
    await send(next);
  }
  sending = false;
  showButton();
}

function bodyOf(file) {
  const body = new FormData(form);
  body.set("file", file);
  return body;
}

/** Send one file; whatever happens, its row says so and the next file gets its turn. */
function send(upload) {
  upload.body ??= bodyOf(upload.file); // a retry repeats the request to the letter, as its key demands
  const progress = upload.row.appendChild(element("progress", ""));
  progress.max = 1;
  progress.setAttribute("aria-label", `Sending ${upload.file.name}`);
  return new Promise((done) => {
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.setRequestHeader("HX-Request", "true");
    request.setRequestHeader("Accept", "text/html, application/problem+json");
    request.setRequestHeader("Idempotency-Key", upload.key);
    request.upload.addEventListener("progress", (event) => {
      if (!event.lengthComputable) return;
      progress.value = event.loaded / event.total;
      if (event.loaded === event.total) upload.said.textContent = "Arrived; being stored …";
    });
    request.addEventListener("loadend", () => {
      progress.remove();
      answered(upload, request);
      done();
    });
    request.send(upload.body);
  });
}

function answered(upload, request) {
  if (request.status === 200 || request.status === 201) return sent(upload, request.responseText);
  let problem = {};
  try {
    problem = JSON.parse(request.responseText);
  } catch {
    /* a gateway's page, or nothing at all */
  }
  const fields = Object.entries(problem.errors ?? {}).map(([field, texts]) => `${field}: ${[texts].flat().join(" ")}`);
  const text = [problem.detail, ...fields].filter(Boolean).join(" ");
  const refused = text && request.status < 500 && ![409, 429].includes(request.status);
  const final = refused || /_(mismatch|patient|conflict|taken|merged)$/.test(problem.code ?? "");
  if (final) say(upload, "refused", `${text} (${problem.code})`);
  else say(upload, "broken", text || "The link was interrupted. Nothing is lost: try again.");
}

function sent(upload, html) {
  const holder = document.createElement("template");
  holder.innerHTML = html;
  const block = holder.content.querySelector(".sent");
  if (!block) return say(upload, "broken", "You are signed out, or the answer could not be read. Reload the page.");
  if (block.dataset.study) joinStudy(block.dataset.study);
  say(upload, "sent", "");
  block.querySelectorAll(".film").forEach((film) => document.getElementById(film.id)?.closest(".sent").remove());
  upload.film = block.querySelector(".film").id;
  results.append(block);
  htmx.process(block);
  showProgress();
  if (uploads.length === 1) block.scrollIntoView();
}

/** Beside each sent file: how far its film is, as a link to it. */
function showProgress() {
  for (const upload of uploads) {
    const film = upload.film && document.getElementById(upload.film);
    if (!film || upload.shown === film.dataset.said) continue;
    upload.shown = film.dataset.said;
    const link = element("a", "", film.dataset.said);
    link.href = `#${film.id}`;
    upload.said.replaceChildren(link);
  }
}

document.addEventListener("htmx:afterSettle", showProgress);

/** After the first film the others join its study; what was said about the study is then fixed. */
function joinStudy(study) {
  let field = form.elements.study;
  if (!field) {
    field = form.appendChild(element("input", ""));
    field.type = "hidden";
    field.name = "study";
  }
  field.value = study;
  for (const name of ["urgency", "indication", "accession_number", "referring_doctor"]) {
    if (form.elements[name]) form.elements[name].disabled = true;
  }
}

input.addEventListener("change", () => addFiles(input.files));
/* Over a slow line people choose a film before this script has come: it counts all the same. */
if (input.files.length) addFiles(input.files);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (uploads.some((upload) => upload.state === "chosen")) return sendAll();
  input.setCustomValidity("Choose a film first.");
  input.reportValidity();
  input.setCustomValidity("");
});
/* The whole page takes dropped files: one that misses the box must not replace the page. */
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  drop.classList.add("drop-over");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) drop.classList.remove("drop-over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("drop-over");
  addFiles(event.dataTransfer.files);
});
window.addEventListener("beforeunload", (event) => {
  if (sending) event.preventDefault();
});

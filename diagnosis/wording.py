"""Where a film stands, in words for people: what happened, what happens next, who can help.

Pure functions on rows that `diagnosis.selectors` has read; no query happens here.
May import: `diagnosis.models`, `.selectors`, `mlcore.card`, the table of coded errors. Goes to: views and templates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import diagnosis.errors  # noqa: F401  joins the image codes to the table
from diagnosis.models import Finding, Job, Prediction, Radiograph
from diagnosis.selectors import RESULTS_HIDDEN, film_progress, label_title
from mlcore.card import NORMAL
from patients.errors import CODES, error_sentence

#: Progress → (sign of the state, name of the state). The sign chooses mark and colour, the name is always written.
SIGNS: dict[str, tuple[str, str]] = {
    "waiting": ("waiting", "Waiting"),
    "running": ("working", "In work"),
    "done": ("done", "Result ready"),
    "declined": ("aside", "No model answer"),
    "rejected": ("stopped", "Cannot be used"),
    "failed": ("stopped", "Failed"),
    "stopped": ("stopped", "Stopped"),
}
STAGES = {"prepare": "checking the film", "infer": "the model"}
ASK_FOR_RETRY = "A radiologist or the clinic administrator can try again on this page."


@dataclass(frozen=True, slots=True)
class QueueView:
    """What the queue looks like now: places of waiting jobs, the kinds of worker that are alive, and whether the virus
    scanner, which every film passes first, keeps them waiting."""

    places: Mapping[UUID, int] = field(default_factory=dict)
    alive: Set[str] = frozenset(Job.Kind.values)
    scanner_away: bool = False

    @classmethod
    def of(cls, status: Mapping[str, Any], places: Mapping[UUID, int]) -> QueueView:
        """From `monitoring.status_read` and `selectors.queue_places`. A worker that says why it cannot work is idle."""
        alive = {worker["kind"] for worker in status["workers"] if worker["alive"] and not worker["note"]}
        return cls(places, frozenset(alive), status["scanner"] is False)


@dataclass(frozen=True, slots=True)
class FilmStatus:
    """One film's state. `title` and `detail` say what is so, `advice` what to do; `job` is the one that decides."""

    progress: str
    title: str
    detail: str
    advice: str = ""
    code: str = ""
    job: Job | None = None
    place: int | None = None

    @property
    def sign(self) -> str:
        return SIGNS[self.progress][0]

    @property
    def is_open(self) -> bool:
        """More will happen by itself, so the page keeps looking."""
        return self.progress in ("waiting", "running")

    @property
    def step(self) -> int:
        """How far the film has come: 0 being checked, 1 with the model, 2 read."""
        if self.progress == "done":
            return 2
        return 1 if self.job is not None and self.job.kind == Job.Kind.INFER else 0


def film_status(film: Radiograph, *, hidden: str = "", queue: QueueView | None = None) -> FilmStatus:
    """The state of a film read by `selectors.radiographs_read`.

    `hidden` is a key of `RESULTS_HIDDEN` where the viewer may not see the result.
    """
    progress = film_progress(film)
    job = _deciding_job(film, progress)
    return _SAY[progress](film, job, hidden, queue or QueueView())


def headline(prediction: Prediction, findings: Sequence[Finding]) -> str:
    """The model's answer in one line, strongest first: `Pneumonia present, effusion possible`.

    "Absent" means below the threshold, so where nothing else is said the line names the threshold, not health.
    """
    order = Finding.Word.values
    said = sorted(
        (finding for finding in findings if finding.label != NORMAL and finding.word != Finding.Word.ABSENT),
        key=lambda finding: (order.index(finding.word), -finding.calibrated),
    )
    titles = [f"{label_title(prediction.model_version, finding.label)} {finding.word}" for finding in said]
    joined = ", ".join([*titles[:1], *(title[0].lower() + title[1:] for title in titles[1:])])
    return joined or "No finding above its threshold"


def no_worker_sentence(alive: Set[str]) -> str:
    """A sentence when films cannot move because nobody works, or nothing."""
    missing = [STAGES[kind] for kind in Job.Kind.values if kind not in alive]
    if not missing:
        return ""
    if len(missing) == len(Job.Kind.values):
        return "No worker is running. Films are safe and will be read as soon as one starts."
    return f"No worker is running for {missing[0]}. Films are safe and will be read as soon as one starts."


def job_error(job: Job) -> str:
    """The sentence for the code a failed job carries."""
    known = job.error_code if job.error_code in CODES else "processing_failed"
    return error_sentence(known, request_id=str(job.id)[:8])


def _deciding_job(film: Radiograph, progress: str) -> Job | None:
    wanted = {"running": "running", "waiting": "queued", "failed": "failed", "done": "succeeded"}.get(progress)
    jobs = [job for job in film.jobs.all() if job.state == wanted]
    return jobs[-1] if jobs else None


def _waiting(film: Radiograph, job: Job | None, hidden: str, queue: QueueView) -> FilmStatus:
    kind = job.kind if job else Job.Kind.PREPARE
    place = queue.places.get(job.id) if job else None
    title = "Waiting for the model" if kind == Job.Kind.INFER else "Waiting to be checked"
    if kind not in queue.alive:
        detail = no_worker_sentence(queue.alive)
        advice = "Tell the system administrator if this lasts longer than a few minutes."
        return FilmStatus("waiting", title, detail, advice, job=job, place=place)
    if kind == Job.Kind.PREPARE and queue.scanner_away:
        detail = "The virus scanner does not answer. The film is safe and waits until it does."
        return FilmStatus("waiting", title, detail, "Tell the system administrator.", job=job, place=place)
    detail = "Next in the queue." if place == 1 else f"Place {place} in the queue." if place else "In the queue."
    return FilmStatus("waiting", title, detail, "You may leave this page; the work goes on.", job=job, place=place)


def _running(film: Radiograph, job: Job | None, hidden: str, queue: QueueView) -> FilmStatus:
    if job is not None and job.kind == Job.Kind.INFER:
        return FilmStatus("running", "The model is reading the film", "This takes a few seconds.", job=job)
    return FilmStatus("running", "Checking the film", "Is it a whole, readable chest film?", job=job)


def _done(film: Radiograph, job: Job | None, hidden: str, queue: QueueView) -> FilmStatus:
    if hidden:
        return FilmStatus("done", "The model has read this film", RESULTS_HIDDEN[hidden], job=job)
    return FilmStatus("done", "Result ready", "", job=job)


def _rejected(film: Radiograph, job: Job | None, hidden: str, queue: QueueView) -> FilmStatus:
    advice = "Nothing is wrong with the system. Correct the film as described and send it again."
    if film.code == "malware_detected":
        advice = "The file is kept aside, and nobody can open it here."
    return FilmStatus("rejected", "This film cannot be used", film.message, advice, code=film.code)


def _declined(film: Radiograph, job: Job | None, hidden: str, queue: QueueView) -> FilmStatus:
    sentence = error_sentence("ai_not_agreed")
    advice = "A radiologist reads the film without it."
    return FilmStatus("declined", sentence.rstrip("."), "", advice, code="ai_not_agreed")


def _failed(film: Radiograph, job: Job | None, hidden: str, queue: QueueView) -> FilmStatus:
    detail = job_error(job) if job else ""
    code = job.error_code if job else ""
    return FilmStatus("failed", "The film was not read", detail, ASK_FOR_RETRY, code=code, job=job)


def _stopped(film: Radiograph, job: Job | None, hidden: str, queue: QueueView) -> FilmStatus:
    cancelled = next((each for each in film.jobs.all() if each.state == Job.State.CANCELLED), None)
    if cancelled:
        detail = "The work on this film was cancelled."
        return FilmStatus("stopped", "Cancelled", detail, ASK_FOR_RETRY, job=cancelled)
    if film.state == Radiograph.State.READY:
        detail, advice = "The film is ready, but no model is active.", "Ask the system administrator."
        return FilmStatus("stopped", "No model", detail, advice, code="model_unavailable")
    return FilmStatus("stopped", "Nobody works on this film", "It will be picked up shortly.", "Reload the page.")


_SAY = {
    "waiting": _waiting,
    "running": _running,
    "done": _done,
    "declined": _declined,
    "rejected": _rejected,
    "failed": _failed,
    "stopped": _stopped,
}

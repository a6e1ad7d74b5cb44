"""What every page that shows films needs: each film with its state in words and what this person may do.

May import: `diagnosis.selectors`, `.monitoring`, `.triage`, `.wording`, `mlcore.card`, `patients.access`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.utils import timezone

from diagnosis import monitoring, selectors
from diagnosis.models import Finding, Job, Prediction, Radiograph, Study
from diagnosis.triage import foremost
from diagnosis.wording import QueueView, film_status, headline, no_worker_sentence
from mlcore.card import NORMAL
from patients import access
from patients.access import Action
from patients.models import User

#: (film younger than … seconds, seconds between two looks)
POLL_BY_AGE = ((20, 1), (120, 2), (600, 5))

#: A model with more findings than this shows those below their thresholds on request.
FEW_FINDINGS = 6

#: The queues in the order a film passes them, as pages name them.
QUEUES = (("prepare", "To be checked"), ("infer", "For the model"))


def films_judge(films: Iterable[Radiograph], queue: QueueView | None = None) -> None:
    """Give each film (of `selectors.radiographs_read`) what the templates show: `status`, `prediction` (of
    the active model, else the newest, or None), `others`, its `findings` in reading order (of a model with many, those
    below their thresholds apart: `quiet_findings`), those with a map (`mapped`), the `headline`, and `poll_seconds`
    while work is open. No query: who shows what keeps a film waiting has read the `queue`.
    """
    for film in films:
        hidden = selectors.results_hidden_reason(film)
        film.status = film_status(film, hidden=hidden, queue=queue)
        film.prediction = foremost(film.shown_predictions)
        film.others = [each for each in film.shown_predictions if each is not film.prediction]
        findings = _findings_in_order(film.prediction) if film.prediction else []
        film.findings, film.quiet_findings = _folded(findings)
        film.mapped = [finding for finding in findings if finding.label != NORMAL]
        film.headline = headline(film.prediction, findings) if film.prediction else ""
        film.poll_seconds = _poll_seconds(film) if film.status.is_open else 0


def queue_view(films: Iterable[Radiograph], system: Mapping[str, Any] | None = None) -> QueueView:
    """The queue as the waiting among these films see it: two queries, one where the caller has the state of the
    `system`, none where no film waits."""
    waiting = [job for film in films for job in film.jobs.all() if job.state == Job.State.QUEUED]
    if not waiting:
        return QueueView()
    return QueueView.of(system or monitoring.hands_read(), selectors.queue_places(waiting))


def system_view(system: dict[str, Any]) -> dict[str, Any]:
    """What `monitoring` says of workers and queues, with the sentence `no_worker` and the `busy` queues added."""
    busy = [
        (kind, title) for kind, title in QUEUES if system["queues"][kind]["queued"] + system["queues"][kind]["running"]
    ]
    return system | {"no_worker": no_worker_sentence(QueueView.of(system, {}).alive), "busy": busy}


def _findings_in_order(prediction: Prediction) -> list[Finding]:
    """As in the headline, strongest word first; "normal" comes last, for it is the absence of the others."""
    order = Finding.Word.values
    return sorted(
        prediction.findings.all(),
        key=lambda finding: (finding.label == NORMAL, order.index(finding.word), -finding.calibrated),
    )


def _folded(findings: list[Finding]) -> tuple[list[Finding], list[Finding]]:
    """Of many findings those that speak come first, the others are folded away; a few are all shown."""
    if len(findings) <= FEW_FINDINGS:
        return findings, []
    speaking = [finding for finding in findings if finding.word != Finding.Word.ABSENT]
    return speaking, [finding for finding in findings if finding.word == Finding.Word.ABSENT]


def _poll_seconds(film: Radiograph) -> int:
    """How long the page waits before it asks again: longer for a film far back in the queue or waiting for long."""
    age = (timezone.now() - film.created_at).total_seconds()
    by_age = next((seconds for limit, seconds in POLL_BY_AGE if age < limit), 15)
    return max(by_age, min(10, 1 + (film.status.place or 0) // 3))


def films_context(user: User, study: Study, films: Iterable[Radiograph]) -> dict[str, Any]:
    """The context of films shown large: with the patient they belong to and the buttons this person has."""
    films = list(films)
    films_judge(films, queue_view(films))
    return {
        "study": study,
        "films": films,
        "film_names": selectors.film_names(study.films),
        "patient": study.patient if study.patient_visible else None,
        "identifiers": list(study.patient.identifiers.all()) if study.patient_visible else [],
        "may_retry": access.can_at(user, Action.JOB_RETRY, study.clinic),
        "may_send": study.patient_visible and access.can_at(user, Action.STUDY_UPLOAD, study.clinic),
        "may_read": not study.report and access.can_at(user, Action.REPORT_WRITE, study.clinic),
        "may_view": any(selectors.is_viewable(film) for film in films),
        "declined": any(film.status.progress == "declined" for film in films),
        "any_open": any(film.status.is_open for film in films),
    }

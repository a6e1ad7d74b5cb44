"""What pages, API and admin read: films with their jobs and results, a patient's history, places in the queue.

Every read of patient data starts with `.visible_to(user)`. Each function costs a fixed number of queries, however
many rows it returns. May import: Django, `diagnosis.models`, `patients.access`. Goes to: views, api, admin.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import (
    Exists,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
    Subquery,
    Value,
)
from django.db.models.functions import Coalesce
from django.utils import timezone

from diagnosis.models import Finding, Job, ModelVersion, Prediction, Radiograph, Report, Study
from diagnosis.querysets import SIGNED, study_scope, with_version
from patients import access
from patients.access import Action
from patients.actor import SYSTEM, acting_as
from patients.keyset import first_rows
from patients.models import Clinic, Consent, Membership, Patient, User
from patients.querysets import consent_permits

#: What is said where a film may be seen and its result may not.
RESULTS_HIDDEN = {
    "unsigned": "The result is shown once a radiologist has signed the report.",
    "read_first": "The model's answer is shown once you have saved your first impression.",
    "role": "Your role does not show results at this clinic.",
}


# --- films and studies


def predictions_read(user: User) -> QuerySet[Prediction]:
    """Predictions the user may see, newest first, with model version and findings: three queries.

    Each version is read once and not joined to every row, for its card is long.
    """
    return Prediction.objects.visible_to(user).prefetch_related("model_version", "findings")


def radiographs_read(user: User, predictions: QuerySet[Prediction] | None = None) -> QuerySet[Radiograph]:
    """Films the user may see, newest first, ready to be shown: five queries in all.

    Each has `patient_visible`, `image_visible` and `results_visible` (booleans: what this user may be shown of it),
    `shown_predictions` (newest first, empty where results are hidden) and its jobs, oldest first.
    """
    return (
        Radiograph.objects.visible_to(user)
        .select_related("study__patient__clinic", "study__clinic", "expiry")
        .with_rights(user)
        .prefetch_related(
            Prefetch("jobs", _jobs(user)),
            Prefetch(
                "predictions",
                predictions_read(user) if predictions is None else predictions,
                to_attr="shown_predictions",
            ),
        )
    )


def film_names(films: Iterable[Radiograph], word: str = "Film") -> dict[UUID, str]:
    """What pages and papers call the films of one study, by id: `Film 2 AP`. Numbered in the order of arrival, which
    must be that of `films`, all of them: a number stays. A lone film has no name, for there is no other to mistake it
    for."""
    films = list(films)
    if len(films) < 2:
        return {}
    views = ("" if film.view == Radiograph.View.UNKNOWN else film.view for film in films)
    return {film.pk: f"{word} {at} {view}".strip() for at, (film, view) in enumerate(zip(films, views, strict=True), 1)}


def films_of(user: User, study: Study) -> QuerySet[Radiograph]:
    """All films of the study that the user may see, in the order of arrival."""
    return Radiograph.objects.visible_to(user).filter(study=study).order_by("created_at", "id")


def is_viewable(film: Any) -> bool:
    """May this user see the film's pixels, and are there any? Needs a film of `radiographs_read`."""
    return bool(film.display_key) and film.state == Radiograph.State.READY and film.image_visible


def _jobs(user: User) -> QuerySet[Job]:
    """Oldest first, with the model version that was asked."""
    return with_version(Job.objects.visible_to(user)).order_by("created_at", "id")


def patient_studies_read(user: User, patient: Patient) -> QuerySet[Study]:
    """As `studies_read`, those of one patient that have films, without the cards of models: five queries in all."""
    films = radiographs_read(user, with_version(Prediction.objects.visible_to(user)).prefetch_related("findings"))
    return _studies(user, films).filter(patient=patient, merged_into=None)


def studies_read(user: User) -> QuerySet[Study]:
    """Studies the user may see, newest first: six queries in all.

    Each has `patient_visible`, `report_status` (of the newest report, else `unread`; drafts count only for those who
    write reports), `report_id` (of the signed report in force that the user may read, or None) and `films` (as
    `radiographs_read`, oldest first).
    """
    return _studies(user, radiographs_read(user))


def study_sent(user: User, film: Radiograph, *, only_job: Job | None) -> Study:
    """As `study_read`, of each film its jobs and nothing else, as an upload is answered. Of a study that came with its
    film and `only_job` all is known: whoever sends a film sees its patient, and there is no other film and no report
    yet."""
    if only_job is None:
        jobs = Prefetch("jobs", Job.objects.visible_to(user).order_by("created_at", "id"))
        return _studies(user, Radiograph.objects.visible_to(user).prefetch_related(jobs)).get(pk=film.study_id)
    vars(film)["_prefetched_objects_cache"] = {"jobs": [only_job]}
    vars(film.study).update(films=[film], patient_visible=True, report_status="unread", report_id=None)
    return film.study


def _studies(user: User, films: QuerySet[Radiograph]) -> QuerySet[Study]:
    reports = Report.objects.status_visible_to(user).filter(study=OuterRef("pk")).order_by("-created_at")
    signed = Report.objects.visible_to(user).filter(study=OuterRef("pk"), status__in=SIGNED).order_by("-created_at")
    return (
        Study.objects.visible_to(user)
        .select_related("patient__clinic", "clinic", "referring_doctor")
        .with_rights(user)
        .annotate(
            report_status=Coalesce(Subquery(reports.values("status")[:1]), Value("unread")),
            report_id=Subquery(signed.values("pk")[:1]),
        )
        .prefetch_related(Prefetch("radiographs", films.order_by("created_at", "id"), to_attr="films"))
    )


def study_read(*, user: User, study_id: object) -> Study:
    """One study with `films`, `report` (the signed one in force) and `draft` (being written), each None where there is
    none that the user may see, and `signature` (the newest signed one, for who signed it and when, or None). Raises
    `not_found`."""
    study = access.get_visible(studies_read(user), user, pk=study_id)
    readable = Exists(Report.objects.visible_to(user).filter(pk=OuterRef("pk")))
    found = Report.objects.status_visible_to(user).filter(study=study).annotate(readable=readable)
    reports = list(found.select_related("signed_by", "author").order_by("-signed_at"))
    signed = [report for report in reports if report.is_signed]
    study.signature = next(iter(signed), None)
    study.report = next((report for report in signed if report.readable), None)
    study.draft = next((report for report in reports if report.readable and not report.is_signed), None)
    return study


def signatures(user: User, studies: Iterable[UUID]) -> dict[UUID, Report]:
    """The newest signed report of each study that has one: who read it and when, which whoever may follow the study is
    told; what it says is another right. One query."""
    signed = Report.objects.status_visible_to(user).filter(study__in=set(studies), status__in=SIGNED)
    return {report.study_id: report for report in signed.select_related("signed_by").order_by("signed_at")}


def results_hidden_reason(radiograph: Any) -> str:
    """A key of `RESULTS_HIDDEN`, or empty where the user of `with_rights` may see the results of this film."""
    if radiograph.results_visible:
        return ""
    if radiograph.reads_first:
        return "read_first"
    return "unsigned" if radiograph.results_awaited else "role"


# --- sending a film


def patients_recent(*, user: User, limit: int = 8) -> list[Patient]:
    """Patients the user may send films for, those of the latest studies first, then the newest; identifiers too."""
    clinics = access.clinic_ids(user, Action.STUDY_UPLOAD)
    in_each = [Q(clinic=clinic) for clinic in clinics]
    latest = first_rows(Study.objects.all(), in_each, count=limit * 4).values_list("patient_id", flat=True)
    patients = Patient.objects.visible_to(user).filter(clinic__in=clinics)
    patients = patients.select_related("clinic").prefetch_related("identifiers")
    used = list(dict.fromkeys(latest))[:limit]
    by_id = patients.in_bulk(used)
    recent = [by_id[key] for key in used if key in by_id]
    if len(recent) < limit:
        recent += first_rows(patients.exclude(pk__in=used), in_each, count=limit - len(recent))
    return recent


def referring_doctors(clinic: Clinic) -> QuerySet[User]:
    """People who hold the role of referring doctor at the clinic now."""
    held = Membership.objects.filter(access.holds_now(), clinic=clinic, role=access.DOCTOR)
    return User.objects.filter(is_active=True, pk__in=held.values("user")).order_by("last_name", "username")


# --- the list of films


def film_list(*, user: User, filters: Mapping[str, Any]) -> QuerySet[Radiograph]:
    """Films of the user's clinics as `radiographs_read`, narrowed by the filters that are given; read by `keyset_page`.

    `progress` (a key of `PROGRESS`), `clinic` (id), `word` (of any finding but "normal" that the user may see),
    `date_from` and `date_to` (dates, of arrival, both included), `mine` (sent by the user). Empty values do not filter.
    """
    return films_narrowed(radiographs_read(user), user=user, filters=filters)


def films_narrowed(films: QuerySet[Radiograph], *, user: User, filters: Mapping[str, Any]) -> QuerySet[Radiograph]:
    """These films, by the filters of `film_list`."""
    if progress := filters.get("progress"):
        films = films.filter(PROGRESS[progress])
    if clinic := filters.get("clinic"):
        films = films.filter(clinic=clinic)
    if word := filters.get("word"):
        films = films.filter(said_of_film(user, word))
    # As moments, which an index knows; it knows no dates.
    if date_from := filters.get("date_from"):
        films = films.filter(created_at__gte=_midnight(date_from))
    if (date_to := filters.get("date_to")) and date_to < date.max:
        films = films.filter(created_at__lt=_midnight(date_to + timedelta(days=1)))
    if filters.get("mine"):
        films = films.filter(study__created_by=user)
    return films


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))


def said_of_film(user: User, word: str) -> Q:
    """Condition on films: some finding that the user may see has this word."""
    return Q(words__contains=[word]) & study_scope(user, Action.PREDICTION_VIEW, "study")


def _job(state: str) -> Exists:
    return Exists(Job.objects.filter(radiograph=OuterRef("pk"), shadow=False, state=state))


_DONE = Q(done=True)
_REJECTED = Q(state=Radiograph.State.REJECTED)
_WAITS = Q(_job("running")) | Q(_job("queued"))
_DECLINED = Q(state=Radiograph.State.READY) & ~Q(consent_permits(Consent.Purpose.AI_ASSISTANCE, "study__patient"))

#: Where a film stands, in the words of the list of films. Exactly one holds for each film; `film_progress` says which.
PROGRESS: dict[str, Q] = {
    "rejected": _REJECTED,
    "done": ~_REJECTED & _DONE,
    "running": ~_REJECTED & ~_DONE & Q(_job("running")),
    "waiting": ~_REJECTED & ~_DONE & ~Q(_job("running")) & Q(_job("queued")),
    "declined": ~_REJECTED & ~_DONE & ~_WAITS & _DECLINED,
    "failed": ~_REJECTED & ~_DONE & ~_WAITS & ~_DECLINED & Q(failed=True),
    "stopped": ~_REJECTED & ~_DONE & ~_WAITS & ~_DECLINED & ~Q(failed=True),
}


def film_progress(radiograph: Any) -> str:
    """The key of `PROGRESS` that holds for a film, from its prefetched jobs and `ai_permitted` (`with_consent`)."""
    if radiograph.state == Radiograph.State.REJECTED:
        return "rejected"
    jobs = {(job.kind, job.state) for job in radiograph.jobs.all()}
    if ("infer", "succeeded") in jobs:
        return "done"
    states = {state for _, state in jobs}
    waits = next((word for state, word in (("running", "running"), ("queued", "waiting")) if state in states), "")
    if not waits and radiograph.state == Radiograph.State.READY and not radiograph.ai_permitted:
        return "declined"
    return waits or ("failed" if "failed" in states else "stopped")


# --- a patient over time


def findings_by_date(*, user: User, patient: Patient) -> list[dict[str, Any]]:
    """Every finding of the patient that the user may see, oldest first: two queries.

    Keys: date (when the film was taken, else received), study, radiograph, prediction (ids), model {name, version,
    sha256}, report_status (`unread` where the user may see no report), label, title, probability, calibrated,
    threshold, word.
    """
    study = "prediction__radiograph__study"
    reports = Report.objects.status_visible_to(user).filter(study=OuterRef(study)).order_by("-created_at")
    findings = (
        Finding.objects.visible_to(user)
        .filter(**{f"{study}__patient": patient})
        .select_related("prediction__radiograph__study")
        .prefetch_related("prediction__model_version")
        .annotate(
            date=Coalesce(f"{study}__acquired_at", "prediction__radiograph__created_at"),
            report_status=Coalesce(Subquery(reports.values("status")[:1]), Value("unread")),
        )
        .order_by("date", "prediction__created_at", "prediction_id", "-calibrated", "label")
    )
    return [_history_entry(finding, finding.date, finding.report_status) for finding in findings]


def patient_history(studies: Iterable[Any]) -> list[dict[str, Any]]:
    """The findings of studies as `studies_read` gives them, drawn as curves: one per label, one series per model
    version; no query.

    `[{label, title, series: [{model: {name, version}, points: [{date, study, radiograph, calibrated, threshold, word,
    report_status}]}]}]`, points oldest first.
    """
    findings = [
        (
            study.acquired_at or film.created_at,
            prediction.created_at,
            prediction.pk,
            -finding.calibrated,
            finding,
            study,
        )
        for study in studies
        for film in study.films
        for prediction in film.shown_predictions
        for finding in prediction.findings.all()
    ]
    labels: dict[str, dict[str, Any]] = {}
    for taken, *_, finding, study in sorted(findings, key=lambda found: (*found[:4], found[4].label)):
        entry = _history_entry(finding, taken, study.report_status)
        curve = labels.setdefault(entry["label"], {"label": entry["label"], "title": entry["title"], "series": {}})
        model = {"name": entry["model"]["name"], "version": entry["model"]["version"]}
        series = curve["series"].setdefault(tuple(model.values()), {"model": model, "points": []})
        series["points"].append({key: entry[key] for key in _POINT})
    return [curve | {"series": list(curve["series"].values())} for curve in labels.values()]


_POINT = ("date", "study", "radiograph", "calibrated", "threshold", "word", "report_status")


def _history_entry(finding: Finding, date: datetime, report_status: str) -> dict[str, Any]:
    prediction = finding.prediction
    model, radiograph = prediction.model_version, prediction.radiograph
    return {
        "date": date,
        "study": radiograph.study_id,
        "radiograph": radiograph.pk,
        "prediction": prediction.pk,
        "model": {"name": model.name, "version": model.version, "sha256": model.sha256},
        "report_status": report_status,
        "label": finding.label,
        "title": label_title(model, finding.label),
        "probability": finding.probability,
        "calibrated": finding.calibrated,
        "threshold": finding.threshold,
        "word": finding.word,
    }


def label_title(model: ModelVersion, label: str) -> str:
    """The name of a label as the model's card writes it, or the label itself."""
    kept = "card" in model.get_deferred_fields()
    return (_titles_kept(model.pk) if kept else _titles(model)).get(label, label.capitalize())


def _titles(model: ModelVersion) -> dict[str, str]:
    return {spec["key"]: spec["title"] for spec in model.card.get("labels", ())}


@lru_cache(maxsize=32)
def _titles_kept(model_id: UUID) -> dict[str, str]:
    """For rows that come without the card: read once in a process."""
    return _titles(ModelVersion.objects.get(pk=model_id))


# --- the queue, counted over every clinic: the system counts


def queue_places(jobs: Iterable[Job]) -> dict[UUID, int]:
    """The place of each waiting job in the queue of its kind (1 = next), by job id; others are left out: one query."""
    waiting = [job.pk for job in jobs if job.state == Job.State.QUEUED]
    if not waiting:
        return {}
    with acting_as(SYSTEM), connection.cursor() as cursor:
        cursor.execute(_PLACES, {"waiting": waiting})
        return dict(cursor.fetchall())


_PLACES = """
SELECT job.id, 1 + (
  SELECT count(*) FROM diagnosis_job ahead WHERE ahead.state = 'queued' AND ahead.kind = job.kind
  AND (ahead.priority, ahead.queued_at, ahead.id) < (job.priority, job.queued_at, job.id))
FROM diagnosis_job job WHERE job.state = 'queued' AND job.id = ANY(%(waiting)s::uuid[])
"""


def queue_place(job: Job) -> int:
    """The place of one waiting job (1 = next), or 0 when it does not wait."""
    return queue_places([job]).get(job.pk, 0)

"""Pictures that go before their time: the clinic's administrator asks, the system administrator decides.

For films that should never have been sent. What a signed report was read from, what is under legal hold and what is
worked on stays. Rows, results, reports and the audit always stay. May import: Django, `diagnosis.models`, `.reading`,
`.retention`, `patients`. Goes to: the page of retention, `manage.py removal`.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

import diagnosis.errors  # noqa: F401  joins the refusals to the table
from diagnosis.models import Study, StudyRemoval
from diagnosis.services.reading import reading_close
from diagnosis.services.retention import files_remove, film_close, films_judged, kept_before_its_time
from patients import access
from patients.access import Action
from patients.audit import audit_record
from patients.errors import ApplicationError
from patients.models import Patient, User
from patients.text import clean_text

REASON_LIMIT = 160
Outcome = StudyRemoval.Outcome


@transaction.atomic
def removal_ask(*, user: User, study_id: object, reason: str) -> StudyRemoval:
    """Ask for the removal of a study's pictures.

    Raises `not_found`, `permission_denied`, `removal_reason_missing`, `removal_gone`, `removal_kept`, `removal_asked`,
    `invalid_text`.
    """
    study: Study = access.get_visible(Study.objects.select_related("clinic"), user, pk=study_id)
    access.require_at(user, Action.STUDY_DELETE_REQUEST, study.clinic)
    reason = clean_text(reason, field="reason", limit=REASON_LIMIT)
    if not reason:
        raise ApplicationError("removal_reason_missing")
    Study.objects.select_for_update(no_key=True).get(pk=study.pk)
    _films(study)
    if StudyRemoval.objects.filter(study=study, outcome="").exists():
        raise ApplicationError("removal_asked")
    removal = StudyRemoval.objects.create(study=study, clinic=study.clinic, reason=reason, asked_by=user)
    _audit(user, removal, "removal_ask")
    return removal


@transaction.atomic
def removal_withdraw(*, user: User, removal_id: object) -> StudyRemoval:
    """Any administrator of the clinic takes it back. Raises `not_found`, `removal_decided`."""
    rows = StudyRemoval.objects.select_for_update(of=("self",)).select_related("study__patient", "clinic")
    removal: StudyRemoval = access.get_visible(rows, user, pk=removal_id)
    return _decided(user, removal, Outcome.WITHDRAWN)


def removal_decide(*, user: User, removal: StudyRemoval, removes: bool) -> StudyRemoval:
    """The system administrator lets the pictures go, for good, or refuses. Run as the system.

    Raises `permission_denied`, `removal_decided`, `removal_same_person`, `removal_kept`, `removal_gone`.
    """
    if not access.is_system_admin(user):
        raise ApplicationError("permission_denied")
    films: list[Any] = []
    with transaction.atomic():
        rows = StudyRemoval.objects.select_for_update(of=("self",)).select_related("study__patient", "clinic")
        removal = rows.get(pk=removal.pk)
        if removes and not removal.outcome:
            films = _films_close(user, removal)
        removal = _decided(user, removal, Outcome.REMOVED if removes else Outcome.REFUSED)
    for film in films:
        files_remove(film.sha256)
    return removal


def _films_close(user: User, removal: StudyRemoval) -> list[Any]:
    """The study's films, each with what stays in its picture's place; nobody has to read the study any more."""
    if removal.asked_by_id == user.pk:
        raise ApplicationError("removal_same_person")
    study = removal.study
    Study.objects.select_for_update(no_key=True).get(pk=study.pk)
    patient = Patient.objects.select_for_update(no_key=True).get(pk=study.patient_id)
    films, rule = _films(study), f"removed at the clinic's request: {removal.reason}"
    for film in films:
        film_close(film, rule=rule, clinic=removal.clinic, patient=patient, user=user)
    reading_close(study)
    return films


def _films(study: Study) -> list[Any]:
    """The films whose pictures are to go: all that are left. Raises where one has to stay, or none is left."""
    films = list(films_judged(study.clinic, study=study))
    if not films:
        raise ApplicationError("removal_gone")
    for film in films:
        if reason := kept_before_its_time(film, study.clinic):
            raise ApplicationError("removal_kept", reason=reason)
    return films


def _decided(user: User, removal: StudyRemoval, outcome: str) -> StudyRemoval:
    if removal.outcome:
        raise ApplicationError("removal_decided")
    removal.outcome, removal.decided_by, removal.decided_at = outcome, user, timezone.now()
    removal.save()
    _audit(user, removal, f"removal_{outcome}")
    return removal


def _audit(user: User, removal: StudyRemoval, verb: str) -> None:
    study = removal.study
    audit_record(
        user=user, verb=verb, target=study, clinic=removal.clinic, patient=study.patient, reason=removal.reason
    )

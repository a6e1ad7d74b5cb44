"""One examination that was sent as two studies: what has to hold, and how its films come together.

May import: `diagnosis.models`, `.reading`, `patients`. Goes to: `moves`, `intake`, `reporting`.
"""

from __future__ import annotations

import diagnosis.errors  # noqa: F401  joins the refusals to the table
from diagnosis.models import Radiograph, Report, Study, StudyMove, StudyRemoval
from diagnosis.services.reading import reading_close, reading_open
from patients.errors import ApplicationError
from patients.models import Membership, Role

_BY_URGENCY = (Study.Urgency.EMERGENCY, Study.Urgency.URGENT, Study.Urgency.ROUTINE)


def require_not_merged(study: Study) -> None:
    """Raise `study_merged` where the films of the study are of another one now. Held until the commit."""
    _refuse_merged(Study.objects.select_for_update(of=("self",), no_key=True).get(pk=study.pk))


def _refuse_merged(study: Study) -> None:
    if study.merged_into_id:
        raise ApplicationError("study_merged", study=study.merged_into_id)


def require_mergeable(study: Study, into: Study) -> None:
    """Both are locked. A study of which a report was begun keeps its films, for the report speaks of them.

    Raises `study_merged`, `merge_same_study`, `merge_other_patient`, `merge_report_begun`, `merge_hides`,
    `removal_asked` and, where it is asked whose films the other study's are, `move_waits`.
    """
    for each in (study, into):
        _refuse_merged(each)
    if study == into:
        raise ApplicationError("merge_same_study")
    if study.patient_id != into.patient_id:
        raise ApplicationError("merge_other_patient")
    if Report.objects.filter(study=study).exists():
        raise ApplicationError("merge_report_begun")
    if StudyRemoval.objects.filter(study__in=(study, into), outcome="").exists():
        raise ApplicationError("removal_asked")
    if StudyMove.objects.filter(study=into, outcome="").exists():
        raise ApplicationError("move_waits")
    if _would_hide(study, into):
        raise ApplicationError("merge_hides")


def merge(study: Study, into: Study) -> None:
    """The films of `study`, with their work and results, are of `into` from now on, which takes the more urgent urgency
    and what only the other knew. It is open to be read, also where its report is signed: the report has not seen them.

    Both are locked by the caller. Raises as `require_mergeable`.
    """
    require_mergeable(study, into)
    # Locked whole: a result on its way is written before this, and seen below, or finds the new study (`infer`).
    films = list(Radiograph.objects.select_for_update().filter(study=study).order_by("created_at", "id"))
    for film in films:
        film.study = into
        film.save(update_fields=["study"])
    into.urgency = min(study.urgency, into.urgency, key=_BY_URGENCY.index)
    for field in ("indication", "referring_doctor", "acquired_at"):
        setattr(into, field, getattr(into, field) or getattr(study, field))
    into.save()
    study.merged_into = into
    study.save(update_fields=["merged_into"])
    reading_close(study)
    for film in films[:1]:
        reading_open(film, first=False)


def _would_hide(study: Study, into: Study) -> bool:
    """Would the doctor, or the program, who follows the study for being named in it lose sight of its films?"""
    if into.referring_doctor_id and study.referring_doctor_id not in (None, into.referring_doctor_id):
        return True
    sender = study.created_by_id
    by_program = Membership.objects.filter(user=sender, clinic=study.clinic, role=Role.CLIENT)
    return sender != into.created_by_id and by_program.exists()

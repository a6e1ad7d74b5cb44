"""What is read around a report: the model's answer per label, what the reader decided on it, earlier reports.

Every read starts with `.visible_to(user)`, so whoever may not see the model's answer yet finds none here.
May import: Django, `diagnosis.models`, `.selectors`, `.sentences`, `.triage`, `mlcore.card`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import QuerySet
from django.db.models.functions import Coalesce

from diagnosis.models import Finding, ModelVersion, Prediction, Report, ReportedFinding, ReportSettings, Study
from diagnosis.phrases import LANGUAGES
from diagnosis.querysets import SIGNED
from diagnosis.selectors import label_title, predictions_read
from diagnosis.sentences import TITLES, Prior, Wording, finding_title, sentences_draft
from diagnosis.triage import foremost
from mlcore.card import NORMAL
from patients.models import Clinic, User


@dataclass(frozen=True, slots=True)
class Answer:
    """One label: what the model says of it, if it knows it, and what the reader decided, if they did.

    `finding` is the model's, of the film on which it speaks loudest; `decision` counts only while it is about it.
    """

    label: str
    title: str
    finding: Finding | None
    decision: ReportedFinding | None

    @property
    def is_positive(self) -> bool:
        """Does the model report it, at or above its threshold?"""
        return self.finding is not None and self.finding.word != Finding.Word.ABSENT

    @property
    def is_decided(self) -> bool:
        """Has the reader decided on exactly this answer of the model?"""
        finding = self.finding.pk if self.finding else None
        return self.decision is not None and self.decision.finding_id == finding

    @property
    def is_present(self) -> bool:
        return self.decision is not None and self.decision.is_present


def findings_foremost(*, user: User, study: Study) -> dict[str, Finding]:
    """The model's answers about the study that the user may see, by label, those it reports first, strongest first:
    two queries. Of several films each label has its strongest finding. Nobody decides on "normal": it is the absence of
    the others."""
    by_film: dict[object, list[Prediction]] = {}
    for prediction in predictions_read(user).filter(radiograph__study=study):
        by_film.setdefault(prediction.radiograph_id, []).append(prediction)
    speaking = filter(None, map(foremost, by_film.values()))
    findings = [finding for each in speaking for finding in each.findings.all() if finding.label != NORMAL]
    strongest: dict[str, Finding] = {}
    for finding in sorted(findings, key=_strength):
        strongest.setdefault(finding.label, finding)
    return strongest


def _strength(finding: Finding) -> tuple[bool, float, str]:
    return finding.word == Finding.Word.ABSENT, -finding.calibrated, finding.label


def answers_read(*, user: User, study: Study, report: Report | None) -> list[Answer]:
    """Every label that the model or the reader speaks of, the model's own order first."""
    findings = findings_foremost(user=user, study=study)
    decisions = {each.label: each for each in report.decisions.all()} if report else {}
    labels = [*findings, *sorted(decisions.keys() - findings.keys())]
    titles = {label: label_title(finding.prediction.model_version, label) for label, finding in findings.items()}
    return [Answer(label, finding_title(label, titles), findings.get(label), decisions.get(label)) for label in labels]


def addable(answers: Iterable[Answer]) -> list[tuple[str, str]]:
    """(label, title) of what a reader can add: what the model did not report, then everything of the table."""
    known = {answer.label: answer for answer in answers}
    silent = [(each.label, each.title) for each in known.values() if not each.is_positive and not each.is_present]
    return silent + [(label, title) for label, title in TITLES.items() if label not in known]


def wording_of(clinic: Clinic) -> Wording:
    """How the clinic writes its reports: one query."""
    settings = ReportSettings.objects.filter(clinic=clinic).first()
    if settings is None:
        return Wording()
    return Wording(LANGUAGES[settings.language], settings.texts.get(settings.language, {}))


def report_draft(answers: Iterable[Answer], prior: Prior | None, wording: Wording) -> str:
    """The findings text as drafted from what the reader says is there."""
    answers = list(answers)
    titles = {answer.label: answer.title for answer in answers}
    return sentences_draft([answer.label for answer in answers if answer.is_present], titles, prior, wording)


def reports_in_force(user: User) -> QuerySet[Report]:
    """Signed reports that no signed amendment supersedes, newest study first, each with `day`, of its films."""
    superseded = Report.objects.filter(status__in=SIGNED, supersedes__isnull=False).order_by().values("supersedes")
    return (
        Report.objects.visible_to(user)
        .filter(status__in=SIGNED)
        .exclude(pk__in=superseded)
        .select_related("study__clinic", "signed_by")
        .annotate(day=Coalesce("study__acquired_at", "study__created_at"))
        .order_by("-day", "-created_at")
    )


def priors_read(*, user: User, study: Study) -> QuerySet[Report]:
    """Signed reports of the same patient's earlier films, newest first."""
    earlier = {"study__patient": study.patient_id, "day__lt": study.acquired_at or study.created_at}
    return reports_in_force(user).filter(**earlier).exclude(study=study)


def prior_read(*, user: User, study: Study) -> Prior | None:
    """What the newest of them says: two queries."""
    report: Any = priors_read(user=user, study=study).prefetch_related("decisions").first()
    if report is None:
        return None
    day = report.day.astimezone(ZoneInfo(study.clinic.time_zone)).date()
    return Prior(day, {each.label: each.is_present for each in report.decisions.all()})


def versions_read(*, user: User, study: Study) -> list[Report]:
    """The signed reports of a study that the user may read, the one in force first."""
    reports = Report.objects.visible_to(user).filter(study=study, status__in=SIGNED)
    return list(reports.select_related("signed_by").order_by("-signed_at"))


@dataclass(frozen=True, slots=True)
class MachineRow:
    """One label of a signed report: the model's numbers, if it knows the label, and what the reader made of them."""

    title: str
    finding: Finding | None
    said: str
    decision: ReportedFinding


def machine_read(*, user: User, report: Report) -> list[MachineRow]:
    """The model's opinion as it lay before the signer; empty for who may not see it. Four queries."""
    decisions = (
        ReportedFinding.objects.visible_to(user)
        .filter(report=report)
        .select_related("finding__prediction")
        .prefetch_related("finding__prediction__model_version")
    )
    rows = [MachineRow(decision_title(each), each.finding, _SAID[each.verdict](each), each) for each in decisions]
    return sorted(rows, key=lambda row: _strength(row.finding) if row.finding else (True, 1.0, row.title))


_SAID: dict[str, Any] = {
    ReportedFinding.Verdict.ACCEPTED: lambda each: "agrees",
    ReportedFinding.Verdict.REJECTED: lambda each: f"disagrees: {each.get_reason_display().lower()}",
    ReportedFinding.Verdict.ADDED: lambda each: "sees it, the model does not" if each.finding else "sees it",
    ReportedFinding.Verdict.ABSENT: lambda each: "does not see it either",
}


def decision_title(decision: ReportedFinding) -> str:
    """The name of what was decided on, as the model's card writes it where a model spoke."""
    finding = decision.finding
    titles = {decision.label: label_title(finding.prediction.model_version, decision.label)} if finding else {}
    return finding_title(decision.label, titles)


def models_of(rows: Iterable[MachineRow]) -> list[ModelVersion]:
    """The model versions that spoke in these rows."""
    return sorted({row.finding.prediction.model_version for row in rows if row.finding}, key=str)

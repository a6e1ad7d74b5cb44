"""Service 6: a critical finding that was reported is acknowledged by the clinic that sent the film, or more people
hear of it.

An alert is written in the transaction of the step that reports the finding, with the mail that says so; the sweeper
sends mails and escalates. Mails hold nothing of a patient.
May import: Django, `diagnosis.models`, `.alerts`, `.sentences`, `.selectors`, `.triage`, `patients`. Goes to:
`reporting`, `recovery`, views and API.
"""

from __future__ import annotations

from collections import defaultdict
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

import diagnosis.errors  # noqa: F401  joins the refusals to the table
from diagnosis.alerts import addresses_of, mails_waiting
from diagnosis.models import AlertMail, CriticalAlert, Report, ReportedFinding, Study
from diagnosis.selectors import label_title
from diagnosis.sentences import finding_title
from diagnosis.triage import severity_said
from patients import access
from patients.audit import audit_record
from patients.errors import ApplicationError
from patients.models import User
from patients.outbox import Letter, mails_send
from patients.text import clean_text

ACTION_LIMIT = 500
Kind = AlertMail.Kind
_SUBJECTS = {
    Kind.RAISED: "A critical finding waits for acknowledgement at {clinic}",
    Kind.ESCALATED: "Not acknowledged in time: a critical finding at {clinic}",
    Kind.WITHDRAWN: "A critical finding was withdrawn at {clinic}",
}
_BODIES = {
    Kind.RAISED: "A critical finding waits for acknowledgement.\n\nClinic: {clinic}\n",
    Kind.ESCALATED: "A critical finding still waits for acknowledgement, for more than {minutes} minutes.\n\n"
    "Clinic: {clinic}\n",
    Kind.WITHDRAWN: "A radiologist has withdrawn a critical finding that was reported before.\n\nClinic: {clinic}\n",
}
_WHERE = "Sign in to read it: {url}\n\nThis mail names no patient on purpose.\n"


# --- raised and withdrawn, with the report


def alerts_follow(*, user: User, report: Report) -> None:
    """Give every critical finding that this report says its alert, and make void those of findings that it does not
    say any more, which the clinic is told as well. In the transaction of the step that changed a preliminary or signed
    report, whose row is locked.

    Until it is signed an amendment raises and withdraws nothing that the report in force says.
    """
    study = report.study
    said = critical_said(report)
    alerts = CriticalAlert.objects.select_for_update().filter(study=study, voided_at__isnull=True)
    live = {alert.label: alert for alert in alerts}
    gone = [live[label] for label in live if label not in said] if _is_in_force(report) else []
    new = {label: title for label, title in said.items() if label not in live}
    if gone:
        reason = report.amendment_reason or "The report does not say it any more."
        CriticalAlert.objects.filter(pk__in=[alert.pk for alert in gone]).update(
            voided_at=timezone.now(), void_reason=reason
        )
        AlertMail.objects.create(study=study, clinic=study.clinic, kind=Kind.WITHDRAWN)
    if new:
        mail = AlertMail.objects.create(study=study, clinic=study.clinic, kind=Kind.RAISED)
        facts = {"study": study, "clinic": study.clinic, "report": report, "raised_by": user, "mail": mail}
        raised = [CriticalAlert(label=label, title=title[:100], **facts) for label, title in new.items()]
        CriticalAlert.objects.bulk_create(raised)
        _record(user, "alert", *raised)
    _record(user, "withdraw", *gone)


def critical_said(report: Report) -> dict[str, str]:
    """What a report says is there and more severe than its clinic's `critical_severity`: label to title."""
    decisions = ReportedFinding.objects.filter(report=report).select_related("finding__prediction__model_version")
    bar = report.study.clinic.critical_severity
    return {each.label: _title_of(each) for each in decisions if each.is_present and severity_said(each) > bar}


def _title_of(decision: ReportedFinding) -> str:
    finding, label = decision.finding, decision.label
    return finding_title(label, {label: label_title(finding.prediction.model_version, label)} if finding else {})


def _is_in_force(report: Report) -> bool:
    return report.is_signed or report.supersedes_id is None


# --- seen and acknowledged, by the clinic


def alerts_see(*, user: User, study: Study) -> None:
    """Whoever is to acknowledge the study's alerts, and did not raise them, has them before their eyes."""
    unseen = CriticalAlert.objects.to_acknowledge(user).open().filter(study=study, seen_at__isnull=True)
    unseen.exclude(raised_by=user).update(seen_at=timezone.now(), seen_by=user)


@transaction.atomic
def alert_acknowledge(*, user: User, alert_id: UUID, action_taken: str) -> CriticalAlert:
    """Say what was done about a critical finding, or who was told; of two at once one does.

    Raises `not_found`, `permission_denied`, `action_missing`, `invalid_text`, `alert_acknowledged`, `alert_void`.
    """
    alerts = CriticalAlert.objects.select_for_update(of=("self",))
    alert: CriticalAlert = access.get_visible(alerts, user, pk=alert_id)
    if not CriticalAlert.objects.to_acknowledge(user).filter(pk=alert.pk).exists():
        raise ApplicationError("permission_denied")
    action_taken = clean_text(action_taken, field="action_taken", limit=ACTION_LIMIT)
    if alert.voided_at is not None:
        raise ApplicationError("alert_void")
    if alert.acknowledged_by is not None:
        who = alert.acknowledged_by.display_name
        raise ApplicationError("alert_acknowledged", who=who)
    if not action_taken:
        raise ApplicationError("action_missing")
    now = timezone.now()
    alert.acknowledged_at, alert.acknowledged_by, alert.action_taken = now, user, action_taken
    if alert.seen_at is None:
        alert.seen_at, alert.seen_by = now, user
    alert.save()
    _record(user, "acknowledge", alert)
    return alert


def _record(user: User | None, verb: str, *alerts: CriticalAlert) -> None:
    for alert in alerts:
        audit_record(user=user, verb=verb, target=alert, clinic=alert.study.clinic, patient=alert.study.patient)


# --- escalated and mailed, by the sweeper


def alerts_escalate(*, at_most: int = 100) -> int:
    """More people are told of alerts that nobody acknowledged within the clinic's limit, once each; how many.

    In the sweeper's transaction, by the database's clock; one mail per study.
    """
    late = CriticalAlert.objects.late().filter(escalated_at__isnull=True)
    locked = late.select_for_update(skip_locked=True, of=("self",)).select_related("study__clinic", "study__patient")
    of_study: dict[Study, list[CriticalAlert]] = defaultdict(list)
    for alert in locked.order_by("created_at")[:at_most]:
        of_study[alert.study].append(alert)
    for study, alerts in of_study.items():
        mail = AlertMail.objects.create(study=study, clinic=study.clinic, kind=Kind.ESCALATED)
        CriticalAlert.objects.filter(pk__in=[alert.pk for alert in alerts]).update(
            escalated_at=timezone.now(), escalation_mail=mail
        )
        _record(None, "escalate", *alerts)
    return sum(map(len, of_study.values()))


def alert_mails_send() -> int:
    """Send what waits to be sent; how many mails were taken."""
    return mails_send(mails_waiting(), _letter)


def _letter(mail: AlertMail) -> Letter:
    clinic = mail.clinic
    told = {"clinic": clinic.name, "minutes": clinic.acknowledge_minutes}
    body = (_BODIES[Kind(mail.kind)] + _WHERE).format(**told, url=settings.SITE_URL.rstrip("/") + reverse("follow_up"))
    return Letter(_SUBJECTS[Kind(mail.kind)].format(**told), body, addresses_of(mail))

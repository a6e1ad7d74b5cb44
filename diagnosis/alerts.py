"""What is read of critical alerts: those that wait for a person, the latest that are closed, how many wait, and what
became of the last mail about one.

May import: Django, `diagnosis.models`, `patients`. Goes to: views, API, the menu, `monitoring`.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from diagnosis.models import AlertMail, CriticalAlert, Study
from patients import access
from patients.access import MATRIX, Action
from patients.models import User


def is_concerned(user: User) -> bool:
    """Does the user acknowledge critical findings at some clinic?"""
    return any(each.role in MATRIX[Action.ALERT_ACKNOWLEDGE] for each in access.rights_of(user).memberships)


def alerts_read(user: User) -> QuerySet[CriticalAlert]:
    """Alerts that the user may see, ready to be shown, oldest first: one query."""
    people = ("raised_by", "seen_by", "acknowledged_by")
    alerts = CriticalAlert.objects.visible_to(user).with_due()
    return alerts.select_related("clinic", "study__patient__clinic", "report", "mail", "escalation_mail", *people)


def alerts_closed(user: User) -> QuerySet[CriticalAlert]:
    """Acknowledged or void, the latest first."""
    return (
        alerts_read(user).filter(Q(acknowledged_at__isnull=False) | Q(voided_at__isnull=False)).order_by("-created_at")
    )


def alerts_of(user: User, study: Study) -> list[CriticalAlert]:
    """The alerts of one study that the user may see."""
    return list(alerts_read(user).filter(study=study))


def alerts_waiting(user: User) -> dict[str, int]:
    """How many wait for this person (`open`), and of these for longer than the clinic allows (`late`): one query over
    an index of open alerts."""
    alerts = CriticalAlert.objects.to_acknowledge(user).open().with_due()
    return alerts.order_by().aggregate(open=Count("pk"), late=Count("pk", filter=Q(due__lte=Now())))


#: What became of a mail, as pages say it: (sign, words).
MAILED, NO_ADDRESS, PROBLEM = ("done", "mailed"), ("stopped", "nobody was mailed"), ("stopped", "mail not sent yet")
ON_ITS_WAY, NOT_NEEDED = ("waiting", "mail on its way"), ("waiting", "not mailed")


def mails_waiting() -> QuerySet[AlertMail]:
    """Mails that somebody still needs and that have an address to go to, oldest first. Nobody needs one about what is
    acknowledged meanwhile; a clinic without an address is told once it has one."""
    open_of = CriticalAlert.objects.open().filter(Q(mail=OuterRef("pk")) | Q(escalation_mail=OuterRef("pk")))
    escalated = Q(kind=AlertMail.Kind.ESCALATED) & ~Q(clinic__escalation_contact="")
    needed = Q(kind=AlertMail.Kind.WITHDRAWN) | Exists(open_of)
    mails = AlertMail.objects.filter(~Q(clinic__critical_contact="") | escalated, needed, mailed_at__isnull=True)
    return mails.select_related("clinic").order_by("created_at")


def addresses_of(mail: AlertMail) -> list[str]:
    """To whom a mail goes, by what its clinic has set now."""
    clinic = mail.clinic
    wider = [clinic.escalation_contact] if mail.kind == AlertMail.Kind.ESCALATED else []
    return list(dict.fromkeys(filter(None, [clinic.critical_contact, *wider])))


def mail_state(alert: CriticalAlert) -> tuple[str, str]:
    """What became of the last mail about an alert."""
    mail: Any = alert.escalation_mail or alert.mail
    mail.clinic = alert.clinic
    if mail.mailed_at:
        return MAILED
    if not alert.is_open:
        return NOT_NEEDED
    if not addresses_of(mail):
        return NO_ADDRESS
    return PROBLEM if mail.mail_problem else ON_ITS_WAY

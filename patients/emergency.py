"""Emergency access ("break-glass"): begun with a reason, read only, over after an hour, told to the clinic.

The row is also the mail's outbox (`patients.outbox`). Rights join in
`patients.access.clinic_ids`; the audit says ETREAT and the reason of everything read under it (`patients.audit`).
May import: Django, `patients.models`, `patients.access`, `patients.audit`, `patients.outbox`, `patients.text`.
"""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from patients import access
from patients.access import Action
from patients.audit import audit_record
from patients.errors import ApplicationError
from patients.models import BreakGlass, Clinic, Purpose, User
from patients.outbox import Letter, mails_send
from patients.text import clean_text

#: Fewer words say no reason.
REASON_WORDS = 4
MAIL = """\
{name} ({username}) opened the patients' records of {clinic} by emergency access on {day} at {time} UTC,
for at most one hour, to read.

The reason they gave and everything they opened are recorded. A clinic administrator finds them on the page People,
under "Emergency access". If nobody at {clinic} knows of an emergency, ask {name}, and tell the system administrator.
"""


def clinics_closed_to(user: User) -> QuerySet[Clinic]:
    """The clinics whose patients the user does not see now: those that can be opened."""
    return Clinic.objects.exclude(id__in=access.clinic_ids(user, Action.PATIENT_VIEW)).order_by("name")


def uses_visible_to(user: User) -> QuerySet[BreakGlass]:
    """Every emergency access to clinics that the user administers, newest first."""
    clinics = access.clinic_ids(user, Action.BREAK_GLASS_VIEW)
    return BreakGlass.objects.filter(clinic__in=clinics).select_related("user", "clinic")


@transaction.atomic
def break_glass_start(*, user: User, clinic: Clinic, reason: str) -> BreakGlass:
    """From now on the user reads this clinic's records, for an hour; what holds already is not prolonged.

    Raises `permission_denied` and `invalid_input` (no reason that says something).
    """
    if not access.rights_of(user).may_break_glass:
        raise ApplicationError("permission_denied")
    reason = clean_text(reason, field="reason", limit=500)
    if len(reason.split()) < REASON_WORDS:
        raise ApplicationError(
            "invalid_input", fields={"reason": ["Say in a sentence what happened and who needs it."]}
        )
    User.objects.select_for_update().get(pk=user.pk)
    access.rights_changed(user)
    already = [use for use in access.rights_of(user).break_glass if use.clinic_id == clinic.pk]
    if already:
        return already[0]
    now = timezone.now()
    use = BreakGlass.objects.create(
        user=user, clinic=clinic, reason=reason, started_at=now, ends_at=now + BreakGlass.LASTS
    )
    access.rights_changed(user)
    audit_record(user=user, verb="break-glass", target=use, clinic=clinic, purpose=Purpose.EMERGENCY, reason=use.reason)
    return use


@transaction.atomic
def break_glass_end(*, user: User, use_id: UUID) -> None:
    """End one's own emergency access now. Raises `not_found` for any other."""
    use = BreakGlass.objects.select_for_update().filter(pk=use_id, user=user).select_related("clinic").first()
    if use is None:
        raise ApplicationError("not_found")
    if not use.holds:
        return
    audit_record(
        user=user, verb="break-glass-end", target=use, clinic=use.clinic, purpose=Purpose.EMERGENCY, reason=use.reason
    )
    use.ends_at = timezone.now()
    use.save(update_fields=["ends_at"])
    access.rights_changed(user)


def break_glass_mails_send() -> int:
    """Tell the privacy contacts of what they were not told yet; how many were told. Called by the sweeper; a clinic
    without a contact is told once it has one."""
    waiting = BreakGlass.objects.exclude(clinic__privacy_contact="").select_related("user", "clinic")
    return mails_send(waiting.order_by("started_at"), _letter)


def _letter(use: BreakGlass) -> Letter:
    body = MAIL.format(
        name=use.user.display_name,
        username=use.user.username,
        clinic=use.clinic.name,
        day=f"{use.started_at:%d %B %Y}",
        time=f"{use.started_at:%H:%M}",
    )
    return Letter(f"Emergency access to the records of {use.clinic.name}", body, [use.clinic.privacy_contact])

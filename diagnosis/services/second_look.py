"""Service 7: what a confident model and a signed report disagree on is looked at by a second reader.

The rows are written in the transaction of the signature (`diagnosis.second_look` has the rule).
May import: `diagnosis.models`, `.second_look`, `patients`. Goes to: `reporting`, views.
"""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.utils import timezone

import diagnosis.errors  # noqa: F401  joins the refusals to the table
from diagnosis.models import Discordance, Report, ReportedFinding
from diagnosis.second_look import discordance_kind, reads_alone
from patients import access
from patients.access import Action
from patients.audit import audit_record
from patients.errors import ApplicationError
from patients.models import User
from patients.text import clean_text

NOTE_LIMIT = 500
Outcome, ModelWas = Discordance.Outcome, Discordance.ModelWas


def discordances_follow(*, user: User, report: Report) -> None:
    """A report is signed, in the caller's transaction: every finding on which the model and its reader disagree waits
    for a second look, once. What an amendment does not disagree on needs none any more."""
    study = report.study
    decisions = ReportedFinding.objects.filter(report=report, finding__isnull=False).select_related("finding")
    found = {each.finding: (each, kind) for each in decisions if (kind := discordance_kind(each))}
    rows = Discordance.objects.select_for_update(of=("self",)).filter(study=study)
    known = {row.finding: row for row in rows.select_related("finding")}
    settled = [row.pk for finding, row in known.items() if row.looked_at is None and finding not in found]
    Discordance.objects.filter(pk__in=settled).update(
        looked_by=user, looked_at=timezone.now(), outcome=Outcome.AMEND, note="Settled by an amendment"
    )
    Discordance.objects.bulk_create(
        Discordance(study=study, clinic=study.clinic, finding=finding, decision=decision, kind=kind)
        for finding, (decision, kind) in found.items()
        if finding not in known
    )


@transaction.atomic
def second_look_record(
    *, user: User, discordance_id: UUID, outcome: str, model_was: str, note: str = ""
) -> Discordance:
    """What a second reader makes of it; of two at once one does. Who signed looks again only where nobody else reads.

    Raises `not_found`, `permission_denied`, `second_look_signer`, `second_look_done`, `invalid_parameter`,
    `invalid_text`.
    """
    rows = Discordance.objects.select_for_update(of=("self",)).select_related("study__clinic", "study__patient")
    row: Discordance = access.get_visible(rows, user, pk=discordance_id)
    access.require_at(user, Action.SECOND_LOOK, row.study.clinic)
    note = clean_text(note, field="note", limit=NOTE_LIMIT)
    for field, value, allowed in (("outcome", outcome, Outcome), ("model_was", model_was, ModelWas)):
        if value not in allowed.values:
            raise ApplicationError("invalid_parameter", field=field, allowed=", ".join(allowed.values))
    if row.looked_by is not None:
        who = row.looked_by.display_name
        raise ApplicationError("second_look_done", who=who)
    is_own = Report.objects.filter(study=row.study, signed_by=user).exists()
    if is_own and not reads_alone(user, row.study.clinic):
        raise ApplicationError("second_look_signer")
    row.looked_by, row.looked_at = user, timezone.now()
    row.outcome, row.model_was, row.note = outcome, model_was, note
    row.save()
    study = row.study
    audit_record(user=user, verb="second_look", target=row, clinic=study.clinic, patient=study.patient)
    return row

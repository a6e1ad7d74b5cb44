"""Sends the mails that rows ask for, until the mail server has taken each: at least once, whatever dies meanwhile.

Called by the sweeper, outside any transaction. A try is written down before it is made, so that two sweepers do not
send one mail twice, and a process that dies while it sends leaves a mail that is tried again.
May import: Django, `patients.models`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from django.core.mail import send_mail
from django.db.models import Q, QuerySet
from django.utils import timezone

log = logging.getLogger("patients.outbox")

AGAIN_AFTER = timedelta(minutes=5)
AT_ONCE = 20


class Letter(NamedTuple):
    """What is sent to whom. Nothing of a patient stands in it."""

    subject: str
    body: str
    to: Sequence[str]


def mails_send(waiting: QuerySet[Any], letter_of: Callable[[Any], Letter]) -> int:
    """Send what these rows (of a `Mailed` model) have not sent yet, in their order; how many mails were taken.

    What cannot be sent now is tried again in five minutes.
    """
    now = timezone.now()
    due = Q(mail_tried_at=None) | Q(mail_tried_at__lt=now - AGAIN_AFTER)
    sent = 0
    for row in waiting.filter(due, mailed_at=None)[:AT_ONCE]:
        if not type(row).objects.filter(due, pk=row.pk, mailed_at=None).update(mail_tried_at=now):
            continue  # another sweeper is at it
        letter = letter_of(row)
        try:
            send_mail(" ".join(letter.subject.split()), letter.body, None, list(letter.to))
        except OSError as error:  # smtplib's errors are OSErrors, an absent server too
            row.mail_problem = type(error).__name__
            log.error("a mail could not be sent: %s %s, %s", row._meta.model_name, row.pk, row.mail_problem)
        else:
            row.mailed_at, row.mail_problem = timezone.now(), ""
            sent += 1
        row.save(update_fields=["mailed_at", "mail_problem"])
    return sent

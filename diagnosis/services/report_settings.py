"""What a clinic's radiologists and administrator decide about its reports: the language, and its own sentences.

Nothing that is written already changes: drafts from now on, and papers, which are made when they are asked for.
May import: Django, `diagnosis.models`, `.phrases`, `.pdf`, `patients`.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.db import transaction

from diagnosis.models import ReportSettings
from diagnosis.phrases import LANGUAGES, NORMAL_TEXT
from patients import access
from patients.access import Action
from patients.audit import audit_record
from patients.errors import ApplicationError
from patients.models import Clinic, User
from patients.text import clean_lines

SENTENCE_LIMIT, NORMAL_LIMIT = 500, 2_000


@transaction.atomic
def report_settings_set(*, user: User, clinic: Clinic, language: str, texts: Mapping[str, str]) -> ReportSettings:
    """Write reports in this language, with these sentences of one's own in it: label, or `normal`, → text. An empty
    one, or one that equals the language's, is none. Sentences in other languages stay for when it changes back.

    Raises `permission_denied`, `invalid_parameter` (language), `finding_unknown`, `invalid_text`, `text_not_printable`.
    """
    access.require_at(user, Action.REPORT_SETTINGS, clinic)
    if language not in LANGUAGES:
        raise ApplicationError("invalid_parameter", field="language", allowed=", ".join(LANGUAGES))
    settings, _ = ReportSettings.objects.select_for_update().get_or_create(clinic=clinic)
    before = settings.texts.get(language, {})
    own = _own(language, texts)
    changes = {label: [before.get(label, ""), own.get(label, "")] for label in sorted(before.keys() | own.keys())}
    changes = {label: pair for label, pair in changes.items() if pair[0] != pair[1]}
    if language != settings.language:
        changes["language"] = [settings.language, language]
    if changes:
        settings.language, settings.texts = language, settings.texts | {language: own}
        settings.save()
        audit_record(user=user, verb="update", target=settings, clinic=clinic, changes=changes)
    return settings


def _own(language: str, texts: Mapping[str, str]) -> dict[str, str]:
    from diagnosis.pdf import unprintable

    phrases = LANGUAGES[language]
    usual = {label: sentence for label, (_, sentence) in phrases.findings.items()} | {NORMAL_TEXT: phrases.normal}
    own = {}
    for label, text in texts.items():
        if label not in usual:
            raise ApplicationError("finding_unknown", label=label)
        text = clean_lines(text, field=label, limit=NORMAL_LIMIT if label == NORMAL_TEXT else SENTENCE_LIMIT).strip()
        if letters := unprintable(text):
            raise ApplicationError("text_not_printable", letters=" ".join(letters))
        if text and text != usual[label]:
            own[label] = text
    return own

"""Words and numbers as the pages write them, and what a signed-in person's menu holds.

May import: Django, `patients.access`, `diagnosis.alerts`, `.card`, `.selectors`, `.wording`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django import template
from django.forms import BoundField
from django.utils import timezone

from diagnosis import alerts
from diagnosis.card import spread
from diagnosis.selectors import label_title
from diagnosis.wording import SIGNS
from patients import access
from patients.access import MATRIX, Action
from patients.models import PatientIdentifier

register = template.Library()


@register.filter
def percent(value: float) -> str:
    """A probability as people read it: `58 %`, and never a false 0 or 100."""
    whole = round(value * 100)
    if whole == 0 and value > 0:
        return "<1 %"
    if whole == 100 and value < 1:
        return ">99 %"
    return f"{whole} %"


@register.filter
def tenths(value: float) -> str:
    """A threshold where it is chosen: `43.1 %`."""
    return f"{value * 100:.1f} %"


@register.filter
def measured(figure: Any) -> str:
    """`0.91 (0.88–0.93)`: a figure with `value`, `low` and `high`; a dash where nothing could be measured."""
    if math.isnan(figure.value):
        return "–"
    return spread({"value": figure.value, "low": figure.low, "high": figure.high})


@register.filter
def per_hundred(share: Any) -> str:
    """A share as so many of a hundred: `12 (9–16)`."""
    return f"{share.value * 100:.0f} ({share.low * 100:.0f}–{share.high * 100:.0f})" if share.whole else "–"


@register.filter
def difference(figure: Any) -> str:
    """`+0.03 (−0.01 to +0.07)`: a difference with its 95 % interval."""
    return f"{_signed(figure.value)} ({_signed(figure.low)} to {_signed(figure.high)})"


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−").replace("+0.00", "0.00").replace("−0.00", "0.00")


@register.filter
def p_value(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


@register.filter
def unlocalised(value: float) -> str:
    """A number as forms and drawings want it."""
    return f"{value:.12g}"


@register.filter
def hundred(value: float) -> str:
    """A probability as a length on a bar of 100 units."""
    return f"{min(max(value, 0.0), 1.0) * 100:.1f}"


@register.filter
def lasted(value: float | datetime | None) -> str:
    """Seconds, or the time since a moment, in one or two units: `12 s`, `4 min`, `3 h 20 min`, `2 days`."""
    if value is None:
        return "–"
    seconds = (timezone.now() - value).total_seconds() if isinstance(value, datetime) else value
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86400)
    if seconds < 60:
        return f"{max(0, int(seconds))} s"
    if minutes < 60:
        return f"{minutes} min"
    if hours < 24:
        return f"{hours} h {minutes % 60} min" if minutes % 60 else f"{hours} h"
    return f"{days} day{'s' if days > 1 else ''}"


@register.filter
def short(value: object) -> str:
    """The first eight characters of an id or hash: enough to compare by eye."""
    return str(value)[:8]


@register.filter
def words(name: str) -> str:
    """The name of a field or code as people write it: `birth year`."""
    return name.replace("_", " ")


@register.filter
def mrn_first(identifiers: Iterable[PatientIdentifier]) -> list[PatientIdentifier]:
    """The clinic's own number before those of devices and registers."""
    return sorted(identifiers, key=lambda each: (each.system != "MRN", each.system, each.value))


@register.filter
def named(names: Mapping[UUID, str], key: UUID) -> str:
    """The name under this key, or nothing."""
    return names.get(key, "")


@register.filter
def title_of(finding: Any, model_version: Any) -> str:
    """The finding's name as its model's card writes it."""
    return label_title(model_version, finding.label)


@register.filter
def state_word(progress: str) -> str:
    return SIGNS[progress][1]


@register.filter
def state_sign(progress: str) -> str:
    return SIGNS[progress][0]


@register.filter
def at(mapping: Any, key: str) -> Any:
    """The value under a key that a template cannot name."""
    return mapping.get(key) if mapping else None


@register.filter
def at_index(values: Any, index: int) -> Any:
    """The value at a place, of one of several rows that stand side by side."""
    return values[index]


@register.filter
def styled(field: BoundField) -> str:
    """A form field of a library's form with the class our own forms give theirs."""
    css = {"checkbox": "form-check-input", "select": "form-select"}.get(field.widget_type, "form-control")
    return field.as_widget(attrs={"class": css, "placeholder": ""})


@register.simple_tag(takes_context=True)
def menu_of(context: Any, user: Any) -> dict[str, Any]:
    """What this person can use: `pages`, (URL name, words) each, and are emergency access (`may_break_glass`) and the
    export of reports (`may_export`) something for them? `alerts`: critical findings that wait for them, or None. One
    query, the one for the banner, and one over an index for whoever acknowledges."""
    rights = access.rights_of(user)
    roles = {membership.role for membership in rights.memberships}
    emergency = context["break_glass"]
    concerned = roles & set(MATRIX[Action.ALERT_ACKNOWLEDGE])
    entries = [
        ("home", "Send a film", roles & set(MATRIX[Action.STUDY_UPLOAD])),
        ("worklist", "Worklist", roles & set(MATRIX[Action.READING_CLAIM])),
        ("film_list", "Films", roles or emergency),
        ("follow_up", "Follow-up", concerned),
        ("patient_list", "Patients", emergency or roles & set(MATRIX[Action.PATIENT_VIEW])),
        ("numbers", "Numbers", roles & set(MATRIX[Action.NUMBERS_VIEW])),
        ("audit_list", "Audit", roles & {*MATRIX[Action.AUDIT_VIEW], *MATRIX[Action.AUDIT_VIEW_OWN]}),
        ("member_list", "People", access.CLINIC_ADMIN in roles),
        ("status", "Status", True),
    ]
    return {
        "pages": [(name, words) for name, words, shown in entries if shown],
        "alerts": alerts.alerts_waiting(user) if concerned else None,
        "may_break_glass": rights.may_break_glass,
        "may_export": bool(roles & set(MATRIX[Action.EXPORT_REASONED])),
    }

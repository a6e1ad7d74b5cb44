"""The dashboard: what a clinic's work looks like in figures, on a page and as a sheet. No patient is in it.

May import: Django, `diagnosis.numbers` and its form, sheet and charts, `patients`.
"""

from __future__ import annotations

import csv
from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.views.decorators.http import require_safe

from diagnosis import numbers as counted
from diagnosis.agreement import FEW
from diagnosis.bars import BarChart, bar_chart
from diagnosis.numbers import CLASSES, Day, Scope, Turnaround
from diagnosis.numbers_form import NumbersForm
from diagnosis.numbers_sheet import COLUMNS, class_words, numbers_rows
from diagnosis.services.drift import REFERENCE_FILMS
from patients.audit import audit_record
from patients.errors import ApplicationError
from patients.models import Purpose, User

#: A longer period is drawn by weeks.
DAYS_DRAWN = 45
PRESETS = ((7, "7 days"), (30, "30 days"), (90, "90 days"), (365, "A year"))


@require_safe
def numbers(request: HttpRequest) -> HttpResponse:
    """For one's clinics, a reader or everybody, and a period: thirty days unless asked otherwise."""
    form = _form(request)
    scope = form.scope()
    found = _read(request.user, scope)
    context = found | {
        "form": form,
        "scope": scope,
        "presets": _presets(request, form, scope),
        "query": request.GET.urlencode(),
        "days_chart": _days_chart(found["days"]),
        "by_week": len(found["days"]) > DAYS_DRAWN,
        "films": sum(day.films for day in found["days"]),
        "signed": sum(day.signed for day in found["days"]),
        "rejected_films": sum(each.n for each in found["rejected"]),
        "turnaround_charts": [(kind, each, _turnaround_chart(each)) for kind, each in found["turnaround"].items()],
        "class_words": class_words(),
        "few": FEW,
        "reference_films": REFERENCE_FILMS,
    }
    return render(request, "numbers/numbers.html", context, status=200 if form.is_valid() else 400)


@require_safe
def numbers_csv(request: HttpRequest) -> HttpResponse:
    """Everything that the page shows, one figure a line; who took it out is recorded for each clinic before it goes."""
    form = _form(request)
    if not form.is_valid():
        raise ApplicationError("invalid_input", fields=form.errors)
    scope = form.scope()
    rows = numbers_rows(scope, **_read(request.user, scope))
    for clinic in scope.clinics:
        audit_record(user=request.user, verb="export", clinic=clinic, purpose=Purpose.OPERATIONS)
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="numbers-{scope.first}-{scope.last}.csv"'
    response.write("\ufeff")  # without it spreadsheets take the text for another encoding
    sheet = csv.writer(response)
    sheet.writerow(COLUMNS)
    sheet.writerows(rows)
    return response


def _form(request: HttpRequest) -> NumbersForm:
    clinics = counted.clinics_counted(request.user)
    if not clinics:
        raise ApplicationError("permission_denied")
    return NumbersForm(request.GET, clinics=clinics)


def _read(user: User, scope: Scope) -> dict[str, Any]:
    """One query a figure, two for the agreement."""
    return {
        "days": counted.days_read(scope),
        "turnaround": counted.turnaround_read(scope),
        "waiting": counted.waiting_read(scope),
        "rejected": counted.rejected_read(scope),
        "agreement": counted.agreement_read(scope),
        "drift": counted.drift_read(user, scope),
    }


def _presets(request: HttpRequest, form: NumbersForm, scope: Scope) -> list[tuple[str, str, bool]]:
    """(words, query, is it what is shown) of the usual periods until today."""
    links = []
    for days, words in PRESETS:
        query = QueryDict(mutable=True)
        query.update({name: request.GET[name] for name in ("clinic", "reader") if request.GET.get(name)})
        query["date_from"] = str(form.today - timedelta(days=days - 1))
        links.append((words, query.urlencode(), scope.last == form.today and scope.days == days))
    return links


def _days_chart(days: list[Day]) -> BarChart:
    step = 7 if len(days) > DAYS_DRAWN else 1
    parts = [days[first : first + step] for first in range(0, len(days), step)]
    films = [sum(day.films for day in part) for part in parts]
    signed = [sum(day.signed for day in part) for part in parts]
    words = [
        f"{part[0].day:%-d %b}{f' to {part[-1].day:%-d %b}' if len(part) > 1 else ''}: {received} films, {read} reports"
        for part, received, read in zip(parts, films, signed, strict=True)
    ]
    ends = [(f"{parts[0][0].day:%-d %b}", 0.0), (f"{days[-1].day:%-d %b}", float(len(parts)))]
    return bar_chart(films, words, labels=ends, line=signed)


def _turnaround_chart(taken: Turnaround) -> BarChart:
    words = [f"{words}: {count}" for words, count in zip(class_words(), taken.classes, strict=True)]
    ends = [(_short(minutes), number + 1.0) for number, minutes in enumerate(CLASSES)]
    return bar_chart(taken.classes, words, labels=ends)


def _short(minutes: int) -> str:
    return f"{minutes} m" if minutes < 60 else f"{minutes // 60} h"

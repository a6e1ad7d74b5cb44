"""Signed reports taken out as a table: the radiologist's form, and who took out what.

May import: Django, `diagnosis.models`, `.export_form`, `.sentences`, `.services.report_export`, `patients`.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from diagnosis.export_form import ExportForm, findings
from diagnosis.models import ReportExport
from diagnosis.sentences import finding_title
from diagnosis.services.report_export import EXPORTS_A_DAY, STUDIES_AT_MOST, exports_left, report_export
from patients import access
from patients.access import Action
from patients.errors import CODES, ApplicationError
from patients.models import User
from patients.stepup import require_recent_sign_in

#: The latest, on the page.
SHOWN = 50


def sees_exports(user: User) -> bool:
    """Is the page of exports something for this person?"""
    return any(access.clinic_ids(user, each) for each in (Action.EXPORT_REASONED, Action.AUDIT_VIEW))


@require_http_methods(["GET", "HEAD", "POST"])
def report_exports(request: HttpRequest) -> HttpResponse:
    """A POST answers with the file, or with the page and what keeps it from going out. Whoever may take something out
    has signed in a short while ago."""
    if not sees_exports(request.user):
        raise ApplicationError("permission_denied")
    if not access.clinic_ids(request.user, Action.EXPORT_REASONED):
        if request.method == "POST":
            raise ApplicationError("permission_denied")
        return _page(request)
    require_recent_sign_in(request)
    if request.method != "POST":
        return _page(request, ExportForm(user=request.user))
    form = ExportForm(request.POST, user=request.user)
    if not form.is_valid():
        return _page(request, form, status=400)
    try:
        export, content = report_export(user=request.user, **form.cleaned_data)
    except ApplicationError as error:
        if error.status not in (400, 409):
            raise
        refusal = {"title": CODES[error.code].title, "detail": error.detail}
        return _page(request, form, status=error.status, refusal=refusal)
    response = HttpResponse(content, content_type="text/csv; charset=utf-8")
    name = f"reports-{export.clinic.code}-{export.first}-{export.last}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _page(request: HttpRequest, form: ExportForm | None = None, status: int = 200, **more: Any) -> HttpResponse:
    exports = list(ReportExport.objects.visible_to(request.user).select_related("user", "clinic")[:SHOWN])
    titles = findings()
    for each in exports:
        each.finding = finding_title(each.label, titles) if each.label else ""
    context = {
        "form": form,
        "left": exports_left(request.user) if form else 0,
        "exports": exports,
        "several_clinics": len({each.clinic_id for each in exports}) > 1,
        "studies_at_most": STUDIES_AT_MOST,
        "exports_a_day": EXPORTS_A_DAY,
    }
    return render(request, "diagnosis/report_exports.html", context | more, status=status)

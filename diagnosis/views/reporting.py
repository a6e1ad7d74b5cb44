"""The radiologist's page: read, decide on each finding, write, sign, amend. And the report as doctors read it.

Everything on the page is one form. Each part is sent by itself through htmx and answered with the fragment that
changes; without scripts the whole form is sent and the page comes back.
May import: Django, `diagnosis.selectors`, `.reports`, `.services.reporting`, `.services.reading`, `.services.alerts`,
`.forms`, `.sheet`, `.pdf`, `.views.common`, `.views.follow_up`, `.views.stepping`, `patients`.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from diagnosis import reports, selectors
from diagnosis.forms import ReportForm
from diagnosis.models import Report, ReportedFinding, Study
from diagnosis.services import reporting
from diagnosis.services.alerts import alerts_see
from diagnosis.services.reading import RENEW_SECONDS, reading_of
from diagnosis.sheet import sheet_of
from diagnosis.views.common import films_context
from diagnosis.views.follow_up import alerts_context
from diagnosis.views.moves import films_elsewhere, move_context
from diagnosis.views.stepping import address_of, go, list_query, study_ahead, study_step
from patients import access
from patients.access import Action
from patients.audit import audit_record
from patients.errors import CODES, ApplicationError
from patients.models import User
from patients.stepup import require_recent_sign_in

PRIORS = 5


@require_http_methods(["GET", "HEAD", "POST"])
def read(request: HttpRequest, study_id: UUID) -> HttpResponse:
    """The reading page; a POST keeps what was typed."""
    study = _study_to_read(request.user, study_id)
    if request.method != "POST":
        if elsewhere := films_elsewhere(request, study, "read"):
            return elsewhere
        is_done = study.report and not study.draft
        return redirect(address_of(request, "report", study.pk)) if is_done else _page(request, study)
    try:
        study.draft = _typed_saved(request, study)
    except ApplicationError as error:
        return _refused(request, study, error)
    if not request.htmx:
        return redirect(address_of(request, "read", study.pk))
    return render(request, "reading/_saved.html", _draft_context(request.user, study, saved_at=timezone.now()))


@require_POST
def first(request: HttpRequest, study_id: UUID) -> HttpResponse:
    """The first impression, after which the model's answer is shown."""
    study = _study_to_read(request.user, study_id)
    try:
        reporting.first_impression_save(user=request.user, study=study, text=request.POST.get("impression", ""))
    except ApplicationError as error:
        return _refused(request, study, error)
    return redirect(address_of(request, "read", study.pk))


@require_POST
def decide(request: HttpRequest, study_id: UUID) -> HttpResponse:
    """One decision: `decide` holds label, verdict and reason; where it is empty, `add` holds the label."""
    study = _study_to_read(request.user, study_id)
    label, verdict, reason = _decision(request)

    def change(report: Report) -> Report:
        return reporting.finding_decide(
            user=request.user, report=report, version=report.version, label=label, verdict=verdict, reason=reason
        )

    return _changed(request, study, change)


@require_POST
def draft_again(request: HttpRequest, study_id: UUID) -> HttpResponse:
    """The text drafted from the decisions takes the place of the edited one."""
    study = _study_to_read(request.user, study_id)
    return _changed(
        request, study, lambda report: reporting.draft_again(user=request.user, report=report, version=report.version)
    )


@require_POST
def normal(request: HttpRequest, study_id: UUID) -> HttpResponse:
    """The clinic's text of a normal report, where nothing else is written."""
    study = _study_to_read(request.user, study_id)
    return _changed(
        request, study, lambda report: reporting.draft_normal(user=request.user, report=report, version=report.version)
    )


@require_POST
def preliminary(request: HttpRequest, study_id: UUID) -> HttpResponse:
    """The report may be relied on for now."""
    study = _study_to_read(request.user, study_id)
    try:
        report = _typed_saved(request, study)
        reporting.report_preliminary(user=request.user, report=report, version=report.version)
    except ApplicationError as error:
        return _refused(request, study, error)
    messages.success(request, "The report is preliminary. It can still be changed.")
    return redirect(address_of(request, "read", study.pk))


@require_POST
def sign(request: HttpRequest, study_id: UUID) -> HttpResponse:
    """Sign what stands in the form, after a sign-in of the last minutes."""
    study = _study_to_read(request.user, study_id)
    require_recent_sign_in(request)
    try:
        report = _typed_saved(request, study)
        reporting.report_sign(user=request.user, report=report, version=report.version)
    except ApplicationError as error:
        return _refused(request, study, error)
    messages.success(request, "The report is signed.")
    return go(request, address_of(request, "report", study.pk))


@require_POST
def step(request: HttpRequest, study_id: UUID) -> HttpResponse:
    """Keep what was typed, and go on to the next study of the list, or to the one before it (`to`)."""
    study = _study_to_read(request.user, study_id)
    if any(request.POST.get(name) for name in ("report", "findings_text", "impression")):
        try:
            _typed_saved(request, study)
        except ApplicationError as error:
            return _refused(request, study, error)
    return study_step(request, study, back=request.POST.get("to") == "previous")


@require_http_methods(["GET", "HEAD", "POST"])
def discard(request: HttpRequest, study_id: UUID) -> HttpResponse:
    """Ask whether the draft is to be thrown away, and throw it away."""
    study = _study_to_read(request.user, study_id)
    form = ReportForm(request.POST if request.method == "POST" else None)
    if request.method == "POST":
        if not form.is_valid() or not form.cleaned_data["report"]:
            raise ApplicationError("invalid_input", fields=form.errors)
        draft = access.get_visible(study.reports, request.user, pk=form.cleaned_data["report"])
        try:
            reporting.draft_discard(user=request.user, report=draft, version=form.cleaned_data["version"])
        except ApplicationError as error:
            return _refused(request, study, error)
        messages.success(request, "The draft is discarded.")
        return redirect(address_of(request, "report" if study.report else "read", study.pk))
    if study.draft is None:
        return redirect(address_of(request, "read", study.pk))
    audit_record(user=request.user, verb="read", target=study.draft, clinic=study.clinic, patient=study.patient)
    context = {"study": study, "patient": study.patient, "draft": study.draft, "list_query": list_query(request.GET)}
    return render(request, "reading/discard.html", context)


@require_safe
def report(request: HttpRequest, study_id: UUID) -> HttpResponse:
    """The signed report in force, with what the model said apart from it, and the versions that it supersedes."""
    return _report_page(request, _study_reported(request.user, study_id))


@require_safe
def report_print(request: HttpRequest, study_id: UUID) -> HttpResponse:
    """The signed report in force as a PDF. `not_found` before the signature."""
    from diagnosis.pdf import report_pdf

    study = _study_reported(request.user, study_id)
    signed = next(iter(reports.versions_read(user=request.user, study=study)), None)
    if signed is None:
        raise ApplicationError("not_found")
    machine = reports.machine_read(user=request.user, report=signed)
    sheet = sheet_of(study, signed, machine, reports.wording_of(study.clinic).phrases)
    audit_record(user=request.user, verb="export", target=signed, clinic=study.clinic, patient=study.patient)
    response = HttpResponse(report_pdf(sheet), content_type="application/pdf")
    response["Content-Disposition"] = f'inline; filename="report-{str(signed.pk)[:8]}.pdf"'
    return response


@require_POST
def amend(request: HttpRequest, study_id: UUID) -> HttpResponse:
    """Begin an amendment of the signed report."""
    study = _study_to_read(request.user, study_id)
    signed = access.get_visible(study.reports, request.user, pk=request.POST.get("report") or None)
    try:
        reporting.report_amend(user=request.user, report=signed, reason=request.POST.get("reason", ""))
    except ApplicationError as error:
        return _report_page(request, _study_reported(request.user, study_id), refusal=error)
    return redirect(address_of(request, "read", study.pk))


# --- the reading page


def _study_to_read(user: User, study_id: UUID) -> Study:
    study = selectors.study_read(user=user, study_id=study_id)
    access.require_at(user, Action.REPORT_WRITE, study.clinic)
    return study


def _typed_saved(request: HttpRequest, study: Study) -> Report:
    """The draft that the form was made from, with what was typed kept in it."""
    form = ReportForm(request.POST)
    if not form.is_valid():
        raise ApplicationError("invalid_input", fields=form.errors)
    told = form.cleaned_data
    if told["report"]:
        draft = access.get_visible(study.reports, request.user, pk=told["report"])
    else:
        draft = reporting.draft_open(user=request.user, study=study)
    texts = {name: told[name] for name in ("findings_text", "impression") if name in request.POST}
    return reporting.draft_save(user=request.user, report=draft, version=told["version"], **texts)


def _decision(request: HttpRequest) -> tuple[str, str, str]:
    label, verdict, reason = (*request.POST.get("decide", "").split(" "), "", "", "")[:3]
    return (label, verdict, reason) if label else (request.POST.get("add", ""), ReportedFinding.Verdict.ADDED, "")


def _changed(request: HttpRequest, study: Study, change: Any) -> HttpResponse:
    """Keep what was typed, make the change, and answer with the parts of the page that differ now."""
    try:
        typed = _typed_saved(request, study)
        study.draft = change(typed)
    except ApplicationError as error:
        return _refused(request, study, error)
    if not request.htmx:
        return redirect(address_of(request, "read", study.pk))
    context = _draft_context(request.user, study, saved_at=timezone.now())
    context["redrafted"] = study.draft.findings_text != typed.findings_text
    return render(request, "reading/_changed.html", context)


def _refused(request: HttpRequest, study: Study, error: ApplicationError) -> HttpResponse:
    """A refusal on the page itself, with what was typed; a script is told as the API tells it."""
    if request.htmx or error.status in (403, 404, 503):
        raise error
    typed = [text for name in ("findings_text", "impression") if (text := request.POST.get(name))]
    shown = {"code": error.code, "title": CODES[error.code].title, "detail": error.detail}
    saved = error.code in ("decision_missing", "registration_missing", "impression_missing")
    study = _study_to_read(request.user, study.pk)
    return _page(request, study, status=error.status, refusal=shown, typed=[] if saved else typed)


def _page(request: HttpRequest, study: Study, *, status: int = 200, **more: Any) -> HttpResponse:
    context = films_context(request.user, study, study.films)
    context |= _draft_context(request.user, study)
    context["priors"] = list(reports.priors_read(user=request.user, study=study)[:PRIORS])
    context["reads_first"] = any(film.reads_first for film in study.films)
    context |= {"reading": reading_of(request.user, study), "renew_seconds": RENEW_SECONDS}
    context |= {"ahead": study_ahead(request, study), "list_query": list_query(request.GET)}
    context |= move_context(request.user, study, signed=True)
    context["registration_number"] = reporting.registration_number_of(request.user, study.clinic)
    audit_record(user=request.user, verb="read", target=study, clinic=study.clinic, patient=study.patient)
    return render(request, "reading/read.html", context | more, status=status)


def _draft_context(user: User, study: Study, **more: Any) -> dict[str, Any]:
    """What the parts of the form show: the draft, and each finding with the decision on it."""
    answers = reports.answers_read(user=user, study=study, report=study.draft)
    speaking = [answer for answer in answers if answer.is_positive or answer.decision]
    models = {each.finding.prediction.model_version for each in answers if each.finding}
    return {
        "study": study,
        "film_names": selectors.film_names(study.films),
        "draft": study.draft,
        "reported": any(answer.is_positive for answer in answers),
        "speaking": speaking,
        "offers_normal": not (study.draft and study.draft.findings_text) and not any(e.is_present for e in answers),
        "quiet": [answer for answer in answers if answer not in speaking],
        "addable": reports.addable(answers),
        "reasons": ReportedFinding.Reason.choices,
        "models": sorted(models, key=str),
    } | more


# --- the report page


def _study_reported(user: User, study_id: UUID) -> Study:
    """The study, for whom its signed report is; `permission_denied` for who only follows it."""
    study = selectors.study_read(user=user, study_id=study_id)
    readable = Study.objects.report_visible_to(user).filter(pk=study.pk).exists()
    if not (readable and study.patient_visible):
        raise ApplicationError("permission_denied")
    return study


def _report_page(request: HttpRequest, study: Study, *, refusal: ApplicationError | None = None) -> HttpResponse:
    versions = reports.versions_read(user=request.user, study=study)
    for newer, older in pairwise(versions):
        older.superseded_because = newer.amendment_reason
    context = {
        "study": study,
        "patient": study.patient,
        "identifiers": list(study.patient.identifiers.all()),
        "zone": study.clinic.time_zone,
        "film_names": selectors.film_names(study.films),
        "report": versions[0] if versions else None,
        "superseded": versions[1:],
        "may_write": access.can_at(request.user, Action.REPORT_WRITE, study.clinic),
        "refusal": refusal,
        "list_query": list_query(request.GET),
    }
    context |= alerts_context(request.user, study)
    if versions:
        versions[0].machine = reports.machine_read(user=request.user, report=versions[0])
        versions[0].models = reports.models_of(versions[0].machine)
    target = versions[0] if versions else study
    audit_record(user=request.user, verb="read", target=target, clinic=study.clinic, patient=study.patient)
    alerts_see(user=request.user, study=study)
    return render(request, "reading/report.html", context, status=refusal.status if refusal else 200)

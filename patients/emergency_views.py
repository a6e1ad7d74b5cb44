"""Pages of emergency access: begin it, end it, and the clinic's list of when it was used.

May import: Django, `patients.emergency`, `patients.forms`, `patients.access`, `patients.stepup`.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from patients import access
from patients.access import Action
from patients.emergency import break_glass_end, break_glass_start, clinics_closed_to, uses_visible_to
from patients.errors import ApplicationError
from patients.forms import LineField
from patients.member_forms import RefusableForm
from patients.models import Clinic, User
from patients.stepup import recent_sign_in_required

USES_SHOWN = 200


class BreakGlassForm(RefusableForm):
    """Which clinic, and why."""

    clinic = forms.ModelChoiceField(Clinic.objects.none(), widget=forms.Select(attrs={"class": "form-select"}))
    reason = LineField(
        limit=500,
        label="Reason",
        help_text="What happened, and who needs it: one sentence. The clinic's administrators read it.",
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["clinic"].queryset = clinics_closed_to(user)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@recent_sign_in_required
def emergency(request: HttpRequest) -> HttpResponse:
    """Open a clinic's records for an hour."""
    if not access.rights_of(request.user).may_break_glass:
        raise ApplicationError("permission_denied")
    form = BreakGlassForm(request.POST or None, user=request.user)
    if request.method == "POST" and form.is_valid():
        try:
            use = break_glass_start(user=request.user, **form.cleaned_data)
        except ApplicationError as error:
            form.refuse(error)
        else:
            if not use.clinic.privacy_contact:
                messages.warning(request, f"{use.clinic} has named nobody to be told. Tell the clinic yourself.")
            return redirect("patient_list")
    return render(request, "emergency/emergency.html", {"form": form}, status=400 if form.errors else 200)


@never_cache
@require_POST
def emergency_end(request: HttpRequest, use_id: UUID) -> HttpResponse:
    """The emergency is over."""
    break_glass_end(user=request.user, use_id=use_id)
    messages.success(request, "The emergency access is over.")
    return redirect("home")


@never_cache
@require_safe
def emergency_uses(request: HttpRequest) -> HttpResponse:
    """Who opened the clinic's records in an emergency, when, why, and whether the privacy contact was told."""
    clinics = list(Clinic.objects.filter(id__in=access.clinic_ids(request.user, Action.BREAK_GLASS_VIEW)))
    if not clinics:
        raise ApplicationError("permission_denied")
    context = {
        "uses": uses_visible_to(request.user)[:USES_SHOWN],
        "several_clinics": len(clinics) > 1,
        "without_contact": [clinic for clinic in clinics if not clinic.privacy_contact],
    }
    return render(request, "emergency/uses.html", context)

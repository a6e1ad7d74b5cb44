"""What a patient agrees to, on the patient's page: recorded by who registers patients.

May import: Django, `diagnosis.services.consent`, `diagnosis.views.films`, `patients`.
"""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from diagnosis.services.consent import consents_record
from diagnosis.views.films import patient_page
from patients import access
from patients.access import Action
from patients.consent_forms import ConsentForm
from patients.errors import ApplicationError
from patients.selectors import patient_read


@require_POST
def consent_record(request: HttpRequest, patient_id: UUID) -> HttpResponse:
    """Keep what the form says of each purpose; what is left open stays as it is."""
    patient = patient_read(user=request.user, patient_id=patient_id)
    access.require_at(request.user, Action.CONSENT_RECORD, patient.clinic)
    form = ConsentForm(request.POST, today=patient.clinic.today)
    if form.is_valid():
        try:
            consents_record(user=request.user, patient=patient, **form.recorded())
        except ApplicationError as error:
            form.refuse(error)
        else:
            messages.success(request, "The decision is recorded.")
            return redirect("patient_detail", patient.pk)
    return patient_page(request, patient, form)

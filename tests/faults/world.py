"""`python -m tests.faults.world`: a site set up under VAR_DIR with clinics, patients, senders and the fake model.

Writes `world.json` there: tokens and patients for the clients, and the model for the judge. May import: Django,
`tests.factories`.
"""

from __future__ import annotations

import json
from typing import Any

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from knox.models import AuthToken  # noqa: E402

from cxrsite import embedded  # noqa: E402
from diagnosis.services.models import model_activate, model_register  # noqa: E402
from patients.actor import SYSTEM, process_acts_as  # noqa: E402
from tests import factories  # noqa: E402
from tests.diagnosis.predictors import model_folder_make  # noqa: E402
from tests.faults.plan import CLINICS, PATIENTS_PER_CLINIC  # noqa: E402


def main() -> None:
    process_acts_as(SYSTEM)
    call_command("setup")
    registered = model_register(folder=model_folder_make(settings.VAR_DIR / "reader"), by="faults")
    model = model_activate(model=registered, by="faults")
    world = {
        "clinics": [_clinic(number) for number in range(CLINICS)],
        "model": {"folder": model.folder, "sha256": model.sha256},
    }
    (settings.VAR_DIR / "world.json").write_text(json.dumps(world))
    for server in (embedded.POSTGRES, embedded.REDIS):
        server.leave()


def _clinic(number: int) -> dict[str, Any]:
    clinic = factories.clinic_make(f"Clinic {number}")
    _, token = AuthToken.objects.create(factories.user_make("operator", clinic))
    patients = [factories.patient_make(clinic, mrn=f"{number}{each}") for each in range(PATIENTS_PER_CLINIC)]
    return {"token": token, "patients": [str(patient.pk) for patient in patients]}


if __name__ == "__main__":
    main()

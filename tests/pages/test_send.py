"""Sending a film from the home page: choosing the patient, one film per request, refusals beside the file."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from diagnosis.models import Job, Radiograph, Study
from patients.models import AuditEvent
from tests import factories
from tests.synthetic import as_png, synthetic_film

pytestmark = pytest.mark.django_db
SCRIPT = {"HTTP_HX_REQUEST": "true", "HTTP_ACCEPT": "text/html, application/problem+json"}


def film(name: str = "film.png", seed: int = 1) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, as_png(synthetic_film(seed)), content_type="image/png")


def send(client, patient, file, *, key: str = "", **extra):
    """As the page's script sends one file."""
    fields = {"patient": patient.pk, "file": file, **extra}
    return client.post("/", fields, headers={"Idempotency-Key": key or uuid4().hex}, **SCRIPT)


def test_person_without_upload_right_starts_at_the_worklist(client_for):
    assert client_for("clinicadmin").get("/").url == reverse("film_list")
    assert client_for("doctor").get("/").url == reverse("film_list")
    assert client_for("system").get("/").url == reverse("status")


def test_clinic_without_patients_is_told_what_to_do(client_for, clinic):
    page = client_for("operator").get("/").content.decode()
    assert "No patients yet" in page
    assert f"{reverse('patient_new')}?next=/" in page


def test_patients_of_the_latest_films_come_first(client_for, clinic):
    earlier = factories.patient_make(clinic, "Earlier Patient")
    factories.patient_make(clinic, "Newer Patient")
    factories.study_make(earlier)
    page = client_for("operator").get("/").content.decode()
    assert page.index("Earlier Patient") < page.index("Newer Patient")


def test_search_finds_by_number_and_never_a_foreign_patient(client_for, patient, foreign_patient):
    client = client_for("operator")
    found = client.post(reverse("patient_pick"), {"query": "0017"}, **SCRIPT).content.decode()
    assert patient.name in found
    assert "<html" not in found
    assert foreign_patient.name not in client.post(reverse("patient_pick"), {"query": "Bela"}).content.decode()


def test_search_without_script_gives_the_whole_page(client_for, patient):
    page = client_for("operator").post(reverse("patient_pick"), {"query": "asha"}).content.decode()
    assert "<html" in page
    assert patient.name in page


def test_chosen_patient_is_named_before_a_file_is_chosen(client_for, patient):
    page = client_for("operator").get("/", {"patient": patient.pk}).content.decode()
    assert patient.name in page
    assert "0017" in page
    assert AuditEvent.objects.filter(verb="read", patient=patient).exists()


@pytest.mark.parametrize("field", ["patient", "study"])
def test_foreign_unknown_and_malformed_ids_are_the_same_404(client_for, foreign_patient, field):
    client = client_for("operator")
    foreign = foreign_patient.pk if field == "patient" else factories.study_make(foreign_patient).pk
    for value in (foreign, uuid4(), "nonsense"):
        assert client.get("/", {field: value}).status_code == 404


def test_plain_form_sends_one_film_and_goes_to_its_study(client_for, patient):
    answer = client_for("operator").post("/", {"patient": patient.pk, "file": film(), "indication": "Cough"})
    study = Study.objects.get()
    assert answer.url == reverse("study_detail", args=[study.pk])
    assert (study.patient, study.indication) == (patient, "Cough")
    assert Job.objects.get().kind == "prepare"


def test_plain_form_shows_a_refusal_on_its_own_page(client_for, patient):
    wrong = SimpleUploadedFile("notes.png", b"%PDF-1.7 notes", content_type="image/png")
    answer = client_for("operator").post("/", {"patient": patient.pk, "file": wrong})
    assert answer.status_code == 415
    page = answer.content.decode()
    assert patient.name in page
    assert "unsupported_media_type" in page
    assert not Radiograph.objects.exists()


def test_plain_form_without_a_file_says_so(client_for, patient):
    answer = client_for("operator").post("/", {"patient": patient.pk})
    assert answer.status_code == 400
    assert "No image was sent" in answer.content.decode()


def test_script_gets_the_film_as_a_fragment_that_asks_again(client_for, patient, clinic):
    answer = send(client_for("operator"), patient, film())
    assert answer.status_code == 201
    fragment = answer.content.decode()
    made = Radiograph.objects.get()
    assert f'data-study="{made.study_id}"' in fragment
    assert f'hx-get="{reverse("study_status", args=[made.study_id])}?film={made.pk}"' in fragment


def test_script_gets_a_refusal_as_a_coded_problem(client_for, patient):
    answer = send(client_for("operator"), patient, SimpleUploadedFile("a.svg", b"<svg/>", content_type="image/svg+xml"))
    assert answer.status_code == 415
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "unsupported_media_type"


def test_second_file_joins_the_study_of_the_first(client_for, patient):
    client = client_for("operator")
    send(client, patient, film(seed=1))
    study = Study.objects.get()
    assert send(client, patient, film(seed=2), study=study.pk).status_code == 201
    assert study.radiographs.count() == 2


def test_retry_with_the_same_key_adds_nothing(client_for, patient):
    client = client_for("operator")
    first = send(client, patient, film(), key="k" * 32)
    again = send(client, patient, film(), key="k" * 32)
    assert (first.status_code, again.status_code) == (201, 200)
    assert Radiograph.objects.count() == 1


def test_film_sent_before_says_so_and_does_not_become_the_study_of_the_next(client_for, patient):
    client = client_for("operator")
    send(client, patient, film())
    again = send(client, patient, film())
    assert again.status_code == 200
    assert "Already sent" in again.content.decode()
    assert "data-study" not in again.content.decode()


def test_doctor_of_another_clinic_cannot_be_named(client_for, user_for, patient, other_clinic):
    stranger = user_for("doctor", other_clinic)
    answer = send(client_for("operator"), patient, film(), referring_doctor=stranger.pk)
    assert answer.status_code == 400
    assert "referring_doctor" in answer.json()["errors"]


def test_new_view_is_sent_only_by_who_may_send(client_for, patient):
    study = factories.study_make(patient)
    assert client_for("radiologist").get("/", {"study": study.pk}).status_code == 200
    assert client_for("clinicadmin").post("/", {"study": study.pk}).status_code == 403

"""The reading page and the report page: who sees what, what is refused on the page itself, what is never lost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from diagnosis.models import FirstImpression, Report
from diagnosis.services import reporting
from patients.models import AuditEvent
from tests import factories

pytestmark = pytest.mark.django_db
HTMX = {"HTTP_HX_REQUEST": "true", "HTTP_ACCEPT": "application/problem+json, text/html"}


@pytest.fixture
def study(patient, user_for):
    return factories.study_make(patient, indication="Cough and fever", referring_doctor=user_for("doctor"))


@pytest.fixture
def prediction(study):
    return factories.predicted_film_make(study)


@pytest.fixture
def reader(client_for):
    return client_for("radiologist")


def form(study: Any, **more: str) -> dict[str, str]:
    """What the page would send: the draft and version that it shows."""
    draft = Report.objects.filter(study=study, status__in=reporting.LIVE).first()
    return {"report": str(draft.pk) if draft else "", "version": str(draft.version if draft else 0)} | more


def post(client: Any, study: Any, name: str, **more: str) -> Any:
    headers = {key: more.pop(key) for key in list(more) if key.startswith("HTTP_")}
    return client.post(reverse(name, args=[study.pk]), form(study, **more), **headers)


def signed_by_page(client: Any, study: Any, impression: str = "Pneumonia.") -> Any:
    post(client, study, "report_decide", decide="pneumonia accepted")
    return post(client, study, "report_sign", impression=impression)


def page_of(client: Any, study: Any, name: str) -> str:
    answer = client.get(reverse(name, args=[study.pk]))
    assert answer.status_code == 200
    return answer.content.decode()


# --- reading


def test_the_page_claims_the_study_and_says_who_else_reads_it(reader, study, user_for, clinic):
    row = factories.reading_make(study)
    assert f'hx-post="{reverse("reading_claim", args=[study.pk])}"' in page_of(reader, study, "read")
    factories.claim_make(row, factories.user_make("radiologist", clinic, first_name="Ines", last_name="Costa"))
    assert "Ines Costa</strong> has been reading this study" in page_of(reader, study, "read")


def test_the_page_shows_question_model_numbers_and_earlier_reports(reader, user_for, study, prediction):
    earlier = factories.study_make(study.patient, acquired_at=timezone.now() - timedelta(days=300))
    factories.report_make(earlier, user_for("radiologist"), impression="Old scar")
    page = page_of(reader, study, "read")
    model = prediction.model_version
    for text in ("Cough and fever", "Pneumonia", "80 %", "threshold 50 %", f"{model.name} {model.version}", "Old scar"):
        assert text in page
    assert reverse("report", args=[earlier.pk]) in page


def test_opening_the_page_writes_no_draft(reader, study, prediction):
    page_of(reader, study, "read")
    assert not Report.objects.exists()


def test_what_is_typed_is_saved_by_itself_and_says_when(reader, study, prediction):
    answer = post(reader, study, "read", findings_text="Clear.", impression="Normal.", **HTMX)
    assert "Saved at" in answer.content.decode()
    assert 'name="version" value="1"' in answer.content.decode()
    report = Report.objects.get()
    assert (report.findings_text, report.impression) == ("Clear.", "Normal.")


def test_without_scripts_the_whole_form_is_sent_and_the_page_comes_back(reader, study, prediction):
    answer = post(reader, study, "report_decide", decide="pneumonia rejected artefact", impression="Normal.")
    assert answer.url == reverse("read", args=[study.pk])
    page = page_of(reader, study, "read")
    assert "Rejected: artefact, device or overlap" in page
    assert "Normal." in page


def test_a_decision_keeps_what_was_typed_and_drafts_only_an_unedited_text(reader, study, prediction):
    post(reader, study, "report_decide", decide="pneumonia accepted", findings_text="", **HTMX)
    assert Report.objects.get().findings_text == "Airspace opacity, in keeping with pneumonia."
    post(reader, study, "report_decide", decide="", add="mass", findings_text="My own words.", **HTMX)
    assert Report.objects.get().findings_text == "My own words."
    page = page_of(reader, study, "read")
    assert "You edited the text; the findings alone would say" in page
    post(reader, study, "report_draft_again", findings_text="My own words.")
    assert "Pulmonary mass." in Report.objects.get().findings_text


@pytest.mark.parametrize("headers", [HTMX, {}], ids=["htmx", "form"])
def test_a_stale_page_is_refused_and_loses_nothing(reader, study, prediction, headers):
    post(reader, study, "read", impression="First.")
    answer = post(reader, study, "read", version="0", impression="Second.", **headers)
    assert answer.status_code == 412
    if headers:
        assert answer.json()["code"] == "stale_page"
    else:
        assert "stale_page" in answer.content.decode()
        assert "Second." in answer.content.decode(), "what was typed stands on the page"
    assert Report.objects.get().impression == "First."


def test_a_page_from_before_the_draft_does_not_overwrite_it(reader, study, prediction):
    post(reader, study, "read", impression="First.")
    answer = reader.post(reverse("read", args=[study.pk]), {"report": "", "version": "0", "impression": "Second."})
    assert answer.status_code == 412


@pytest.mark.parametrize("version", ["", "-1", "x", "99999999999"])
def test_a_form_without_a_version_is_refused(reader, study, prediction, version):
    assert post(reader, study, "read", version=version, impression="x").status_code == 400
    assert not Report.objects.filter(impression="x").exists()


def test_a_draft_of_another_study_is_not_reached_through_this_one(reader, user_for, study, prediction, patient):
    other = factories.report_make(factories.study_make(patient), user_for("radiologist"), "draft")
    assert post(reader, study, "read", report=str(other.pk), impression="x").status_code == 404


def test_signing_leads_to_the_report(reader, study, prediction):
    answer = signed_by_page(reader, study)
    assert answer.url == reverse("report", args=[study.pk])
    assert reader.get(reverse("read", args=[study.pk])).url == answer.url
    report = Report.objects.get()
    assert (report.status, report.registration_number) == ("final", "MCI-4711")


def test_signing_asks_who_is_there_and_signs_what_was_typed(client_for, study, prediction):
    client = client_for("radiologist", ago=2000)
    post(client, study, "report_decide", decide="pneumonia accepted")
    away = post(client, study, "report_sign", impression="Pneumonia, typed last.")
    assert away.url.startswith("/accounts/reauthenticate/")
    assert Report.objects.get().status == "draft"
    back = client.post(away.url, {"password": factories.PASSWORD}, follow=True)
    assert "Pneumonia, typed last." in back.content.decode()
    assert Report.objects.get().status == "final"


@pytest.mark.parametrize(
    ("code", "before"),
    [
        ("decision_missing", {"impression": "x"}),
        ("impression_missing", {"decide": "pneumonia accepted"}),
        ("registration_missing", {"decide": "pneumonia accepted", "impression": "x"}),
    ],
)
def test_what_keeps_a_report_from_being_signed_is_said_on_the_page(reader, user_for, study, prediction, code, before):
    if code == "registration_missing":
        user_for("radiologist").memberships.update(registration_number="")
    if "decide" in before:
        post(reader, study, "report_decide", decide=before["decide"])
    answer = post(reader, study, "report_sign", impression=before.get("impression", ""))
    assert answer.status_code == 409
    page = answer.content.decode()
    assert code in page
    assert 'id="impression"' in page, "the reader goes on where they were"
    assert not Report.objects.get().is_signed


def test_without_a_registration_number_the_page_says_whom_to_ask(reader, user_for, study, prediction):
    user_for("radiologist").memberships.update(registration_number="")
    page = page_of(reader, study, "read")
    assert "The clinic administrator enters it under People." in page


def test_the_clinic_administrator_enters_the_registration_number(client_for, user_for, clinic):
    radiologist = user_for("radiologist")
    address = reverse("person_detail", args=[clinic.pk, radiologist.pk])
    admin = client_for("clinicadmin")
    assert 'value="MCI-4711"' in admin.get(address).content.decode()
    admin.post(address, {"roles": ["radiologist"], "registration_number": " KMC 99 "})
    assert radiologist.memberships.get().registration_number == "KMC 99"
    event = AuditEvent.objects.get(verb="update")
    assert event.changes == {"registration_number": ["MCI-4711", "KMC 99"]}


def test_preliminary_is_said_and_can_be_changed(reader, study, prediction):
    post(reader, study, "report_preliminary", impression="Pneumonia.")
    assert "Preliminary since" in page_of(reader, study, "read")
    post(reader, study, "read", impression="Pneumonia, left.")
    assert (Report.objects.get().status, Report.objects.get().impression) == ("preliminary", "Pneumonia, left.")


def test_a_study_without_a_model_can_be_read_and_signed(reader, study):
    factories.radiograph_make(study, state="ready")
    assert "no answer" in page_of(reader, study, "read")
    assert post(reader, study, "report_sign", impression="Normal.").status_code == 302
    assert Report.objects.get().is_signed


def test_queries_of_the_page_do_not_grow(reader, study, prediction, count_queries):
    address = reverse("read", args=[study.pk])
    few = count_queries(lambda: reader.get(address))
    for _ in range(3):
        factories.prediction_make(factories.radiograph_make(study, state="ready"))
    assert count_queries(lambda: reader.get(address)) == few


# --- read first


@pytest.fixture
def read_first(clinic):
    clinic.read_first = True
    clinic.save()


def test_in_read_first_mode_the_worklist_tells_nothing_of_the_answer(reader, study, prediction, read_first):
    factories.reading_make(study, placed=True)
    page = reader.get(reverse("worklist")).content.decode()
    assert "before the model's answer is shown" in page
    assert "threshold" not in page


def test_in_read_first_mode_nothing_tells_the_models_answer(
    reader, api_for, study, prediction, read_first, user_for, patient
):
    said = ("80 %", "0.8000", "Pneumonia", str(prediction.pk), prediction.model_version.sha256[:8])
    addresses = (
        reverse("read", args=[study.pk]),
        reverse("study_detail", args=[study.pk]),
        reverse("study_status", args=[study.pk]),
        reverse("patient_detail", args=[patient.pk]),
        reverse("film_list"),
        reverse("film_list") + "?word=present",
    )
    for address in addresses:
        page = reader.get(address).content.decode()
        # the menu for adding findings and the filter's words are the same for every study
        assert [text for text in said if text in page] == [], address
    api = api_for("radiologist")
    for address in (
        f"radiographs/{prediction.radiograph_id}/",
        "predictions/",
        "radiographs/?word=present",
        f"patients/{patient.pk}/history/",
        f"reports/?study={study.pk}",
    ):
        answer = api.get(f"/api/v1/{address}")
        assert answer.status_code == 200
        assert [text for text in ("0.8", "pneumonia", str(prediction.pk)) if text in answer.content.decode()] == []
    film = api.get(f"/api/v1/radiographs/{prediction.radiograph_id}/").json()
    assert film["results_hidden"]["reason"] == "read_first"
    for address in (
        f"/images/{prediction.pk}/map/pneumonia/",
        f"/api/v1/predictions/{prediction.pk}/",
        f"/api/v1/predictions/{prediction.pk}/map/pneumonia/",
    ):
        assert reader.get(address).status_code == 404
    begun = api.post("/api/v1/reports/", {"study": str(study.pk)}, format="json")
    assert (begun.status_code, begun.json()["code"]) == (409, "first_impression_needed")


def test_the_answer_comes_with_the_first_impression_and_both_times_stay(reader, study, prediction, read_first):
    assert "Your first impression" in page_of(reader, study, "read")
    post(reader, study, "read_first", impression="Looks normal.")
    page = page_of(reader, study, "read")
    assert "80 %" in page
    assert "Looks normal." in page
    signed_by_page(reader, study)
    assert FirstImpression.objects.get().created_at < Report.objects.get().signed_at


def test_an_empty_first_impression_opens_nothing(reader, study, prediction, read_first):
    answer = post(reader, study, "read_first", impression="  ")
    assert answer.status_code == 409
    assert "80 %" not in answer.content.decode()


def test_what_a_colleague_drafts_is_hidden_until_one_has_read_first(
    client_for, clinic, reader, study, prediction, read_first
):
    post(reader, study, "read_first", impression="Looks normal.")
    post(reader, study, "report_decide", decide="pneumonia accepted")
    colleague = client_for(factories.user_make("radiologist", clinic))
    page = page_of(colleague, study, "read")
    assert "Airspace" not in page
    assert "Your first impression" in page


# --- the report


def test_the_report_says_the_conclusion_first_and_the_model_apart(client_for, reader, study, prediction):
    signed_by_page(reader, study, "Left pneumonia.")
    page = page_of(client_for("doctor"), study, "report")
    order = [page.index(text) for text in ("Left pneumonia.", "Airspace opacity", "MCI-4711", "What the model said")]
    assert order == sorted(order)
    machine = page[order[-1] :]
    for text in ("80 %", "50 %", "agrees", "does not see it either", "test-model 1.0.0", str(study.pk)):
        assert text in machine


def test_reading_a_report_is_recorded(client_for, reader, study, prediction):
    signed_by_page(reader, study)
    page_of(client_for("doctor"), study, "report")
    event = AuditEvent.objects.get(verb="read", object_type="report")
    assert (event.role, event.patient) == ("doctor", study.patient)


def test_before_the_signature_the_doctor_is_told_that_nobody_signed(client_for, reader, study, prediction):
    post(reader, study, "report_preliminary", impression="Left pneumonia.")
    page = page_of(client_for("doctor"), study, "report")
    assert "Not yet read" in page
    assert "Left pneumonia." not in page
    assert "80 %" not in page


def test_who_may_not_see_the_models_answer_reads_the_report_without_it(client_for, reader, study, prediction):
    signed_by_page(reader, study, "Left pneumonia.")
    page = page_of(client_for("radiographer"), study, "report")
    assert "Left pneumonia." in page
    assert "What the model said" not in page
    assert "80 %" not in page


def test_an_amended_report_shows_what_it_supersedes_and_why(client_for, reader, study, prediction):
    signed_by_page(reader, study, "Left pneumonia.")
    first = Report.objects.get()
    begun = reader.post(reverse("report_amend", args=[study.pk]), {"report": first.pk, "reason": "It is on the right"})
    assert begun.url == reverse("read", args=[study.pk])
    doctor = client_for("doctor")
    assert "Left pneumonia." in page_of(doctor, study, "report"), "the signed one holds"
    assert "An amendment is being written" in page_of(reader, study, "report")
    post(reader, study, "report_sign", impression="Right pneumonia.")
    page = page_of(doctor, study, "report")
    assert page.index("Right pneumonia.") < page.index("Superseded version") < page.index("Left pneumonia.")
    assert page.count("It is on the right") == 2
    assert "Amended report" in page


@pytest.mark.parametrize("reason", ["", "  "])
def test_an_amendment_needs_a_reason(reader, study, prediction, reason):
    signed_by_page(reader, study)
    report = Report.objects.get()
    answer = reader.post(reverse("report_amend", args=[study.pk]), {"report": report.pk, "reason": reason})
    assert answer.status_code == 409
    assert "Say why the report is amended." in answer.content.decode()


def test_study_and_patient_pages_lead_to_the_report(client_for, reader, study, prediction):
    address = reverse("report", args=[study.pk])
    assert "Read and report" in page_of(reader, study, "study_detail")
    assert "Not yet read" in reader.get(reverse("patient_detail", args=[study.patient_id])).content.decode()
    signed_by_page(reader, study)
    for client in (reader, client_for("doctor")):
        assert address in page_of(client, study, "study_detail")
        assert address in client.get(reverse("patient_detail", args=[study.patient_id])).content.decode()


def test_during_an_amendment_the_study_page_names_the_signer_still(reader, study, prediction):
    signed_by_page(reader, study)
    first = Report.objects.get()
    reader.post(reverse("report_amend", args=[study.pk]), {"report": first.pk, "reason": "x"})
    assert "Report signed by" in page_of(reader, study, "study_detail")

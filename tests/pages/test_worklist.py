"""The worklist's page: order, reasons, filters, claims, saved views, and a renewal that costs nothing when idle."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from diagnosis.models import Reading, SavedView
from diagnosis.views import worklist
from patients.models import AuditEvent
from tests import factories

pytestmark = pytest.mark.django_db
URL = "/worklist/"


@pytest.fixture
def browser(client_for):
    return client_for("radiologist")


def unread(clinic, name, *, hours=1, calibrated=None, **study):
    """An unread study of a patient of this name, answered by the model where `calibrated` says what."""
    row = factories.study_make(
        factories.patient_make(clinic, name), created_at=timezone.now() - timedelta(hours=hours), **study
    )
    if calibrated is not None:
        factories.predicted_film_make(row, calibrated=calibrated)
    return factories.reading_make(row, placed=calibrated is not None)


def names(answer) -> list[str]:
    return [row.study.patient.name for row in answer.context["rows"]]


def test_when_everything_is_read_the_page_says_so(browser):
    assert "Everything is read" in browser.get(URL).content.decode()


def test_what_presses_most_stands_first(browser, clinic):
    unread(clinic, "Early Quiet", hours=3, calibrated={"normal": 0.9})
    unread(clinic, "Late Pneumonia", hours=1, calibrated={"pneumonia": 0.9})
    emergency = unread(clinic, "Last Emergency", hours=0, urgency="emergency")
    Reading.objects.filter(pk=emergency.pk).update(emergency=True)
    assert names(browser.get(URL)) == ["Last Emergency", "Late Pneumonia", "Early Quiet"]


def test_each_row_says_why_it_stands_there(browser, clinic):
    unread(clinic, "A", calibrated={"pneumonia": 0.9})
    unread(clinic, "B", calibrated={"pneumonia": 0.1})
    unread(clinic, "C", urgency="urgent")
    page = browser.get(URL).content.decode()
    for text in ("Pneumonia</strong> present", "90 %", "threshold 50 % · test-model 1.0.0", "Urgent requested"):
        assert text in page
    assert "No finding above its threshold" in page
    assert "The model&#x27;s answer is missing." in page or "The model's answer is missing." in page


@pytest.mark.parametrize(
    ("film", "job", "said"),
    [
        ({"state": "rejected"}, None, "The image has no content."),
        ({}, "failed", "stopped three times"),
        ({}, "queued", "Waiting to be checked"),
    ],
)
def test_film_without_an_answer_says_what_became_of_it(browser, clinic, film, job, said):
    row = unread(clinic, "A")
    made = factories.radiograph_make(row.study, **film)
    if job:
        factories.job_make(made, "prepare", job)
    assert said in browser.get(URL).content.decode()


def test_read_and_foreign_studies_are_not_listed(browser, clinic, other_clinic, user_for):
    unread(other_clinic, "Foreign Person")
    factories.report_make(unread(clinic, "Read Person").study, user_for("radiologist"))
    assert names(browser.get(URL)) == []


def test_waiting_longer_than_the_clinic_allows_is_said(browser, clinic):
    clinic.max_wait_minutes = 60
    clinic.save()
    unread(clinic, "Late", hours=3)
    unread(clinic, "In Time", hours=0.5)
    answer = browser.get(URL)
    assert "over by 2 h" in answer.content.decode()
    assert [row.late_seconds is not None for row in answer.context["rows"]] == [True, False]


def test_counts_tell_unread_critical_late_and_ones_own(browser, clinic, user_for):
    clinic.max_wait_minutes = 60
    clinic.save()
    unread(clinic, "A", hours=2, calibrated={"pneumonia": 0.9})
    factories.claim_make(unread(clinic, "B", hours=0), user_for("radiologist"))
    counts = browser.get(URL).context["counts"]
    assert (counts.unread, counts.critical, counts.over, counts.mine) == (2, 1, 1, 1)


@pytest.mark.parametrize(
    ("filters", "listed"),
    [
        ({"label": "pneumonia"}, {"Sick Child"}),
        ({"state": "critical"}, {"Sick Child"}),
        ({"state": "mine"}, {"Mine"}),
        ({"state": "claimed"}, {"Mine"}),
        ({"state": "free"}, {"Sick Child", "Late"}),
        ({"state": "over"}, {"Late"}),
        ({"state": "unanswered"}, {"Mine", "Late"}),
        ({"age_to": "17"}, {"Sick Child"}),
        ({"age_from": "18"}, {"Mine", "Late"}),
        ({"date_from": "2999-01-01"}, set()),
        ({"date_to": "2999-01-01"}, {"Mine", "Sick Child", "Late"}),
    ],
)
def test_filters_narrow_the_list(browser, clinic, user_for, filters, listed):
    child = unread(clinic, "Sick Child", calibrated={"pneumonia": 0.9, "effusion": 0.1}).study.patient
    child.birth_year = timezone.now().year - 5
    child.save()
    factories.claim_make(unread(clinic, "Mine"), user_for("radiologist"))
    unread(clinic, "Late", hours=48)
    reading_model = factories.model_version_make()
    reading_model.card["labels"][1]["severity"] = 1.0
    assert set(names(browser.get(URL, filters))) == listed


def test_draft_is_a_state_of_its_own(browser, clinic, user_for):
    unread(clinic, "Untouched")
    factories.report_make(unread(clinic, "Begun").study, user_for("radiologist"), "draft")
    answer = browser.get(URL, {"state": "draft"})
    assert names(answer) == ["Begun"]
    assert "Draft begun" in answer.content.decode()


def test_several_clinics_are_merged_in_one_order(browser, clinic, other_clinic, user_for):
    factories.membership_make(user_for("radiologist"), other_clinic, "radiologist")
    for number in range(6):
        unread((clinic, other_clinic)[number % 2], f"Person {number}", hours=10 - number)
    assert names(browser.get(URL)) == [f"Person {number}" for number in range(6)]
    assert names(browser.get(URL, {"clinic": str(other_clinic.pk)})) == ["Person 1", "Person 3", "Person 5"]


@pytest.mark.parametrize("clinics", [1, 2])
def test_pages_follow_each_other_without_gap_or_repeat(browser, clinic, other_clinic, user_for, monkeypatch, clinics):
    monkeypatch.setattr(worklist, "PAGE_SIZE", 2)
    if clinics == 2:
        factories.membership_make(user_for("radiologist"), other_clinic, "radiologist")
    for number in range(7):
        row = unread(other_clinic if clinics == 2 and number % 3 else clinic, f"Person {number}", hours=20 - number)
        if number < 3:
            Reading.objects.filter(pk=row.pk).update(emergency=True)
    address, seen = URL, []
    while address:
        answer = browser.get(address)
        seen += names(answer)
        address = f"{URL}?{answer.context['next_query']}" if answer.context["next_query"] else ""
    assert seen == [f"Person {number}" for number in range(7)]


def test_unknown_page_is_not_found(browser):
    assert browser.get(URL, {"after": "nonsense"}).status_code == 404


# --- renewal


def test_renewal_of_an_unchanged_list_is_an_empty_304(browser, clinic, time_machine_at):
    unread(clinic, "A")
    time_machine_at(timezone.now())
    etag = browser.get(URL)["ETag"]
    again = browser.get(URL, HTTP_HX_REQUEST="true", HTTP_IF_NONE_MATCH=etag)
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("change", ["arrival", "claim", "signature", "minute"])
def test_renewal_of_a_changed_list_gives_the_list(browser, clinic, user_for, time_machine_at, change):
    row = unread(clinic, "A")
    time_machine_at(timezone.now())
    etag = browser.get(URL)["ETag"]
    if change == "arrival":
        unread(clinic, "B")
    elif change == "claim":
        factories.claim_make(row, user_for("radiologist"))
    elif change == "signature":
        factories.report_make(row.study, user_for("radiologist"))
    else:
        time_machine_at(timezone.now() + timedelta(minutes=1))
    again = browser.get(URL, HTTP_HX_REQUEST="true", HTTP_IF_NONE_MATCH=etag)
    assert again.status_code == 200
    assert "<html" not in again.content.decode()


def test_cost_of_page_and_renewal_does_not_grow(browser, clinic, count_queries):
    def add():
        unread(clinic, "A", calibrated={"pneumonia": 0.9})
        row = unread(clinic, "B")
        factories.job_make(factories.radiograph_make(row.study))

    add()
    few = count_queries(lambda: browser.get(URL))
    for _ in range(4):
        add()
    assert count_queries(lambda: browser.get(URL)) == few
    assert few < 15
    etag = browser.get(URL)["ETag"]
    assert count_queries(lambda: browser.get(URL, HTTP_HX_REQUEST="true", HTTP_IF_NONE_MATCH=etag)) <= 6


def test_two_people_of_one_name_are_told_apart_by_their_number(browser, clinic):
    for number in ("A-17", "B-42"):
        patient = unread(clinic, "Asha Verma").study.patient
        factories.identifier_make(patient, f"91-{number}", system="ABHA")
        factories.identifier_make(patient, number)
    page = browser.get(URL).content.decode()
    for number in ("A-17", "B-42"):
        assert f'MRN <span class="num">{number}</span>' in page
    assert "ABHA" not in page


def test_names_are_recorded(browser, clinic):
    patient = unread(clinic, "A").study.patient
    browser.get(URL)
    browser.get(URL, HTTP_HX_REQUEST="true")
    assert AuditEvent.objects.filter(verb="list", patient=patient).count() == 1


# --- claims


def test_claim_and_release_without_javascript(browser, clinic, user_for):
    row = unread(clinic, "A")
    assert browser.post(f"{URL}{row.study_id}/claim/").status_code == 302
    assert "<strong>You</strong>" in browser.get(URL).content.decode()
    browser.post(f"{URL}{row.study_id}/release/")
    row.refresh_from_db()
    assert row.claimed_by is None


def test_opening_a_study_that_a_colleague_reads_says_who_and_lets_one_take_over(browser, clinic, user_for):
    colleague = factories.user_make("radiologist", clinic, first_name="Ines", last_name="Costa")
    row = factories.claim_make(unread(clinic, "A"), colleague)
    page = browser.get(f"/studies/{row.study_id}/").content.decode()
    assert "<strong>Ines Costa</strong> has been reading this study since" in page
    refused = browser.post(f"{URL}{row.study_id}/claim/")
    assert refused.status_code == 409
    assert "Ines Costa has been reading this study since" in refused.content.decode()
    bar = browser.post(
        f"{URL}{row.study_id}/claim/",
        {"instead_of": colleague.username},
        HTTP_HX_REQUEST="true",
        HTTP_HX_TARGET="claim",
    )
    assert "You have been reading this study" in bar.content.decode()


def test_open_page_holds_the_claim_by_looking(browser, clinic, user_for):
    row = factories.claim_make(unread(clinic, "A"), user_for("radiologist"), minutes=1)
    browser.get(f"{URL}{row.study_id}/", HTTP_HX_REQUEST="true")
    row.refresh_from_db()
    assert row.claimed_until > timezone.now() + timedelta(minutes=9)


def test_only_readers_see_who_reads(client_for, clinic):
    row = unread(clinic, "A")
    assert 'id="claim"' in client_for("radiologist").get(f"/studies/{row.study_id}/").content.decode()
    assert 'id="claim"' not in client_for("operator").get(f"/studies/{row.study_id}/").content.decode()


def test_button_on_the_list_tells_the_list_to_look_again(browser, clinic):
    row = unread(clinic, "A")
    answer = browser.post(f"{URL}{row.study_id}/claim/", HTTP_HX_REQUEST="true")
    assert (answer.status_code, "worklist-changed" in answer["HX-Trigger"]) == (204, True)


# --- saved views


def test_saved_view_is_ones_own_and_only_holds_filters(browser, client_for, clinic, user_for):
    answer = browser.post(f"{URL}views/", {"name": "Children", "query": "age_to=17&after=x&next=https://evil.example"})
    assert answer["Location"] == "/worklist/?age_to=17"
    assert SavedView.objects.get().query == "age_to=17"
    assert "Children" in browser.get(URL).content.decode()
    other = factories.user_make("radiologist", clinic)
    assert "Children" not in client_for(other).get(URL).content.decode()
    client_for(other).post(f"{URL}views/remove/", {"name": "Children"})
    assert SavedView.objects.count() == 1
    browser.post(f"{URL}views/remove/", {"name": "Children"})
    assert SavedView.objects.count() == 0


def test_same_name_replaces_and_wrong_filters_are_refused(browser):
    for query in ("age_to=17", "age_to=12"):
        browser.post(f"{URL}views/", {"name": "Children", "query": query})
    assert SavedView.objects.get().query == "age_to=12"
    assert browser.post(f"{URL}views/", {"name": "Odd", "query": "age_to=nine"}).status_code == 400
    assert browser.post(f"{URL}views/", {"name": "", "query": ""}).status_code == 400


def test_number_of_views_is_bounded(browser):
    for number in range(SavedView.AT_MOST + 2):
        browser.post(f"{URL}views/", {"name": f"View {number}", "query": "state=free"})
    assert SavedView.objects.count() == SavedView.AT_MOST

"""The dashboard: its figures against rows whose figures are known, who sees which clinic's, the sheet, and its cost."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from diagnosis.models import Distribution
from patients.actor import acting_as, person
from patients.models import AuditEvent
from tests import factories

pytestmark = pytest.mark.django_db
URL, CSV = "/numbers/", "/numbers/csv/"


@pytest.fixture
def reader(user_for):
    return user_for("radiologist")


@pytest.fixture
def browser(client_for):
    return client_for("radiologist")


@pytest.fixture
def manager(client_for):
    return client_for("clinicadmin")


def read_study(patient, reader, *, hours, ago=1, **facts):
    """A study that came `hours` before its final report, which was signed `ago` days before now."""
    signed_at = timezone.now() - timedelta(days=ago)
    study = factories.study_make(patient, created_at=signed_at - timedelta(hours=hours))
    factories.radiograph_make(study, state="ready", created_at=study.created_at)
    return factories.report_make(study, reader, signed_at=signed_at, **facts)


def sheet(answer) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))


# --- figures


def test_turnaround_is_counted_from_arrival_to_signature(browser, clinic, patient, reader):
    clinic.max_wait_minutes = 4 * 60
    clinic.save()
    for hours in (1, 2, 3, 5, 50):
        read_study(patient, reader, hours=hours)
    page = browser.get(URL).context
    final = page["turnaround"]["final"]
    assert (final.n, final.median, final.late) == (5, 3 * 3600, 2)
    assert final.p90 == pytest.approx((5 + 0.6 * 45) * 3600)  # between the fourth and the fifth
    assert final.classes == (0, 0, 0, 1, 2, 1, 0, 0, 1)
    assert final.late_share.value is None, "five are too few for a share"
    assert page["turnaround"]["preliminary"].n == 0
    assert (page["films"], page["signed"]) == (5, 5)


def test_preliminary_reports_have_their_own_time_and_amendments_none(browser, patient, reader):
    first = read_study(patient, reader, hours=2, preliminary_at=timezone.now() - timedelta(days=1, hours=1))
    factories.report_make(
        first.study,
        reader,
        "amended",
        supersedes=first,
        amendment_reason="Overlooked",
        preliminary_at=timezone.now(),
    )
    page = browser.get(URL).context
    taken = page["turnaround"]
    assert (taken["preliminary"].n, round(taken["preliminary"].median)) == (1, 3600)
    assert (taken["final"].n, page["signed"]) == (1, 1)


def test_days_are_the_clinics_own(browser, clinic, patient):
    clinic.time_zone = "Asia/Kolkata"
    clinic.save()
    evening_in_london = datetime(2026, 3, 5, 20, tzinfo=UTC)  # the 6th in Kolkata
    factories.radiograph_make(factories.study_make(patient), created_at=evening_in_london)
    two_days = browser.get(URL, {"date_from": "2026-03-05", "date_to": "2026-03-06"}).context["days"]
    assert [(f"{day.day}", day.films) for day in two_days] == [("2026-03-05", 0), ("2026-03-06", 1)]
    assert browser.get(URL, {"date_from": "2026-03-06", "date_to": "2026-03-06"}).context["films"] == 1
    assert browser.get(URL, {"date_from": "2026-03-05", "date_to": "2026-03-05"}).context["films"] == 0
    assert len(browser.get(URL).context["days"]) == 30


def test_what_waits_is_told_as_it_is_now(browser, clinic, patient):
    clinic.max_wait_minutes = 60
    clinic.save()
    for hours in (0.5, 3):
        study = factories.study_make(patient, created_at=timezone.now() - timedelta(hours=hours))
        factories.reading_make(study)
    factories.reading_make(factories.study_make(patient), closed_at=timezone.now())
    answer = browser.get(URL, {"date_from": "2020-01-01", "date_to": "2020-01-02"})
    waiting = answer.context["waiting"]
    assert (waiting.unread, waiting.late) == (2, 1)
    assert "1 beyond the maximum wait" in answer.content.decode()


def test_rejected_films_by_reason(browser, clinic, patient, user_for):
    factories.radiograph_make(
        factories.study_make(patient), state="rejected", code="quality_rotated", message="Turned."
    )
    operator = user_for("operator")
    for outcome in ("patient_mismatch", "patient_mismatch", "permission_denied", "ok"):
        AuditEvent.objects.create(user=operator, clinic=clinic, verb="upload", outcome=outcome, patient=patient)
    rejected = browser.get(URL).context["rejected"]
    assert [(each.code, each.sent, each.unusable) for each in rejected] == [
        ("patient_mismatch", 2, 0),
        ("quality_rotated", 0, 1),
    ]


def test_agreement_is_split_by_version_and_by_who_saw_the_answer_and_few_cases_give_no_figure(browser, patient, reader):
    for verdict in ["accepted"] * 9 + ["rejected"] * 3 + ["added"] * 2:
        calibrated = {"pneumonia": 0.2 if verdict == "added" else 0.8}
        factories.decided_study_make(patient, reader, {"pneumonia": verdict}, calibrated=calibrated)
    answer = browser.get(URL)
    ((version, (found,)),) = answer.context["agreement"]
    assert version == factories.model_version_make()
    assert (found.tp, found.fp, found.fn, found.tn, found.read_first) == (9, 3, 2, 0, False)
    page = answer.content.decode()
    assert "75 %" in page  # PPV of 9 in 12
    assert "readers saw the answer" in page
    assert "(3)" in page, "kappa: three studies without the finding are too few"


def test_a_reader_narrows_reports_and_agreement_but_not_films(browser, clinic, patient, reader):
    colleague = factories.user_make("radiologist", clinic, first_name="Meera", last_name="Rao")
    factories.decided_study_make(patient, colleague, {"pneumonia": "accepted"})
    factories.decided_study_make(patient, reader, {"pneumonia": "rejected"})
    page = browser.get(URL, {"reader": colleague.pk}).context
    assert (page["films"], page["signed"]) == (2, 1)
    ((_, (found,)),) = page["agreement"]
    assert (found.tp, found.fp) == (1, 0)


def test_nothing_yet_is_said_in_words(browser):
    page = browser.get(URL).content.decode()
    for words in ("No final report in this period", "No film was rejected", "No report with the model", "no film"):
        assert words in page


def test_drift_is_told_with_what_changed(browser, manager, clinic):
    now = timezone.now()
    facts = {"clinic": clinic, "model_version": factories.model_version_make(), "measured_at": now}
    Distribution.objects.create(
        **facts,
        quantity="view",
        bins=["AP", "PA"],
        reference=[30, 270],
        reference_until=now,
        last_7=[0, 20],
        last_30=[180, 20],
        alarm_since=now,
    )
    Distribution.objects.create(
        **facts,
        quantity="finding:pneumonia",
        bins=["0", "1"],
        edges=[0.5],
        reference=[100, 20],
        last_7=[0, 0],
        last_30=[0, 0],
    )
    page = browser.get(URL)
    view, pneumonia = page.context["drift"]
    assert (view.shifts[7].band, view.shifts[30].band) == ("few", "much")
    assert pneumonia.gathered == 120
    text = page.content.decode()
    assert "AP: 10 % → 90 %" in text
    assert "reference: 120 of 300 films" in text
    rows = {row["figure"]: row for row in sheet(manager.get(CSV)) if row["item"].startswith("Projection")}
    assert rows["PSI of the last 7 days"]["value"] == "too few"
    assert rows["PSI of the last 30 days"]["note"] == "large shift"
    assert rows["share of AP, last 30 days"]["value"] == "0.9000"


# --- who


@pytest.mark.parametrize("role", ["operator", "radiographer", "doctor", "system"])
def test_others_are_refused(client_for, role):
    assert client_for(role).get(URL).status_code == 403
    assert client_for(role).get(CSV).status_code == 403


def test_figures_are_those_of_ones_own_clinics(client_for, clinic, other_clinic, patient, foreign_patient, user_for):
    read_study(foreign_patient, user_for("radiologist", other_clinic), hours=1)
    factories.decided_study_make(foreign_patient, user_for("radiologist", other_clinic), {"pneumonia": "accepted"})
    factories.radiograph_make(factories.study_make(foreign_patient), state="rejected")
    factories.reading_make(factories.study_make(foreign_patient))
    for role in ("radiologist", "clinicadmin"):
        page = client_for(role).get(URL).context
        assert (page["films"], page["signed"], page["waiting"].unread) == (0, 0, 0), role
        assert (page["rejected"], page["agreement"]) == ([], []), role
    there = client_for("clinicadmin", other_clinic).get(URL).context
    assert (there["films"], there["signed"], there["waiting"].unread) == (3, 2, 1)
    assert len(there["agreement"]) == 1


def test_distributions_are_their_clinics_behind_both_walls(clinic, other_clinic, user_for):
    facts = {"model_version": factories.model_version_make(), "quantity": "view", "measured_at": timezone.now()}
    for each in (clinic, other_clinic):
        Distribution.objects.create(**facts, clinic=each, bins=["PA"], reference=[9], last_7=[0], last_30=[0])
    manager = user_for("clinicadmin")
    assert {row.clinic for row in Distribution.objects.visible_to(manager)} == {clinic}
    assert not Distribution.objects.visible_to(user_for("operator")).exists()
    with acting_as(person(manager)):
        assert [row.clinic_id for row in Distribution.objects.all()] == [clinic.pk]
        assert Distribution.objects.update(alarm_since=timezone.now()) == 0


def test_a_foreign_clinic_or_reader_is_no_choice(browser, other_clinic, user_for):
    assert browser.get(URL, {"clinic": other_clinic.pk}).status_code == 200, "with one clinic there is no such field"
    factories.membership_make(user_for("radiologist"), other_clinic, "doctor")
    assert browser.get(URL, {"reader": user_for("radiologist", other_clinic).pk}).status_code == 400


def test_who_reads_for_several_clinics_sees_them_together_or_one(
    client_for, user_for, clinic, other_clinic, patient, foreign_patient, reader
):
    factories.membership_make(reader, other_clinic, "radiologist")
    read_study(patient, reader, hours=1)
    read_study(foreign_patient, reader, hours=1)
    browser = client_for(reader)
    assert browser.get(URL).context["films"] == 2
    assert browser.get(URL, {"clinic": other_clinic.pk}).context["films"] == 1
    assert browser.get(URL, {"clinic": factories.clinic_make().pk}).status_code == 400


@pytest.mark.parametrize(
    "query",
    [
        {"date_from": "2026-03-10", "date_to": "2026-03-01"},
        {"date_from": "2020-01-01", "date_to": "2026-03-01"},
        {"date_to": "9999-12-31"},
        {"date_from": "x"},
        {"reader": "x"},
    ],
    ids=str,
)
def test_a_wrong_period_is_refused_in_words(browser, query):
    answer = browser.get(URL, query)
    assert answer.status_code == 400
    assert "errorlist" in answer.content.decode()
    assert browser.get(CSV, query).status_code == 400


def test_the_first_day_of_the_calendar_is_no_fault(browser):
    assert browser.get(URL, {"date_to": "0001-01-01"}).status_code == 200


# --- the sheet


def test_the_sheet_holds_what_the_page_shows_and_no_patient(manager, clinic, patient, reader):
    factories.decided_study_make(patient, reader, {"pneumonia": "accepted"})
    factories.radiograph_make(factories.study_make(patient), state="rejected")
    answer = manager.get(CSV)
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    rows = sheet(answer)
    assert patient.name not in answer.content.decode()
    found = {(row["section"], row["item"], row["figure"]): row for row in rows}
    today = str(clinic.today)
    assert found["films per day", today, "films received"]["value"] == "2"
    assert found["films per day", today, "reports signed"]["value"] == "1"
    assert found["time to final report", "", "median in minutes"]["n"] == "1"
    assert found["agreement", "Pneumonia, test-model 1.0.0", "tp"]["value"] == "1"
    ppv = found["agreement", "Pneumonia, test-model 1.0.0", "PPV"]
    assert (ppv["value"], ppv["n"], ppv["note"]) == ("too few", "1", "readers saw the answer")
    assert found["rejected films", "Image blank", "cannot be used"]["value"] == "1"
    assert found["about", clinic.name, "maximum wait in minutes"]["value"] == "1440"


def test_a_name_becomes_no_formula(manager, clinic):
    clinic.name = "=HYPERLINK(1)"
    clinic.save()
    items = [row["item"] for row in sheet(manager.get(CSV))]
    assert "'=HYPERLINK(1)" in items
    assert "=HYPERLINK(1)" not in items


def test_taking_the_sheet_out_is_recorded(client_for, clinic, user_for):
    client_for("clinicadmin").get(CSV)
    event = AuditEvent.objects.get(verb="export")
    assert (event.user, event.clinic, event.purpose) == (user_for("clinicadmin"), clinic, "HOPERAT")


@pytest.mark.usefixtures("audit_down")
def test_no_sheet_without_its_record(manager):
    answer = manager.get(CSV)
    assert answer.status_code == 503


# --- cost


def test_the_page_costs_a_fixed_number_of_queries(client_for, clinic, other_clinic, patient, reader, count_queries):
    factories.membership_make(reader, other_clinic, "radiologist")
    browser = client_for(reader)
    factories.decided_study_make(patient, reader, {"pneumonia": "accepted"})
    few = count_queries(lambda: browser.get(URL))
    old = factories.model_version_make("0.9", status="retired")
    for version in (old, factories.model_version_make()):
        for verdict in ("accepted", "rejected", "added"):
            factories.decided_study_make(patient, reader, {"pneumonia": verdict}, model_version=version)
    assert count_queries(lambda: browser.get(URL)) == few
    assert few < 15

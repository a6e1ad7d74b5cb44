"""Signed reports taken out as a table: what is in it, and what keeps it from going out."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from diagnosis.export_sheet import COLUMNS
from diagnosis.models import ReportExport
from diagnosis.services import report_export as service
from diagnosis.services.report_export import EXPORTS_A_DAY, report_export
from tests import factories
from tests.diagnosis.report_steps import code_of
from tests.pages.exporting import REASON, URL, asked, decided, lines, refused

pytestmark = pytest.mark.django_db


# --- what is in it


def test_the_table_has_a_line_for_each_finding_with_all_that_belongs_to_its_number(browser, clinic, report):
    answer = browser.post(URL, asked(clinic))
    found = {line["finding"]: line for line in lines(answer)}
    assert tuple(found["Pneumonia"]) == COLUMNS
    assert found["Pneumonia"] == {
        "patient number (MRN)": "0017",
        "birth year": "1961",
        "sex": "female",
        "accession number": report.study.accession_number,
        "study date": report.study.acquired_at.date().isoformat(),
        "view": "PA",
        "report status": "Final",
        "signed by": "Meera Nair",
        "signed at": report.signed_at.isoformat(timespec="seconds"),
        "finding": "Pneumonia",
        "model": "test-model@1.0.0",
        "calibrated probability": "0.8000",
        "threshold": "0.5000",
        "word": "Present",
        "radiologist's verdict": "Accepted",
    }
    assert (found["Effusion"]["word"], found["Effusion"]["radiologist's verdict"]) == ("Absent", "Absent")
    nodule = found["Nodule"]
    assert nodule["radiologist's verdict"] == "Added"
    assert {nodule[each] for each in ("model", "calibrated probability", "threshold", "word")} == {""}
    assert "Asha" not in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    assert answer["Content-Disposition"] == (f'attachment; filename="reports-hill-{clinic.today}-{clinic.today}.csv"')


def test_why_the_reader_rejects_is_said(browser, clinic, patient, reader):
    factories.decided_study_make(patient, reader, {"pneumonia": "rejected:not_decidable"})
    (line,) = lines(browser.post(URL, asked(clinic)))
    assert line["radiologist's verdict"] == "Rejected: Cannot be decided on this film"


def test_only_reports_in_force_go_out(browser, clinic, patient, reader, report):
    factories.report_make(factories.study_make(patient), reader, "draft")
    factories.report_make(factories.study_make(patient), reader, "preliminary")
    amended = {"supersedes": report, "amendment_reason": "Overlooked"}
    amendment = factories.report_make(report.study, reader, "draft", **amended)
    factories.decision_make(amendment, "mass")
    factories.signed_make(amendment)
    (line,) = lines(browser.post(URL, asked(clinic)))
    assert (line["report status"], line["finding"]) == ("Amended", "Mass")


def test_a_report_without_findings_has_a_line_too(browser, clinic, patient, reader):
    study = factories.study_make(patient)
    factories.radiograph_make(study, state="ready", view="AP")
    factories.report_make(study, reader)
    (line,) = lines(browser.post(URL, asked(clinic)))
    assert (line["view"], line["finding"], line["radiologist's verdict"]) == ("AP", "", "")


def test_of_one_finding_only_its_lines_go_out(browser, clinic, patient, reader, report):
    factories.decided_study_make(patient, reader, {"pneumonia": "accepted"})
    (line,) = lines(browser.post(URL, asked(clinic, label="nodule")))
    assert line["finding"] == "Nodule"
    export = ReportExport.objects.get()
    assert (export.label, export.studies) == ("nodule", 1)


def test_days_are_those_of_the_signature_by_the_clinics_clock(browser, clinic, patient, reader):
    clinic.time_zone = "Asia/Kolkata"
    clinic.save()
    decided(patient, reader, datetime(2026, 3, 5, 20, tzinfo=UTC))  # the 6th in Kolkata
    refused(browser.post(URL, asked(clinic, first="2026-03-05", last="2026-03-05")), "Nothing was taken out")
    found = lines(browser.post(URL, asked(clinic, first="2026-03-06", last="2026-03-06")))
    assert {line["signed at"] for line in found} == {"2026-03-06T01:30:00+05:30"}
    assert {line["study date"] for line in found} == {"2026-03-04"}


def test_studies_whose_pictures_were_removed_are_left_out(browser, clinic, report, system_admin):
    factories.removal_make(report.study, outcome="removed", decided_by=system_admin, decided_at=timezone.now())
    refused(browser.post(URL, asked(clinic)), "Nothing was taken out")


def test_a_removal_that_was_refused_keeps_nothing_back(browser, clinic, report, system_admin):
    factories.removal_make(report.study, outcome="refused", decided_by=system_admin, decided_at=timezone.now())
    assert lines(browser.post(URL, asked(clinic)))


@pytest.mark.parametrize("number", ["=1+1", "+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(browser, clinic, reader, number):
    patient = factories.patient_make(clinic, mrn=number)
    study = factories.study_make(patient, accession_number=number)
    type(reader).objects.filter(pk=reader.pk).update(first_name=number, last_name="")
    factories.report_make(study, reader)
    answer = browser.post(URL, asked(clinic))
    (row,) = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))[1:]
    assert not [cell for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert row.count(f"'{number}") >= 2


def test_a_patient_without_a_clinics_number_goes_by_another(browser, clinic, reader):
    patient = factories.patient_make(clinic)
    factories.identifier_make(patient, "77", "PACS")
    factories.report_make(factories.study_make(patient), reader)
    (line,) = lines(browser.post(URL, asked(clinic)))
    assert line["patient number (MRN)"] == "PACS 77"


def test_its_cost_does_not_grow_with_the_reports(reader, clinic, patient):
    day, costs = datetime(2026, 3, 5, 12, tzinfo=UTC), []
    told = {"user": reader, "clinic": clinic, "first": day.date(), "last": day.date(), "reason": REASON}
    for studies in (3, 6):
        for _ in range(3):
            decided(patient, reader, day)
        with CaptureQueriesContext(connection) as queries:
            assert report_export(**told)[0].studies == studies
        costs.append(len(queries))
    assert costs[0] == costs[1]


# --- what keeps it from going out


@pytest.mark.parametrize("reason", ["Teaching", "  Teach   ing ", "." * 9])
def test_a_reason_of_a_few_letters_is_none(browser, reader, clinic, report, reason):
    refused(browser.post(URL, asked(clinic, reason=reason)), "Say what the export is for")
    told = {"user": reader, "clinic": clinic, "first": clinic.today, "last": clinic.today, "reason": reason}
    assert code_of(lambda: report_export(**told)) == "export_reason_missing"


@pytest.mark.parametrize("reason", ["", "a" * 501, "two\nlines of reasons"])
def test_a_reason_is_one_line_as_long_as_its_column(browser, clinic, report, reason):
    page = browser.post(URL, asked(clinic, reason=reason))
    refused(page, "errorlist")
    assert lines(browser.post(URL, asked(clinic, reason="a" * 500)))


@pytest.mark.parametrize(
    ("days", "words"),
    [
        ({"first": "2026-03-06", "last": "2026-03-05"}, "after the last day"),
        ({"first": "2020-01-01"}, "366 days at most"),
        ({"last": "2999-01-01"}, "has not come yet"),
        ({"last": "yesterday"}, "errorlist"),
        ({"first": "0001-01-01", "last": "0001-01-01"}, "Nothing was taken out"),
        ({"label": "nonsense"}, "errorlist"),
    ],
)
def test_days_that_make_no_period_are_refused_in_words(browser, clinic, report, days, words):
    refused(browser.post(URL, asked(clinic, **days)), words)


def test_nothing_to_take_out_is_said_and_is_no_file(browser, clinic):
    refused(browser.post(URL, asked(clinic)), "No report that was signed on these days fits")


def test_too_many_studies_are_counted_and_none_goes_out(browser, clinic, patient, reader, monkeypatch):
    monkeypatch.setattr(service, "STUDIES_AT_MOST", 2)
    for _ in range(3):
        decided(patient, reader)
    refused(browser.post(URL, asked(clinic)), "3 studies fit, and 2 at most go out at once. Choose fewer days")
    told = {"user": reader, "clinic": clinic, "first": clinic.today, "last": clinic.today, "reason": REASON}
    assert code_of(lambda: report_export(**told)) == "export_too_many"


def test_a_person_takes_out_a_few_a_day(browser, clinic, report, client_for):
    for _ in range(EXPORTS_A_DAY):
        assert lines(browser.post(URL, asked(clinic)))
    answer = browser.post(URL, asked(clinic))
    page = answer.content.decode()
    assert answer.status_code == 409
    assert f"You have taken out {EXPORTS_A_DAY} exports within 24 hours" in page
    assert "disabled" in page
    assert ReportExport.objects.count() == EXPORTS_A_DAY
    colleague = factories.user_make("radiologist", clinic)
    assert lines(client_for(colleague).post(URL, asked(clinic)))


def test_after_a_day_the_next_may_go_out(reader, clinic, report):
    told = {"user": reader, "clinic": clinic, "first": clinic.today, "last": clinic.today, "reason": REASON}
    ago = timezone.now() - timedelta(hours=23, minutes=59)
    days = {"first": clinic.today, "last": clinic.today, "reason": REASON, "studies": 1}
    for minutes in range(EXPORTS_A_DAY):
        ReportExport.objects.create(user=reader, clinic=clinic, at=ago - timedelta(minutes=minutes), **days)
    assert service.exports_left(reader) == EXPORTS_A_DAY - 1
    for _ in range(EXPORTS_A_DAY - 1):
        report_export(**told)
    assert code_of(lambda: report_export(**told)) == "export_limit"

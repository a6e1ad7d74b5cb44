"""Signed reports taken out as a table: what is in it, what keeps it from going out, and who is told afterwards."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import ProgrammingError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from diagnosis.export_sheet import COLUMNS
from diagnosis.models import Radiograph, Report, ReportExport
from diagnosis.querysets import RadiographQuerySet, ReportedFindingQuerySet, ReportQuerySet
from diagnosis.services import report_export as service
from diagnosis.services.report_export import EXPORTS_A_DAY, report_export
from patients import access
from patients.actor import acting_as, person
from patients.models import AuditEvent
from tests import factories
from tests.diagnosis.report_steps import code_of

pytestmark = pytest.mark.django_db
URL = "/exports/"
REASON = "Teaching on Friday: what the model misses"


@pytest.fixture
def reader(user_for):
    user = user_for("radiologist")
    type(user).objects.filter(pk=user.pk).update(first_name="Meera", last_name="Nair")
    user.refresh_from_db()
    return user


@pytest.fixture
def browser(client_for, reader):
    return client_for(reader)


@pytest.fixture
def report(patient, reader):
    """The model reports pneumonia and no effusion; the reader agrees on the former and sees a nodule besides."""
    return decided(patient, reader)


def decided(patient, reader, signed_at=None):
    verdicts = {"pneumonia": "accepted", "effusion": "absent", "nodule": "added"}
    report = factories.decided_study_make(patient, reader, verdicts, signed_at=signed_at)
    report.study.accession_number = f"ACC-{report.study.pk}"
    report.study.acquired_at = report.signed_at - timedelta(days=2)
    report.study.save()
    Radiograph.objects.filter(study=report.study).update(view="PA")
    return report


def asked(at, **told):
    days = {"first": str(at.today), "last": str(at.today)}
    return {"clinic": str(at.pk), "reason": REASON} | days | told


def lines(answer) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.content.decode()
    assert answer["Content-Type"].startswith("text/csv"), answer.content.decode()
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))


def refused(answer, words: str) -> None:
    assert answer.status_code in (400, 409)
    assert answer["Content-Type"].startswith("text/html")
    assert words in " ".join(answer.content.decode().split())
    assert not ReportExport.objects.exists()
    assert not AuditEvent.objects.filter(verb="export_reports").exists()


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


@pytest.mark.parametrize("role", ["operator", "radiographer", "doctor", "clinicadmin", "system"])
def test_only_radiologists_take_something_out(client_for, user_for, clinic, report, role):
    answer = client_for(role).post(URL, asked(clinic))
    assert answer.status_code == 403
    told = {"first": clinic.today, "last": clinic.today, "reason": REASON}
    assert code_of(lambda: report_export(user=user_for(role), clinic=clinic, **told)) == "permission_denied"
    assert not ReportExport.objects.exists()


def test_a_foreign_and_an_unknown_clinic_read_the_same(browser, reader, clinic, other_clinic, report, foreign_patient):
    decided(foreign_patient, factories.user_make("radiologist", other_clinic))
    factories.membership_make(reader, other_clinic, "operator")
    for given in (str(other_clinic.pk), "00000000-0000-4000-8000-000000000000", "nonsense", ""):
        answer = browser.post(URL, asked(clinic, clinic=given))
        refused(answer, "errorlist")
        assert "Lake" not in answer.content.decode()
    told = {"first": clinic.today, "last": clinic.today, "reason": REASON}
    assert code_of(lambda: report_export(user=reader, clinic=other_clinic, **told)) == "permission_denied"


def test_a_membership_that_ended_takes_nothing_out(browser, reader, clinic, report):
    reader.memberships.update(valid_to=timezone.now())
    assert browser.post(URL, asked(clinic)).status_code in (302, 403)
    assert not ReportExport.objects.exists()


def test_emergency_access_takes_nothing_out(reader, other_clinic, foreign_patient):
    decided(foreign_patient, factories.user_make("radiologist", other_clinic))
    factories.break_glass_make(reader, other_clinic)
    told = {"first": other_clinic.today, "last": other_clinic.today, "reason": REASON}
    assert code_of(lambda: report_export(user=reader, clinic=other_clinic, **told)) == "permission_denied"


@pytest.mark.parametrize("method", ["get", "post"])
def test_who_signed_in_long_ago_is_asked_again_first(client_for, reader, clinic, report, method):
    answer = getattr(client_for(reader, ago=15 * 60 + 1), method)(URL, asked(clinic))
    assert answer.status_code == 302
    assert answer["Location"].startswith("/accounts/reauthenticate/")
    assert not ReportExport.objects.exists()


def test_the_form_is_sent_on_after_the_person_signed_in_again(client_for, reader, clinic, report):
    client = client_for(reader, ago=15 * 60 + 1)
    away = client.post(URL, asked(clinic))
    assert lines(client.post(away["Location"].split("?")[0], {"password": factories.PASSWORD, "next": URL}))
    assert ReportExport.objects.get().reason == REASON


# --- who is told


def test_the_audit_of_each_patient_says_it_with_the_reason(browser, reader, clinic, patient, report, client_for):
    other = factories.patient_make(clinic, mrn="0018")
    for _ in range(2):
        decided(other, reader)
    bystander = factories.patient_make(clinic, mrn="0019")
    factories.study_make(bystander)
    browser.post(URL, asked(clinic))
    events = AuditEvent.objects.filter(verb="export_reports")
    assert sorted(str(event.patient_id) for event in events if event.patient) == sorted(
        str(each.pk) for each in (patient, other)
    )
    assert {(event.user, event.clinic, event.reason, event.purpose) for event in events} == {
        (reader, clinic, REASON, "HOPERAT")
    }
    export = ReportExport.objects.get()
    whole = events.get(patient=None)
    assert whole.object_id == str(export.pk)
    assert whole.changes["studies"] == ["", "3"]
    assert whole.changes["patients"] == ["", "2"]
    page = client_for("clinicadmin").get(f"/audit/patients/{other.pk}/").content.decode()
    assert "Took out signed reports" in page
    assert REASON in page
    assert (
        "Took out signed reports"
        not in client_for("clinicadmin").get(f"/audit/patients/{bystander.pk}/").content.decode()
    )


@pytest.mark.django_db(transaction=True)
def test_without_a_record_nothing_leaves(browser, clinic, report, audit_down):
    answer = browser.post(URL, asked(clinic))
    assert answer.status_code == 503
    assert "0017" not in answer.content.decode()
    assert not ReportExport.objects.exists()


def test_an_export_that_breaks_off_leaves_nothing_behind(browser, clinic, report, monkeypatch):
    def fail(*args):
        raise MemoryError

    monkeypatch.setattr(service, "_audit", fail)
    assert browser.post(URL, asked(clinic)).status_code == 500
    assert not ReportExport.objects.exists()


def test_the_administrator_reads_who_took_out_what_and_radiologists_their_own(
    browser, client_for, user_for, clinic, other_clinic, report
):
    colleague = factories.user_make("radiologist", clinic, first_name="Ravi", last_name="Rao")
    browser.post(URL, asked(clinic))
    client_for(colleague).post(URL, asked(clinic, reason="Ravi counts effusions", label="effusion"))
    own = browser.get(URL).content.decode()
    assert REASON in own
    assert "Ravi counts effusions" not in own
    whole = client_for("clinicadmin").get(URL).content.decode()
    for words in (REASON, "Ravi counts effusions", "Meera Nair", "Ravi Rao", "Effusion"):
        assert words in whole
    assert "<form class" not in whole
    foreign = client_for("clinicadmin", other_clinic).get(URL).content.decode()
    assert REASON not in foreign
    assert "Nothing was taken out" in foreign


@pytest.mark.parametrize(
    ("role", "films", "menu"), [("radiologist", True, True), ("clinicadmin", True, False), ("operator", False, False)]
)
def test_links_stand_where_they_lead_somewhere(client_for, role, films, menu):
    page = client_for(role).get("/films/").content.decode()
    assert ("Exports of reports" in page, "Export reports" in page) == (films, menu)


def test_who_reads_at_two_clinics_says_of_which(browser, reader, clinic, other_clinic, report, foreign_patient):
    factories.membership_make(reader, other_clinic, "radiologist")
    decided(foreign_patient, reader)
    for at, number in ((clinic, "0017"), (other_clinic, "0042")):
        assert {line["patient number (MRN)"] for line in lines(browser.post(URL, asked(at)))} == {number}
    assert "Lake Clinic</td>" in browser.get(URL).content.decode()


# --- the second wall


def test_with_the_first_wall_down_no_foreign_report_leaves(reader, clinic, other_clinic, foreign_patient, monkeypatch):
    decided(foreign_patient, factories.user_make("radiologist", other_clinic))
    monkeypatch.setattr(access, "can_at", lambda *args: True)
    for queryset in (ReportQuerySet, ReportedFindingQuerySet, RadiographQuerySet):
        monkeypatch.setattr(queryset, "visible_to", lambda self, user: self.all())
    told = {"user": reader, "clinic": other_clinic, "first": other_clinic.today, "last": other_clinic.today}
    with acting_as(person(reader)):
        assert code_of(lambda: report_export(**told, reason=REASON)) == "export_empty"
    assert report_export(**told, reason=REASON)[0].studies == 1, "the system sees it: so this test can fail"


def test_nobody_writes_it_for_another_or_changes_it(reader, user_for, clinic, other_clinic):
    facts = {"first": date(2026, 3, 5), "last": date(2026, 3, 5), "reason": REASON, "studies": 1}
    with acting_as(person(reader)):
        for told in ({"user": user_for("clinicadmin"), "clinic": clinic}, {"user": reader, "clinic": other_clinic}):
            with pytest.raises(ProgrammingError, match="row-level security"), transaction.atomic():
                ReportExport.objects.create(**told, **facts)
        export = ReportExport.objects.create(user=reader, clinic=clinic, **facts)
        for change in (lambda rows: rows.update(reason="Another one"), lambda rows: rows.delete()):
            with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
                change(ReportExport.objects.filter(pk=export.pk))
    with acting_as(person(factories.user_make("radiologist", other_clinic))):
        assert not ReportExport.objects.exists()
    assert Report.objects.count() == 0

"""Signed reports taken out as a table: who may, who is told afterwards, and the second wall."""

from __future__ import annotations

from datetime import date

import pytest
from django.db import ProgrammingError, transaction
from django.utils import timezone

from diagnosis.models import Report, ReportExport
from diagnosis.querysets import RadiographQuerySet, ReportedFindingQuerySet, ReportQuerySet
from diagnosis.services import report_export as service
from diagnosis.services.report_export import report_export
from patients import access
from patients.actor import acting_as, person
from patients.models import AuditEvent
from tests import factories
from tests.diagnosis.report_steps import code_of
from tests.pages.exporting import REASON, URL, asked, decided, lines, refused

pytestmark = pytest.mark.django_db


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

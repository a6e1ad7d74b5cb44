"""A critical finding is raised with the step that reports it, mailed without a patient in it, escalated, withdrawn."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core import mail
from django.db import IntegrityError, transaction
from django.utils import timezone

from diagnosis.models import AlertMail, CriticalAlert
from diagnosis.monitoring import alerts_read
from diagnosis.services import reporting
from diagnosis.services.alerts import alert_acknowledge, alert_mails_send, alerts_escalate
from diagnosis.services.recovery import sweep
from patients.models import AuditEvent
from tests import factories
from tests.conftest import audit_refusing, owner_connected
from tests.diagnosis.report_steps import code_of, decide, save, sign, signed

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _addresses(clinic):
    clinic.critical_contact, clinic.escalation_contact = "desk@hill.example", "head@hill.example"
    clinic.save()


@pytest.fixture
def alert(draft, radiologist) -> CriticalAlert:
    """Of the signed report that accepted pneumonia."""
    signed(draft, radiologist)
    return CriticalAlert.objects.get()


def preliminary(report, user):
    report.refresh_from_db()
    return reporting.report_preliminary(user=user, report=report, version=report.version)


def states() -> dict[str, str]:
    return {alert.label: alert.state for alert in CriticalAlert.objects.all()}


def minutes_pass(alert: CriticalAlert, minutes: int) -> None:
    CriticalAlert.objects.filter(pk=alert.pk).update(created_at=alert.created_at - timedelta(minutes=minutes))


# --- raised


def test_a_signed_critical_finding_is_raised_once(alert, radiologist, clinic):
    assert (alert.label, alert.title, alert.state, alert.clinic) == ("pneumonia", "Pneumonia", "sent", clinic)
    assert AuditEvent.objects.filter(verb="alert", object_id=str(alert.pk), user=radiologist).count() == 1


def test_a_preliminary_report_of_which_the_clinic_was_told_is_corrected_not_discarded(draft, radiologist):
    decide(draft, radiologist, "pneumonia", "accepted")
    save(draft, radiologist, impression="Pneumonia.")
    report = preliminary(draft, radiologist)
    discard = {"user": radiologist, "report": report, "version": report.version}
    assert code_of(lambda: reporting.draft_discard(**discard)) == "clinic_told"
    decide(draft, radiologist, "pneumonia", "rejected", "no_correlate")
    assert states() == {"pneumonia": "void"}


def test_what_a_reader_rejects_alerts_nobody(draft, radiologist):
    signed(draft, radiologist, "rejected")
    assert states() == {}


def test_a_draft_alerts_nobody_and_a_preliminary_report_does_at_once(draft, radiologist):
    decide(draft, radiologist, "pneumonia", "accepted")
    save(draft, radiologist, impression="Pneumonia.")
    assert states() == {}
    preliminary(draft, radiologist)
    assert states() == {"pneumonia": "sent"}
    decide(draft, radiologist, "pneumothorax", "added")
    assert states() == {"pneumonia": "sent", "pneumothorax": "sent"}
    sign(draft, radiologist)
    assert CriticalAlert.objects.count() == 2


@pytest.mark.parametrize(
    ("label", "severity", "raised"),
    [("pneumothorax", 0.5, 1), ("device", 0.5, 0), ("fracture", 0.5, 0), ("hernia", 0.2, 1)],
)
def test_what_is_critical_is_decided_by_severity_and_the_clinics_bar(
    draft, radiologist, clinic, label, severity, raised
):
    """Findings that the model does not know are weighed by the table."""
    clinic.critical_severity = severity
    clinic.save()
    decide(draft, radiologist, label, "added")
    signed(draft, radiologist, "rejected")
    assert list(states()) == [label] * raised


def test_a_signature_that_cannot_be_recorded_leaves_no_alert(draft, radiologist):
    decide(draft, radiologist, "pneumonia", "accepted")
    save(draft, radiologist, impression="Pneumonia.")
    with owner_connected() as owner, audit_refusing(owner):
        assert code_of(lambda: sign(draft, radiologist)) == "temporarily_unavailable"
    assert (CriticalAlert.objects.count(), AlertMail.objects.count()) == (0, 0)


def test_the_database_keeps_one_alert_per_finding_and_no_empty_acknowledgement(alert):
    with pytest.raises(IntegrityError, match="one_alert_per_finding"), transaction.atomic():
        factories.alert_make(alert.report)
    with pytest.raises(IntegrityError, match="acknowledged_says"), transaction.atomic():
        CriticalAlert.objects.update(acknowledged_at=timezone.now())


# --- acknowledged


def test_whoever_may_acknowledge_says_what_was_done_and_only_one_does(alert, user_for):
    people = {role: user_for(role) for role in ("operator", "clinicadmin", "doctor", "radiographer", "radiologist")}

    def code(role: str, told: str = "Told Dr Rao") -> str:
        return code_of(lambda: alert_acknowledge(user=people[role], alert_id=alert.pk, action_taken=told))

    assert (code("operator"), code("clinicadmin"), code("doctor")) == ("not_found",) * 3
    assert code("radiographer", " ") == "action_missing"
    alert_acknowledge(user=people["radiographer"], alert_id=alert.pk, action_taken="Told Dr Rao")
    assert code("radiologist") == "alert_acknowledged"
    alert.refresh_from_db()
    assert (alert.acknowledged_by, alert.seen_by) == (people["radiographer"],) * 2
    assert AuditEvent.objects.get(verb="acknowledge").patient == alert.study.patient


def test_the_referring_doctor_acknowledges_and_a_stranger_finds_nothing(alert, user_for, other_clinic):
    doctor = user_for("doctor")
    stranger = user_for("radiologist", other_clinic)
    assert code_of(lambda: alert_acknowledge(user=stranger, alert_id=alert.pk, action_taken="x")) == "not_found"
    type(alert.study).objects.filter(pk=alert.study_id).update(referring_doctor=doctor)
    assert alert_acknowledge(user=doctor, alert_id=alert.pk, action_taken="Patient called back").state == "acknowledged"


def test_who_reads_first_is_not_told_by_the_alert_what_a_colleague_saw(draft, radiologist, clinic, user_for):
    decide(draft, radiologist, "pneumonia", "accepted")
    save(draft, radiologist, impression="Pneumonia.")
    preliminary(draft, radiologist)
    clinic.read_first = True
    clinic.save()
    other = factories.user_make("radiologist", clinic)
    assert not CriticalAlert.objects.visible_to(other).exists()
    assert CriticalAlert.objects.visible_to(user_for("radiographer")).exists()


# --- withdrawn


def amended(report, radiologist, change):
    amendment = reporting.report_amend(user=radiologist, report=report, reason="Skin fold, no pneumonia")
    change(amendment)
    return sign(amendment, radiologist)


def test_an_amendment_withdraws_what_it_does_not_say_and_raises_what_it_adds(alert, draft, radiologist):
    def change(amendment):
        decide(amendment, radiologist, "pneumonia", "rejected", "artefact")
        decide(amendment, radiologist, "pneumothorax", "added")
        save(amendment, radiologist, impression="Pneumothorax.")
        preliminary(amendment, radiologist)
        # The report in force is the signed one: what it says stands until the amendment is signed.
        assert states() == {"pneumonia": "sent", "pneumothorax": "sent"}

    amended(draft, radiologist, change)
    assert states() == {"pneumonia": "void", "pneumothorax": "sent"}
    alert.refresh_from_db()
    assert alert.void_reason == "Skin fold, no pneumonia"
    assert code_of(lambda: alert_acknowledge(user=radiologist, alert_id=alert.pk, action_taken="x")) == "alert_void"
    alert_mails_send()
    assert sorted(AlertMail.objects.exclude(mailed_at=None).values_list("kind", flat=True)) == ["raised", "withdrawn"]


def test_a_finding_withdrawn_and_reported_again_is_raised_again(draft, radiologist):
    decide(draft, radiologist, "pneumonia", "accepted")
    save(draft, radiologist, impression="Pneumonia.")
    preliminary(draft, radiologist)
    decide(draft, radiologist, "pneumonia", "rejected", "artefact")
    assert states() == {"pneumonia": "void"}
    decide(draft, radiologist, "pneumonia", "accepted")
    assert sorted(alert.state for alert in CriticalAlert.objects.all()) == ["sent", "void"]


# --- mailed and escalated


def test_mails_name_the_clinic_and_nothing_of_the_patient(draft, radiologist, patient, clinic, settings):
    settings.SITE_URL = "https://xray.example"
    factories.identifier_make(patient, "778899", "ABHA")
    decide(draft, radiologist, "pneumothorax", "added")
    signed(draft, radiologist)
    for alert in CriticalAlert.objects.all():
        minutes_pass(alert, 31)
    sweep()
    raised, escalated = mail.outbox
    assert (raised.to, escalated.to) == (["desk@hill.example"], ["desk@hill.example", "head@hill.example"])
    for sent in mail.outbox:
        text = (sent.subject + sent.body).lower()
        assert "hill clinic" in text
        assert "https://xray.example/follow-up/" in text
        secrets = ("asha", "verma", "0017", "778899", "1961", "pneumo", "female", str(draft.study_id), str(patient.pk))
        assert [secret for secret in secrets if secret in text] == []


def test_nobody_is_escalated_to_before_the_time_is_up_nor_twice(alert):
    minutes_pass(alert, 29)
    assert alerts_escalate() == 0
    minutes_pass(alert, 30)
    assert (alerts_escalate(), alerts_escalate()) == (1, 0)
    assert states() == {"pneumonia": "escalated"}
    assert AlertMail.objects.filter(kind="escalated").count() == 1
    assert AuditEvent.objects.get(verb="escalate").user is None


@pytest.mark.parametrize("end", ["acknowledged", "void"])
def test_what_is_closed_is_neither_escalated_nor_mailed(alert, radiologist, draft, end):
    minutes_pass(alert, 60)
    if end == "acknowledged":
        alert_acknowledge(user=radiologist, alert_id=alert.pk, action_taken="Told Dr Rao")
    else:
        CriticalAlert.objects.update(voided_at=timezone.now(), void_reason="Artefact")
    assert (alerts_escalate(), alert_mails_send()) == (0, 0)


def test_a_mail_that_was_being_sent_when_the_sweeper_died_is_sent_later(alert, monkeypatch, time_machine_at):
    """As kill -9 leaves it: the try is written down, the mail is not sent."""

    def die(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr("patients.outbox.send_mail", die)
        with pytest.raises(KeyboardInterrupt):
            alert_mails_send()
    assert alert_mails_send() == 0  # another sweeper may be at it
    time_machine_at(timezone.now() + timedelta(minutes=6))
    assert (alert_mails_send(), alert_mails_send()) == (1, 0)


def test_a_clinic_without_an_address_is_told_once_it_has_one(alert, clinic):
    clinic.critical_contact = clinic.escalation_contact = ""
    clinic.save()
    assert alert_mails_send() == 0
    clinic.critical_contact = "desk@hill.example"
    clinic.save()
    assert alert_mails_send() == 1


def test_the_status_says_how_many_are_late_and_which_mails_fail(alert, monkeypatch):
    def codes():
        return {each.code: each.sentence for each in alerts_read() if each.code.startswith("critical")}

    def refuse(*args, **kwargs):
        raise ConnectionRefusedError

    assert codes() == {}
    minutes_pass(alert, 31)
    monkeypatch.setattr("patients.outbox.send_mail", refuse)
    alert_mails_send()
    assert set(codes()) == {"critical_late", "critical_unmailed"}
    assert "in time: 1." in codes()["critical_late"]

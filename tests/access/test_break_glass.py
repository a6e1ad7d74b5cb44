"""Emergency access: a reason, an hour, reading only, on record, told to the clinic; gone when it is over."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core import mail
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from diagnosis.models import Prediction, Radiograph, Study
from patients import access
from patients.emergency import break_glass_mails_send, break_glass_start
from patients.errors import ApplicationError
from patients.models import AuditEvent, BreakGlass, Patient, Purpose
from patients.policy import BREAK_GLASS, MATRIX
from tests import factories

REASON = "Unconscious patient, nobody of the clinic answers."


@pytest.fixture
def clinic(clinic):
    clinic.privacy_contact = "privacy@hill.example"
    clinic.save()
    return clinic


@pytest.fixture
def film(patient):
    return factories.predicted_film_make(factories.study_make(patient)).radiograph


@pytest.fixture(params=["system", "radiologist"])
def opener(request, user_for, other_clinic):
    """A system administrator, and a radiologist of another clinic."""
    return user_for("system") if request.param == "system" else user_for("radiologist", other_clinic)


def visible(user):
    rows = [model.objects.visible_to(user).count() for model in (Patient, Study, Radiograph, Prediction)]
    return [*rows, Radiograph.objects.image_visible_to(user).count()]


def test_the_records_open_and_close(opener, clinic, film, client_for):
    browser = client_for(opener)
    assert visible(opener) == [0] * 5
    assert browser.post("/emergency/", {"clinic": clinic.pk, "reason": REASON}).url == "/patients/"
    assert visible(opener) == [1] * 5
    assert "Asha Verma" in browser.get(f"/studies/{film.study_id}/").content.decode()
    use = BreakGlass.objects.get()
    browser.post(f"/emergency/{use.pk}/end/")
    assert visible(opener) == [0] * 5
    assert browser.get(f"/studies/{film.study_id}/").status_code == 404


def test_it_is_over_after_an_hour(opener, clinic, film, time_machine_at):
    break_glass_start(user=opener, clinic=clinic, reason=REASON)
    now = timezone.now()
    time_machine_at(now + timedelta(minutes=59))
    assert visible(opener) == [1] * 5
    time_machine_at(now + timedelta(minutes=61))
    assert visible(opener) == [0] * 5


def test_the_database_knows_no_longer_hour(opener, clinic):
    use = break_glass_start(user=opener, clinic=clinic, reason=REASON)
    with pytest.raises(IntegrityError), transaction.atomic():
        BreakGlass.objects.filter(pk=use.pk).update(ends_at=use.ends_at + timedelta(seconds=1))


def test_a_second_reason_does_not_prolong_it(opener, clinic):
    uses = {break_glass_start(user=opener, clinic=clinic, reason=REASON).pk for _ in range(2)}
    assert len(uses) == BreakGlass.objects.count() == 1


def test_only_the_chosen_clinic_opens(user_for, clinic, film, foreign_patient):
    system = user_for("system")
    break_glass_start(user=system, clinic=clinic, reason=REASON)
    assert {patient.clinic for patient in Patient.objects.visible_to(system)} == {clinic}


@pytest.mark.parametrize("reason", ["", "urgent", "patient is ill", "a\x00b c d e"])
def test_a_reason_is_a_sentence(client_for, clinic, reason):
    answer = client_for("system").post("/emergency/", {"clinic": clinic.pk, "reason": reason})
    assert answer.status_code == 400
    assert not BreakGlass.objects.exists()


@pytest.mark.parametrize("role", ["operator", "radiographer", "doctor", "clinicadmin"])
def test_nobody_else_may(user_for, clinic, other_clinic, role):
    with pytest.raises(ApplicationError, match="Your role does not allow this"):
        break_glass_start(user=user_for(role, other_clinic), clinic=clinic, reason=REASON)


def test_it_needs_a_recent_sign_in(client_for, user_for, clinic):
    answer = client_for(user_for("system"), ago=1000).post("/emergency/", {"clinic": clinic.pk, "reason": REASON})
    assert "/accounts/reauthenticate/" in answer.url
    assert not BreakGlass.objects.exists()


def test_who_is_no_radiologist_any_more_reads_nothing_more(user_for, clinic, other_clinic, film):
    radiologist = user_for("radiologist", other_clinic)
    break_glass_start(user=radiologist, clinic=clinic, reason=REASON)
    radiologist.memberships.update(valid_to=timezone.now())
    assert visible(radiologist) == [0] * 5


def test_nothing_can_be_changed(opener, clinic, patient, film, client_for, api_for):
    break_glass_start(user=opener, clinic=clinic, reason=REASON)
    before = Patient.objects.values().get(), film.jobs.count()
    browser, api = client_for(opener), api_for(opener)
    assert browser.get(f"/patients/{patient.pk}/edit/").status_code == 403
    assert browser.post(f"/patients/{patient.pk}/edit/", {"name": "X", "birth_year": "1961"}).status_code == 403
    assert browser.post("/patients/new/", {"name": "X", "clinic": clinic.pk}).status_code == 403
    assert api.patch(f"/api/v1/patients/{patient.pk}/", {"phone": "1"}, format="json").status_code == 403
    assert api.post(f"/api/v1/studies/{film.study_id}/radiographs/", {}, HTTP_IDEMPOTENCY_KEY="k").status_code == 403
    assert browser.get(f"/people/{clinic.pk}/{opener.pk}/").status_code == 404
    assert (Patient.objects.values().get(), film.jobs.count()) == before


def test_what_it_allows_is_reading():
    assert {action.value.split(".")[1] for action in BREAK_GLASS} == {"view", "status"}
    assert set(MATRIX) > BREAK_GLASS


def test_everything_read_is_recorded_with_purpose_and_reason(opener, clinic, patient, film, client_for):
    browser = client_for(opener)
    browser.post("/emergency/", {"clinic": clinic.pk, "reason": REASON})
    for path in ("/patients/", f"/patients/{patient.pk}/", f"/studies/{film.study_id}/", "/films/"):
        assert browser.get(path).status_code == 200
    browser.post(f"/emergency/{BreakGlass.objects.get().pk}/end/")
    events = AuditEvent.objects.filter(user=opener)
    assert {event.verb for event in events} == {"break-glass", "list", "read", "break-glass-end"}
    assert {(event.purpose, event.reason, event.clinic) for event in events} == {(Purpose.EMERGENCY, REASON, clinic)}
    assert {event.role for event in events} == {"system" if opener.is_superuser else "break-glass"}


def test_what_a_radiologist_reads_at_their_own_clinic_meanwhile_is_treatment(
    user_for, clinic, other_clinic, foreign_patient, client_for
):
    radiologist = user_for("radiologist", other_clinic)
    break_glass_start(user=radiologist, clinic=clinic, reason=REASON)
    client_for(radiologist).get(f"/patients/{foreign_patient.pk}/")
    event = AuditEvent.objects.get(verb="read")
    assert (event.purpose, event.reason, event.role) == (Purpose.TREATMENT, "", "radiologist")


# --- everybody can see it


@pytest.mark.parametrize("path", ["/status/", "/patients/", "/accounts/2fa/", "/admin/"])
def test_every_page_says_so_and_can_end_it(client_for, user_for, clinic, path):
    browser = client_for("system")
    assert "Emergency access to Hill Clinic" not in browser.get(path).content.decode()
    use = break_glass_start(user=user_for("system"), clinic=clinic, reason=REASON)
    page = browser.get(path).content.decode()
    assert "Emergency access to Hill Clinic" in page
    assert f"/emergency/{use.pk}/end/" in page


def test_nobody_ends_the_emergency_of_another(client_for, user_for, clinic):
    use = break_glass_start(user=user_for("system"), clinic=clinic, reason=REASON)
    assert client_for("clinicadmin").post(f"/emergency/{use.pk}/end/").status_code == 404
    assert access.rights_of(user_for("system")).break_glass


def test_the_clinic_reads_who_when_why_and_whether_it_was_told(client_for, user_for, clinic, other_clinic):
    break_glass_start(user=user_for("system"), clinic=clinic, reason=REASON)
    page = client_for("clinicadmin").get("/emergency/uses/").content.decode()
    assert REASON in page
    assert "on its way" in page
    break_glass_mails_send()
    assert "sent" in client_for("clinicadmin").get("/emergency/uses/").content.decode()
    assert REASON not in client_for("clinicadmin", other_clinic).get("/emergency/uses/").content.decode()


# --- the mail


def test_the_privacy_contact_gets_one_mail_without_patient_data(user_for, clinic, patient, film):
    system = user_for("system")
    break_glass_start(user=system, clinic=clinic, reason="Asha Verma lies unconscious here.")
    assert (break_glass_mails_send(), break_glass_mails_send()) == (1, 0)
    (sent,) = mail.outbox
    assert sent.to == ["privacy@hill.example"]
    assert system.username in sent.body
    assert "Asha" not in sent.subject + sent.body


def test_a_mail_that_cannot_be_sent_is_shown_and_sent_later(user_for, clinic, client_for, monkeypatch, time_machine_at):
    def refuse(*args, **kwargs):
        raise ConnectionRefusedError

    break_glass_start(user=user_for("system"), clinic=clinic, reason=REASON)
    with monkeypatch.context() as broken:
        broken.setattr("patients.outbox.send_mail", refuse)
        assert break_glass_mails_send() == 0
    assert "is tried again" in client_for("clinicadmin").get("/emergency/uses/").content.decode()
    assert break_glass_mails_send() == 0  # not at once
    time_machine_at(timezone.now() + timedelta(minutes=6))
    assert break_glass_mails_send() == 1
    assert len(mail.outbox) == 1


def test_a_clinic_without_a_contact_is_told_on_its_page_and_by_mail_once_it_has_one(user_for, client_for, other_clinic):
    answer = client_for("system").post("/emergency/", {"clinic": other_clinic.pk, "reason": REASON}, follow=True)
    assert "has named nobody to be told" in answer.content.decode()
    assert break_glass_mails_send() == 0
    page = client_for("clinicadmin", other_clinic).get("/emergency/uses/").content.decode()
    assert "has no privacy contact" in page
    assert "no contact" in page
    other_clinic.privacy_contact = "privacy@lake.example"
    other_clinic.save()
    assert break_glass_mails_send() == 1


def test_the_sweeper_sends_it(user_for, clinic):
    from diagnosis.services.recovery import sweep

    break_glass_start(user=user_for("system"), clinic=clinic, reason=REASON)
    sweep()
    assert len(mail.outbox) == 1


# --- the second wall


def clinics_that_the_database_opens(user):
    """Where the policies let this person read, and where they let them change."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('cxr.actor', %s, true)", [str(user.pk)])
        cursor.execute("SELECT cxr_read_clinics()::text[], cxr_clinics()::text[]")
        return tuple(set(ids) for ids in cursor.fetchone())


def test_the_second_wall_opens_reading_and_closes_again(opener, clinic, other_clinic):
    works_at = set() if opener.is_superuser else {str(other_clinic.pk)}
    assert clinics_that_the_database_opens(opener) == (works_at, works_at)
    use = break_glass_start(user=opener, clinic=clinic, reason=REASON)
    assert clinics_that_the_database_opens(opener) == (works_at | {str(clinic.pk)}, works_at)
    now = timezone.now()
    BreakGlass.objects.filter(pk=use.pk).update(started_at=now - timedelta(hours=2), ends_at=now - timedelta(hours=1))
    assert clinics_that_the_database_opens(opener) == (works_at, works_at)

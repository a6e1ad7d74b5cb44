"""Pictures that go before their time: the clinic asks, the system administrator decides, and what has to stay stays."""

from __future__ import annotations

import io

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction

from diagnosis import storage
from diagnosis.models import FilmExpiry, Reading, StudyRemoval
from diagnosis.services.infer import infer_waiting
from diagnosis.services.removal import removal_ask, removal_decide
from diagnosis.services.retention import legal_hold_record
from patients.models import AuditEvent
from tests import factories
from tests.diagnosis.report_steps import code_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def clinicadmin(user_for):
    return user_for("clinicadmin")


@pytest.fixture
def film(model, prepared):
    """A film that went the whole way and that nobody has read, with its files."""
    radiograph = prepared(1).radiograph
    infer_waiting(worker="test")
    return radiograph


@pytest.fixture
def removal(film, clinicadmin):
    return removal_ask(user=clinicadmin, study_id=film.study_id, reason="A hand, not a chest")


def run(*options: str) -> str:
    said = io.StringIO()
    call_command("removal", *options, stdout=said)
    return said.getvalue()


def test_the_pictures_go_and_everything_else_stays(film, removal, system_admin, client_for):
    assert Reading.objects.get(study=film.study).closed_at is None
    removal_decide(user=system_admin, removal=removal, removes=True)
    expiry = FilmExpiry.objects.get(radiograph=film)
    assert expiry.rule == "removed at the clinic's request: A hand, not a chest"
    assert expiry.size > 0
    assert storage.film_size(film.sha256) == 0
    assert Reading.objects.get(study=film.study).closed_at is not None
    assert client_for("radiologist").get(f"/images/{film.pk}/").status_code == 410
    removal.refresh_from_db()
    assert (removal.outcome, removal.decided_by) == ("removed", system_admin)
    for verb in ("removal_ask", "removal_removed"):
        assert AuditEvent.objects.get(verb=verb).reason == "A hand, not a chest"


def test_who_asked_does_not_decide(film, removal, clinicadmin):
    assert code_of(lambda: removal_decide(user=clinicadmin, removal=removal, removes=True)) == "permission_denied"
    clinicadmin.is_superuser = True
    clinicadmin.save()
    assert code_of(lambda: removal_decide(user=clinicadmin, removal=removal, removes=True)) == "removal_same_person"
    with pytest.raises(IntegrityError), transaction.atomic():
        StudyRemoval.objects.filter(pk=removal.pk).update(
            outcome="removed", decided_by=clinicadmin, decided_at=removal.asked_at
        )
    assert storage.film_size(film.sha256) > 0


def test_what_has_to_stay_stays(film, clinicadmin, user_for):
    told = {"user": clinicadmin, "study_id": film.study_id, "reason": "A hand"}
    report = factories.report_make(film.study, user_for("radiologist"), "draft")
    assert code_of(lambda: removal_ask(**told)) == "removal_kept"
    report.delete()
    job = factories.job_make(film, "prepare")
    assert code_of(lambda: removal_ask(**told)) == "removal_kept"
    type(job).objects.filter(pk=job.pk).update(state="cancelled")
    hold = {"user": clinicadmin, "patient": film.study.patient, "reason": "The claim"}
    legal_hold_record(**hold, holds=True)
    assert code_of(lambda: removal_ask(**told)) == "removal_kept"
    legal_hold_record(**hold, holds=False)
    factories.report_make(film.study, user_for("radiologist"))
    assert code_of(lambda: removal_ask(**told)) == "removal_kept"


def test_what_was_signed_after_it_was_asked_stays(film, removal, system_admin, user_for):
    factories.report_make(film.study, user_for("radiologist"))
    assert code_of(lambda: removal_decide(user=system_admin, removal=removal, removes=True)) == "removal_kept"
    assert storage.film_size(film.sha256) > 0
    removal.refresh_from_db()
    assert removal.outcome == ""


@pytest.mark.parametrize(("reason", "code"), [(" ", "removal_reason_missing"), ("a\nb", "invalid_text")])
def test_a_reason_is_needed(film, clinicadmin, reason, code):
    assert code_of(lambda: removal_ask(user=clinicadmin, study_id=film.study_id, reason=reason)) == code


def test_it_is_asked_once_and_decided_once(film, removal, clinicadmin, system_admin):
    told = {"user": clinicadmin, "study_id": film.study_id, "reason": "Again"}
    assert code_of(lambda: removal_ask(**told)) == "removal_asked"
    removal_decide(user=system_admin, removal=removal, removes=False)
    assert code_of(lambda: removal_decide(user=system_admin, removal=removal, removes=True)) == "removal_decided"
    again = removal_ask(**told)
    removal_decide(user=system_admin, removal=again, removes=True)
    assert code_of(lambda: removal_ask(**told)) == "removal_gone"


def test_only_the_clinics_administrator_asks(film, user_for, other_clinic):
    told = {"study_id": film.study_id, "reason": "A hand"}
    assert code_of(lambda: removal_ask(user=user_for("radiologist"), **told)) == "permission_denied"
    assert code_of(lambda: removal_ask(user=user_for("clinicadmin", other_clinic), **told)) == "not_found"


# --- page and command


def test_the_page_asks_and_the_command_decides(film, client_for, system_admin):
    client = client_for("clinicadmin")
    unknown = client.post("/retention/removals/", {"study": "nonsense", "reason": "A hand"}, follow=True)
    assert "No study of your clinics has this id" in unknown.content.decode()
    assert run() == "No clinic asks for a removal.\n"
    told = {"study": str(film.study_id), "reason": "A hand"}
    page = client.post("/retention/removals/", told, follow=True).content.decode()
    assert "The system administrator decides" in page
    assert str(film.study_id) in page
    removal = StudyRemoval.objects.get()
    assert str(removal.pk) in run()
    with pytest.raises(CommandError, match="Say who decides"):
        run(str(removal.pk))
    with pytest.raises(CommandError, match="permission_denied"):
        run(str(removal.pk), "--by", removal.asked_by.username, "--yes")
    assert run(str(removal.pk), "--by", system_admin.username, "--yes") == "Removed.\n"
    assert "<strong>Removed</strong>" in client.get("/retention/").content.decode()


def test_the_clinic_takes_it_back(film, removal, client_for):
    client = client_for("clinicadmin")
    address = f"/retention/removals/{removal.pk}/"
    assert "The pictures stay" in client.post(address, follow=True).content.decode()
    assert "decided or withdrawn already" in client.post(address, follow=True).content.decode()
    assert storage.film_size(film.sha256) > 0

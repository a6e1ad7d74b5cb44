"""PostgreSQL shows and takes only the rows of whoever acts, whatever the query; the site cannot change that."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.core.checks import Error, Warning
from django.db import IntegrityError, OperationalError, ProgrammingError, connection, transaction
from django.db.backends.postgresql.base import DatabaseWrapper
from django.utils import timezone

from cxrsite.checks import row_security_binds_us
from cxrsite.database import as_owner
from diagnosis.models import FilmExpiry, Finding, Job, Prediction, Radiograph, Reading, Report, Study
from diagnosis.row_security import APPEND_ONLY, EXEMPT, RULES
from patients.actor import NOBODY, SYSTEM, acting_as, administrator, person
from patients.audit import audit_record
from patients.models import AuditEvent, AuditSeal, Consent, LegalHold, Patient, PatientIdentifier, User
from patients.row_security import holds_patient_data, rows_by_table
from tests import factories
from tests.conftest import owner_connected

CLINICAL = [Patient, PatientIdentifier, Consent, LegalHold, Study, Radiograph, FilmExpiry, Job, Prediction, Finding]
CLINICAL += [Reading, Report]
REFUSED = pytest.raises(ProgrammingError, match="row-level security")


@pytest.fixture
def rows(patient, foreign_patient, user_for, other_clinic):
    """One row of every clinical table at each of two clinics."""
    for each, author in ((patient, user_for("radiologist")), (foreign_patient, user_for("radiologist", other_clinic))):
        study = factories.study_make(each)
        factories.predicted_film_make(study)
        factories.reading_make(study)
        factories.consent_make(each, "care", recorded_by=author)
        factories.legal_hold_make(each, author)
        factories.expiry_make(study.radiographs.get())
        factories.report_make(study, author)


def seen(actor: str) -> dict[str, int]:
    """How many rows of each clinical table a query without any condition finds."""
    with acting_as(actor):
        return {model.__name__: model.objects.count() for model in CLINICAL}


def half(counts: dict[str, int]) -> dict[str, int]:
    return {name: count // 2 for name, count in counts.items()}


# --- who sees what


def test_nobody_sees_no_row_and_the_system_every_row(rows):
    assert set(seen(NOBODY).values()) == {0}
    assert all(seen(SYSTEM).values())


@pytest.mark.parametrize("role", ["operator", "radiographer", "radiologist", "clinicadmin"])
def test_people_see_the_rows_of_their_clinics(rows, user_for, role):
    assert seen(person(user_for(role))) == half(seen(SYSTEM))


def test_a_membership_that_ended_and_an_account_that_is_closed_show_nothing(rows, user_for):
    operator, radiologist = user_for("operator"), user_for("radiologist")
    operator.memberships.update(valid_to=timezone.now() - timedelta(seconds=1))
    User.objects.filter(pk=radiologist.pk).update(is_active=False)
    for user in (operator, radiologist):
        assert set(seen(person(user)).values()) == {0}


def test_a_referring_doctor_sees_the_patients_of_referred_films_and_nothing_else(rows, user_for, clinic, patient):
    doctor = user_for("doctor")
    other = factories.patient_make(clinic, mrn="other")
    factories.predicted_film_make(factories.study_make(other))
    assert set(seen(person(doctor)).values()) == {0}
    Study.objects.filter(patient=patient).update(referring_doctor=doctor)
    with acting_as(person(doctor)):
        assert list(Patient.objects.all()) == [patient]
        assert {finding.prediction.radiograph.study.patient for finding in Finding.objects.all()} == {patient}
        assert Report.objects.count() == 1


def test_a_system_administrator_sees_all_rows_in_the_administration_only(rows, system_admin, user_for):
    assert set(seen(person(system_admin)).values()) == {0}
    assert set(seen(administrator(user_for("operator"))).values()) == {0}


# --- who writes what


def test_nothing_is_hung_on_a_foreign_row(rows, user_for, clinic, patient, foreign_patient):
    own, foreign = Study.objects.get(patient=patient), Study.objects.get(patient=foreign_patient)
    film = foreign.radiographs.get()
    with acting_as(person(user_for("operator"))):
        for make in (
            lambda: factories.patient_make(foreign_patient.clinic),
            lambda: Study.objects.create(patient=foreign_patient, clinic=clinic),
            lambda: factories.radiograph_make(foreign, clinic=clinic),
            lambda: factories.job_make(film),
            lambda: factories.report_make(foreign, user_for("radiologist"), "draft"),
        ):
            with REFUSED, transaction.atomic():
                make()
        factories.job_make(factories.radiograph_make(own))


def test_a_change_to_everything_changes_the_own_clinic_only(rows, user_for):
    with acting_as(person(user_for("operator"))):
        assert Patient.objects.update(phone="1") == 1
        with REFUSED, transaction.atomic():
            Patient.objects.update(clinic=factories.clinic_make())
        assert PatientIdentifier.objects.all().delete()[0] == 1
    assert Patient.objects.filter(phone="").count() == PatientIdentifier.objects.count() == 1


def test_people_write_no_result(rows, user_for, patient):
    radiograph = factories.radiograph_make(Study.objects.get(patient=patient))
    with acting_as(person(user_for("radiologist"))), REFUSED:
        factories.prediction_make(radiograph)


def test_people_record_in_their_own_name(user_for, patient, clinic):
    operator, colleague = user_for("operator"), user_for("radiologist")
    with acting_as(person(operator)):
        audit_record(user=operator, verb="read", target=patient, clinic=clinic, patient=patient)
        with REFUSED, transaction.atomic():
            AuditEvent.objects.create(user=colleague, verb="read", clinic=clinic, patient=patient)
    with acting_as(NOBODY):
        assert AuditEvent.objects.create(verb="sign_in", outcome="refused").pk
        assert AuditEvent.objects.get().patient is None
        assert AuditSeal.objects.count() == 0


# --- the wall itself


def test_without_the_wall_the_same_query_shows_the_foreign_row(django_db_setup, django_db_blocker):
    """So these tests can fail: a policy is taken away, the site's login asks, and all of it is rolled back."""
    with django_db_blocker.unblock(), as_owner(), transaction.atomic(), connection.cursor() as cursor:
        for code in ("one", "two"):
            factories.patient_make(factories.clinic_make(code=code))
        operator = factories.user_make("operator", Patient.objects.first().clinic)
        cursor.execute(f"SET LOCAL ROLE {django_settings.DATABASES['default']['USER']}")
        assert seen(person(operator))["Patient"] == 1
        cursor.execute("RESET ROLE; DROP POLICY cxr_select ON patients_patient")
        cursor.execute("CREATE POLICY cxr_select ON patients_patient FOR SELECT USING (true)")
        cursor.execute(f"SET LOCAL ROLE {django_settings.DATABASES['default']['USER']}")
        assert seen(person(operator))["Patient"] == 2
        transaction.set_rollback(True)


def test_every_model_that_leads_to_a_patient_or_a_clinic_has_its_rule_or_its_reason():
    tables = rows_by_table(RULES, EXEMPT)
    assert {"patients_patienthistory", "diagnosis_studyhistory"} <= {name for name, rows in tables.items() if rows}
    for model in CLINICAL:
        assert holds_patient_data(model)
        with pytest.raises(ValueError, match=model._meta.label):
            rows_by_table({label: rows for label, rows in RULES.items() if label != model._meta.label}, EXEMPT)
    assert not holds_patient_data(User)


def test_the_sites_login_owns_nothing_truncates_nothing_and_rewrites_no_record(db):
    def tables(condition: str) -> set[str]:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND {condition}")
            return {name for (name,) in cursor.fetchall()}

    assert tables("pg_get_userbyid(relowner) = current_user") == set()
    assert tables("relkind = 'r' AND has_table_privilege(oid, 'TRUNCATE, TRIGGER, REFERENCES')") == set()
    changed = tables("relkind = 'r' AND has_table_privilege(oid, 'UPDATE, DELETE')")
    kept = {"patients_auditevent", "patients_auditseal", "diagnosis_prediction", "diagnosis_finding"}
    assert changed & (kept | {"diagnosis_modelchange", "django_migrations"}) == set()
    assert not [name for name in changed if name.endswith("history")]
    assert {"diagnosis.ModelChange"} == APPEND_ONLY
    forced = tables("relkind = 'r' AND relrowsecurity AND relforcerowsecurity")
    assert forced == {name for name, rows in rows_by_table(RULES, EXEMPT).items() if rows}


# --- who acts


def asked() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('cxr.actor', true)")
        return cursor.fetchone()[0] or ""


def test_a_request_leaves_no_person_behind_on_the_connection(client_for, patient):
    with acting_as(NOBODY):
        assert client_for("operator").get("/patients/").status_code == 200
        assert (asked(), Patient.objects.count()) == ("", 0)


@pytest.mark.django_db(transaction=True)
def test_a_connection_opened_anew_knows_who_acts(user_for):
    operator = user_for("operator")
    with acting_as(person(operator)):
        connection.close()
        assert asked() == str(operator.pk)
    assert asked() == SYSTEM


@pytest.mark.django_db(transaction=True)
def test_a_failed_transaction_and_a_dead_connection_do_not_keep_an_actor(user_for):
    operator = person(user_for("operator"))
    with pytest.raises(IntegrityError), transaction.atomic(), acting_as(operator):
        User.objects.create(username=user_for("operator").username)
    assert asked() == SYSTEM
    lost = pytest.raises(OperationalError, match="terminat")
    with acting_as(operator), connection.cursor() as cursor, lost:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert asked() == SYSTEM


def _end_connection() -> None:
    """As when PostgreSQL dies: our end still believes that it is connected."""
    with owner_connected() as owner:
        owner.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.connection.info.backend_pid])


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_dies_before_it_knows_who_acts_is_the_database_being_away(monkeypatch):
    opened = DatabaseWrapper.init_connection_state

    def open_and_die(self: DatabaseWrapper) -> None:
        opened(self)
        _end_connection()

    monkeypatch.setattr(DatabaseWrapper, "init_connection_state", open_and_die)
    connection.close()
    with pytest.raises(OperationalError):
        Patient.objects.exists()
    monkeypatch.undo()
    assert not Patient.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_dies_within_a_transaction_is_the_database_being_away():
    def die_and_act() -> None:
        with transaction.atomic():
            Patient.objects.exists()
            _end_connection()
            with acting_as(NOBODY):
                pytest.fail("nobody can act on a dead connection")

    with pytest.raises(OperationalError):
        die_and_act()
    assert asked() == SYSTEM


def test_a_web_process_begins_as_nobody():
    code = "import cxrsite.wsgi; from patients import actor; print(repr(actor._process_actor))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "''\n"


# --- said at start-up


def test_the_sites_own_login_is_bound(db):
    assert row_security_binds_us(None, ["default"]) == []


@pytest.mark.usefixtures("database_owner")
@pytest.mark.parametrize(("will_do", "kind"), [(True, Warning), (False, Error)])
def test_a_login_that_the_wall_does_not_bind_is_said(db, monkeypatch, settings, will_do, kind):
    settings.ONE_DATABASE_LOGIN_WILL_DO = will_do
    monkeypatch.setitem(settings.DATABASES["default"], "USER", settings.DATABASE_OWNER["USER"])
    (said,) = row_security_binds_us(None, ["default"])
    assert (type(said), said.id) == (kind, "cxr.E004")


@pytest.mark.usefixtures("database_owner")
def test_a_wall_that_does_not_stand_is_said(db, monkeypatch, settings):
    monkeypatch.setitem(settings.DATABASES["default"], "USER", settings.DATABASE_OWNER["USER"])
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE patients_patient DISABLE ROW LEVEL SECURITY")
    assert "cxr.E005" in [said.id for said in row_security_binds_us(None, ["default"])]

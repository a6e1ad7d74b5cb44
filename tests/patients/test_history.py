"""Every version of a clinical row is kept, whoever changed it and by whichever way, and cannot be rewritten."""

from __future__ import annotations

import pghistory
import pytest
from django.apps import apps
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from diagnosis.models import (
    AlertMail,
    Distribution,
    Finding,
    FirstImpression,
    Job,
    ModelChange,
    Prediction,
    Radiograph,
    ReportExport,
    ReportSettings,
    SavedView,
    Study,
    Tally,
    ThresholdChange,
    UploadKey,
    Worker,
)
from patients.history import History, history_begin
from patients.models import AuditEvent, AuditSeal, BreakGlass, Patient, User
from tests import factories

#: Not tracked, each for a reason given in `patients.history.tracked`, or itself a record that only grows.
UNTRACKED = {
    BreakGlass,
    Job,
    Worker,
    Tally,
    UploadKey,
    Prediction,
    Finding,
    FirstImpression,
    ReportExport,
    SavedView,
    AlertMail,
    Distribution,
    ModelChange,
    ThresholdChange,
    AuditEvent,
    AuditSeal,
}
HISTORIES = [model for model in apps.get_models() if issubclass(model, History)]


def history_of(row: object) -> list[tuple[str, object]]:
    """Label and context of each version, oldest first."""
    versions = type(row).pgh_event_model.objects.filter(pgh_obj=row).order_by("pgh_id")
    return list(versions.values_list("pgh_label", "pgh_context"))


def test_every_model_has_a_history_or_a_reason_to_have_none():
    ours = {
        model
        for app in ("patients", "diagnosis")
        for model in apps.get_app_config(app).get_models()
        if not issubclass(model, History)
    }
    assert {model for model in ours if not hasattr(model, "pgh_event_model")} == UNTRACKED


def test_a_page_leaves_who_changed_what_in_which_request(client_for, user_for, patient):
    form = {"name": "Asha Sharma", "birth_year": "1961", "sex": "female"}
    response = client_for("operator").post(f"/patients/{patient.pk}/edit/", form)
    (_, (label, context)) = history_of(patient)
    assert (label, context) == ("update", {"user": user_for("operator").pk, "request": response["X-Request-ID"]})
    names = Patient.pgh_event_model.objects.order_by("pgh_id").values_list("name", flat=True)
    assert list(names) == ["Asha Verma", "Asha Sharma"]


def test_a_program_with_a_token_is_named_too(api_for, user_for, patient):
    api_for("operator").patch(f"/api/v1/patients/{patient.pk}/", {"phone": "12345"}, format="json")
    assert history_of(patient)[-1][1]["user"] == user_for("operator").pk


def test_a_bulk_update_is_seen(patient):
    Patient.objects.update(phone="1")
    assert history_of(patient) == [("insert", None), ("update", None)]


def test_a_change_in_raw_sql_is_seen_and_has_nobodys_name(patient):
    with connection.cursor() as cursor:
        cursor.execute("UPDATE patients_patient SET name = 'X%' WHERE name LIKE 'Asha%'")
    assert history_of(patient) == [("insert", None), ("update", None)]


def test_raw_sql_with_percent_signs_still_runs_within_a_request(patient):
    with pghistory.context(worker="test"), connection.cursor() as cursor:
        cursor.execute("UPDATE patients_patient SET phone = %s WHERE name LIKE 'Asha%%'", ["7"])
        assert cursor.rowcount == 1
    assert history_of(patient)[-1] == ("update", {"worker": "test"})


def test_what_is_deleted_stays_as_it_was(client_for, user_for, patient):
    number = patient.identifiers.get()
    client_for("operator").post(f"/patients/{patient.pk}/identifiers/{number.pk}/remove/")
    kept = type(number).pgh_event_model.objects.filter(patient=patient).latest("pgh_id")
    assert (kept.pgh_label, kept.value, kept.pgh_context["user"]) == ("delete", "0017", user_for("operator").pk)


def test_writing_the_same_again_is_no_version(patient):
    Patient.objects.update(name=patient.name)
    assert len(history_of(patient)) == 1


def test_a_password_is_in_no_history(user_for):
    user = user_for("operator")
    user.set_password("another long one")
    user.save()
    assert [label for label, _ in history_of(user)] == ["insert"]
    assert "password" not in {field.name for field in User.pgh_event_model._meta.fields}
    User.objects.filter(pk=user.pk).update(is_superuser=True)
    assert [label for label, _ in history_of(user)] == ["insert", "update"]


def test_a_refused_change_leaves_no_version(patient, user_for):
    report = factories.report_make(factories.study_make(patient), user_for("radiologist"))
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        type(report).objects.update(impression="other")
    assert len(history_of(report)) == 1


@pytest.mark.usefixtures("database_owner")
@pytest.mark.parametrize("statement", ["UPDATE {} SET pgh_label = ''", "DELETE FROM {}", "TRUNCATE {}"])
def test_not_even_the_owner_rewrites_a_history(patient, user_for, statement):
    study = factories.study_make(patient)
    factories.predicted_film_make(study)
    factories.reading_make(study)
    report = factories.report_make(study, user_for("radiologist"), "draft")
    factories.decision_make(report, "effusion")
    factories.alert_make(report)
    factories.discordance_make(report)
    factories.move_make(study, factories.patient_make(patient.clinic), user_for("radiographer"))
    factories.removal_make(study)
    factories.consent_make(patient, "training")
    factories.data_policy_make(patient.clinic)
    ReportSettings.objects.create(clinic=patient.clinic, language="fr")
    factories.legal_hold_make(patient, user_for("radiologist"))
    factories.expiry_make(study.radiographs.get())
    for history in HISTORIES:
        assert history.objects.exists(), history
        with pytest.raises(DatabaseError, match=r"append-only|Cannot (update|delete)"), transaction.atomic():
            connection.cursor().execute(statement.format(history._meta.db_table))


def test_history_costs_a_film_no_further_query(patient):
    study = factories.study_make(patient)
    with CaptureQueriesContext(connection) as plain:
        factories.radiograph_make(study)
    with pghistory.context(worker="prepare"), CaptureQueriesContext(connection) as named:
        factories.radiograph_make(study)
    assert len(plain) == len(named) == 1
    assert Radiograph.pgh_event_model.objects.filter(study=study).count() == 2


def test_a_task_names_its_worker(patient):
    from diagnosis import tasks

    study = factories.study_make(patient)

    @tasks.task("tests.change")
    def change() -> None:
        Study.objects.update(indication="cough")

    change.apply()
    assert set(history_of(study)[-1][1]) == {"worker"}


def test_what_was_there_before_is_noted_when_the_history_begins(patient):
    with connection.schema_editor() as editor:
        history_begin(apps, editor, "patients")
    kept = Patient.pgh_event_model.objects.get(pgh_obj=patient, pgh_label="found")
    assert (kept.name, kept.clinic_id, kept.birth_year) == ("Asha Verma", patient.clinic_id, 1961)

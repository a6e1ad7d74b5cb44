"""A report from the first word to the signature and beyond: what is refused, and with which code; what stays."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, transaction
from django.db.models import Count

from diagnosis.models import FirstImpression, Prediction, Report, ReportedFinding
from diagnosis.services import reporting
from patients.models import AuditEvent
from tests import factories
from tests.diagnosis.report_steps import code_of, decide, save, sign, signed

pytestmark = pytest.mark.django_db


# --- drafts


def test_a_draft_is_opened_once(study, draft, radiologist):
    again = reporting.draft_open(user=radiologist, study=study)
    assert (again.pk, again.status, again.version) == (draft.pk, "draft", 0)
    assert AuditEvent.objects.filter(verb="create", object_type="report").count() == 1


@pytest.mark.parametrize("role", ["operator", "radiographer", "doctor", "clinicadmin"])
def test_only_who_writes_reports_opens_one(study, user_for, role):
    assert code_of(lambda: reporting.draft_open(user=user_for(role), study=study)) == "permission_denied"


def test_what_was_typed_is_kept_and_counted(draft, radiologist):
    save(draft, radiologist, findings_text="Clear lungs.\r\n\r\nHeart\tnormal.  ", impression="Normal.")
    draft.refresh_from_db()
    assert (draft.findings_text, draft.impression) == ("Clear lungs.\n\nHeart normal.", "Normal.")
    assert draft.version == 1
    save(draft, radiologist, impression="Normal.")
    draft.refresh_from_db()
    assert draft.version == 1, "nothing changed, nothing written"


@pytest.mark.parametrize("text", ["x" * 2001, "a\x00b", "\u202eevil"], ids=["long", "nul", "override"])
def test_text_that_cannot_be_stored_is_refused(draft, radiologist, text):
    assert code_of(lambda: save(draft, radiologist, impression=text)) == "invalid_text"


def test_a_page_that_is_behind_is_refused(draft, radiologist):
    save(draft, radiologist, impression="First.")
    late = {"user": radiologist, "report": draft, "version": 0}
    for change in (
        lambda: reporting.draft_save(impression="Second.", **late),
        lambda: reporting.finding_decide(label="pneumonia", verdict="accepted", **late),
        lambda: reporting.draft_again(**late),
        lambda: reporting.report_preliminary(**late),
        lambda: reporting.report_sign(**late),
    ):
        assert code_of(change) == "stale_page"
    draft.refresh_from_db()
    assert draft.impression == "First."


# --- findings


def test_sentences_come_from_what_the_reader_says_is_there_and_from_nothing_else(draft, radiologist):
    assert draft.findings_text == ""
    decide(draft, radiologist, "pneumonia", "rejected", "artefact")
    decide(draft, radiologist, "pneumothorax", "added")
    draft.refresh_from_db()
    assert draft.findings_text == "Pneumothorax."
    decide(draft, radiologist, "pneumonia", "accepted")
    draft.refresh_from_db()
    assert draft.findings_text == "Airspace opacity, in keeping with pneumonia.\nPneumothorax."
    decide(draft, radiologist, "pneumothorax", "")
    draft.refresh_from_db()
    assert draft.findings_text == "Airspace opacity, in keeping with pneumonia."


def test_an_edited_text_is_not_overwritten(draft, radiologist):
    decide(draft, radiologist, "pneumonia", "accepted")
    save(draft, radiologist, findings_text="My own words.")
    decide(draft, radiologist, "effusion", "added")
    draft.refresh_from_db()
    assert draft.findings_text == "My own words."
    assert "Pleural effusion." in draft.drafted_text
    reporting.draft_again(user=radiologist, report=draft, version=draft.version)
    draft.refresh_from_db()
    assert draft.findings_text == draft.drafted_text


def test_nothing_is_compared_without_an_earlier_signed_report(patient, study, draft, radiologist):
    earlier = factories.study_make(patient, acquired_at=study.created_at.replace(year=2025, month=5, day=3))
    factories.report_make(earlier, radiologist, "draft")
    decide(draft, radiologist, "pneumonia", "accepted")
    decide(draft, radiologist, "effusion", "added")
    draft.refresh_from_db()
    assert "2025" not in draft.findings_text
    assert "eported" not in draft.findings_text


def test_a_comparison_says_what_the_earlier_signed_report_decided(patient, study, draft, radiologist):
    earlier = factories.study_make(patient, acquired_at=study.created_at.replace(year=2025, month=5, day=3))
    report = factories.report_make(earlier, radiologist, "draft")
    finding = factories.predicted_film_make(earlier).findings.get(label="effusion")
    factories.decision_make(report, "pneumonia")
    factories.decision_make(report, "effusion", "absent", finding=finding)
    Report.objects.filter(pk=report.pk).update(
        status="final", signed_by=radiologist, signed_at=study.created_at, registration_number="1"
    )
    for label in ("effusion", "mass"):
        decide(draft, radiologist, label, "added")
    decide(draft, radiologist, "pneumonia", "accepted")
    draft.refresh_from_db()
    assert draft.findings_text.splitlines() == [
        "Airspace opacity, in keeping with pneumonia. Already reported on 3 May 2025.",
        "Pleural effusion. Not reported on 3 May 2025.",
        "Pulmonary mass.",
    ]


@pytest.mark.parametrize(
    ("label", "verdict", "reason", "code"),
    [
        ("pneumonia", "rejected", "", "invalid_parameter"),
        ("pneumonia", "rejected", "because", "invalid_parameter"),
        ("pneumonia", "accepted", "artefact", "invalid_parameter"),
        ("pneumonia", "added", "", "invalid_parameter"),
        ("pneumonia", "absent", "", "invalid_parameter"),
        ("effusion", "accepted", "", "invalid_parameter"),
        ("effusion", "rejected", "artefact", "invalid_parameter"),
        ("nonsense", "added", "", "finding_unknown"),
        ("normal", "added", "", "finding_unknown"),
    ],
)
def test_decisions_that_make_no_sense_are_refused(draft, radiologist, label, verdict, reason, code):
    assert code_of(lambda: decide(draft, radiologist, label, verdict, reason)) == code


def test_of_several_films_the_strongest_answer_is_decided_on(study, draft, radiologist):
    second = factories.prediction_make(
        factories.radiograph_make(study, state="ready"), calibrated={"pneumonia": 0.2, "effusion": 0.9}
    )
    decide(draft, radiologist, "pneumonia", "accepted")
    decide(draft, radiologist, "effusion", "accepted")
    assert draft.decisions.get(label="effusion").finding.prediction == second
    assert draft.decisions.get(label="pneumonia").finding.prediction != second


# --- signing


def test_a_signature_carries_who_with_which_number_and_both_times(draft, radiologist):
    decide(draft, radiologist, "pneumonia", "accepted")
    save(draft, radiologist, impression="Pneumonia.")
    draft.refresh_from_db()
    reporting.report_preliminary(user=radiologist, report=draft, version=draft.version)
    draft.refresh_from_db()
    assert (draft.status, draft.signed_by) == ("preliminary", None)
    sign(draft, radiologist)
    draft.refresh_from_db()
    assert (draft.status, draft.signed_by, draft.registration_number) == ("final", radiologist, "MCI-4711")
    assert draft.created_at < draft.preliminary_at < draft.signed_at
    verbs = AuditEvent.objects.filter(object_type="report").order_by("id").values_list("verb", flat=True)
    assert list(verbs) == ["create", "decide", "update", "preliminary", "sign"]


def test_what_the_model_reported_needs_a_decision(draft, radiologist):
    save(draft, radiologist, impression="Normal.")
    assert code_of(lambda: sign(draft, radiologist)) == "decision_missing"


def test_a_film_that_came_later_needs_a_decision_of_its_own(study, draft, radiologist):
    decide(draft, radiologist, "pneumonia", "accepted")
    decide(draft, radiologist, "effusion", "added")
    save(draft, radiologist, impression="Pneumonia, effusion.")
    factories.prediction_make(factories.radiograph_make(study, state="ready"), calibrated={"effusion": 0.9})
    assert code_of(lambda: sign(draft, radiologist)) == "decision_missing"
    decide(draft, radiologist, "effusion", "accepted")
    assert sign(draft, radiologist).is_signed


def test_a_report_needs_an_impression(draft, radiologist):
    decide(draft, radiologist, "pneumonia", "accepted")
    assert code_of(lambda: sign(draft, radiologist)) == "impression_missing"
    draft.refresh_from_db()
    early = {"user": radiologist, "report": draft, "version": draft.version}
    assert code_of(lambda: reporting.report_preliminary(**early)) == "impression_missing"


def test_who_has_no_registration_number_does_not_sign(draft, radiologist):
    radiologist.memberships.update(registration_number="")
    assert code_of(lambda: signed(draft, radiologist)) == "registration_missing"


def test_a_number_of_another_clinic_does_not_count(draft, radiologist, other_clinic):
    radiologist.memberships.update(registration_number="")
    factories.membership_make(radiologist, other_clinic, "radiologist")
    assert code_of(lambda: signed(draft, radiologist)) == "registration_missing"


def test_agreement_is_a_count_over_signed_reports(draft, radiologist):
    decide(draft, radiologist, "fracture", "added")
    signed(draft, radiologist, "rejected")
    verdicts = dict(draft.decisions.values_list("label", "verdict"))
    assert verdicts == {"pneumonia": "rejected", "effusion": "absent", "fracture": "added"}
    counts = ReportedFinding.objects.filter(report__status="final").values("label", "verdict")
    assert {(row["label"], row["verdict"]): row["n"] for row in counts.annotate(n=Count("pk"))} == {
        ("pneumonia", "rejected"): 1,
        ("effusion", "absent"): 1,
        ("fracture", "added"): 1,
    }
    known = draft.decisions.exclude(finding=None)
    assert {each.finding.prediction.model_version.version for each in known} == {"1.0.0"}


def test_what_was_made_on_trial_is_neither_decided_nor_counted(study, draft, radiologist, prediction):
    trial = factories.model_version_make("9.9.9", status="shadow")
    said = {"effusion": 0.99, "mass": 0.99}
    factories.prediction_make(prediction.radiograph, trial, calibrated=said, shadow=True)
    signed(draft, radiologist)
    assert not draft.decisions.filter(finding__prediction__shadow=True).exists()
    assert set(draft.decisions.values_list("label", flat=True)) == {"pneumonia", "effusion"}


# --- read first


def test_the_model_is_silent_until_the_first_impression_is_saved(study, prediction, radiologist, clinic):
    clinic.read_first = True
    clinic.save()
    assert not Prediction.objects.visible_to(radiologist).exists()
    assert code_of(lambda: reporting.draft_open(user=radiologist, study=study)) == "first_impression_needed"
    reporting.first_impression_save(user=radiologist, study=study, text="Looks normal.")
    assert Prediction.objects.visible_to(radiologist).exists()
    draft = reporting.draft_open(user=radiologist, study=study)
    assert draft.impression == "Looks normal."
    signed(draft, radiologist)
    draft.refresh_from_db()
    assert FirstImpression.objects.get().created_at < draft.signed_at


def test_one_readers_impression_does_not_open_the_answer_for_another(study, prediction, radiologist, clinic):
    clinic.read_first = True
    clinic.save()
    reporting.first_impression_save(user=radiologist, study=study, text="Looks normal.")
    colleague = factories.user_make("radiologist", clinic)
    assert not Prediction.objects.visible_to(colleague).exists()
    draft = Report.objects.get()
    late = {"user": colleague, "report": draft, "version": draft.version}
    assert code_of(lambda: reporting.report_sign(**late)) == "not_found", "what a colleague drafted tells the answer"


def test_a_first_impression_stays_the_first(study, prediction, radiologist, clinic):
    for text in ("First.", "Second."):
        reporting.first_impression_save(user=radiologist, study=study, text=text)
    assert FirstImpression.objects.get().text == "First."
    with pytest.raises(DatabaseError), transaction.atomic():
        FirstImpression.objects.update(text="Changed.")


def test_reading_first_ends_with_the_signature_and_concerns_readers_only(
    study, prediction, radiologist, user_for, clinic
):
    clinic.read_first = clinic.show_unread_results = True
    clinic.save()
    assert Prediction.objects.visible_to(user_for("operator")).exists()
    assert not Prediction.objects.visible_to(radiologist).exists()
    factories.membership_make(radiologist, clinic, "operator")
    assert not Prediction.objects.visible_to(radiologist).exists(), "not by another role either"
    factories.report_make(study, factories.user_make("radiologist", clinic))
    assert Prediction.objects.visible_to(radiologist).exists()

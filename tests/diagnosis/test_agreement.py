"""What is counted as agreement of model and readers, what is not, and the intervals around it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.utils import timezone

from diagnosis.agreement import Agreement, Figure, agreements, decisions_signed
from diagnosis.models import FirstImpression
from diagnosis.services import reporting
from mlcore.training.statistics import kappa, wilson
from patients.actor import acting_as, person
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def reader(user_for):
    return user_for("radiologist")


def rows(*clinics: Any) -> list[dict[str, Any]]:
    return list(decisions_signed(clinics))


def cells(*clinics: Any) -> dict[str, tuple[int, ...]]:
    return {each.label: (each.tp, each.fp, each.fn, each.tn) for each in agreements(decisions_signed(clinics))}


# --- what counts


def test_each_verdict_of_a_signed_report_is_one_of_the_four(clinic, patient, reader):
    model_says = {"pneumonia": 0.8, "effusion": 0.9, "mass": 0.2, "nodule": 0.1}
    verdicts = {"pneumonia": "accepted", "effusion": "rejected", "mass": "added", "nodule": "absent"}
    report = factories.decided_study_make(patient, reader, verdicts, calibrated=model_says)
    assert cells(clinic) == {
        "pneumonia": (1, 0, 0, 0),
        "effusion": (0, 1, 0, 0),
        "mass": (0, 0, 1, 0),
        "nodule": (0, 0, 0, 1),
    }
    row = next(row for row in rows(clinic) if row["label"] == "mass")
    assert row == {
        "label": "mass",
        "study": report.study_id,
        "clinic": clinic.pk,
        "calibrated": 0.2,
        "threshold": 0.5,
        "reported": False,
        "present": True,
        "decidable": True,
        "model_version": factories.model_version_make().pk,
        "read_first": False,
        "signed_by": reader.pk,
        "signed_at": report.signed_at,
    }


def test_a_label_without_a_row_of_its_own_is_neither_present_nor_absent(clinic, patient, reader):
    factories.decided_study_make(patient, reader, {"pneumonia": "accepted"})  # the model answered effusion as well
    assert cells(clinic) == {"pneumonia": (1, 0, 0, 0)}


def test_what_the_model_does_not_know_is_not_held_against_it(clinic, patient, reader):
    factories.decided_study_make(patient, reader, {"hernia": "added"})
    assert rows(clinic) == []


def test_unsigned_reports_do_not_count(clinic, patient, reader):
    finding = factories.predicted_film_make(factories.study_make(patient)).findings.get(label="pneumonia")
    report = factories.report_make(finding.prediction.radiograph.study, reader, "draft")
    factories.decision_make(report, "pneumonia", "accepted", finding=finding)
    assert rows(clinic) == []


def test_what_cannot_be_decided_on_the_film_is_told_apart_and_counted_nowhere_else(clinic, patient, reader):
    factories.decided_study_make(patient, reader, {"pneumonia": "rejected:not_decidable"})
    (found,) = agreements(decisions_signed([clinic]))
    assert (found.n, found.undecidable) == (0, 1)


def test_an_amendment_stands_in_for_what_it_supersedes_once_it_is_signed(clinic, patient, reader):
    first = factories.decided_study_make(patient, reader, {"pneumonia": "accepted"})
    amendment = factories.report_make(first.study, reader, "draft", supersedes=first, amendment_reason="Seen again")
    finding = first.decisions.get().finding
    factories.decision_make(amendment, "pneumonia", "rejected", reason="artefact", finding=finding)
    assert cells(clinic) == {"pneumonia": (1, 0, 0, 0)}
    factories.signed_make(amendment)
    assert cells(clinic) == {"pneumonia": (0, 1, 0, 0)}


def test_each_version_that_was_shown_is_counted_by_itself(clinic, patient, reader):
    old = factories.model_version_make("0.9", status="retired")
    factories.decided_study_make(patient, reader, {"pneumonia": "accepted"}, model_version=old)
    factories.decided_study_make(patient, reader, {"pneumonia": "rejected"})
    found = {each.model_version: (each.tp, each.fp) for each in agreements(decisions_signed([clinic]))}
    assert found == {old.pk: (1, 0), factories.model_version_make().pk: (0, 1)}


def test_decisions_of_other_clinics_are_no_rows(clinic, other_clinic, patient, foreign_patient, reader, user_for):
    factories.decided_study_make(foreign_patient, user_for("radiologist", other_clinic), {"pneumonia": "accepted"})
    assert rows(clinic) == []
    assert len(rows(clinic, other_clinic)) == 1


def test_a_person_reads_no_rows_of_a_clinic_that_is_not_theirs_whatever_they_ask_for(
    clinic, other_clinic, foreign_patient, reader, user_for
):
    factories.decided_study_make(foreign_patient, user_for("radiologist", other_clinic), {"pneumonia": "accepted"})
    with acting_as(person(reader)):
        assert rows(clinic, other_clinic) == []
    with acting_as(person(user_for("clinicadmin", other_clinic))):
        assert len(rows(clinic, other_clinic)) == 1


# --- who saw the answer first


def _read(patient: Any, reader: Any, *, impression: bool) -> Any:
    """Read through the services: with a first impression, or without."""
    study = factories.predicted_film_make(factories.study_make(patient)).radiograph.study
    if impression:
        reporting.first_impression_save(user=reader, study=study, text="Nothing to see")
    report = reporting.draft_open(user=reader, study=study)
    reporting.finding_decide(user=reader, report=report, version=report.version, label="pneumonia", verdict="accepted")
    report.refresh_from_db()
    reporting.draft_save(user=reader, report=report, version=report.version, impression="Pneumonia")
    report.refresh_from_db()
    return reporting.report_sign(user=reader, report=report, version=report.version)


def test_who_saved_an_impression_where_films_are_read_first_read_first(clinic, patient, reader):
    clinic.read_first = True
    clinic.save()
    _read(patient, reader, impression=True)
    assert {row["read_first"] for row in rows(clinic)} == {True}


def test_an_impression_of_before_films_were_read_first_proves_nothing(clinic, patient, reader):
    report = factories.decided_study_make(patient, reader, {"pneumonia": "accepted"})
    an_hour_ago = timezone.now() - timedelta(hours=1)
    FirstImpression.objects.create(study=report.study, reader=reader, text="Seen", created_at=an_hour_ago)
    clinic.read_first = True
    clinic.save()
    assert {row["read_first"] for row in rows(clinic)} == {False}


def test_an_impression_where_the_answer_is_shown_at_once_proves_nothing(clinic, patient, reader):
    _read(patient, reader, impression=True)
    assert {row["read_first"] for row in rows(clinic)} == {False}


def test_an_impression_of_somebody_else_or_of_after_a_signature_is_not_the_signers(clinic, patient, reader, user_for):
    clinic.read_first = True
    clinic.save()
    report = factories.decided_study_make(patient, reader, {"pneumonia": "accepted"})
    FirstImpression.objects.create(study=report.study, reader=user_for("radiologist"), text="Late")
    other = factories.decided_study_make(patient, reader, {"pneumonia": "accepted"})
    colleague = factories.user_make("radiologist", clinic)
    before = other.signed_at - timedelta(minutes=1)
    FirstImpression.objects.create(study=other.study, reader=colleague, text="Mine", created_at=before)
    assert {row["read_first"] for row in rows(clinic)} == {False}


# --- figures


def counted(tp: int, fp: int, fn: int, tn: int) -> Agreement:
    return Agreement("pneumonia", None, False, tp, fp, fn, tn, 0)


def test_shares_and_their_intervals_are_wilsons():
    from scipy.stats import binomtest

    found = counted(tp=18, fp=6, fn=9, tn=67)
    assert (found.n, found.ppv.of, found.sensitivity.of) == (100, 24, 27)
    assert found.ppv.value == 0.75
    assert found.sensitivity.value == pytest.approx(18 / 27)
    for figure, hits in ((found.ppv, 18), (found.sensitivity, 18)):
        known = binomtest(hits, figure.of).proportion_ci(method="wilson")
        assert (figure.low, figure.high) == pytest.approx((known.low, known.high))


def test_kappa_is_cohens():
    from sklearn.metrics import cohen_kappa_score

    model = [1] * 24 + [0] * 76
    human = [1] * 18 + [0] * 6 + [1] * 9 + [0] * 67
    assert counted(18, 6, 9, 67).kappa.value == pytest.approx(cohen_kappa_score(model, human))


def test_the_interval_of_kappa_covers_as_often_as_it_says():
    """Against the spread of kappa over draws from the same table: the half width is 1.96 of its deviations."""
    drawn = np.random.default_rng(7).multinomial(400, [0.18, 0.06, 0.09, 0.67], size=4000)
    deviation = np.std([kappa(*table)[0] for table in drawn])
    value, low, high = kappa(72, 24, 36, 268)
    assert (high - low) / 2 == pytest.approx(1.96 * deviation, rel=0.05)
    assert low < value < high


def test_kappa_by_hand():
    """20, 5, 10, 15: observed 0.7, chance 0.5, kappa 0.4. The variance worked out term by term from the paper:
    A = 0.4·(1-1.1·0.6)² + 0.3·(1-0.9·0.6)² = 0.10972, B = 0.36·(0.1·1.1² + 0.2·0.9²) = 0.10188,
    C = (0.4-0.5·0.6)² = 0.01; (A+B-C) / (50·0.25) = 0.016128, deviation 0.126996."""
    value, low, high = kappa(20, 5, 10, 15)
    assert value == pytest.approx(0.4)
    assert (high - low) / 2 == pytest.approx(1.959964 * 0.126996, rel=1e-4)


def test_too_few_cases_give_no_figure():
    few = counted(tp=5, fp=4, fn=2, tn=200)
    assert few.ppv == Figure(9)
    assert few.sensitivity == Figure(7)
    assert few.kappa == Figure(7)
    assert counted(0, 0, 0, 0).kappa == Figure(0)


def test_a_model_that_never_speaks_has_no_ppv_and_no_more_agreement_than_chance():
    silent = counted(tp=0, fp=0, fn=12, tn=90)
    assert silent.ppv == Figure(0)
    assert (silent.sensitivity.value, silent.sensitivity.low) == pytest.approx((0, 0))
    assert silent.kappa.value == 0
    assert wilson(0, 12)[1] == pytest.approx(silent.sensitivity.high)


def test_rows_are_narrowed_by_reader_and_period(clinic, patient, reader):
    old = timezone.now() - timedelta(days=40)
    factories.decided_study_make(patient, reader, {"pneumonia": "accepted"}, signed_at=old)
    report = factories.decided_study_make(patient, reader, {"pneumonia": "rejected"})
    recent = decisions_signed([clinic]).filter(report__signed_at__gte=old + timedelta(days=1))
    assert [row["study"] for row in recent] == [report.study_id]
    assert [each.fp for each in agreements(recent.filter(report__signed_by=reader))] == [1]

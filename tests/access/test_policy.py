"""The policy as one table that people can read, and what single memberships, scopes and referrals reach."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from diagnosis.models import Prediction, Radiograph, Report, Study
from patients.models import Patient
from patients.policy import MATRIX, SYSTEM, Action, Reach
from tests import factories

#: As in docs: `c` the clinic's, `p` the clinic's where unread results are shown, `a` referred, `s` after signature,
#: `o` its own, `Y` everywhere. A cell that is not here does not exist in the code either.
COLUMNS = ("operator", "radiographer", "radiologist", "doctor", "clinicadmin", "client", SYSTEM)
TABLE = """
#                       oper radg radl doct cadm clnt syst
patient.create          c    c    -    -    -    c    -
patient.view            c    c    c    a    -    o    -
patient.edit            c    c    -    -    -    -    -
consent.record          c    c    -    -    -    -    -
retention.view          -    -    -    -    c    -    -
legal_hold.record       -    -    -    -    c    -    -
study.upload            c    c    c    -    -    c    -
study.status            c    c    c    a    c    o    -
study.move_request      -    c    -    -    -    -    -
study.move_approve      -    -    c    -    c    -    -
study.delete_request    -    -    -    -    c    -    -
study.delete_approve    -    -    -    -    -    -    Y
image.view              p    p    c    as   -    o    -
prediction.view         p    p    c    as   -    os   -
reading.claim           -    -    c    -    -    -    -
report.write            -    -    c    -    -    -    -
report.sign             -    -    c    -    -    -    -
report.view             -    c    c    a    -    o    -
alert.acknowledge       -    c    c    a    -    -    -
second_look             -    -    c    -    -    -    -
report.settings         -    -    c    -    c    -    -
job.retry               -    -    c    -    c    -    Y
member.manage           -    -    -    -    c    -    Y
client.manage           -    -    -    -    c    -    -
client.revoke           -    -    -    -    c    -    Y
clinic.manage           -    -    -    -    -    -    Y
model.register          -    -    -    -    -    -    Y
model.request           -    -    -    -    c    -    -
model.approve           -    -    c    -    -    -    -
model.activate          -    -    -    -    -    -    Y
threshold.view          -    -    c    -    c    -    -
threshold.propose       -    -    c    -    c    -    -
threshold.approve       -    -    c    -    -    -    -
export.reasoned         -    -    c    -    -    -    -
export.deidentified     -    -    -    -    c    -    -
break_glass.view        -    -    -    -    c    -    -
audit.view              -    -    -    -    c    -    Y
audit.view_own          -    -    c    c    -    -    -
numbers.view            -    -    c    -    c    -    -
"""
SIGNS = {
    "c": Reach.CLINIC,
    "p": Reach.POLICY,
    "a": Reach.ASSIGNED,
    "as": Reach.ASSIGNED_SIGNED,
    "o": Reach.OWN,
    "os": Reach.OWN_SIGNED,
    "Y": Reach.EVERYWHERE,
}


def test_the_policy_is_the_published_table():
    published = {}
    for line in TABLE.strip().splitlines()[1:]:
        action, *cells = line.split()
        published[Action(action)] = {
            role: SIGNS[cell] for role, cell in zip(COLUMNS, cells, strict=True) if cell != "-"
        }
    assert published == MATRIX


# --- API clients


@pytest.fixture
def sender(clinic):
    """An API client that registered a patient and sent a film, which is predicted and not yet read."""
    client = factories.client_make(clinic)
    patient = factories.patient_make(clinic, "Owenia Ownperson", created_by=client)
    factories.predicted_film_make(factories.study_make(patient, created_by=client))
    return client


def test_an_api_client_sees_what_it_created_and_nothing_else(sender, patient, clinic):
    factories.predicted_film_make(factories.study_make(patient))
    another = factories.client_make(clinic)
    assert [each.name for each in Patient.objects.visible_to(sender)] == ["Owenia Ownperson"]
    assert [each.created_by for each in Study.objects.visible_to(sender)] == [sender]
    assert not Patient.objects.visible_to(another).exists()
    assert not Study.objects.visible_to(another).exists()


def test_an_api_client_gets_the_result_of_its_film_once_a_report_is_signed(sender, user_for):
    study = Study.objects.visible_to(sender).get()
    assert not Prediction.objects.visible_to(sender).exists()
    report = factories.report_make(study, user_for("radiologist"), "draft")
    assert not Prediction.objects.visible_to(sender).exists()
    assert not Report.objects.visible_to(sender).exists()
    signed = {
        "status": "final",
        "signed_by": user_for("radiologist"),
        "signed_at": timezone.now(),
        "registration_number": "1",
    }
    Report.objects.filter(pk=report.pk).update(**signed)
    assert Prediction.objects.visible_to(sender).exists()
    assert Report.objects.visible_to(sender).exists()


@pytest.mark.parametrize(
    ("scopes", "patients", "studies", "image"),
    [
        (["patient:write"], 201, 403, 403),
        (["study:upload"], 403, 400, 403),
        (["image:read"], 403, 403, 404),
    ],
)
def test_an_api_client_does_what_its_scopes_say(api_for, sender, scopes, patients, studies, image):
    sender.memberships.update(scopes=scopes)
    film = Radiograph.objects.visible_to(sender).get()
    client = api_for(sender)
    person = {"name": "Newly Registered", "birth_year": 1990}
    assert client.post("/api/v1/patients/", person, format="json").status_code == patients
    assert client.post("/api/v1/studies/", {}, HTTP_IDEMPOTENCY_KEY="k").status_code == studies  # 400: no patient named
    assert client.get(f"/api/v1/radiographs/{film.pk}/image/").status_code == image  # 404: no file in this test
    assert client.get(f"/api/v1/studies/{film.study_id}/").status_code == 200


def test_an_api_client_reads_in_me_what_it_may_do(api_for, clinic):
    (held,) = api_for(factories.client_make(clinic, "study:upload")).get("/api/v1/me/").json()["clinics"]
    assert held["roles"] == ["client"]
    assert held["may"] == ["patient.view", "study.upload", "study.status", "prediction.view", "report.view"]


def test_an_ended_api_client_reaches_nothing(sender):
    sender.memberships.update(valid_to=timezone.now())
    assert not Patient.objects.visible_to(sender).exists()
    assert not Study.objects.visible_to(sender).exists()


# --- referring doctors


@pytest.fixture
def doctor(user_for):
    return user_for("doctor")


def study_of_day(patient, day, **fields):
    return factories.study_make(patient, created_at=timezone.now() - timedelta(days=day), **fields)


def test_a_referral_shows_the_study_and_the_patients_earlier_ones(doctor, patient):
    earlier, referred, later = (
        study_of_day(patient, 30),
        study_of_day(patient, 20, referring_doctor=doctor),
        study_of_day(patient, 10),
    )
    other = study_of_day(factories.patient_make(patient.clinic), 25)
    assert set(Study.objects.visible_to(doctor)) == {earlier, referred}
    assert {later, other}.isdisjoint(Study.objects.visible_to(doctor))


def test_an_earlier_film_and_its_result_are_shown_once_its_own_report_is_signed(doctor, patient, user_for):
    earlier, referred = study_of_day(patient, 30), study_of_day(patient, 20, referring_doctor=doctor)
    films = [factories.predicted_film_make(study).radiograph for study in (earlier, referred)]
    assert not Radiograph.objects.image_visible_to(doctor).exists()
    factories.report_make(earlier, user_for("radiologist"))
    assert list(Radiograph.objects.image_visible_to(doctor)) == films[:1]
    assert {each.radiograph for each in Prediction.objects.visible_to(doctor)} == {films[0]}


def test_a_doctor_whose_membership_ended_sees_no_referral(doctor, patient):
    study_of_day(patient, 20, referring_doctor=doctor)
    doctor.memberships.update(valid_to=timezone.now())
    assert not Study.objects.visible_to(doctor).exists()
    assert not Patient.objects.visible_to(doctor).exists()

"""Reports through the API: versions as ETag and If-Match, each refusal with its code, bodies that are strict."""

from __future__ import annotations

import pytest

from diagnosis.models import Report
from tests import factories as make
from tests.api.problems import assert_problem
from tests.api.test_schema import assert_described, schema  # noqa: F401  a fixture

pytestmark = pytest.mark.django_db
URL = "/api/v1/reports/"


@pytest.fixture
def study(patient):
    return make.study_make(patient)


@pytest.fixture
def prediction(study):
    return make.predicted_film_make(study)


@pytest.fixture
def reader(api_for):
    return api_for("radiologist")


@pytest.fixture
def draft(reader, study, prediction):
    answer = reader.post(URL, {"study": str(study.pk)}, format="json")
    assert answer.status_code == 201
    return answer.json()


def change(client, draft, what="", body=None, version=None, method="post"):
    """Send a change made from `version`, or from the report as it is now."""
    now = Report.objects.get(pk=draft["id"]).version if version is None else version
    return getattr(client, method)(f"{URL}{draft['id']}/{what}", body, format="json", headers={"If-Match": f'"{now}"'})


def write(client, draft):
    assert change(client, draft, "decide/", {"label": "pneumonia", "verdict": "accepted"}).status_code == 200
    return change(client, draft, "", {"impression": "Pneumonia."}, method="patch")


def test_a_report_is_begun_written_and_decided(reader, study, draft, schema):  # noqa: F811
    again = reader.post(URL, {"study": str(study.pk)}, format="json")
    assert (again.status_code, again.json()["id"], again["ETag"]) == (200, draft["id"], '"0"')
    written = write(reader, draft)
    assert written["ETag"] == '"2"'
    assert_described(schema, written, "/api/v1/reports/{id}/", "patch")
    body = reader.get(f"{URL}{draft['id']}/").json()
    assert (body["status"], body["impression"], body["version"]) == ("draft", "Pneumonia.", 2)
    (finding,) = body["findings"]
    assert (finding["label"], finding["verdict"], finding["calibrated"], finding["threshold"]) == (
        "pneumonia",
        "accepted",
        0.8,
        0.5,
    )
    assert finding["model"]["version"] == "1.0.0"
    taken_back = change(reader, draft, "decide/", {"label": "pneumonia", "verdict": "undecided"})
    assert taken_back.json()["findings"] == []


def test_a_change_names_its_version(reader, draft):
    path = f"{URL}{draft['id']}/"
    assert_problem(reader.patch(path, {"impression": "x"}, format="json"), "version_required", 428)
    for bad in ("0", "W/x", "*", '"01"', '"-1"'):
        answer = reader.patch(path, {"impression": "x"}, format="json", headers={"If-Match": bad})
        assert_problem(answer, "invalid_parameter")


def test_a_stale_version_is_refused(reader, draft):
    write(reader, draft)
    for what, body, method in (
        ("", {"impression": "y"}, "patch"),
        ("decide/", {"label": "pneumonia", "verdict": "accepted"}, "post"),
        ("preliminary/", None, "post"),
    ):
        assert_problem(change(reader, draft, what, body, version=0, method=method), "stale_page", 412)


def test_a_token_signs_nothing(reader, draft):
    write(reader, draft)
    assert_problem(change(reader, draft, "sign/"), "reauthentication_required", 403)
    assert Report.objects.get().status == "draft"


def test_a_browser_that_signed_in_a_moment_ago_signs(client_for, reader, user_for, draft):
    write(reader, draft)
    browser = client_for("radiologist")
    address = f"{URL}{draft['id']}/sign/"
    stale = browser.post(address, headers={"If-Match": '"1"'})
    assert_problem(stale, "stale_page")
    signed = browser.post(address, headers={"If-Match": '"2"'})
    assert (signed.status_code, signed.json()["status"]) == (200, "final")
    assert signed.json()["registration_number"] == "MCI-4711"
    assert {each["label"]: each["verdict"] for each in signed.json()["findings"]} == {
        "pneumonia": "accepted",
        "effusion": "absent",
    }
    again = browser.post(address, headers={"If-Match": '"3"'})
    assert_problem(again, "report_signed", 409)
    late = client_for("radiologist", ago=2000).post(address, headers={"If-Match": '"3"'})
    assert_problem(late, "reauthentication_required")


@pytest.mark.parametrize(
    ("code", "decided", "impression", "number"),
    [
        ("decision_missing", False, "x", "1"),
        ("impression_missing", True, "", "1"),
        ("registration_missing", True, "x", ""),
    ],
)
def test_what_is_missing_for_a_signature_has_a_code(
    client_for, reader, user_for, draft, code, decided, impression, number
):
    user_for("radiologist").memberships.update(registration_number=number)
    if decided:
        change(reader, draft, "decide/", {"label": "pneumonia", "verdict": "accepted"})
    change(reader, draft, "", {"impression": impression}, method="patch")
    version = Report.objects.get().version
    answer = client_for("radiologist").post(f"{URL}{draft['id']}/sign/", headers={"If-Match": f'"{version}"'})
    assert_problem(answer, code, 409)


def test_a_signed_report_is_amended_and_stays(reader, user_for, study, prediction):
    report = make.report_make(study, user_for("radiologist"), impression="Old.")
    path = f"{URL}{report.pk}/"
    assert_problem(change(reader, {"id": str(report.pk)}, "", {"impression": "x"}, method="patch"), "report_signed")
    assert_problem(reader.post(path + "amend/", {"reason": " "}, format="json"), "reason_missing")
    begun = reader.post(path + "amend/", {"reason": "Left and right"}, format="json")
    assert begun.status_code == 201
    assert (begun.json()["supersedes"], begun.json()["amendment_reason"]) == (str(report.pk), "Left and right")
    assert_problem(reader.post(path + "amend/", {"reason": "again"}, format="json"), "report_amended")
    assert_problem(
        reader.post(f"{URL}{begun.json()['id']}/amend/", {"reason": "draft"}, format="json"), "report_not_signed"
    )
    assert reader.get(path).json()["impression"] == "Old."


@pytest.mark.parametrize(
    ("what", "body", "code"),
    [
        ("", {"impression": 7}, "invalid_input"),
        ("", {"status": "final"}, "unknown_field"),
        ("", {"signed_by": "me"}, "unknown_field"),
        ("", {"findings_text": "x\u0000"}, "invalid_text"),
        ("", {"findings_text": "\u202ex"}, "invalid_text"),
        ("decide/", {"label": "pneumonia"}, "invalid_input"),
        ("decide/", {"label": "pneumonia", "verdict": "absent"}, "invalid_input"),
        ("decide/", {"label": "pneumonia", "verdict": "rejected"}, "invalid_parameter"),
        ("decide/", {"label": "pneumonia", "verdict": "rejected", "reason": "why not"}, "invalid_input"),
        ("decide/", {"label": "nonsense", "verdict": "added"}, "finding_unknown"),
    ],
)
def test_bodies_are_strict(reader, draft, what, body, code):
    method = "post" if what else "patch"
    assert_problem(change(reader, draft, what, body, method=method), code)
    assert Report.objects.get().version == 0


def test_the_study_leads_to_the_signed_report(api_for, user_for, reader, study, prediction):
    address = f"/api/v1/studies/{study.pk}/"
    assert reader.get(address).json()["report"] is None
    report = make.report_make(study, user_for("radiologist"))
    assert reader.get(address).json()["report"].endswith(f"/reports/{report.pk}/")
    assert api_for("operator").get(address).json()["report"] is None, "whom the policy lets read no report"


def test_the_referring_doctor_reads_the_signed_report_only(api_for, user_for, study, prediction):
    study.referring_doctor = user_for("doctor")
    study.save()
    doctor = api_for("doctor")
    report = make.report_make(study, user_for("radiologist"))
    draft = make.report_make(
        study, user_for("radiologist"), "draft", supersedes=report, amendment_reason="x", impression="secret"
    )
    rows = doctor.get(URL).json()["results"]
    assert [row["id"] for row in rows] == [str(report.pk)]
    assert doctor.get(f"/api/v1/studies/{study.pk}/").json()["report"].endswith(f"/reports/{report.pk}/")
    assert_problem(doctor.get(f"{URL}{draft.pk}/"), "not_found")
    assert_problem(doctor.post(f"{URL}{report.pk}/amend/", {"reason": "x"}, format="json"), "permission_denied")


def test_lists_are_narrowed(reader, user_for, patient, study):
    make.report_make(study, user_for("radiologist"))
    make.report_make(make.study_make(patient), user_for("radiologist"), "draft")
    assert len(reader.get(URL).json()["results"]) == 2
    assert [row["status"] for row in reader.get(f"{URL}?status=final").json()["results"]] == ["final"]
    assert [row["status"] for row in reader.get(f"{URL}?study={study.pk}").json()["results"]] == ["final"]
    assert_problem(reader.get(f"{URL}?signed_by=me"), "invalid_parameter")


def test_a_first_impression_opens_the_answer(reader, clinic, study, prediction):
    clinic.read_first = True
    clinic.save()
    path = "/api/v1/first-impressions/"
    assert reader.get(f"/api/v1/predictions/{prediction.pk}/").status_code == 404
    assert_problem(reader.post(URL, {"study": str(study.pk)}, format="json"), "first_impression_needed")
    assert_problem(reader.post(path, {"study": str(study.pk), "impression": " "}, format="json"), "impression_missing")
    kept = reader.post(path, {"study": str(study.pk), "impression": "Looks normal."}, format="json")
    assert (kept.status_code, kept.json()["impression"]) == (200, "Looks normal.")
    assert reader.get(f"/api/v1/predictions/{prediction.pk}/").status_code == 200

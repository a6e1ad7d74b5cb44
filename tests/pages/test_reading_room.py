"""The reading page as a room: the film in it, the way from study to study, local times, and a draft thrown away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse

from diagnosis.models import Reading, Report
from diagnosis.services import reporting
from patients.models import AuditEvent
from tests import factories

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
HTMX = {"HTTP_HX_REQUEST": "true", "HTTP_ACCEPT": "application/problem+json, text/html"}


@pytest.fixture
def reader(client_for):
    return client_for("radiologist")


@pytest.fixture
def three(clinic, patient):
    """Unread studies in the order of the list, a minute apart."""
    studies = [factories.study_make(patient) for _ in range(3)]
    for place, study in enumerate(studies):
        at = NOON + timedelta(minutes=place)
        factories.reading_make(study, received_at=at, stands_at=at)
    return studies


def read_address(study, query: str = "") -> str:
    return reverse("read", args=[study.pk]) + (f"?{query}" if query else "")


def step(client, study, to: str = "next", query: str = "", **more: str):
    headers = {key: more.pop(key) for key in list(more) if key.startswith("HTTP_")}
    address = reverse("read_step", args=[study.pk]) + (f"?{query}" if query else "")
    return client.post(address, {"to": to, "report": "", "version": "0"} | more, **headers)


def film_of(study, **fields):
    film = factories.predicted_film_make(study, map_key="derived/x/maps.npz", **fields).radiograph
    film.display_key = "derived/x/display.png"
    film.save()
    return film


# --- the film


def test_the_viewer_stands_on_the_page_with_the_study_that_comes_next(reader, three):
    for study in three:
        film_of(study)
    page = reader.get(read_address(three[0])).content.decode()
    assert f'data-study="{three[0].pk}"' in page
    assert "viewer/viewer" in page
    assert f'data-ahead-films="{reverse("viewer_films", args=[three[1].pk])}"' in page


def test_a_study_without_a_film_to_show_says_so(reader, three):
    factories.radiograph_make(three[0], state="rejected")
    page = reader.get(read_address(three[0])).content.decode()
    assert "No film of this study can be shown yet." in page
    assert "data-viewer" not in page.replace("data-viewer-keys", "")


def test_in_read_first_mode_the_maps_come_with_the_first_impression(reader, clinic, three):
    clinic.read_first = True
    clinic.save()
    film_of(three[0])
    address = reverse("viewer_films", args=[three[0].pk])
    assert "data-viewer" in reader.get(read_address(three[0])).content.decode()
    assert reader.get(address).json()["films"][0]["maps"] == []
    reader.post(reverse("read_first", args=[three[0].pk]), {"impression": "Looks normal."})
    assert [found["label"] for found in reader.get(address).json()["films"][0]["maps"]] == ["pneumonia"]


# --- from study to study


def test_next_claims_and_opens_the_next_study_of_the_list(reader, user_for, three):
    assert step(reader, three[0]).url == read_address(three[1])
    assert Reading.objects.get(study=three[1]).claimed_by == user_for("radiologist")


def test_in_one_document_the_browser_is_told_where_to_go(reader, three):
    answer = step(reader, three[0], **HTMX)
    assert answer.status_code == 200
    assert read_address(three[1]) in answer["HX-Location"]


def test_what_a_colleague_reads_is_passed_over_and_what_is_read(reader, clinic, three):
    factories.claim_make(Reading.objects.get(study=three[1]), factories.user_make("radiologist", clinic))
    assert step(reader, three[0]).url == read_address(three[2])
    nobody = dict.fromkeys(("claimed_by", "claimed_at", "claimed_until"))
    Reading.objects.filter(study=three[2]).update(closed_at=NOON + timedelta(hours=1), **nobody)
    assert step(reader, three[0]).url == reverse("worklist")


def test_after_the_last_comes_the_first_and_before_the_first_nothing(reader, three):
    assert step(reader, three[2]).url == read_address(three[0])
    assert step(reader, three[1], "previous").url == read_address(three[0])
    assert step(reader, three[0], "previous").url == read_address(three[0])
    assert "No study stands before this one." in reader.get(read_address(three[0])).content.decode()


def test_after_a_signature_comes_what_presses_most(reader, three):
    Reading.objects.filter(study=three[1]).update(closed_at=NOON + timedelta(hours=1))
    Reading.objects.filter(study=three[2]).update(emergency=True)
    assert step(reader, three[1]).url == read_address(three[2])


def test_an_emergency_stands_before_what_came_earlier(reader, three):
    Reading.objects.filter(study=three[2]).update(emergency=True)
    assert step(reader, three[0], "previous").url == read_address(three[2])
    assert step(reader, three[2]).url == read_address(three[0])


def test_the_filters_one_came_with_hold_from_study_to_study(reader, three):
    Reading.objects.filter(study__in=[three[0].pk, three[2].pk]).update(critical=True)
    row = reader.get(reverse("worklist") + "?state=critical").content.decode()
    assert f'href="{read_address(three[0], "state=critical")}"' in row
    assert step(reader, three[0], query="state=critical").url == read_address(three[2], "state=critical")


def test_what_was_typed_is_kept_on_the_way_and_nothing_is_begun_without_words(reader, three):
    step(reader, three[0])
    assert not Report.objects.exists()
    step(reader, three[0], impression="Come back to it.")
    assert Report.objects.get(study=three[0]).impression == "Come back to it."


def test_a_stale_page_is_not_left_and_keeps_what_was_typed(reader, user_for, three):
    draft = factories.report_make(three[0], user_for("radiologist"), "draft", version=3)
    answer = step(reader, three[0], report=str(draft.pk), version="1", impression="Mine.", **HTMX)
    assert (answer.status_code, answer.json()["code"]) == (412, "stale_page")
    assert Reading.objects.get(study=three[1]).claimed_by is None


def test_the_signed_report_offers_the_next_study(reader, user_for, three):
    factories.report_make(three[0], user_for("radiologist"))
    page = reader.get(reverse("report", args=[three[0].pk]) + "?state=free").content.decode()
    assert f"{reverse('read_step', args=[three[0].pk])}?state=free" in page
    assert "Next study" in page


# --- times


def test_times_are_the_clinics(reader, clinic, user_for, three):
    clinic.time_zone = "Asia/Kolkata"
    clinic.save()
    row = factories.claim_make(Reading.objects.get(study=three[0]), user_for("radiologist"))
    Reading.objects.filter(pk=row.pk).update(claimed_at=NOON)
    page = reader.get(read_address(three[0])).content.decode()
    assert "reading this study since 17:30" in page
    listed = reader.get(reverse("worklist")).content.decode()
    assert "2 Mar 2026, 17:30 (Asia/Kolkata)" in listed
    assert "UTC" not in page + listed


# --- a draft begun by mistake


def test_a_draft_is_discarded_after_a_question(reader, user_for, three):
    draft = factories.report_make(three[0], user_for("radiologist"), "draft", impression="Wrong patient.")
    address = reverse("report_discard", args=[three[0].pk])
    assert "Wrong patient." in reader.get(address).content.decode()
    answer = reader.post(address, {"report": str(draft.pk), "version": "0"})
    assert answer.url == read_address(three[0])
    assert not Report.objects.exists()
    assert AuditEvent.objects.get(verb="discard").object_id == str(draft.pk)


def test_a_draft_that_changed_meanwhile_is_not_discarded(reader, user_for, three):
    draft = factories.report_make(three[0], user_for("radiologist"), "draft", version=2)
    answer = reader.post(reverse("report_discard", args=[three[0].pk]), {"report": str(draft.pk), "version": "1"})
    assert answer.status_code == 412
    assert Report.objects.filter(pk=draft.pk).exists()


def test_without_a_draft_there_is_nothing_to_discard(reader, three):
    assert reader.get(reverse("report_discard", args=[three[0].pk])).url == read_address(three[0])


def test_the_text_of_a_normal_report_is_offered_while_nothing_is_written(reader, three):
    film_of(three[0])
    normal = reverse("report_normal", args=[three[0].pk])
    assert normal in reader.get(read_address(three[0])).content.decode()
    reader.post(normal, {"report": "", "version": "0"})
    assert Report.objects.get().findings_text.startswith("Lungs clear.")
    assert normal not in reader.get(read_address(three[0])).content.decode()
    reporting.finding_decide(
        user=Report.objects.get().author, report=Report.objects.get(), version=1, label="pneumonia", verdict="accepted"
    )
    assert "Lungs clear" not in Report.objects.get().findings_text


# --- of several films


@pytest.fixture
def weak_and_strong(three):
    """A study of two films, the model surer of a pneumonia on the second; both can be shown."""
    return [film_of(three[0], calibrated={"pneumonia": sure}) for sure in (0.61, 0.97)]


def test_a_finding_says_on_which_of_several_films_the_model_sees_it(reader, three, weak_and_strong):
    _, strong = weak_and_strong
    page = reader.get(read_address(three[0])).content.decode()
    decision = page.split('id="decision-pneumonia"')[1].split("</li>")[0]
    assert "97 %" in decision
    assert "on Film 2" in decision
    assert f'data-open-film="{strong.pk}"' in decision
    assert [film["name"] for film in reader.get(reverse("viewer_films", args=[three[0].pk])).json()["films"]] == [
        "Film 1",
        "Film 2",
    ]


def test_a_film_keeps_its_number_where_another_cannot_be_shown(reader, three, weak_and_strong):
    weak, strong = weak_and_strong
    weak.display_key = ""
    weak.save()
    page = reader.get(read_address(three[0])).content.decode()
    assert "on Film 2" in page.split('id="decision-pneumonia"')[1].split("</li>")[0]
    assert [film["name"] for film in reader.get(reverse("viewer_films", args=[three[0].pk])).json()["films"]] == [
        "Film 2"
    ]
    study_page = reader.get(reverse("study_detail", args=[three[0].pk])).content.decode()
    assert "Film 2" in study_page.split(f'id="film-{strong.pk}"')[1].split("film-canvas")[0]
    renewed = reader.get(reverse("study_status", args=[three[0].pk]), {"film": str(strong.pk)}).content.decode()
    assert "Film 2" in renewed


def test_a_lone_film_is_not_numbered(reader, three):
    film_of(three[0])
    page = reader.get(read_address(three[0])).content.decode()
    assert "on Film" not in page
    assert "Of several films" not in page


def test_the_signed_report_says_on_which_film_the_model_saw_it(reader, three, weak_and_strong, user_for):
    user = user_for("radiologist")
    reader.get(read_address(three[0]))
    report = reporting.draft_open(user=user, study=three[0])
    report = reporting.finding_decide(
        user=user, report=report, version=report.version, label="pneumonia", verdict="accepted"
    )
    report = reporting.draft_save(
        user=user, report=report, version=report.version, findings_text=report.findings_text, impression="Pneumonia."
    )
    reporting.report_sign(user=user, report=report, version=report.version)
    page = reader.get(reverse("report", args=[three[0].pk])).content.decode()
    machine = page.split('id="machine"')[1]
    assert "on Film 2" in machine

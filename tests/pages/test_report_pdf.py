"""A signed report on paper: read back from the PDF, letter by letter."""

from __future__ import annotations

import io
import re

import pytest
from django.urls import reverse
from PIL import Image
from pypdf import PdfReader

from diagnosis.models import Prediction, Radiograph, Report, ReportSettings
from diagnosis.services import reporting
from patients.models import AuditEvent, Patient
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def study(patient, user_for, media_root):
    study = factories.study_make(patient, indication="Cough and fever", referring_doctor=user_for("doctor"))
    film = factories.predicted_film_make(study).radiograph
    film.display_key = f"derived/{film.sha256[:2]}/{film.sha256}/display.png"
    film.save()
    (media_root / film.display_key).parent.mkdir(parents=True)
    Image.new("L", (400, 500), 90).save(media_root / film.display_key)
    return study


def sign(study, user, impression: str = "Left pneumonia.", findings: str = "", amends: str = "") -> Report:
    if amends:
        report = reporting.report_amend(user=user, report=study.reports.get(), reason=amends)
    else:
        report = reporting.draft_open(user=user, study=study)
        report = reporting.finding_decide(user=user, report=report, version=0, label="pneumonia", verdict="accepted")
    texts = {"impression": impression} | ({"findings_text": findings} if findings else {})
    report = reporting.draft_save(user=user, report=report, version=report.version, **texts)
    return reporting.report_sign(user=user, report=report, version=report.version)


def paper_of(client, study) -> PdfReader:
    answer = client.get(reverse("report_pdf", args=[study.pk]))
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/pdf")
    assert "no-store" in answer["Cache-Control"]
    return PdfReader(io.BytesIO(answer.content))


def text_of(client, study) -> str:
    return " ".join("\n".join(page.extract_text() for page in paper_of(client, study).pages).split())


def test_one_page_says_the_conclusion_first_and_the_model_apart(client_for, user_for, study):
    report = sign(study, user_for("radiologist"))
    paper = paper_of(client_for("doctor"), study)
    (page,) = paper.pages
    text = " ".join(page.extract_text().split())
    order = [
        *("Asha Verma", "MRN 0017", "Left pneumonia.", "Airspace opacity", "registration number MCI-4711"),
        *("no part of the report above", "present, 80 % (threshold 50 %)", "radiologist agrees"),
        *("test-model 1.0.0", "Thresholds: Pneumonia 50 %, Effusion 50 %", f"Study {study.pk}", str(report.pk)),
    ]
    assert [place for place, words in enumerate(order) if words not in text] == []
    assert [text.index(words) for words in order] == sorted(text.index(words) for words in order)
    (film,) = page.images
    assert film.image.size == (400, 500)


@pytest.mark.parametrize(("language", "word"), [("en", "Film"), ("es", "Imagen"), ("fr", "Cliché"), ("ru", "Снимок")])
def test_of_several_films_the_paper_names_the_one_it_shows_and_the_one_the_model_means(
    client_for, user_for, study, language, word
):
    ReportSettings.objects.create(clinic=study.clinic, language=language)
    model = Prediction.objects.get().model_version
    film = factories.predicted_film_make(study, model_version=model, calibrated={"pneumonia": 0.93, "normal": 0.07})
    Radiograph.objects.filter(pk=film.radiograph_id).update(view="AP")
    sign(study, user_for("radiologist"))
    text = text_of(client_for("doctor"), study)
    (said,) = re.findall(rf"93 % \(\w+ 50 %\) · {word} \d(?: AP)?", text)
    assert said.endswith(f"{word} 2 AP")
    assert f"{word} 1" in text, "the first film stands on the paper"


def test_the_letters_of_a_paper_are_not_logged(client_for, user_for, study, caplog):
    sign(study, user_for("radiologist"))
    caplog.clear()
    paper_of(client_for("doctor"), study)
    assert [record.name for record in caplog.records if record.name.startswith("fontTools")] == []


def test_a_lone_film_is_not_numbered(client_for, user_for, study):
    sign(study, user_for("radiologist"))
    assert "Film 1" not in text_of(client_for("doctor"), study)


@pytest.mark.parametrize("name", ["Łucja Šimůnková", "Ольга Ківі", "Ελένη Παπαδοπούλου", "Nguyễn Thị Hằng"])
def test_names_in_latin_cyrillic_and_greek_are_printed(client_for, user_for, study, name):
    Patient.objects.filter(pk=study.patient_id).update(name=name)
    sign(study, user_for("radiologist"))
    text = text_of(client_for("doctor"), study)
    assert name in text
    assert "cannot be printed" not in text


@pytest.mark.parametrize("name", ["आशा वर्मा", "عائشة", "王小明", "דוד"])
def test_what_cannot_be_printed_is_said_and_not_dropped(client_for, user_for, study, name):
    Patient.objects.filter(pk=study.patient_id).update(name=name)
    sign(study, user_for("radiologist"))
    text = text_of(client_for("doctor"), study)
    assert "cannot be printed here and are shown as ▯" in text
    assert text.count("▯") == 1 + sum(not letter.isspace() for letter in name)
    assert "MRN 0017" in text


def test_a_long_report_goes_on_and_loses_nothing(client_for, user_for, study):
    findings = "\n".join(f"Sentence number {number} of a long description of the film." for number in range(120))
    sign(study, user_for("radiologist"), findings=findings)
    text = text_of(client_for("doctor"), study)
    assert all(f"Sentence number {number} of" in text for number in range(120))
    assert "Page 2 of" in text


def test_an_amended_report_says_why(client_for, user_for, study):
    sign(study, user_for("radiologist"))
    sign(study, user_for("radiologist"), "Right pneumonia.", amends="It is on the right")
    text = text_of(client_for("doctor"), study)
    assert "Right pneumonia." in text
    assert "because: It is on the right" in text
    assert "Left pneumonia." not in text


def test_who_may_see_neither_film_nor_model_gets_the_doctors_words_alone(client_for, user_for, study):
    sign(study, user_for("radiologist"))
    paper = paper_of(client_for("radiographer"), study)
    text = paper.pages[0].extract_text()
    assert "Left pneumonia." in text
    assert "model" not in text.lower()
    assert list(paper.pages[0].images) == []


def test_there_is_no_paper_before_the_signature_and_each_copy_is_recorded(client_for, user_for, study):
    doctor = client_for("doctor")
    assert doctor.get(reverse("report_pdf", args=[study.pk])).status_code == 404
    report = sign(study, user_for("radiologist"))
    paper_of(doctor, study)
    event = AuditEvent.objects.get(verb="export")
    assert (event.object_id, event.role) == (str(report.pk), "doctor")

"""A clinic's own language and sentences: on its page, in its drafts, and on its paper."""

from __future__ import annotations

import pytest
from django.urls import reverse

from diagnosis.models import Report, ReportSettings
from diagnosis.services import reporting
from diagnosis.services.report_settings import report_settings_set
from patients.models import AuditEvent
from tests import factories
from tests.diagnosis.report_steps import code_of
from tests.pages.test_report_pdf import sign, study, text_of

__all__ = ["study"]  # a fixture of the paper's tests

pytestmark = pytest.mark.django_db


def write_in(user, clinic, language: str, **texts: str) -> ReportSettings:
    return report_settings_set(user=user, clinic=clinic, language=language, texts=texts)


def test_radiologist_and_administrator_choose_language_and_sentences(client_for, clinic):
    address = reverse("report_settings", args=[clinic.pk])
    for role, language in (("radiologist", "fr"), ("clinicadmin", "es")):
        client = client_for(role)
        preview = client.get(f"{address}?language={language}").content.decode()
        assert "no radiologist who writes" in preview
        assert client.post(address, {"language": language, "mass": "Masa/Masse."}).url == address
        assert ReportSettings.objects.get().language == language
        assert "Masa/Masse." in client.get(address).content.decode()
    assert client_for("operator").get(address).status_code == 403


def test_a_sentence_is_recorded_and_an_usual_one_is_not_kept(user_for, clinic):
    radiologist = user_for("radiologist")
    held = write_in(radiologist, clinic, "fr", mass="Masse à décrire.", hernia="Hernie.", nodule="")
    assert held.texts == {"fr": {"mass": "Masse à décrire."}}
    event = AuditEvent.objects.get(verb="update")
    assert event.changes == {"language": ["en", "fr"], "mass": ["", "Masse à décrire."]}
    write_in(radiologist, clinic, "fr", mass="Masse à décrire.")
    assert AuditEvent.objects.filter(verb="update").count() == 1, "nothing changed, nothing written"


def test_sentences_of_another_language_stay_for_later(user_for, clinic):
    radiologist = user_for("radiologist")
    write_in(radiologist, clinic, "fr", mass="Masse à décrire.")
    write_in(radiologist, clinic, "en")
    assert write_in(radiologist, clinic, "es").texts["fr"] == {"mass": "Masse à décrire."}


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"language": "hi"}, "invalid_parameter"),
        ({"language": "en", "mass": "गांठ"}, "text_not_printable"),
        ({"language": "en", "unheard": "x"}, "finding_unknown"),
        ({"language": "en", "mass": "x" * 501}, "invalid_text"),
    ],
)
def test_what_cannot_be_written_or_printed_is_refused(user_for, clinic, given, code):
    assert code_of(lambda: write_in(user_for("radiologist"), clinic, **given)) == code


def test_a_refusal_stands_on_the_page_with_what_was_typed(client_for, clinic):
    answer = client_for("radiologist").post(
        reverse("report_settings", args=[clinic.pk]), {"language": "en", "mass": "गांठ"}
    )
    assert answer.status_code == 422
    assert "गांठ" in answer.content.decode()


def test_drafts_are_written_in_the_clinics_language_with_its_sentences(user_for, study):
    radiologist = user_for("radiologist")
    write_in(radiologist, study.clinic, "fr", mass="Masse à décrire.", normal="Rien à signaler.")
    draft = reporting.draft_open(user=radiologist, study=study)
    draft = reporting.draft_normal(user=radiologist, report=draft, version=draft.version)
    assert draft.findings_text == "Rien à signaler."
    for label, verdict in (("pneumonia", "accepted"), ("mass", "added")):
        draft = reporting.finding_decide(
            user=radiologist, report=draft, version=draft.version, label=label, verdict=verdict
        )
    assert draft.findings_text == "Opacité alvéolaire, compatible avec une pneumonie.\nMasse à décrire."
    assert set(draft.decisions.values_list("label", flat=True)) == {"pneumonia", "mass"}, "keys stay as they are"


def test_a_normal_text_is_written_over_nothing_and_beside_no_finding(user_for, study):
    radiologist = user_for("radiologist")
    draft = reporting.draft_open(user=radiologist, study=study)
    draft = reporting.draft_save(user=radiologist, report=draft, version=0, findings_text="My own.")
    assert (
        code_of(lambda: reporting.draft_normal(user=radiologist, report=draft, version=draft.version)) == "text_edited"
    )
    decided = reporting.finding_decide(
        user=radiologist, report=draft, version=draft.version, label="pneumonia", verdict="accepted"
    )
    late = {"user": radiologist, "report": decided, "version": decided.version}
    assert code_of(lambda: reporting.draft_normal(**late)) == "finding_present"


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("fr", ["Compte rendu de radiographie thoracique", "numéro d’inscription MCI-4711", "hors du compte rendu"]),
        ("es", ["Informe de radiografía de tórax", "Derrame pleural", "radiólogo: de acuerdo", "umbral 50 %"]),
        ("pt", ["Laudo de radiografia de tórax", "Página 1 de 1", "limiar 50 %"]),
        ("ru", ["Заключение по рентгенограмме", "Пневмония", "порог 50 %", "рентгенолог: согласие"]),
    ],
)
def test_the_paper_is_in_the_clinics_language_without_a_missing_letter(client_for, user_for, study, language, said):
    radiologist = user_for("radiologist")
    write_in(radiologist, study.clinic, language)
    sign(study, radiologist)
    text = text_of(client_for("doctor"), study)
    assert [words for words in said if words not in text] == []
    assert "▯" not in text
    assert "Left pneumonia." in text, "what the doctor wrote stands as written"
    assert "test-model 1.0.0" in text
    assert Report.objects.get().decisions.filter(label="pneumonia").exists()


def test_another_clinic_keeps_its_own(user_for, clinic, other_clinic):
    write_in(user_for("radiologist"), clinic, "fr")
    assert not ReportSettings.objects.filter(clinic=other_clinic).exists()
    stranger = factories.user_make("radiologist", other_clinic)
    assert code_of(lambda: write_in(stranger, clinic, "es")) == "permission_denied"

"""Every row of the bad-input table, sent to the site's real web process by page and by API."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from django.utils.formats import date_format

from diagnosis.models import Job, Prediction, Radiograph
from diagnosis.services.prepare import prepare_next
from patients.models import AuditEvent
from tests.api.problems import assert_problem
from tests.bad_inputs.desk import API, PAGE, Answer, Desk, WebProcess
from tests.bad_inputs.row import Row
from tests.bad_inputs.table import ROWS
from tests.site.running import wait_until

#: No answer may take longer, and the web process may never hold more.
SECONDS, MEGABYTES = 10, 512
CASES = [(row, way) for row in ROWS for way in row.ways]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(420)]


@pytest.fixture
def web(transactional_db: None, tmp_path: Path, settings: Any) -> Iterator[WebProcess]:
    process = WebProcess(tmp_path / "web")
    settings.MEDIA_ROOT = process.media
    yield process
    process.stop()


def test_every_bad_input_gets_its_status_code_and_sentence(web: WebProcess, subtests: pytest.Subtests) -> None:
    """And none costs the web process ten seconds, half a gigabyte, its life, or a file left behind."""
    for row, way in CASES:
        with subtests.test(f"{row.name} by {way}"):
            desk = Desk(web)
            answer = row.send(desk, way)
            web.slowest = max(web.slowest, (answer.seconds, f"{row.name} by {way}"))
            assert answer.seconds < SECONDS
            _CHECKS[row.kind](row, way, desk, answer)
            # The answer may be here before the process has closed what it answered.
            wait_until(lambda: not any(web.incoming.iterdir()), what="no file is left behind")
    slowest, name = web.slowest
    print(f"\n{len(CASES)} inputs; slowest {slowest:.2f} s ({name}); the web process held {web.peak_mb()} MB at most")
    assert web.worker.is_running()
    assert web.peak_mb() < MEGABYTES


def _refused(row: Row, way: str, desk: Desk, answer: Answer) -> None:
    assert answer.status_code == row.status, answer.text[:2000]
    if way == API:
        assert assert_problem(answer, row.code, row.status)["detail"] == row.sentence
    else:
        _page_says(answer, row.sentence, row.code)
    earlier = Radiograph.objects.filter(clinic=desk.clinic).count()  # some rows need a film that is there already
    assert Job.objects.filter(radiograph__clinic=desk.clinic).count() == earlier <= 1
    if row.film:
        assert AuditEvent.objects.filter(user=desk.user, verb="upload", outcome=row.code).count() == 1


def _warned(row: Row, way: str, desk: Desk, answer: Answer) -> None:
    film = _taken(row, way, desk, answer)
    assert [(each["code"], each["message"]) for each in film.warnings] == [(row.code, row.sentence)]
    if way == API:
        assert answer.json()["warnings"] == film.warnings
    else:
        _page_says(answer, row.sentence)


def _late(row: Row, way: str, desk: Desk, answer: Answer) -> None:
    """Taken, then rejected: shown to whoever sent it and in the clinic's list of films; no model is asked."""
    film = _taken(row, way, desk, answer)
    while prepare_next(worker="test"):
        pass
    if way == API:
        shown = desk.request(API, "GET", f"/api/v1/radiographs/{film.pk}/").json()
        assert (shown["state"], shown["code"], shown["message"]) == ("rejected", row.code, row.sentence)
    else:
        for page in (f"/studies/{film.study_id}/", "/films/"):
            _page_says(desk.request(PAGE, "GET", page), row.sentence)
    assert not Job.objects.filter(radiograph=film).exclude(kind="prepare", state="succeeded").exists()
    assert not Prediction.objects.filter(radiograph=film).exists()


def _taken(row: Row, way: str, desk: Desk, answer: Answer) -> Radiograph:
    assert answer.status_code == (row.status if way == API else 200), answer.text[:2000]  # a page goes on to its study
    film = Radiograph.objects.get(clinic=desk.clinic)
    assert Job.objects.get(radiograph=film).state == "queued"
    assert AuditEvent.objects.get(user=desk.user, verb="upload", outcome="ok").object_id == str(film.pk)
    return film


def _known(row: Row, way: str, desk: Desk, answer: Answer) -> None:
    film = _taken(row, way, desk, answer)
    sentence = row.sentence.format(today=date_format(timezone.now(), "j F Y"))
    if way == API:
        assert (answer.json()["radiograph"], answer.json()["code"]) == (str(film.pk), row.code)
        assert answer.json()["message"] == sentence
    else:
        _page_says(answer, sentence)


def _page_says(answer: Answer, sentence: str, code: str = "") -> None:
    """In the page's visible text."""
    text = re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", answer.text)))
    assert sentence in text
    assert code in text
    assert "Traceback" not in text


_CHECKS = {"refused": _refused, "warned": _warned, "late": _late, "known": _known, "taken": _taken}

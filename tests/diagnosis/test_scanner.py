"""The virus scanner before the decoder: what is infected is rejected and kept aside, and a scanner that is away costs a
film nothing but time. Against a small clamd that speaks the real protocol over a real socket."""

from __future__ import annotations

import socketserver
import struct
import threading
from collections.abc import Iterator

import clamd
import pytest
from django.urls import reverse
from django.utils import timezone

from diagnosis import scanner, storage
from diagnosis.models import Job, Worker
from diagnosis.monitoring import alerts_read
from diagnosis.services.prepare import prepare_next
from patients.models import AuditEvent
from tests.synthetic import as_png, synthetic_film

INFECTED = as_png(synthetic_film(21)) + clamd.EICAR
SENTENCE = "Refused by the virus scanner. Do not send it again; tell whoever looks after the computer it came from."


class Clamd(socketserver.ThreadingUnixStreamServer):
    """PING, and INSTREAM as clamd answers it: chunks with their length before them, until a length of nought."""

    daemon_threads = True
    largest = 1_000_000

    class RequestHandlerClass(socketserver.StreamRequestHandler):
        server: Clamd

        def handle(self) -> None:
            command = self.rfile.readline()
            if command == b"nPING\n":
                self.wfile.write(b"PONG\n")
            elif command == b"nINSTREAM\n":
                self.wfile.write(self.server.verdict(self._received()))

        def _received(self) -> bytes:
            data = b""
            while size := struct.unpack("!L", self.rfile.read(4))[0]:
                data += self.rfile.read(size)
            return data

    def __init__(self, path: str) -> None:
        super().__init__(path, self.RequestHandlerClass)

    def verdict(self, data: bytes) -> bytes:
        if len(data) > self.largest:
            return b"INSTREAM size limit exceeded. ERROR\n"
        return b"stream: Eicar-Test-Signature FOUND\n" if clamd.EICAR in data else b"stream: OK\n"


@pytest.fixture
def scanning(settings, tmp_path_factory) -> Iterator[Clamd]:
    path = tmp_path_factory.mktemp("c") / "s"  # the path of a socket is short
    settings.CLAMAV_URL = f"clamd://{path}"
    with Clamd(str(path)) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


def run() -> bool:
    return prepare_next(worker="test")


def alert_codes() -> set[str]:
    return {alert.code for alert in alerts_read()} & {"scanner_away", "malware_found"}


def test_an_infected_film_is_rejected_before_it_is_decoded(scanning, take_in, model, monkeypatch):
    radiograph = take_in(data=INFECTED)
    monkeypatch.setattr("diagnosis.services.prepare.decode", lambda data: pytest.fail("it was decoded"))
    run()
    radiograph.refresh_from_db()
    assert (radiograph.state, radiograph.code, radiograph.message) == ("rejected", "malware_detected", SENTENCE)
    assert Job.objects.get().state == "succeeded"
    assert AuditEvent.objects.get(verb="prepare").outcome == "malware_detected"
    assert alert_codes() == {"malware_found"}


def test_the_infected_bytes_are_kept_and_nothing_of_them_can_be_had(scanning, take_in, model, client_for):
    radiograph = take_in(data=INFECTED)
    run()
    assert storage.original_read(radiograph.sha256) == INFECTED
    client = client_for("radiologist")
    assert client.get(reverse("radiograph_image", args=[radiograph.pk])).status_code == 404
    page = client.get(reverse("study_detail", args=[radiograph.study_id])).content.decode()
    assert SENTENCE in page
    assert "The file is kept aside" in page
    assert "send it again." not in page
    assert "Send the corrected film" not in page
    assert SENTENCE in client.get(reverse("film_list")).content.decode()


def test_a_clean_film_goes_on_and_its_scan_is_timed(scanning, take_in, model):
    radiograph = take_in()
    run()
    radiograph.refresh_from_db()
    assert radiograph.state == "ready"
    assert "scan" in radiograph.jobs.get(kind="prepare").timings_ms
    assert alert_codes() == set()


@pytest.mark.parametrize("trouble", ["away", "silent", "limit"])
def test_without_a_verdict_the_film_waits_and_loses_no_attempt(trouble, scanning, take_in, model, settings):
    radiograph = take_in()
    address, verdict = settings.CLAMAV_URL, scanning.verdict
    if trouble == "away":
        settings.CLAMAV_URL = "clamd://127.0.0.1:1"
    elif trouble == "silent":
        scanning.verdict = lambda data: b""
    else:
        scanning.largest = 10
    for _ in range(4):
        run()
    job = Job.objects.get()
    assert (job.state, job.attempt) == ("queued", 0)
    assert alert_codes() == ({"scanner_away"} if trouble == "away" else set())
    settings.CLAMAV_URL, scanning.verdict, scanning.largest = address, verdict, 1_000_000
    run()
    radiograph.refresh_from_db()
    assert radiograph.state == "ready"


def test_the_page_of_a_waiting_film_says_that_the_scanner_is_away(take_in, client_for, settings):
    settings.CLAMAV_URL = "clamd://127.0.0.1:1"
    radiograph = take_in()
    now = timezone.now()
    Worker.objects.create(name="prepare@a", kind="prepare", started_at=now, seen_at=now)
    page = client_for("radiologist").get(reverse("study_detail", args=[radiograph.study_id])).content.decode()
    assert "The virus scanner does not answer. The film is safe and waits until it does." in page


def test_a_scanner_that_takes_no_connection_is_not_waited_for(settings, monkeypatch):
    monkeypatch.setattr(scanner, "PING_SECONDS", 0.2)
    settings.CLAMAV_URL = "clamd://192.0.2.1:3310"  # an address that nobody has
    assert scanner.scanner_answers() is False


def test_without_a_scanner_nothing_is_asked(take_in, model, settings):
    assert settings.CLAMAV_URL == ""
    assert scanner.malware_name(INFECTED) == ""
    assert scanner.scanner_answers() is None

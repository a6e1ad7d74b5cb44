"""The site's real web process on the test's database, and a desk from which a person or a program sends things to it.

May import the standard library, psutil, Django, the factories. Rows are committed: nothing here is rolled back.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from django.conf import settings
from django.test import Client
from knox.models import AuthToken

from patients.models import Clinic, Patient, User
from tests import factories
from tests.site.running import free_port, wait_until

API, PAGE = "api", "page"
STUDIES, PATIENTS = "/api/v1/studies/", "/api/v1/patients/"
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
BOUNDARY = "film-boundary"
MULTIPART = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
END = f"--{BOUNDARY}--\r\n".encode()


class Answer(NamedTuple):
    """What came back, and after how long."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes
    seconds: float

    @property
    def text(self) -> str:
        return self.content.decode()

    def json(self) -> Any:
        return json.loads(self.content)


class WebProcess:
    """gunicorn with one worker, as `cxrsite.processes` runs it, with folders of its own."""

    def __init__(self, folder: Path) -> None:
        self.media, self.incoming, self.port = folder / "media", folder / "incoming", free_port()
        for each in (self.media, self.incoming):
            each.mkdir(parents=True)
        given = {
            "DATABASES": {"default": {**settings.DATABASES["default"], "TEST": {}}},
            "MEDIA_ROOT": self.media,
            "SENDFILE_ROOT": self.media,
            "FILE_UPLOAD_TEMP_DIR": self.incoming,
        }
        environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "tests.diagnosis.worker_settings",
            "CXR_TEST_WORKER": json.dumps(given, default=str),
            "PORT": str(self.port),
            "WEB_WORKERS": "1",
        }
        command = [sys.executable, "-m", "gunicorn", "-c", "python:cxrsite.gunicorn", "cxrsite.wsgi"]
        self._log = folder / "web.log"
        with self._log.open("wb") as log:
            self._main = subprocess.Popen(command, env=environment, cwd=settings.BASE_DIR, stdout=log, stderr=log)
        self.slowest: tuple[float, str] = (0, "")
        wait_until(lambda: self._answers(), 180, f"the web process answers: {self._log}")
        (self.worker,) = psutil.Process(self._main.pid).children()

    def _answers(self) -> bool:
        assert self._main.poll() is None, self._log.read_text()
        try:
            return self.exchange("GET", "/livez").status_code == 200
        except OSError:
            return False

    def stop(self) -> None:
        self._main.terminate()
        self._main.wait(90)

    def peak_mb(self) -> int:
        """The most memory the worker ever held, by the kernel's count."""
        status = Path(f"/proc/{self.worker.pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) // 1024

    def exchange(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterable[bytes] = b"",
        *,
        length: int | None = None,
    ) -> Answer:
        """One request on a connection of its own. A body that the server stops reading is not sent to its end."""
        blocks = [body] if isinstance(body, bytes) else body
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        started = time.monotonic()
        try:
            connection.putrequest(method, path)
            given = {"Content-Length": str(len(body) if isinstance(body, bytes) else length), **(headers or {})}
            if length is not None:
                given["Content-Length"] = str(length)
            for name, value in given.items():
                if value:
                    connection.putheader(name, value)
            connection.endheaders()
            try:
                for block in blocks:
                    connection.send(block)
                if length is not None and isinstance(body, bytes) and length > len(body):
                    connection.sock.shutdown(1)  # the cable is pulled: nothing more will come
            except (BrokenPipeError, ConnectionResetError):
                pass
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read(), time.monotonic() - started)
        finally:
            connection.close()


@dataclass
class Desk:
    """One clinic of its own with an operator, who has chosen the patient John Doe, number 0042."""

    web: WebProcess
    clinic: Clinic = field(init=False)
    user: User = field(init=False)
    patient: Patient = field(init=False)
    sent: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clinic = factories.clinic_make()
        self.user = factories.user_make("operator", self.clinic)
        self.patient = factories.patient_make(self.clinic, "John Doe", mrn="0042", birth_year=1970)
        self.cookies = SimpleCookie()
        self.sign_in(self.user)

    def sign_in(self, user: User) -> None:
        """At the page and at the API."""
        browser = Client()
        browser.force_login(user, backend=BACKEND)
        self.cookies["sessionid"] = browser.cookies["sessionid"].value
        self.cookies["csrftoken"] = "t" * 32
        self.token = AuthToken.objects.create(user)[1]

    # --- what both ways can send

    def send(
        self,
        way: str,
        data: bytes,
        name: str = "film.png",
        kind: str = "image/png",
        *,
        patient: object = None,
        key: str = "",
        **fields: str,
    ) -> Answer:
        """A film for the chosen patient, or for another."""
        fields = {"patient": str(getattr(patient or self.patient, "pk", patient)), **fields}
        return self.post(way, form(fields, file_part(data, name, kind)), key=key)

    def post(self, way: str, body: bytes | Iterable[bytes], *, key: str = "", **how: Any) -> Answer:
        """A multipart body as it is, to where films are sent."""
        headers = MULTIPART | {"Idempotency-Key": key or uuid.uuid4().hex} | how.pop("headers", {})
        return self.request(way, "POST", STUDIES if way == API else "/", headers, body, **how)

    def request(
        self,
        way: str,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterable[bytes] = b"",
        **how: Any,
    ) -> Answer:
        """Signed in by token, or by cookie with the token of the page; a page that sends on is followed."""
        if way == API:
            return self.web.exchange(
                method, path, {"Authorization": f"Token {self.token}", **(headers or {})}, body, **how
            )
        own = {"X-CSRFToken": self.cookies["csrftoken"].value, "Cookie": self._cookie_header()}
        answer = self.web.exchange(method, path, own | dict(headers or {}), body, **how)
        for line in getattr(answer.headers, "get_all", lambda name: [])("Set-Cookie") or []:
            self.cookies.load(line)
        if answer.status_code == 302 and not answer.headers["Location"].startswith("/accounts/"):
            return self.request(PAGE, "GET", answer.headers["Location"])
        return answer

    def _cookie_header(self) -> str:
        return "; ".join(f"{name}={morsel.coded_value}" for name, morsel in self.cookies.items())

    def json(self, body: object) -> Answer:
        """A body for a new patient at the API."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.request(API, "POST", PATIENTS, {"Content-Type": "application/json"}, raw)


# --- bodies


def file_part(data: bytes, name: str = "film.png", kind: str = "image/png", *, field: str = "file") -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\nContent-Type: {kind}'
    return head.encode() + b"\r\n\r\n" + data + b"\r\n"


def form(fields: Mapping[str, str | bytes], *parts: bytes) -> bytes:
    """Fields and files as one multipart body."""
    said = b""
    for name, value in fields.items():
        raw = value if isinstance(value, bytes) else value.encode()
        said += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + raw + b"\r\n"
    return said + b"".join(parts) + END

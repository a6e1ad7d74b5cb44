"""The optional virus scanner: clamd, asked over its socket before a film is decoded.

May import: Django's settings, `mlcore.contracts`, and clamd inside functions, for it takes long to load. Without
`CLAMAV_URL` nothing is scanned. Used by `diagnosis.services.prepare`, and by `diagnosis.monitoring`, which says when it
does not answer.
"""

from __future__ import annotations

import io
import socket
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from mlcore.contracts import InfrastructureError

#: Less than the soft time limit of a prepare task, so that a scanner that hangs costs the film no attempt.
SCAN_SECONDS = 30
PING_SECONDS = 1


def malware_name(data: bytes) -> str:
    """What the scanner calls the malware in `data`; empty where it finds none, or where there is no scanner.

    Raises InfrastructureError where there is one and it gives no verdict: away, too slow, or the file is above its own
    limit (`StreamMaxLength`).
    """
    if not settings.CLAMAV_URL:
        return ""
    import clamd

    try:
        answer = _clamd(SCAN_SECONDS).instream(io.BytesIO(data)) or {}
    except (clamd.ClamdError, OSError) as error:
        raise InfrastructureError("the virus scanner does not answer") from error
    verdict, name = answer.get("stream", ("nothing", ""))
    if verdict not in ("OK", "FOUND"):
        raise InfrastructureError(f"the virus scanner answers {verdict}")
    return name if verdict == "FOUND" else ""


def scanner_answers() -> bool | None:
    """Whether the scanner is there; None where none is configured."""
    if not settings.CLAMAV_URL:
        return None
    import clamd

    try:
        return bool(_clamd(PING_SECONDS).ping() == "PONG")
    except (clamd.ClamdError, OSError):
        return False


def _clamd(seconds: int) -> Any:
    import clamd

    class Network(clamd.ClamdNetworkSocket):
        """The library's, with a time limit for connecting too."""

        def _init_socket(self) -> None:
            self.clamd_socket = socket.socket()
            self.clamd_socket.settimeout(self.timeout)
            self.clamd_socket.connect((self.host, self.port))

    address = urlsplit(settings.CLAMAV_URL)
    if address.hostname:
        return Network(address.hostname, address.port or 3310, seconds)
    return clamd.ClamdUnixSocket(address.path, seconds)

"""What schemathesis checks of this API besides its own checks; loaded by `schemathesis.toml`.

A request that the description calls valid may still be refused, but only by a rule that no description can say: that a
text is text, a day is not to come, a cursor was given out, a file is a chest film.
"""

from __future__ import annotations

from typing import Any

import schemathesis

from diagnosis.errors import CODES as FILM_CODES

BEYOND_A_SCHEMA = {
    "invalid_text",
    "invalid_date",
    "invalid_parameter",
    "checksum_mismatch",
    "file_missing",
    "finding_unknown",
}
#: Fields whose value must name something that exists.
NAMES_OF_THINGS = {"referring_doctor"}


@schemathesis.check
def only_what_a_schema_cannot_say_is_refused(ctx: Any, response: Any, case: Any) -> None:
    valid = case.meta is not None and case.meta.generation.mode.is_positive
    if not valid or response.status_code not in (400, 413, 415, 422):
        return
    body = response.json()
    if body["code"] == "invalid_input" and set(body.get("errors", {"": []})) <= NAMES_OF_THINGS:
        return
    assert body["code"] in BEYOND_A_SCHEMA | set(FILM_CODES), f"refused as {body['code']}, which a schema could say"


@schemathesis.check
def refusals_name_no_inside(ctx: Any, response: Any, case: Any) -> None:
    """No trace, path or SQL leaves with a refusal."""
    if response.status_code >= 400:
        text = response.text
        for inside in ("Traceback", "site-packages", "SELECT ", "INSERT ", "psycopg", 'File "'):
            assert inside not in text, f"the answer holds {inside!r}"

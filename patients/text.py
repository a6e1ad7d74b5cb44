"""What may stand in a name, a number or a cell, and how names are compared.

May import: the standard library and `patients.errors`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from patients.errors import ApplicationError

#: Zero-width joiners belong to the spelling of many Indian and Persian names.
_JOINERS = "\u200c\u200d"
_REFUSED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
#: What decoders put where bytes were no text.
_UNDECODABLE = "\ufffd"
_COMBINING_ACCENTS = range(0x0300, 0x0370)


def clean_text(value: object, *, field: str, limit: int) -> str:
    """`value` on one line, composed (NFC), spaces collapsed; any script is fine.

    Raises `invalid_text` naming `field` for control, line-break, direction-override and undecodable characters,
    and for more than `limit` characters.
    """
    if not isinstance(value, str) or len(value) > 4 * limit:
        raise ApplicationError("invalid_text", field=field)
    if _UNDECODABLE in value or any(
        unicodedata.category(char) in _REFUSED_CATEGORIES and char not in _JOINERS for char in value
    ):
        raise ApplicationError("invalid_text", field=field)
    text = " ".join(unicodedata.normalize("NFC", value).split())
    if len(text) > limit:
        raise ApplicationError("invalid_text", field=field)
    return text


def search_name(name: str) -> str:
    """A name as it is searched and compared: lower case, compatibility forms unified, Latin accents removed.

    Vowel signs and other marks of non-Latin scripts are letters of the name and stay.
    """
    decomposed = unicodedata.normalize("NFKD", name).casefold()
    plain = "".join(char for char in decomposed if ord(char) not in _COMBINING_ACCENTS and char not in _JOINERS)
    spaced = "".join(char if not unicodedata.category(char).startswith(("P", "S")) else " " for char in plain)
    return " ".join(unicodedata.normalize("NFKC", spaced).split())[:200].strip()


def clean_lines(value: object, *, field: str, limit: int) -> str:
    """As `clean_text`, of several lines: each cleaned, empty ones at both ends removed."""
    if not isinstance(value, str) or len(value) > 4 * limit:
        raise ApplicationError("invalid_text", field=field)
    lines = value.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ").split("\n")
    text = "\n".join(clean_text(line, field=field, limit=limit) for line in lines).strip("\n")
    if len(text) > limit:
        raise ApplicationError("invalid_text", field=field)
    return text


def required_text(value: object, *, field: str, limit: int) -> str:
    """As `clean_text`, and `invalid_input` naming `field` where nothing is left."""
    text = clean_text(value, field=field, limit=limit)
    if not text:
        raise ApplicationError("invalid_input", fields={field: ["This field is required."]})
    return text


def clean_identifier(identifier: Mapping[str, str]) -> tuple[str, str]:
    """System (MRN where none is given) and value of `{"system": …, "value": …}`."""
    system = clean_text(identifier.get("system", ""), field="identifiers", limit=64) or "MRN"
    return system, required_text(identifier.get("value", ""), field="identifiers", limit=64)


def clean_abha(value: object) -> str:
    """An ABHA number as on the card (12-3456-7890-1234), or nothing. Raises `invalid_parameter` for anything else.

    Only the form is checked: no public rule for a check digit was found.
    """
    digits = clean_text(value, field="abha_number", limit=32).replace("-", "").replace(" ", "")
    if not digits:
        return ""
    if len(digits) != 14 or not (digits.isascii() and digits.isdecimal()):
        raise ApplicationError("invalid_parameter", field="abha_number", allowed="fourteen digits")
    return f"{digits[:2]}-{digits[2:6]}-{digits[6:10]}-{digits[10:]}"


def harmless_cell(text: str) -> str:
    """A cell of a CSV that a spreadsheet does not take for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text

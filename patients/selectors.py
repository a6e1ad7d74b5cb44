"""Reads of patient records: search and the likely duplicates of a person about to be registered.

May import: Django, `patients.models`, `patients.access`, `patients.text`. Everything goes through `visible_to`.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import SequenceMatcher
from typing import Any

from django.contrib.postgres.search import SearchQueryField, SearchVectorField
from django.db.models import BooleanField, F, Func, Q, QuerySet, Value
from django.db.models.expressions import CombinedExpression

from patients import access
from patients.keyset import keyset_page
from patients.models import Clinic, Patient, PatientIdentifier, User
from patients.text import clean_abha, clean_identifier, clean_text, search_name

#: Names less alike than this are different people.
SIMILAR = 0.8
#: An initial fits a name, but says less than the name itself.
_INITIAL_FITS = 0.8
_CANDIDATES = 1000


@dataclass(frozen=True, slots=True)
class PatientMatch:
    """A patient who may be the same person, why, and how alike (1.0 = the same number or name)."""

    patient: Patient
    reasons: tuple[str, ...]
    score: float


def patient_search(
    *, user: User, clinic: Clinic | None = None, query: str = "", birth_year: int | None = None
) -> QuerySet[Patient]:
    """Patients the user may see, newest first (`-created_at, -id`, fit for keyset pages), identifiers prefetched.

    Every word of `query` must begin a word of the name, in any order; a word with a digit in it may instead begin
    an identifier, or be the ABHA number or the birth year. Raises `invalid_text` for a query that cannot be text.
    """
    patients = Patient.objects.visible_to(user).select_related("clinic").prefetch_related("identifiers")
    if clinic is not None:
        patients = patients.filter(clinic=clinic)
    if birth_year is not None:
        patients = patients.filter(birth_year=birth_year)
    return patients_matching(patients, query).order_by("-created_at", "-id")


def patients_matching(patients: QuerySet[Patient], query: str) -> QuerySet[Patient]:
    """The `patients` that fit the words of `query`, as in `patient_search`."""
    names = []
    for word in clean_text(query, field="query", limit=200).split():
        if any(char.isdigit() for char in word):
            patients = patients.filter(id__in=_ids_by_number(word))
        else:
            names.append(word)
    name = search_name(" ".join(names))
    if names and not name:
        return patients.none()
    return patients.filter(_name_begins(name.split())) if name else patients


def patient_read(*, user: User, patient_id: object, columns: Mapping[str, Any] | None = None) -> Patient:
    """The patient with clinic and identifiers, and with `columns` that are to be asked in the same query; `not_found`
    for unknown, foreign and malformed ids alike."""
    patients = Patient.objects.select_related("clinic").prefetch_related("identifiers").annotate(**columns or {})
    return access.get_visible(patients, user, pk=patient_id)


def patients_page(found: QuerySet[Patient], last_id: object, *, user: User, size: int) -> tuple[list[Patient], bool]:
    """The part of a search that follows the patient `last_id` of the page before, the first without one; and whether
    more follow."""
    last = patient_read(user=user, patient_id=last_id) if last_id else None
    return keyset_page(found, user, size=size, after=last)


def patient_duplicates(
    *,
    user: User,
    clinic: Clinic,
    name: str,
    birth_year: int | None = None,
    birth_date: date | None = None,
    identifiers: Sequence[Mapping[str, str]] = (),
    abha_number: str = "",
) -> list[PatientMatch]:
    """At most ten patients of the clinic who may already be this person, the likeliest first.

    The same identifier or ABHA number always counts; otherwise the names must be alike and the birth years no
    more than a year apart. Only patients that the user may see are considered. Raises as `patient_register` for text
    that cannot be stored.
    """
    visible = Patient.objects.visible_to(user).filter(clinic=clinic).prefetch_related("identifiers")
    numbers = [clean_identifier(each) for each in identifiers]
    found = _matches_by_number(visible, clinic, numbers, clean_abha(abha_number))
    matches = {match.patient.pk: match for match in found}

    year = birth_date.year if birth_date else birth_year
    wanted = search_name(clean_text(name, field="name", limit=200))
    for candidate in _alike_candidates(visible, wanted, year):
        score = name_similarity(wanted, candidate.search_name)
        if score >= SIMILAR and candidate.pk not in matches:
            matches[candidate.pk] = PatientMatch(candidate, (_name_reason(candidate, score, birth_date),), score)
    return sorted(matches.values(), key=lambda match: match.score, reverse=True)[:10]


def name_similarity(one: str, other: str) -> float:
    """How alike two search names are, 0 to 1: the words of the shorter name against their best partners, any order."""
    shorter, longer = sorted((one.split(), other.split()), key=len)
    if not shorter:
        return 0.0
    rest = list(longer)
    total = 0.0
    for word in sorted(shorter, key=len, reverse=True):
        best = max(rest, key=lambda candidate: _word_similarity(word, candidate))
        total += _word_similarity(word, best)
        rest.remove(best)
    missing = 0.15 if len(shorter) == 1 and len(longer) > 1 else 0.0
    return total / len(shorter) - missing


def _word_similarity(one: str, other: str) -> float:
    if one == other:
        return 1.0
    if min(len(one), len(other)) == 1:
        return _INITIAL_FITS if one[0] == other[0] else 0.0
    return SequenceMatcher(None, one, other).ratio()


def _matches_by_number(
    visible: QuerySet[Patient], clinic: Clinic, numbers: Sequence[tuple[str, str]], abha_number: str
) -> Iterable[PatientMatch]:
    # Ids first, each from its own index: "this number or that one" over a join is no range of any.
    known = Q(pk__in=())
    for system, value in numbers:
        known |= Q(system__iexact=system, value__iexact=value)
    identified = PatientIdentifier.objects.filter(known, clinic=clinic).order_by().values("patient_id")
    registered = Patient.objects.filter(clinic=clinic, abha_number=abha_number).exclude(abha_number="")
    same = identified.union(registered.order_by().values("id"))
    wanted = {(system.casefold(), value.casefold()) for system, value in numbers}
    for patient in visible.filter(pk__in=same):
        reasons = [
            f"Same {each.system} {each.value}"
            for each in patient.identifiers.all()
            if (each.system.casefold(), each.value.casefold()) in wanted
        ]
        if abha_number and patient.abha_number == abha_number:
            reasons.append("Same ABHA number")
        yield PatientMatch(patient, tuple(reasons), 1.0)


def _alike_candidates(visible: QuerySet[Patient], name: str, year: int | None) -> Iterable[Patient]:
    """A bounded choice: some word begins with one of the initials, born within a year of `year` where it is known."""
    if not name:
        return ()
    initials = sorted({word[0] for word in name.split()})
    candidates = visible.filter(_name_matches(initials, operator="|"))
    if year is not None:
        candidates = candidates.filter(birth_year__range=(year - 1, year + 1))
    return candidates[:_CANDIDATES]


def _name_reason(patient: Patient, score: float, birth_date: date | None) -> str:
    name = "Same name" if score == 1.0 else "Similar name"
    if birth_date is not None and patient.birth_date == birth_date:
        return f"{name}, same birth date"
    return f"{name}, born {patient.birth_year}"


def _ids_by_number(word: str) -> QuerySet:
    """Ids of patients known by a number that begins with `word`, or with such a word or year in the record."""
    by_number = PatientIdentifier.objects.filter(value__istartswith=word).values("patient_id")
    by_name = Patient.objects.filter(_name_begins(search_name(word).split()))
    found = by_number.union(by_name.order_by().values("id"))
    digits = word.replace("-", "")
    if len(digits) == 4 and digits.isdecimal():
        found = found.union(Patient.objects.filter(birth_year=int(digits)).order_by().values("id"))
    if len(digits) == 14 and digits.isascii() and digits.isdecimal():
        found = found.union(Patient.objects.filter(abha_number=clean_abha(word)).order_by().values("id"))
    return found


def _name_begins(words: Sequence[str]) -> Q:
    """Some word of the name begins with each of `words`, said twice. The first is what the index serves. The second
    says the same and tells PostgreSQL how many patients that is, which it cannot know of words where few are frequent:
    by that it chooses between the index and reading the newest patients until the page is full."""
    with_each = (Q(search_name__startswith=word) | Q(search_name__contains=f" {word}") for word in words)
    return functools.reduce(operator.and_, with_each, Q(_name_matches(words)))


def _name_matches(words: Iterable[str], operator: str = "&") -> CombinedExpression:
    """Some word of the name begins with each (`&`) or any (`|`) of `words`; served by the index `patient_name_words`.

    PostgreSQL's own text parser is avoided on both sides: outside Latin it cuts words at vowel signs.
    """
    escaped = (word.replace("\\", "\\\\").replace("'", "''") for word in words)
    tsquery = f" {operator} ".join(f"'{word}':*" for word in escaped)
    return CombinedExpression(
        Func(
            F("search_name"),
            template="array_to_tsvector(array_remove(string_to_array(%(expressions)s, ' '), ''))",
            output_field=SearchVectorField(),
        ),
        "@@",
        Func(Value(tsquery), template="%(expressions)s::tsquery", output_field=SearchQueryField()),
        output_field=BooleanField(),
    )

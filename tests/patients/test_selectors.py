"""Search and likely duplicates: what is found, by whom, in which order, in how many queries."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.utils import timezone

from patients.actor import acting_as, person
from patients.errors import ApplicationError
from patients.models import Patient, PatientIdentifier
from patients.selectors import name_similarity, patient_duplicates, patient_read, patient_search, patients_matching
from patients.text import search_name
from tests import factories
from tests.conftest import owner_connected


def names(found) -> list[str]:
    return sorted(patient.name for patient in found)


@pytest.fixture
def people(clinic):
    for name, mrn, year in [
        ("Asha Verma", "0017", 1961),
        ("Ashok Vermani", "0018", 1962),
        ("José Núñez-Ortega", "A-100", 1980),
        ("आशा वर्मा", "D17", 1961),
        ("آمنہ خان", "U5", 1990),
        ("D'Souza \\ O'Neil", "X1", 1955),
    ]:
        factories.patient_make(clinic, name, mrn=mrn, birth_year=year)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("asha", ["Asha Verma"]),
        ("ver ash", ["Asha Verma", "Ashok Vermani"]),
        ("VERMA  asha", ["Asha Verma"]),
        ("jose nunez", ["José Núñez-Ortega"]),
        ("ORTEGA", ["José Núñez-Ortega"]),
        ("Núñez-O", ["José Núñez-Ortega"]),
        ("आशा", ["आशा वर्मा"]),
        ("वर्", ["आशा वर्मा"]),
        ("آمنہ", ["آمنہ خان"]),
        ("erma", []),
        ("d'souza", ["D'Souza \\ O'Neil"]),
        ("0017", ["Asha Verma"]),
        ("001", ["Asha Verma", "Ashok Vermani"]),
        ("a-10", ["José Núñez-Ortega"]),
        ("d17", ["आशा वर्मा"]),
        ("verma 1961", ["Asha Verma"]),
        ("1961", ["Asha Verma", "आशा वर्मा"]),
        ("asha 0018", []),
        ("'", []),
        ("\\", []),
        ("' | '':* & ! <-> \\", []),
        ("100%", []),
        ("0_17", []),
        ("²", []),
    ],
)
def test_search_finds_by_word_starts_numbers_and_year(people, user_for, query, expected):
    assert names(patient_search(user=user_for("operator"), query=query)) == sorted(expected)


def test_an_empty_query_finds_everybody_newest_first(people, user_for):
    found = list(patient_search(user=user_for("operator")))
    assert found == list(Patient.objects.order_by("-created_at", "-id"))


def test_birth_year_narrows_the_search(people, user_for):
    assert names(patient_search(user=user_for("operator"), query="v", birth_year=1962)) == ["Ashok Vermani"]


@pytest.mark.parametrize("year", [-1, 0, 99_999, 10**12])
def test_an_impossible_birth_year_finds_nobody(people, user_for, year):
    assert not patient_search(user=user_for("operator"), birth_year=year).exists()


@pytest.mark.parametrize("query", ["a\x00", "\ud800", "x" * 201])
def test_a_query_that_cannot_be_text_is_refused(user_for, query):
    with pytest.raises(ApplicationError) as caught:
        patient_search(user=user_for("operator"), query=query)
    assert caught.value.code == "invalid_text"


def test_an_abha_number_is_found_with_and_without_dashes(clinic, user_for):
    factories.patient_make(clinic, "Asha Verma", abha_number="91-2345-6789-0123")
    for query in ("91234567890123", "91-2345-6789-0123"):
        assert names(patient_search(user=user_for("operator"), query=query)) == ["Asha Verma"]


def test_search_never_crosses_the_wall(patient, foreign_patient, user_for):
    for query in ("", "bela", "0042", "1975"):
        assert foreign_patient not in patient_search(user=user_for("operator"), query=query)
    assert list(patient_search(user=user_for("operator"), query="0042")) == []


@pytest.mark.parametrize(("role", "seen"), [("operator", 1), ("radiographer", 1), ("radiologist", 1), ("doctor", 0),
                                            ("clinicadmin", 0), ("system", 0)])  # fmt: skip
def test_each_role_sees_its_patients(patient, foreign_patient, user_for, role, seen):
    assert patient_search(user=user_for(role)).count() == seen


def test_a_doctor_sees_the_patients_referred_to_them(clinic, patient, user_for):
    factories.patient_make(clinic, "Not Referred")
    factories.study_make(patient, referring_doctor=user_for("doctor"))
    factories.study_make(patient, referring_doctor=user_for("doctor"))
    assert list(patient_search(user=user_for("doctor"))) == [patient]


def test_a_person_of_two_clinics_sees_both_and_can_choose(patient, foreign_patient, other_clinic, user_for):
    operator = user_for("operator")
    factories.membership_make(operator, other_clinic, "radiographer")
    assert set(patient_search(user=operator)) == {patient, foreign_patient}
    assert list(patient_search(user=operator, clinic=other_clinic)) == [foreign_patient]


@pytest.mark.parametrize(
    "period",
    [
        {"valid_from": timezone.now() + timedelta(hours=1)},
        {"valid_from": timezone.now() - timedelta(days=2), "valid_to": timezone.now() - timedelta(seconds=1)},
    ],
)
def test_a_membership_counts_only_within_its_period(clinic, patient, period):
    user = factories.user_make()
    factories.membership_make(user, clinic, "operator", **period)
    assert not patient_search(user=user).exists()


def test_a_deactivated_user_sees_nobody(patient, user_for):
    operator = user_for("operator")
    operator.is_active = False
    assert not patient_search(user=operator).exists()


def test_search_takes_three_queries_however_many_patients(one_request, clinic, user_for, django_assert_num_queries):
    for number in range(20):
        factories.patient_make(clinic, f"Person {number}", mrn=f"M{number}")
    operator = user_for("operator")
    with django_assert_num_queries(3):
        for patient in patient_search(user=operator, query="person"):
            assert [patient.clinic.name, *patient.identifiers.all()]


@pytest.mark.django_db(transaction=True)  # the owner, who alone may analyse a table, sees only what is committed
def test_indexes_serve_the_search_behind_the_wall_too(clinic, user_for):
    rows = [
        Patient(clinic=clinic, name=f"Person {number}", search_name=f"person n{number}", birth_year=1970)
        for number in range(3000)
    ]
    Patient.objects.bulk_create(rows)
    PatientIdentifier.objects.bulk_create(
        PatientIdentifier(patient=patient, clinic=clinic, value=f"{number:06d}") for number, patient in enumerate(rows)
    )
    with owner_connected() as owner:
        owner.execute("ANALYZE patients_patient, patients_patientidentifier")
    operator = user_for("operator")
    with acting_as(person(operator)):
        assert "patient_name_words" in patient_search(user=operator, query="nn per").explain()
        assert "identifier_value" in patient_search(user=operator, query="001234").explain()


@pytest.mark.django_db(transaction=True)  # the owner, who alone may analyse a table, sees only what is committed
@pytest.mark.parametrize(
    ("query", "index"),
    [("pers", "patient_recent"), ("zeta", "patient_name_words"), ("pers zeta", "patient_name_words")],
)
def test_a_common_name_is_looked_for_among_the_newest_and_a_rare_one_by_its_words(clinic, user_for, query, index):
    """Of so many names that PostgreSQL remembers none but the one that all have."""
    with owner_connected() as owner:
        owner.execute(
            "INSERT INTO patients_patient (id, clinic_id, name, search_name, birth_year, sex, phone, abha_number,"
            " created_at, updated_at) SELECT gen_random_uuid(), %s, 'P', 'person ' || CASE n WHEN 7 THEN 'zeta' ELSE"
            " 'n' || n END, 1970, 'female', '', '', now() - n * interval '1 minute', now()"
            " FROM generate_series(1, 20000) n",
            [str(clinic.pk)],
        )
        owner.execute("VACUUM (ANALYZE) patients_patient")
    operator = user_for("operator")
    (part,) = Patient.objects.parts_for(operator)
    of_clinic = patients_matching(Patient.objects.filter(part), query).order_by("-created_at", "-id")
    with acting_as(person(operator)):
        plan = of_clinic[:51].explain()
    assert {name for name in ("patient_recent", "patient_name_words") if name in plan} == {index}


@pytest.mark.parametrize("patient_id", ["nonsense", "00000000-0000-4000-8000-000000000000", "\x00", None, 10**30])
def test_unknown_and_malformed_ids_are_not_found(user_for, patient_id):
    with pytest.raises(ApplicationError) as caught:
        patient_read(user=user_for("operator"), patient_id=patient_id)
    assert caught.value.code == "not_found"


def test_search_names_unify_forms_and_keep_vowel_signs():
    assert search_name("  ÁSHA   Müller-Weiß ") == "asha muller weiss"
    assert search_name("आशा") == "आशा"
    assert search_name("ＡＳＨＡ") == "asha"
    assert search_name("क़मर") == search_name("क\u093cमर")
    assert len(search_name("ﷺ" * 200)) <= 200


@pytest.fixture
def duplicates(clinic, user_for):
    def find(name, **values):
        return patient_duplicates(user=user_for("operator"), clinic=clinic, name=name, **values)

    return find


@pytest.mark.parametrize(
    ("name", "year"),
    [
        ("Asha Verma", 1961),
        ("verma asha", 1961),
        ("Asha Varma", 1962),
        ("Aasha Verma", 1960),
        ("A. Verma", 1961),
        ("Asha Devi Verma", 1961),
        ("Asha Verma", None),
    ],
)
def test_likely_duplicates_are_shown(patient, duplicates, name, year):
    assert [match.patient for match in duplicates(name, birth_year=year)] == [patient]


@pytest.mark.parametrize(
    ("name", "year"),
    [("Asha Verma", 1963), ("Ajay Kumar", 1961), ("Vikram Anand", 1961), ("", 1961), ("!!", 1961)],
)
def test_different_people_are_not(patient, duplicates, name, year):
    assert duplicates(name, birth_year=year) == []


def test_the_same_number_counts_whatever_the_name(patient, duplicates):
    (match,) = duplicates("Someone Else", birth_year=2000, identifiers=[{"system": "mrn", "value": "0017"}])
    assert (match.patient, match.reasons, match.score) == (patient, ("Same MRN 0017",), 1.0)


def test_the_same_number_in_another_system_does_not_count(patient, duplicates):
    assert duplicates("Someone Else", birth_year=2000, identifiers=[{"system": "DICOM", "value": "0017"}]) == []


def test_the_same_abha_number_counts(clinic, duplicates):
    factories.patient_make(clinic, "Asha Verma", abha_number="91-2345-6789-0123")
    assert duplicates("X", birth_year=2000, abha_number="91234567890123")[0].reasons == ("Same ABHA number",)


def test_the_reason_says_what_agrees(clinic, duplicates):
    factories.patient_make(clinic, "Asha Verma", birth_date=date(1961, 5, 3))
    assert duplicates("Asha Verma", birth_date=date(1961, 5, 3))[0].reasons == ("Same name, same birth date",)
    assert duplicates("Asha Varma", birth_year=1961)[0].reasons == ("Similar name, born 1961",)


def test_duplicates_never_come_from_another_clinic(foreign_patient, duplicates):
    assert duplicates("Bela Nagy", birth_year=1975, identifiers=[{"system": "MRN", "value": "0042"}]) == []


def test_duplicates_are_likeliest_first_and_at_most_ten(clinic, duplicates):
    for _ in range(12):
        factories.patient_make(clinic, "Asha Varma", birth_year=1961)
    factories.patient_make(clinic, "Asha Verma", birth_year=1961)
    found = duplicates("Asha Verma", birth_year=1961)
    assert len(found) == 10
    assert found[0].patient.name == "Asha Verma"


def test_duplicates_take_a_fixed_number_of_queries(one_request, clinic, duplicates, django_assert_max_num_queries):
    for number in range(20):
        factories.patient_make(clinic, "Asha Verma", mrn=f"M{number}", birth_year=1961)
    with django_assert_max_num_queries(7):
        for match in duplicates("Asha Verma", birth_year=1961, identifiers=[{"system": "MRN", "value": "M1"}]):
            list(match.patient.identifiers.all())


@pytest.mark.parametrize(("one", "other"), [("", ""), ("asha", ""), ("asha verma", "ravi kumar"), ("asha", "verma")])
def test_unlike_names_are_unlike(one, other):
    assert name_similarity(one, other) < 0.5

"""Pages of long lists: whole and in order while rows arrive, on every ground of access, read by the clinic's index."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.contrib.auth.models import AnonymousUser
from django.utils import timezone

from diagnosis import selectors
from diagnosis.models import Finding, Job, Prediction, Radiograph, Report, Study
from patients.actor import acting_as, person
from patients.keyset import first_rows, keyset_page
from patients.models import Patient
from patients.selectors import patient_search, patients_matching
from tests import factories as make
from tests.conftest import owner_connected

pytestmark = pytest.mark.django_db
LISTS = [Patient, Study, Radiograph, Job, Prediction, Report]


def pages(rows, user, size=3, **how) -> Iterator[list]:
    after, more = None, True
    while more:
        page, more = keyset_page(rows, user, size=size, after=after, **how)
        yield page
        after = page[-1] if page else None


def film_at(patient, minutes_ago: float, **study) -> Radiograph:
    at = timezone.now() - timedelta(minutes=minutes_ago)
    film = make.radiograph_make(make.study_make(patient, created_at=at, **study), state="ready", created_at=at)
    make.prediction_make(film, created_at=at)
    make.job_make(film, "infer", "succeeded", created_at=at)
    return film


@pytest.fixture
def everywhere(user_for, clinic, other_clinic, db):
    """Somebody who reads for one clinic, is referred films at a second and sends by program at a third; each has films
    of theirs and of others, at the same moments, and a signed report on each."""
    third = make.clinic_make("Third Clinic", code="third")
    user = user_for("radiologist")
    make.membership_make(user, other_clinic, "doctor")
    make.membership_make(user, third, "client")
    author = make.user_make("radiologist", third)
    for at in (clinic, other_clinic, third):
        for number in range(4):
            by = {"created_by": user} if at == third and number % 2 else {}
            patient = make.patient_make(at, **by)
            referred = {"referring_doctor": user} if at == other_clinic and number % 2 else {}
            film = film_at(patient, number // 2, **by, **referred)
            make.report_make(film.study, author, created_at=film.created_at)
    return user


@pytest.mark.parametrize("model", LISTS)
@pytest.mark.parametrize("oldest_first", [False, True])
@pytest.mark.parametrize("bare", [False, True])
def test_pages_together_are_what_the_user_sees(everywhere, model, oldest_first, bare):
    visible = model.objects.visible_to(everywhere)
    order = ("created_at", "id") if oldest_first else ("-created_at", "-id")
    how = {"oldest_first": oldest_first} | ({"bare": model.objects.all()} if bare else {})
    seen = [row for page in pages(visible, everywhere, **how) for row in page]
    assert seen == list(visible.order_by(*order))
    assert len(seen) == 4 + 2 + 2


@pytest.mark.parametrize("model", [Patient, Study, Radiograph, Job, Prediction])
def test_an_emergency_opens_the_lists_of_its_clinic(user_for, foreign_patient, model):
    film_at(foreign_patient, 1)
    radiologist = user_for("radiologist")
    assert list(pages(model.objects.visible_to(radiologist), radiologist)) == [[]]
    make.break_glass_make(radiologist, foreign_patient.clinic)
    ((only,),) = pages(model.objects.visible_to(radiologist), radiologist)
    assert only == model.objects.get()


@pytest.mark.parametrize("model", LISTS)
def test_nobody_is_given_an_empty_page(patient, model):
    assert keyset_page(model.objects.visible_to(AnonymousUser()), AnonymousUser(), size=3) == ([], False)


def test_a_person_with_two_roles_at_a_clinic_sees_each_row_once(user_for, clinic, patient):
    operator = user_for("operator")
    make.membership_make(operator, clinic, "radiographer")
    films = [film_at(patient, number) for number in range(5)]
    seen = [row for page in pages(Radiograph.objects.visible_to(operator), operator, size=2) for row in page]
    assert seen == films


def test_no_film_is_missed_or_shown_twice_while_films_arrive(user_for, clinic, other_clinic):
    radiologist = user_for("radiologist")
    make.membership_make(radiologist, other_clinic, "radiologist")
    patients = [make.patient_make(clinic), make.patient_make(other_clinic)]
    there = {film_at(patients[number % 2], number // 3).pk for number in range(11)}
    seen: list[Radiograph] = []
    for page in pages(selectors.film_list(user=radiologist, filters={}), radiologist):
        seen += page
        film_at(patients[len(seen) % 2], -1)  # newer than everything on any page
    assert len(seen) == len({film.pk for film in seen})
    assert {film.pk for film in seen} == there


@pytest.mark.parametrize("given", ["progress", "word", "mine", "clinic"])
def test_filters_hold_on_every_page(user_for, clinic, other_clinic, given):
    radiologist = user_for("radiologist")
    make.membership_make(radiologist, other_clinic, "radiologist")
    wanted = []
    for _ in range(5):
        for at, mine in ((clinic, {"created_by": radiologist}), (other_clinic, {})):
            film = make.radiograph_make(make.study_make(make.patient_make(at), **mine))
            if at == clinic:
                make.job_make(film, "prepare", "failed")
                make.prediction_make(film)
                wanted.append(film)
    values = {"progress": "failed", "word": "present", "mine": True, "clinic": clinic.pk}
    films = selectors.film_list(user=radiologist, filters={given: values[given]})
    seen = [row for page in pages(films, radiologist, size=2) for row in page]
    assert sorted(film.pk for film in seen) == sorted(film.pk for film in wanted)


@pytest.mark.parametrize("query", ["pat", "one", "one pat", "A1", "one A1", "1970", "x2", "nobody"])
def test_pages_of_a_search_together_are_those_seen_whose_record_has_the_words(everywhere, query):
    for number, patient in enumerate(Patient.objects.order_by("created_at", "id")):
        patient.search_name = ("patient one", "onepat x20", "one  patient", "bone impatient")[number % 4]
        patient.birth_year = 1970 + number % 2
        patient.save()
        make.identifier_make(patient, f"a1{number}" if number % 3 else f"Ba1{number}")
    fits = {patient.pk for patient in Patient.objects.all() if has_words(patient, query)}
    visible = Patient.objects.visible_to(everywhere).order_by("-created_at", "-id")
    found, bare = patient_search(user=everywhere, query=query), patients_matching(Patient.objects.all(), query)
    for how in ({}, {"bare": bare}):
        seen = [row for page in pages(found, everywhere, **how) for row in page]
        assert seen == [patient for patient in visible if patient.pk in fits]


def has_words(patient: Patient, query: str) -> bool:
    """What the search is to find, row by row."""
    named = [*patient.search_name.split()]
    numbers = [each.value.lower() for each in patient.identifiers.all()]
    return all(
        any(name.startswith(word.lower()) for name in named)
        or (any(char.isdigit() for char in word) and any(number.startswith(word.lower()) for number in numbers))
        or word == str(patient.birth_year)
        for word in query.split()
    )


@pytest.mark.parametrize("word", ["present", "likely", "absent"])
@pytest.mark.parametrize("read_first", [False, True])
def test_films_with_a_word_are_those_with_such_a_finding_that_one_may_see(everywhere, clinic, word, read_first):
    clinic.read_first = read_first
    clinic.save()
    second, trial = (make.model_version_make(name, status="retired") for name in ("2.0.0", "3.0.0"))
    for number, film in enumerate(Radiograph.objects.order_by("created_at", "id")):
        for version, shadow in ((second, number % 3 == 0), (trial, True)):
            said = {"normal": 0.9, "effusion": 0.9 if number % 2 else 0.1}
            make.prediction_make(film, version, calibrated=said, shadow=shadow)
    for number, patient in enumerate(Patient.objects.order_by("created_at", "id")):
        film = make.radiograph_make(make.study_make(patient, referring_doctor=everywhere))
        make.prediction_make(film, second, calibrated={"normal": 0.9, "effusion": 0.1}, shadow=number % 2 == 0)
    said = Finding.objects.visible_to(everywhere).filter(word=word).exclude(label="normal")
    with_it = Radiograph.objects.visible_to(everywhere).filter(pk__in=said.values("prediction__radiograph"))
    films = selectors.film_list(user=everywhere, filters={"word": word})
    bare = selectors.films_narrowed(Radiograph.objects.all(), user=everywhere, filters={"word": word})
    seen = [row for page in pages(films, everywhere, bare=bare) for row in page]
    assert seen == list(with_it.order_by("-created_at", "-id"))
    assert bool(seen) == (word != "likely")


@pytest.mark.django_db(transaction=True)  # the owner, who alone may analyse a table, sees only what is committed
@pytest.mark.parametrize(
    ("rows", "index"),
    [
        (lambda user: Patient.objects.visible_to(user), "patient_recent"),
        (lambda user: Study.objects.visible_to(user), "study_recent"),
        (lambda user: selectors.film_list(user=user, filters={}), "radiograph_recent"),
    ],
)
def test_a_page_is_read_by_the_clinics_index_behind_the_wall(clinic, other_clinic, user_for, rows, index):
    for at in (clinic, other_clinic):
        patients = Patient.objects.bulk_create(
            Patient(clinic=at, name=f"P {n}", search_name=f"p {n}", birth_year=1970) for n in range(2000)
        )
        studies = Study.objects.bulk_create(Study(clinic=at, patient=patient) for patient in patients)
        Radiograph.objects.bulk_create(
            Radiograph(clinic=at, study=study, sha256=f"{number:064}", size=1, format="png", width=9, height=9)
            for number, study in enumerate(studies)
        )
    with owner_connected() as owner:
        owner.execute("ANALYZE patients_patient; ANALYZE diagnosis_study; ANALYZE diagnosis_radiograph")
    user = user_for("radiologist")
    with acting_as(person(user)):
        page = first_rows(rows(user), rows(user).parts_for(user), bare=rows(user).model.objects.all(), count=31)
        assert index in page.explain()

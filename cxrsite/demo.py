"""What a new, empty site starts with: the bundled model, and two demo clinics with people and patients.

May import: services and models of both apps. Nothing but commands calls it.
"""

from __future__ import annotations

import secrets

import pghistory
from django.contrib.auth.hashers import make_password
from django.db import transaction

from cxrsite.settings import env
from patients.models import Clinic, Membership, Patient, Role, User
from patients.services import patient_register

PASSWORD_FILE = env.VAR_DIR / "demo-passwords.txt"
FIRST_CLINIC, SECOND_CLINIC = "hillside", "lakeview"
#: The one person of the second clinic: signs in to see that neither clinic sees the other.
SECOND_OPERATOR = "operator2"

#: clinic, name, birth year, sex, MRN, and the PatientID that some sample DICOM files carry.
PATIENTS = (
    (FIRST_CLINIC, "Asha Verma", 1961, "female", "0017", "1"),
    (FIRST_CLINIC, "Rohan Mehta", 1975, "male", "0042", "2"),
    (FIRST_CLINIC, "Maria Fernandes", 1948, "female", "0063", "9RG1"),
    (FIRST_CLINIC, "Tenzin Dorje", 1989, "male", "0088", ""),
    (FIRST_CLINIC, "Fatima Sheikh", 2019, "female", "0091", ""),
    (FIRST_CLINIC, "Joseph Okafor", 1957, "male", "0105", ""),
    (SECOND_CLINIC, "Lakshmi Iyer", 1966, "female", "0017", ""),
    (SECOND_CLINIC, "Daniel Kim", 1980, "male", "0042", ""),
    (SECOND_CLINIC, "Noor Ahmed", 2001, "female", "0058", ""),
)


def database_is_empty() -> bool:
    """Has nobody used this site yet?"""
    return not (User.objects.exists() or Clinic.objects.exists())


@pghistory.context(command="demo_data")
@transaction.atomic
def demo_create() -> list[tuple[str, str]]:
    """Two clinics with patients, one person per role in the first, a system administrator; their passwords."""
    clinics = {
        FIRST_CLINIC: Clinic.objects.create(name="Hillside Clinic", code=FIRST_CLINIC, show_unread_results=True),
        SECOND_CLINIC: Clinic.objects.create(name="Lakeview Clinic", code=SECOND_CLINIC, show_unread_results=True),
    }
    names = [*(role.value for role in Role.of_people()), SECOND_OPERATOR, "admin"]
    passwords = [(name, _password()) for name in names]
    people = {name: _person(name, password) for name, password in passwords}
    for role in Role.of_people():
        number = "DEMO-0001" if role == Role.RADIOLOGIST else ""
        Membership.objects.create(
            user=people[role.value], clinic=clinics[FIRST_CLINIC], role=role, registration_number=number
        )
    Membership.objects.create(user=people[SECOND_OPERATOR], clinic=clinics[SECOND_CLINIC], role=Role.OPERATOR)
    operators = {FIRST_CLINIC: people["operator"], SECOND_CLINIC: people[SECOND_OPERATOR]}
    for code, name, birth_year, sex, mrn, device_id in PATIENTS:
        _patient(operators[code], clinics[code], name, birth_year, sex, mrn, device_id)
    _keep(passwords)
    return passwords


def demo_passwords() -> list[tuple[str, str]]:
    """The demo people and their passwords as they were made; empty where no demo data was."""
    if not PASSWORD_FILE.exists():
        return []
    return [(name, password) for name, password in (line.split() for line in PASSWORD_FILE.read_text().splitlines())]


def _person(name: str, password: str | None) -> User:
    """Without a password nobody can sign in as this person."""
    system = name == "admin"
    return User.objects.create(
        username=name, password=make_password(password), is_staff=system, is_superuser=system, first_name=name.title()
    )


def _patient(user: User, clinic: Clinic, name: str, birth_year: int, sex: str, mrn: str, device_id: str) -> Patient:
    identifiers = [{"system": "MRN", "value": mrn}]
    if device_id:
        identifiers.append({"system": "DICOM", "value": device_id})
    return patient_register(
        user=user, clinic=clinic, name=name, birth_year=birth_year, sex=sex, identifiers=identifiers
    )


def _password() -> str:
    """Four groups that can be read out and typed."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(letters) for _ in range(4)) for _ in range(3))


def _keep(passwords: list[tuple[str, str]]) -> None:
    PASSWORD_FILE.parent.mkdir(parents=True, exist_ok=True)
    PASSWORD_FILE.touch(mode=0o600)
    PASSWORD_FILE.chmod(0o600)
    PASSWORD_FILE.write_text("".join(f"{name} {password}\n" for name, password in passwords))

"""WHO: clinics, people with roles, patients and the record of who read or changed what.

May import: Django and `patients.access` query helpers only; never `diagnosis` or `mlcore`.
Every model that holds patient data has `objects.visible_to(user)` (see `patients/access.py`).
"""

from __future__ import annotations

import uuid
from datetime import date, timedelta
from zoneinfo import ZoneInfo, available_timezones

from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import OpClass
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Upper
from django.utils import timezone

from patients.history import tracked
from patients.privacy import Consent, DataPolicy, LegalHold
from patients.querysets import AuditEventQuerySet, ClinicQuerySet, PatientQuerySet

__all__ = [
    "AuditEvent",
    "AuditSeal",
    "BreakGlass",
    "Clinic",
    "Consent",
    "DataPolicy",
    "LegalHold",
    "Membership",
    "Patient",
    "PatientIdentifier",
    "Purpose",
    "Role",
    "User",
]


class Role(models.TextChoices):
    """What a person or a program does at a clinic. A system administrator is a Django superuser, not a role."""

    OPERATOR = "operator", "Clinic operator"
    RADIOGRAPHER = "radiographer", "Radiographer"
    RADIOLOGIST = "radiologist", "Radiologist"
    REFERRING_DOCTOR = "doctor", "Referring doctor"
    CLINIC_ADMIN = "clinicadmin", "Clinic administrator"
    CLIENT = "client", "API client"

    @classmethod
    def of_people(cls) -> list[Role]:
        """The roles that a person can have: all but a program's."""
        return [role for role in cls if role != cls.CLIENT]


@tracked(exclude=["password", "last_login"])
class User(AbstractUser):
    """A person who signs in, or a program that sends films with a token: one with a membership of role `client`, and
    no password. What they may do comes from memberships, read on every request."""

    @property
    def display_name(self) -> str:
        """The full name, or the name to sign in with where none is given."""
        return self.get_full_name() or self.get_username()


def validate_time_zone(name: str) -> None:
    """Refuses names that no clock knows, such as a city that has no zone of its own."""
    if name not in available_timezones():
        raise ValidationError("Give a time zone such as Asia/Kolkata.", code="invalid")


@tracked()
class Clinic(models.Model):
    """A place that sends or reads films. `max_wait_minutes` is the longest a film should stay unread."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=200)
    code = models.SlugField(max_length=32, unique=True)
    time_zone = models.CharField(max_length=64, default="UTC", validators=[validate_time_zone])
    max_wait_minutes = models.PositiveIntegerField(default=24 * 60)
    show_unread_results = models.BooleanField(
        default=False,
        help_text="Operators and radiographers see the film and the model's answer before a radiologist has signed.",
    )
    read_first = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Radiologists see the model's answer only after they have saved a first impression of their own.",
    )
    privacy_contact = models.EmailField(
        blank=True,
        default="",
        db_default="",
        help_text="Who is told by e-mail when somebody reads the clinic's records by emergency access.",
    )
    critical_contact = models.EmailField(
        blank=True,
        default="",
        db_default="",
        help_text="Who is told by e-mail that a critical finding waits; the mail names no patient.",
    )
    escalation_contact = models.EmailField(
        blank=True,
        default="",
        db_default="",
        help_text="Who is told as well once nobody has acknowledged a critical finding in time.",
    )
    acknowledge_minutes = models.PositiveIntegerField(
        default=30,
        db_default=30,
        validators=[MinValueValidator(1)],
        help_text="The longest a critical finding should wait for acknowledgement, in minutes.",
    )
    critical_severity = models.FloatField(
        default=0.5,
        db_default=0.5,
        validators=[MinValueValidator(0), MaxValueValidator(1)],
        help_text="A reported finding more severe than this, from 0 to 1, is critical.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = ClinicQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def today(self) -> date:
        """The date on the clinic's wall."""
        return timezone.now().astimezone(ZoneInfo(self.time_zone)).date()


@tracked(by="clinic")
class Membership(models.Model):
    """One role of one person at one clinic, from a day to a day (open when `valid_to` is empty).

    `scopes` are what an API client may do beyond reading what it created; people have none. `registration_number` is
    that of a medical register: who signs reports at the clinic needs one.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    clinic = models.ForeignKey(Clinic, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role)
    valid_from = models.DateTimeField(default=timezone.now)
    valid_to = models.DateTimeField(null=True, blank=True)
    scopes = ArrayField(models.CharField(max_length=32), default=list, db_default=[], blank=True, editable=False)
    registration_number = models.CharField(max_length=64, blank=True, default="", db_default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "clinic", "role"], name="membership_once"),
            models.CheckConstraint(condition=Q(scopes=[]) | Q(role=Role.CLIENT), name="only_programs_have_scopes"),
            models.CheckConstraint(
                condition=Q(valid_to__isnull=True) | Q(valid_to__gt=F("valid_from")), name="membership_period"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_role_display()} · {self.clinic}"


@tracked(exclude=["search_name", "updated_at"])
class Patient(models.Model):
    """A person whose films are kept. Known by a birth date or, where nobody knows it, a birth year."""

    class Sex(models.TextChoices):
        FEMALE = "female", "Female"
        MALE = "male", "Male"
        OTHER = "other", "Other"
        UNKNOWN = "unknown", "Unknown"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="patients")
    name = models.CharField(max_length=200)
    search_name = models.CharField(max_length=200, editable=False, help_text="Lower case, accents removed.")
    birth_date = models.DateField(null=True, blank=True)
    birth_year = models.PositiveSmallIntegerField()
    sex = models.CharField(max_length=8, choices=Sex, default=Sex.UNKNOWN)
    phone = models.CharField(max_length=32, blank=True)
    abha_number = models.CharField("ABHA number", max_length=20, blank=True)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+", editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects = PatientQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["clinic", "-created_at", "-id"], name="patient_recent"),
            models.Index(fields=["clinic", "birth_year"], name="patient_birth_year"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(birth_date__isnull=True) | Q(birth_date__year=F("birth_year")),
                name="patient_birth_year_agrees",
            ),
            models.UniqueConstraint(
                fields=["clinic", "abha_number"], condition=~Q(abha_number=""), name="abha_number_once_per_clinic"
            ),
        ]

    def __str__(self) -> str:
        """Not the name: this text goes into logs, histories and the administration."""
        return f"Patient {str(self.id)[:8]}"


@tracked(by="patient")
class PatientIdentifier(models.Model):
    """A number by which some system knows the patient: MRN, ABHA, the DICOM PatientID of a device."""

    patient = models.ForeignKey(Patient, on_delete=models.CASCADE, related_name="identifiers")
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+")
    system = models.CharField(max_length=64, default="MRN")
    value = models.CharField(max_length=64)

    class Meta:
        ordering = ["system", "value"]
        indexes = [models.Index(OpClass(Upper("value"), name="text_pattern_ops"), name="identifier_value")]
        constraints = [
            models.UniqueConstraint("clinic", Upper("system"), Upper("value"), name="identifier_once_per_clinic"),
        ]

    def __str__(self) -> str:
        return f"{self.system} {self.value}"


class Mailed(models.Model):
    """A row that is also the outbox of a mail about it, which `patients.outbox` sends.

    `mailed_at` is empty until the mail server took the mail; `mail_problem` says why it did not, the last time it was
    tried.
    """

    mailed_at = models.DateTimeField(null=True)
    mail_tried_at = models.DateTimeField(null=True)
    mail_problem = models.CharField(max_length=64, blank=True, default="")

    class Meta:
        abstract = True


class BreakGlass(Mailed):
    """Emergency access: one person reads one clinic's records for an hour, says why, and the clinic is told."""

    LASTS = timedelta(hours=1)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=500)
    started_at = models.DateTimeField(default=timezone.now)
    ends_at = models.DateTimeField()

    class Meta:
        ordering = ["-started_at"]
        indexes = [models.Index(fields=["user", "ends_at"], name="break_glass_of_user")]
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_at__gte=F("started_at"), ends_at__lte=F("started_at") + timedelta(hours=1)),
                name="break_glass_lasts_an_hour_at_most",
            ),
        ]

    def __str__(self) -> str:
        return f"Emergency access {str(self.id)[:8]}"

    @property
    def holds(self) -> bool:
        return self.ends_at > timezone.now()


class Purpose(models.TextChoices):
    """Why patient data is used, in the codes of HL7's vocabulary PurposeOfUse."""

    TREATMENT = "TREAT", "Treatment"
    EMERGENCY = "ETREAT", "Emergency treatment"
    OPERATIONS = "HOPERAT", "Running the clinic"
    SYSTEM = "HSYSADMIN", "Running the system"
    PATIENT_REQUEST = "PATRQT", "At the patient's request"
    RESEARCH = "HRESCH", "Research, training of models"


class AuditEvent(models.Model):
    """Who did or read what, when, why and with what outcome. Append only: triggers refuse any change.

    `session` is a short hash that tells one log-in or token from another and opens nothing.
    """

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(default=timezone.now, db_index=True)
    user = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    role = models.CharField(max_length=64, blank=True)
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, null=True, related_name="+")
    verb = models.CharField(max_length=64)
    object_type = models.CharField(max_length=64, blank=True)
    object_id = models.CharField(max_length=64, blank=True)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, null=True, related_name="+")
    outcome = models.CharField(max_length=32, default="ok", help_text="ok, or the code of the refusal")
    changes = models.JSONField(default=dict, help_text="field: [before, after]")
    ip_address = models.GenericIPAddressField(null=True)
    request_id = models.CharField(max_length=36, blank=True)
    session = models.CharField(max_length=16, blank=True, default="", db_default="")
    purpose = models.CharField(max_length=16, blank=True, default="", db_default="", choices=Purpose)
    reason = models.CharField(max_length=500, blank=True, default="", db_default="")

    objects = AuditEventQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["clinic", "-id"], name="audit_by_clinic"),
            models.Index(fields=["patient", "-id"], name="audit_by_patient"),
        ]

    def __str__(self) -> str:
        return f"{self.verb} {self.object_type} {self.object_id}"


class AuditSeal(models.Model):
    """A link of the chain over the audit: `sha256` covers the seal before it and the event. Append only.

    Written after the event's commit, by `patients.sealing`; positions are 1, 2, 3, … without a gap.
    """

    position = models.BigIntegerField(primary_key=True)
    event = models.OneToOneField(AuditEvent, on_delete=models.PROTECT, related_name="seal")
    sha256 = models.CharField(max_length=64)

    class Meta:
        ordering = ["position"]

    def __str__(self) -> str:
        return f"{self.sha256}@{self.position}"

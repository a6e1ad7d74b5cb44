"""Who works at a clinic, and which programs send films to it: added, changed and ended by the clinic's administrator.

An API client is a user without a password, with one membership of role `client`, its scopes, and one token. Each change
leaves its audit in the same commit and acts at once: rights are read from the memberships on every request.
May import: Django, knox, `patients.models`, `patients.access`, `patients.audit`, `patients.text`.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection

from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from allauth.mfa.models import Authenticator
from django.contrib.auth.hashers import make_password
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet
from django.utils import timezone
from knox.models import AuthToken

from patients import access
from patients.access import Action
from patients.audit import audit_record
from patients.errors import ApplicationError
from patients.models import Clinic, Membership, Role, User
from patients.policy import Scope
from patients.text import clean_text, required_text

# --- what the pages read


def clinic_managed(*, user: User, clinic_id: object, action: Action) -> Clinic:
    """The clinic, one of the user's own, where the user may do `action`; else `not_found` or `permission_denied`."""
    clinic = Clinic.objects.filter(id__in=access.clinic_ids(user), pk=clinic_id).first()
    if clinic is None:
        raise ApplicationError("not_found")
    access.require_at(user, action, clinic)
    return clinic


def people_of(clinic: Clinic) -> QuerySet[User]:
    """Everybody who works or worked at the clinic, with `held` (what they hold there now) and `has_second_factor`."""
    factors = Authenticator.objects.exclude(type=Authenticator.Type.RECOVERY_CODES).filter(user=OuterRef("pk"))
    memberships = Membership.objects.filter(clinic=clinic, role__in=Role.of_people())
    people = _users_with(memberships, memberships.filter(access.holds_now()))
    return people.annotate(has_second_factor=Exists(factors))


def clients_of(clinic: Clinic) -> QuerySet[User]:
    """The API clients of the clinic, with `held`, and `tokens` that are still valid."""
    valid = AuthToken.objects.filter(Q(expiry__isnull=True) | Q(expiry__gt=timezone.now()))
    tokens = Prefetch("auth_token_set", valid, to_attr="tokens")
    clients = Membership.objects.filter(clinic=clinic, role=Role.CLIENT)
    clients = clients.filter(access.holds_now())
    return _users_with(clients, clients).prefetch_related(tokens)


def _users_with(memberships: QuerySet[Membership], holds_now: QuerySet[Membership]) -> QuerySet[User]:
    return (
        User.objects.filter(pk__in=memberships.values("user"), is_superuser=False)
        .prefetch_related(Prefetch("memberships", holds_now.order_by("role"), to_attr="held"))
        .order_by("last_name", "first_name", "username")
    )


# --- people


@transaction.atomic
def person_add(
    *,
    user: User,
    clinic: Clinic,
    username: str,
    first_name: str,
    last_name: str,
    email: str,
    roles: Collection[str],
    registration_number: str = "",
) -> User:
    """A new person of the clinic, who cannot sign in before using the link of `link_make`. A radiologist signs reports
    with the `registration_number`.

    Raises `permission_denied`, `invalid_text`, `invalid_input` and `username_taken`.
    """
    access.require_at(user, Action.MEMBER_MANAGE, clinic)
    person = User(
        username=_username(username),
        first_name=required_text(first_name, field="first name", limit=150),
        last_name=clean_text(last_name, field="last name", limit=150),
        email=_email(email),
        password=make_password(None),
    )
    _user_store(person)
    _roles_hold(clinic, person, _roles(roles))
    changes = {"roles": ["", ", ".join(sorted(roles))]} | _registration_set(clinic, person, registration_number)
    audit_record(user=user, verb="create", target=person, clinic=clinic, changes=changes)
    return person


@transaction.atomic
def roles_set(
    *, user: User, clinic: Clinic, person: User, roles: Collection[str], registration_number: str | None = None
) -> None:
    """What the person is at this clinic from now on, and the number with which a radiologist signs (None: as it is).
    Somebody who had left is back, and needs a new link.

    Raises `permission_denied` for oneself and for system administrators, `not_found` for strangers, `invalid_input`
    without a role, `account_deactivated` where a system administrator has shut the account.
    """
    person = _person_locked(user, clinic, person)
    wanted = _roles(roles)
    if not person.is_active:
        if person.has_usable_password():
            raise ApplicationError("account_deactivated")
        person.is_active = True
        person.save(update_fields=["is_active"])
    before = _roles_held(clinic, person)
    changes = {}
    if before != wanted:
        _end(clinic, person, before - wanted)
        _roles_hold(clinic, person, wanted - before)
        changes = {"roles": [", ".join(sorted(before)), ", ".join(sorted(wanted))]}
    changes |= _registration_set(clinic, person, registration_number)
    if changes:
        audit_record(user=user, verb="update", target=person, clinic=clinic, changes=changes)


@transaction.atomic
def person_remove(*, user: User, clinic: Clinic, person: User) -> None:
    """End every role of the person at this clinic, now. Who works nowhere else is signed out everywhere, tokens
    included, and cannot sign in; what they hold at other clinics stays. Raises as `roles_set`."""
    person = _person_locked(user, clinic, person)
    before = _roles_held(clinic, person)
    _end(clinic, person, before)
    Membership.objects.filter(user=person, clinic=clinic, valid_from__gt=timezone.now()).delete()
    if not access.active_memberships(person).exists():
        _shut(person)
    audit_record(
        user=user, verb="remove", target=person, clinic=clinic, changes={"roles": [", ".join(sorted(before)), ""]}
    )


@transaction.atomic
def link_make(*, user: User, clinic: Clinic, person: User) -> str:
    """The key of a link with which the person chooses a password: once, within `PASSWORD_RESET_TIMEOUT`. Raises as
    `roles_set`, and `link_refused` for who also works where the user administers nothing: a password counts there too.
    """
    person = _person_locked(user, clinic, person)
    held = access.active_memberships(person)
    if not held.filter(clinic=clinic).exists():
        raise ApplicationError("not_found")
    if held.exclude(clinic__in=access.clinic_ids(user, Action.MEMBER_MANAGE)).exists():
        raise ApplicationError("link_refused")
    if not person.has_usable_password():  # an earlier link was made from the old value
        person.set_unusable_password()
        person.save(update_fields=["password"])
    audit_record(user=user, verb="link", target=person, clinic=clinic)
    return f"{user_pk_to_url_str(person)}-{default_token_generator.make_token(person)}"


# --- programs


@transaction.atomic
def client_add(*, user: User, clinic: Clinic, name: str, scopes: Collection[str]) -> tuple[User, str]:
    """A new API client of the clinic and its token, which is kept only as a hash. Raises `permission_denied`,
    `invalid_text`, `invalid_input`."""
    access.require_at(user, Action.CLIENT_MANAGE, clinic)
    client = User(
        username=f"client-{secrets.token_hex(6)}",
        first_name=required_text(name, field="name", limit=150),
        password=make_password(None),
    )
    _user_store(client)
    given = _scopes(scopes)
    Membership.objects.create(user=client, clinic=clinic, role=Role.CLIENT, scopes=given)
    audit_record(user=user, verb="create", target=client, clinic=clinic, changes={"scopes": ["", ", ".join(given)]})
    return client, str(AuthToken.objects.create(client)[1])


@transaction.atomic
def client_scopes_set(*, user: User, clinic: Clinic, client: User, scopes: Collection[str]) -> None:
    """What the client may do from now on. Raises `permission_denied`, `not_found`, `invalid_input`."""
    held = _client_locked(user, clinic, client, Action.CLIENT_MANAGE)
    before, held.scopes = held.scopes, _scopes(scopes)
    if held.scopes == before:
        return
    held.save(update_fields=["scopes"])
    changes = {"scopes": [", ".join(before), ", ".join(held.scopes)]}
    audit_record(user=user, verb="update", target=client, clinic=clinic, changes=changes)


@transaction.atomic
def client_token_renew(*, user: User, clinic: Clinic, client: User) -> str:
    """A new token; the old one is void. Raises `permission_denied` and `not_found`."""
    _client_locked(user, clinic, client, Action.CLIENT_MANAGE)
    client.auth_token_set.all().delete()
    audit_record(user=user, verb="token", target=client, clinic=clinic)
    return str(AuthToken.objects.create(client)[1])


@transaction.atomic
def client_end(*, user: User, clinic: Clinic, client: User) -> None:
    """Shut the client out for good, now; what it sent stays. Raises `permission_denied` and `not_found`."""
    held = _client_locked(user, clinic, client, Action.CLIENT_REVOKE)
    _end(clinic, client, {held.role})
    _shut(client)
    audit_record(user=user, verb="remove", target=client, clinic=clinic)


# --- shared


def _person_locked(user: User, clinic: Clinic, person: User) -> User:
    """The person, held until the commit, whom the user may manage: of this clinic, not above and not the user."""
    access.require_at(user, Action.MEMBER_MANAGE, clinic)
    found = people_of(clinic).filter(pk=person.pk).select_for_update(of=("self",)).first()
    if found is None:
        raise ApplicationError("not_found")
    if found == user:
        raise ApplicationError("permission_denied")
    return found


def _client_locked(user: User, clinic: Clinic, client: User, action: Action) -> Membership:
    access.require_at(user, action, clinic)
    held = access.active_memberships(client).filter(clinic=clinic, role=Role.CLIENT).select_for_update().first()
    if held is None:
        raise ApplicationError("not_found")
    return held


def _roles_held(clinic: Clinic, person: User) -> set[str]:
    return set(access.active_memberships(person).filter(clinic=clinic).values_list("role", flat=True))


def _roles_hold(clinic: Clinic, person: User, roles: Collection[str]) -> None:
    for role in roles:
        Membership.objects.update_or_create(
            user=person, clinic=clinic, role=role, defaults={"valid_from": timezone.now(), "valid_to": None}
        )


def _registration_set(clinic: Clinic, person: User, number: str | None) -> dict[str, list[str]]:
    """The change, for the audit; none for who is no radiologist here."""
    held = access.active_memberships(person).filter(clinic=clinic, role=Role.RADIOLOGIST).first()
    if held is None or number is None:
        return {}
    before = held.registration_number
    held.registration_number = clean_text(number, field="registration_number", limit=64)
    if held.registration_number == before:
        return {}
    held.save(update_fields=["registration_number"])
    return {"registration_number": [before, held.registration_number]}


def _end(clinic: Clinic, person: User, roles: Collection[str]) -> None:
    access.active_memberships(person).filter(clinic=clinic, role__in=roles).update(valid_to=timezone.now())


def _shut(user: User) -> None:
    """Nobody signs in as this user: sessions are refused as soon as the account is inactive, tokens are gone."""
    user.is_active = False
    user.set_unusable_password()
    user.save(update_fields=["is_active", "password"])
    user.auth_token_set.all().delete()


def _roles(roles: Collection[str]) -> set[str]:
    if not roles or set(roles) - {role.value for role in Role.of_people()}:
        raise ApplicationError("invalid_input", fields={"roles": ["Choose at least one role."]})
    return set(roles)


def _scopes(scopes: Collection[str]) -> list[str]:
    if set(scopes) - {scope.value for scope in Scope}:
        raise ApplicationError("invalid_input", fields={"scopes": ["Choose among the scopes."]})
    return sorted(set(scopes))


def _username(text: str) -> str:
    username = User.normalize_username(required_text(text, field="username", limit=150))
    try:
        UnicodeUsernameValidator()(username)
    except ValidationError as error:
        raise ApplicationError("invalid_input", fields={"username": list(error.messages)}) from error
    if User.objects.filter(username__iexact=username).exists():
        raise ApplicationError("username_taken")
    return username


def _email(text: str) -> str:
    email = clean_text(text, field="e-mail", limit=254)
    try:
        if email:
            validate_email(email)
    except ValidationError as error:
        raise ApplicationError("invalid_input", fields={"email": list(error.messages)}) from error
    return email


def _user_store(user: User) -> None:
    try:
        with transaction.atomic():
            user.save()
    except IntegrityError as error:
        raise ApplicationError("username_taken") from error

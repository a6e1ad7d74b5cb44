"""Pages of a clinic's administrator: who works here, which programs send films, how each began and ends.

May import: Django, allauth, `patients.members`, `.member_forms`, `.access`, `.stepup`. Links and tokens are shown once,
in the answer to the form that made them.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from allauth.account.adapter import get_adapter
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from patients import access
from patients.access import Action
from patients.errors import ApplicationError
from patients.member_forms import ClientForm, PersonForm, RolesForm, ScopesForm
from patients.members import (
    client_add,
    client_end,
    client_scopes_set,
    client_token_renew,
    clients_of,
    clinic_managed,
    link_make,
    people_of,
    person_add,
    person_remove,
    roles_set,
)
from patients.models import Clinic, Role, User
from patients.stepup import recent_sign_in_required


@never_cache
@require_safe
def member_list(request: HttpRequest) -> HttpResponse:
    """People and programs of every clinic that this person administers."""
    clinics = _administered(request, Action.MEMBER_MANAGE)
    for clinic in clinics:
        people = list(people_of(clinic))
        clinic.people = [person for person in people if person.held]
        clinic.left = [person for person in people if not person.held]
        clinic.programs = list(clients_of(clinic))
    return render(request, "members/member_list.html", {"clinics": clinics})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@recent_sign_in_required
def person_new(request: HttpRequest) -> HttpResponse:
    """Add somebody; the answer holds the link with which they choose a password."""
    _administered(request, Action.MEMBER_MANAGE)
    form = PersonForm(request.POST or None, user=request.user)
    if request.method == "POST" and form.is_valid():
        try:
            person = person_add(user=request.user, **form.cleaned_data)
        except ApplicationError as error:
            form.refuse(error)
        else:
            return _link_page(request, form.cleaned_data["clinic"], person)
    return render(request, "members/person_new.html", {"form": form}, status=400 if form.errors else 200)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def person_detail(request: HttpRequest, clinic_id: UUID, person_id: int) -> HttpResponse:
    """One person: roles, a new password link, the end of their access."""
    clinic = clinic_managed(user=request.user, clinic_id=clinic_id, action=Action.MEMBER_MANAGE)
    person = _one(people_of(clinic), person_id)
    held = [membership.role for membership in person.held]
    number = next((each.registration_number for each in person.held if each.role == Role.RADIOLOGIST), "")
    initial = {"roles": held, "registration_number": number}
    form = RolesForm(request.POST if request.method == "POST" else None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            roles_set(user=request.user, clinic=clinic, person=person, **form.cleaned_data)
        except ApplicationError as error:
            form.refuse(error)
        else:
            messages.success(request, "Saved. It holds from now on.")
            return redirect("person_detail", clinic.pk, person.pk)
    context = {"clinic": clinic, "person": person, "form": form, "is_oneself": person == request.user}
    return render(request, "members/person_detail.html", context, status=400 if form.errors else 200)


@never_cache
@require_POST
@recent_sign_in_required
def person_link(request: HttpRequest, clinic_id: UUID, person_id: int) -> HttpResponse:
    """A new link with which the person chooses a password."""
    clinic = clinic_managed(user=request.user, clinic_id=clinic_id, action=Action.MEMBER_MANAGE)
    return _link_page(request, clinic, _one(people_of(clinic), person_id))


@never_cache
@require_POST
def person_end(request: HttpRequest, clinic_id: UUID, person_id: int) -> HttpResponse:
    """The person works here no longer."""
    clinic = clinic_managed(user=request.user, clinic_id=clinic_id, action=Action.MEMBER_MANAGE)
    person = _one(people_of(clinic), person_id)
    person_remove(user=request.user, clinic=clinic, person=person)
    messages.success(request, f"{_name(person)} has no access to {clinic} any more.")
    return redirect("member_list")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@recent_sign_in_required
def client_new(request: HttpRequest) -> HttpResponse:
    """Let a program in; the answer holds its token."""
    _administered(request, Action.CLIENT_MANAGE)
    form = ClientForm(request.POST or None, user=request.user)
    if request.method == "POST" and form.is_valid():
        try:
            client, token = client_add(user=request.user, **form.cleaned_data)
        except ApplicationError as error:
            form.refuse(error)
        else:
            return _token_page(request, client, token)
    return render(request, "members/client_new.html", {"form": form}, status=400 if form.errors else 200)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def client_detail(request: HttpRequest, clinic_id: UUID, client_id: int) -> HttpResponse:
    """One program: scopes, a new token, its end."""
    clinic = clinic_managed(user=request.user, clinic_id=clinic_id, action=Action.CLIENT_MANAGE)
    client = _one(clients_of(clinic), client_id)
    form = ScopesForm(request.POST if request.method == "POST" else None, initial={"scopes": client.held[0].scopes})
    if request.method == "POST" and form.is_valid():
        client_scopes_set(user=request.user, clinic=clinic, client=client, **form.cleaned_data)
        messages.success(request, "Saved. It holds from now on.")
        return redirect("client_detail", clinic.pk, client.pk)
    context = {"clinic": clinic, "client": client, "form": form}
    return render(request, "members/client_detail.html", context, status=400 if form.errors else 200)


@never_cache
@require_POST
@recent_sign_in_required
def client_token(request: HttpRequest, clinic_id: UUID, client_id: int) -> HttpResponse:
    """A new token in place of the old one."""
    clinic = clinic_managed(user=request.user, clinic_id=clinic_id, action=Action.CLIENT_MANAGE)
    client = _one(clients_of(clinic), client_id)
    return _token_page(request, client, client_token_renew(user=request.user, clinic=clinic, client=client))


@never_cache
@require_POST
def client_revoke(request: HttpRequest, clinic_id: UUID, client_id: int) -> HttpResponse:
    """The program is shut out."""
    clinic = clinic_managed(user=request.user, clinic_id=clinic_id, action=Action.CLIENT_REVOKE)
    client = _one(clients_of(clinic), client_id)
    client_end(user=request.user, clinic=clinic, client=client)
    messages.success(request, f"{client.first_name} is shut out.")
    return redirect("member_list")


def _administered(request: HttpRequest, action: Action) -> list[Clinic]:
    clinics = list(Clinic.objects.filter(id__in=access.clinic_ids(request.user, action)))
    if not clinics:
        raise ApplicationError("permission_denied")
    return clinics


def _one(users: Any, user_id: int) -> Any:
    """The user of this id among these, or `not_found`."""
    found = users.filter(pk=user_id).first()
    if found is None:
        raise ApplicationError("not_found")
    return found


def _name(person: User) -> str:
    return person.display_name


def _link_page(request: HttpRequest, clinic: Clinic, person: User) -> HttpResponse:
    key = link_make(user=request.user, clinic=clinic, person=person)
    link = get_adapter(request).get_reset_password_from_key_url(key)
    context = {"person": person, "name": _name(person), "clinic": clinic, "secret": link}
    return render(request, "members/link.html", context)


def _token_page(request: HttpRequest, client: User, token: str) -> HttpResponse:
    return render(request, "members/token.html", {"client": client, "secret": token})

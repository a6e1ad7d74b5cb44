"""A clinic's administrator keeps people and programs: added, changed, ended, acting at once, at the own clinic only."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from knox.models import AuthToken
from rest_framework.test import APIClient

from patients import access
from patients.errors import ApplicationError, error_sentence
from patients.members import client_add, client_token_renew, link_make, person_add, person_remove, roles_set
from patients.models import AuditEvent, Membership, User
from tests import factories

NEW_PASSWORD = "a lamp beside the window 7"


@pytest.fixture
def admin(user_for):
    return user_for("clinicadmin")


@pytest.fixture
def page(client_for, admin):
    return client_for(admin)


def add(page, clinic, **fields):
    form = {"clinic": clinic.pk, "first_name": "Nina", "last_name": "Rao", "username": "nina", "roles": ["operator"]}
    return page.post("/people/new/", form | fields)


def secret_in(response) -> str:
    return re.search(r'id="secret"\s+value="([^"]+)"', response.content.decode())[1]


def choose_password(link: str, password: str = NEW_PASSWORD) -> Client:
    browser = Client()
    form = browser.get(link, follow=True)
    browser.post(form.request["PATH_INFO"], {"password1": password, "password2": password})
    return browser


def can_sign_in(username: str, password: str) -> bool:
    browser = Client()
    browser.post("/accounts/login/", {"login": username, "password": password})
    return browser.get("/patients/").status_code == 200


def test_a_new_person_chooses_a_password_by_the_link_and_signs_in(page, clinic):
    choose_password(secret_in(add(page, clinic)))
    assert can_sign_in("nina", NEW_PASSWORD)
    assert access.role_at(User.objects.get(username="nina"), clinic) == "operator"


def test_the_link_works_once(page, clinic):
    link = secret_in(add(page, clinic))
    choose_password(link)
    choose_password(link, "something else entirely 9")
    assert not can_sign_in("nina", "something else entirely 9")


def test_nobody_signs_in_before_the_link_was_used(page, clinic):
    add(page, clinic)
    assert not User.objects.get(username="nina").has_usable_password()


def test_a_username_is_given_once_whatever_its_case(page, clinic):
    add(page, clinic)
    assert error_sentence("username_taken") in add(page, clinic, username="NINA").content.decode()
    assert User.objects.filter(username__iexact="nina").count() == 1


@pytest.mark.parametrize("roles", [[], ["client"], ["system"], ["nonsense"]])
def test_only_the_roles_of_people_can_be_given(admin, clinic, roles):
    with pytest.raises(ApplicationError, match="Some fields"):
        person_add(user=admin, clinic=clinic, username="n", first_name="N", last_name="", email="", roles=roles)


def test_a_change_of_roles_holds_at_once(page, clinic, user_for, client_for):
    operator = user_for("operator")
    browser = client_for(operator)
    assert browser.get("/patients/new/").status_code == 200
    page.post(f"/people/{clinic.pk}/{operator.pk}/", {"roles": ["radiologist"]})
    assert browser.get("/patients/new/").status_code == 403


def test_who_is_removed_is_signed_out_at_once_with_every_token(page, clinic, user_for, client_for, api_for):
    operator = user_for("operator")
    browser, program = client_for(operator), api_for(operator)
    page.post(f"/people/{clinic.pk}/{operator.pk}/end/")
    assert browser.get("/patients/").url.startswith("/accounts/login/")
    assert program.get("/api/v1/me/").status_code == 401
    assert not can_sign_in(operator.username, factories.PASSWORD)


def test_who_also_works_elsewhere_stays_there(page, clinic, other_clinic, user_for, client_for):
    operator = user_for("operator")
    factories.membership_make(operator, other_clinic, "operator")
    browser = client_for(operator)
    page.post(f"/people/{clinic.pk}/{operator.pk}/end/")
    assert browser.get("/patients/").status_code == 200
    assert [held.clinic for held in access.active_memberships(operator)] == [other_clinic]


def test_a_role_that_was_to_begin_later_goes_too(page, clinic, user_for):
    operator = user_for("operator")
    factories.membership_make(operator, clinic, "radiologist", valid_from=timezone.now() + timedelta(days=1))
    page.post(f"/people/{clinic.pk}/{operator.pk}/end/")
    assert not Membership.objects.filter(user=operator, valid_to=None).exists()


def test_who_left_can_come_back_with_a_new_link(admin, clinic, user_for):
    operator = user_for("operator")
    person_remove(user=admin, clinic=clinic, person=operator)
    roles_set(user=admin, clinic=clinic, person=operator, roles=["operator"])
    assert not can_sign_in(operator.username, factories.PASSWORD)
    choose_password(f"/accounts/password/reset/key/{link_make(user=admin, clinic=clinic, person=operator)}/")
    assert can_sign_in(operator.username, NEW_PASSWORD)


def test_an_account_that_the_system_administrator_shut_stays_shut(admin, clinic, user_for):
    operator = user_for("operator")
    User.objects.filter(pk=operator.pk).update(is_active=False)
    with pytest.raises(ApplicationError, match=error_sentence("account_deactivated")):
        roles_set(user=admin, clinic=clinic, person=operator, roles=["radiographer"])


def test_nobody_changes_their_own_membership(page, admin, clinic):
    for path, form in [("", {"roles": ["radiologist"]}), ("end/", {}), ("link/", {})]:
        assert page.post(f"/people/{clinic.pk}/{admin.pk}/{path}", form).status_code == 403
    assert access.role_at(admin, clinic) == "clinicadmin"


def test_a_system_administrator_is_nobody_to_a_clinic_administrator(page, clinic, system_admin):
    factories.membership_make(system_admin, clinic, "operator")
    assert page.get(f"/people/{clinic.pk}/{system_admin.pk}/").status_code == 404
    assert system_admin.username not in page.get("/people/").content.decode()


@pytest.mark.parametrize("path", ["", "link/", "end/"])
def test_people_of_other_clinics_do_not_exist(page, clinic, other_clinic, user_for, path):
    stranger = user_for("operator", other_clinic)
    answers = [
        page.post(f"/people/{where}/{who}/{path}", {"roles": ["radiologist"]})
        for where, who in [(clinic.pk, stranger.pk), (clinic.pk, 10**18), (other_clinic.pk, stranger.pk)]
    ]
    bodies = {answer.content.replace(answer["X-Request-ID"].encode(), b"").split(b"<main")[1] for answer in answers}
    assert {answer.status_code for answer in answers} == {404}
    assert len(bodies) == 1
    assert access.role_at(stranger, other_clinic) == "operator"


def test_no_link_for_who_also_works_where_one_administers_nothing(admin, clinic, other_clinic, user_for):
    operator = user_for("operator")
    factories.membership_make(operator, other_clinic, "radiologist")
    with pytest.raises(ApplicationError, match=error_sentence("link_refused")):
        link_make(user=admin, clinic=clinic, person=operator)


def test_links_tokens_and_people_need_a_recent_sign_in(client_for, admin, clinic, user_for):
    page = client_for(admin, ago=1000)
    operator = user_for("operator")
    for path in ("/people/new/", "/people/programs/new/", f"/people/{clinic.pk}/{operator.pk}/link/"):
        assert "/accounts/reauthenticate/" in page.post(path).url


def test_the_list_says_roles_sign_in_and_second_factor_in_a_fixed_number_of_queries(
    page, clinic, django_assert_max_num_queries, monkeypatch
):
    monkeypatch.setattr("patients.sessions.GRANULARITY", 0)  # every request renews the session
    counts = []
    for _ in range(2):
        for _ in range(4):
            factories.user_make("operator", clinic)
            factories.client_make(clinic)
        with django_assert_max_num_queries(40) as counted:
            body = page.get("/people/").content.decode()
        counts.append(len(counted.captured_queries))
    assert counts[0] == counts[1]
    assert "Clinic operator" in body


def test_every_change_is_audited(page, admin, clinic):
    add(page, clinic)
    nina = User.objects.get(username="nina")
    page.post(f"/people/{clinic.pk}/{nina.pk}/", {"roles": ["radiographer"]})
    page.post(f"/people/{clinic.pk}/{nina.pk}/end/")
    page.post("/people/programs/new/", {"clinic": clinic.pk, "name": "Gateway", "scopes": ["patient:write"]})
    events = AuditEvent.objects.filter(user=admin, clinic=clinic, object_type="user").order_by("id")
    assert [(event.verb, event.changes) for event in events] == [
        ("create", {"roles": ["", "operator"]}),
        ("link", {}),
        ("update", {"roles": ["operator", "radiographer"]}),
        ("remove", {"roles": ["radiographer", ""]}),
        ("create", {"scopes": ["", "patient:write"]}),
    ]


# --- programs


def program(token: str) -> APIClient:
    return APIClient(HTTP_AUTHORIZATION=f"Token {token}")


def test_a_token_is_shown_once_and_kept_as_a_hash(page, clinic):
    token = secret_in(page.post("/people/programs/new/", {"clinic": clinic.pk, "name": "Gateway", "scopes": []}))
    assert program(token).get("/api/v1/me/").json()["name"] == "Gateway"
    client = User.objects.get(first_name="Gateway")
    assert token not in str(AuthToken.objects.values().get())
    assert token not in page.get(f"/people/{clinic.pk}/programs/{client.pk}/").content.decode()


def test_a_new_token_replaces_the_old_one(admin, clinic):
    client, old = client_add(user=admin, clinic=clinic, name="Gateway", scopes=[])
    new = client_token_renew(user=admin, clinic=clinic, client=client)
    assert [program(token).get("/api/v1/me/").status_code for token in (old, new)] == [401, 200]


def test_a_program_that_is_shut_out_is_out_at_once_and_what_it_sent_stays(page, admin, clinic, user_for):
    client, token = client_add(user=admin, clinic=clinic, name="Gateway", scopes=["patient:write"])
    sent = program(token).post("/api/v1/patients/", {"name": "Asha", "birth_year": 1961}, format="json").json()
    page.post(f"/people/{clinic.pk}/programs/{client.pk}/end/")
    assert program(token).get("/api/v1/me/").status_code == 401
    assert access.get_visible(clinic.patients.model.objects, user_for("operator"), pk=sent["id"]).name == "Asha"
    assert page.get(f"/people/{clinic.pk}/programs/{client.pk}/").status_code == 404


def test_a_change_of_scopes_holds_at_once(page, admin, clinic):
    client, token = client_add(user=admin, clinic=clinic, name="Gateway", scopes=["patient:write"])
    page.post(f"/people/{clinic.pk}/programs/{client.pk}/", {"scopes": ["study:upload"]})
    refused = program(token).post("/api/v1/patients/", {"name": "Asha", "birth_year": 1961}, format="json")
    assert (refused.status_code, refused.json()["code"]) == (403, "permission_denied")


def test_the_list_says_when_a_program_was_last_used(page, admin, clinic):
    client, token = client_add(user=admin, clinic=clinic, name="Gateway", scopes=[])
    assert "never" in page.get("/people/").content.decode().split("Programs")[-1]
    program(token).get("/api/v1/me/")
    client.refresh_from_db()
    assert timezone.now() - client.last_login < timedelta(minutes=1)


def test_nobody_signs_in_as_a_program(admin, clinic):
    client, token = client_add(user=admin, clinic=clinic, name="Gateway", scopes=[])
    assert not can_sign_in(client.username, token)

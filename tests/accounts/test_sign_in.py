"""Signing in and out: password, lock-out, second factor, tokens. A person who left is out at once."""

from __future__ import annotations

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret, hotp_value, yield_hotp_counters_from_time
from django.test import Client
from knox.models import AuthToken

from tests import factories

LOGIN, LOGOUT, PASSWORD_CHANGE, MFA = (
    "/accounts/login/",
    "/accounts/logout/",
    "/accounts/password/change/",
    "/accounts/2fa/",
)
ME = "/api/v1/me/"


@pytest.fixture
def operator(user_for):
    return user_for("operator")


def sign_in(client: Client, username: str, password: str = factories.PASSWORD):
    return client.post(LOGIN, {"login": username, "password": password})


def signed_in(client: Client) -> bool:
    return client.get("/patients/").status_code == 200


def test_a_name_and_a_password_sign_in(anonymous, operator):
    assert sign_in(anonymous, operator.username).status_code == 302
    assert signed_in(anonymous)


def test_nobody_signs_up_by_themselves(anonymous, db):
    from patients.models import User

    anonymous.post("/accounts/signup/", {"username": "new", "password1": factories.PASSWORD})
    assert not User.objects.exists()


def test_an_anonymous_visitor_is_sent_to_sign_in_and_back(anonymous, db):
    assert anonymous.get("/patients/").url == f"{LOGIN}?next=/patients/"


def test_a_wrong_password_and_an_unknown_name_read_the_same(operator):
    pages = [
        sign_in(Client(), username, "wrong").content.decode().replace(username, "")
        for username in (operator.username, "nobody-at-all")
    ]
    strip = [page.split("<main")[1].split("csrfmiddlewaretoken")[0] for page in pages]
    assert strip[0] == strip[1]
    assert "not correct" in pages[0]


def test_a_deactivated_user_cannot_sign_in(anonymous, operator):
    operator.is_active = False
    operator.save()
    sign_in(anonymous, operator.username)
    assert not signed_in(anonymous)


def test_deactivation_ends_a_session_at_once(client_for, operator):
    client = client_for(operator)
    assert signed_in(client)
    operator.is_active = False
    operator.save()
    assert not signed_in(client)


def test_five_wrong_passwords_lock_out_even_the_right_one(anonymous, operator):
    for _ in range(5):
        last = sign_in(anonymous, operator.username, "wrong")
    right = sign_in(anonymous, operator.username)
    assert (last.status_code, right.status_code) == (429, 429)
    assert "Too many sign-in attempts. Try again in 15 minutes." in right.content.decode()
    assert not signed_in(anonymous)


def test_writing_the_name_in_other_letters_gives_no_more_tries(anonymous, operator):
    for username in (operator.username, operator.username.upper(), operator.username.title()) * 2:
        answer = sign_in(anonymous, username, "wrong")
    assert answer.status_code == 429


def test_others_can_still_sign_in_from_the_same_computer(anonymous, operator, user_for):
    for _ in range(6):
        sign_in(anonymous, operator.username, "wrong")
    assert sign_in(anonymous, user_for("radiologist").username).status_code == 302


@pytest.mark.parametrize("username", ["x" * 10_000, "a\x00b", "\u202e", ""])
def test_a_name_that_cannot_be_is_no_fault(anonymous, db, username):
    assert sign_in(anonymous, username).status_code in (200, 400)


def test_an_unknown_name_is_locked_out_in_the_same_words(operator):
    answers = []
    for username in (operator.username, "nobody-at-all"):
        client = Client(raise_request_exception=False)
        for _ in range(6):
            answer = sign_in(client, username, "wrong")
        answers.append((answer.status_code, answer.content.decode().replace(answer["X-Request-ID"], "")))
    assert answers[0] == answers[1]
    assert answers[0][0] == 429


def test_a_right_password_forgets_the_wrong_ones(anonymous, operator):
    for _ in range(2):
        for _ in range(4):
            sign_in(anonymous, operator.username, "wrong")
        assert sign_in(anonymous, operator.username).status_code == 302
        anonymous.post(LOGOUT)


def test_the_administration_has_no_sign_in_of_its_own(anonymous, system_admin):
    anonymous.post("/admin/login/", {"username": system_admin.username, "password": factories.PASSWORD})
    assert anonymous.get("/admin/").status_code == 302


def test_signing_out_takes_a_post(client_for):
    client = client_for("operator")
    client.get(LOGOUT)
    assert signed_in(client)
    client.post(LOGOUT)
    assert not signed_in(client)


def test_a_changed_password_ends_other_sessions(client_for, operator):
    client, elsewhere = client_for(operator), client_for(operator)
    new = "another long enough password"
    client.post(PASSWORD_CHANGE, {"oldpassword": factories.PASSWORD, "password1": new, "password2": new})
    assert not signed_in(elsewhere)
    operator.refresh_from_db()
    assert operator.check_password(new)


def test_a_weak_password_is_refused(client_for, operator):
    client_for(operator).post(
        PASSWORD_CHANGE, {"oldpassword": factories.PASSWORD, "password1": "12345", "password2": "12345"}
    )
    operator.refresh_from_db()
    assert operator.check_password(factories.PASSWORD)


def test_a_session_is_renewed_at_sign_in(anonymous, operator):
    anonymous.get(LOGIN)
    before = anonymous.cookies.get("sessionid")
    sign_in(anonymous, operator.username)
    assert anonymous.cookies["sessionid"].value != (before.value if before else "")


# --- the second factor


def test_where_a_second_factor_is_obligatory_pages_lead_to_its_setup(settings, client_for, patient):
    settings.MFA_REQUIRED = True
    client = client_for("operator")
    for path in ("/patients/", f"/patients/{patient.pk}/edit/"):
        response = client.get(path)
        assert (response.status_code, response.url) == (302, MFA)
    assert client.get(MFA).status_code == 200


def test_where_a_second_factor_is_obligatory_the_api_refuses_a_session_without(settings, client_for):
    settings.MFA_REQUIRED = True
    response = client_for("operator").get(ME)
    assert (response.status_code, response.json()["code"]) == (403, "mfa_required")


def test_with_a_second_factor_set_up_everything_opens(settings, client_for, operator):
    settings.MFA_REQUIRED = True
    TOTP.activate(operator, generate_totp_secret())
    RecoveryCodes.activate(operator)
    assert signed_in(client_for(operator))


def test_a_person_with_a_second_factor_needs_both_to_sign_in(anonymous, operator):
    secret = generate_totp_secret()
    TOTP.activate(operator, secret)
    assert sign_in(anonymous, operator.username).url.startswith("/accounts/2fa/authenticate/")
    assert not signed_in(anonymous)
    code = f"{hotp_value(secret, next(yield_hotp_counters_from_time())):06}"
    anonymous.post("/accounts/2fa/authenticate/", {"code": code})
    assert signed_in(anonymous)


def test_a_token_needs_no_second_factor_at_each_call(settings, api_for):
    settings.MFA_REQUIRED = True
    assert api_for("operator").get(ME).status_code == 200


def test_only_a_hash_of_a_token_is_stored(operator):
    stored, token = AuthToken.objects.create(operator)
    assert token not in (stored.digest, stored.token_key)

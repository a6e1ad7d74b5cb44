"""The second factor carried through: app, recovery codes, losing and removing one, where it is obligatory."""

from __future__ import annotations

import re

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret, hotp_value, yield_hotp_counters_from_time
from django.test import Client

from tests import factories

LOGIN, FACTORS, ACTIVATE, CODES = (
    "/accounts/login/",
    "/accounts/2fa/",
    "/accounts/2fa/totp/activate/",
    "/accounts/2fa/recovery-codes/",
)
ASK = "/accounts/2fa/authenticate/"


@pytest.fixture(autouse=True)
def obligatory(settings):
    settings.MFA_REQUIRED = True


@pytest.fixture
def operator(user_for):
    return user_for("operator")


@pytest.fixture
def with_app(operator):
    TOTP.activate(operator, generate_totp_secret())
    RecoveryCodes.activate(operator)
    return operator


def code_of(secret: str) -> str:
    return f"{hotp_value(secret, next(yield_hotp_counters_from_time())):06}"


def after_password(user) -> Client:
    client = Client(raise_request_exception=False)
    client.post(LOGIN, {"login": user.username, "password": factories.PASSWORD})
    return client


def is_in(client: Client) -> bool:
    return client.get("/patients/").status_code == 200


def enrol_app(client: Client) -> str:
    """Set up an authenticator app as a person does; gives the secret that the app would keep."""
    page = client.get(ACTIVATE).content.decode()
    secret = re.search(r'value="([A-Z2-7]{32})"', page)[1]
    assert client.post(ACTIVATE, {"code": code_of(secret)}).url == CODES
    return secret


def recovery_codes(client: Client) -> list[str]:
    return re.search(r"<textarea[^>]*>([\d\s]+)<", client.get(CODES).content.decode())[1].split()


def test_enrolment_comes_before_anything_else_and_opens_everything(operator):
    client = after_password(operator)
    for path in ("/", "/patients/", "/status/", "/admin/"):
        assert client.get(path).url == FACTORS, path
    enrol_app(client)
    assert len(recovery_codes(client)) == 10
    assert is_in(client)


def test_a_wrong_code_activates_nothing(operator):
    client = after_password(operator)
    client.get(ACTIVATE)
    assert client.post(ACTIVATE, {"code": "000000"}).status_code == 200
    assert not Authenticator.objects.exists()


def test_a_recovery_code_signs_in_once(operator):
    client = after_password(operator)
    enrol_app(client)
    code = recovery_codes(client)[0]
    signed_in = []
    for _ in range(2):
        again = after_password(operator)
        assert not is_in(again)
        again.post(ASK, {"code": code})
        signed_in.append(is_in(again))
    assert signed_in == [True, False]


def test_recovery_codes_are_shown_again_only_after_stepping_up(with_app, client_for):
    client = client_for(with_app, ago=1000, second_factor=True)
    assert client.get(CODES).url.startswith("/accounts/2fa/reauthenticate/")


def test_removing_the_last_factor_leads_to_enrolment_at_once(with_app, client_for):
    client = client_for(with_app, second_factor=True)
    client.post("/accounts/2fa/totp/deactivate/")
    assert not Authenticator.objects.exists()
    assert client.get("/patients/").url == FACTORS


def test_a_stale_session_removes_no_factor(with_app, client_for):
    client = client_for(with_app, ago=1000, second_factor=True)
    client.post("/accounts/2fa/totp/deactivate/")
    assert Authenticator.objects.exists()


def test_recovery_codes_without_a_factor_are_none(with_app, client_for):
    """An administrator took the lost telephone away: the codes that remain open nothing by themselves."""
    Authenticator.objects.filter(type="totp").delete()
    client = after_password(with_app)
    assert client.get("/patients/").url == FACTORS


def test_a_reset_of_the_password_is_offered_in_the_same_words_to_everybody(operator, mailoutbox):
    operator.email = "op@example.org"
    operator.save()
    pages = []
    for email in (operator.email, "nobody@example.org"):
        answer = Client().post("/accounts/password/reset/", {"email": email}, follow=True)
        pages.append((answer.redirect_chain, answer.content.decode().split("<main")[1].split("</main")[0]))
    assert pages[0] == pages[1]


def test_a_reset_password_does_not_pass_by_the_second_factor(with_app, mailoutbox):
    with_app.email = "op@example.org"
    with_app.save()
    client = Client()
    client.post("/accounts/password/reset/", {"email": with_app.email})
    address = re.search(r"https?://[^/]+(/accounts/password/reset/key/\S+)", mailoutbox[0].body)[1]
    form = client.get(address, follow=True).redirect_chain[-1][0]
    new = "another long enough password"
    client.post(form, {"password1": new, "password2": new})
    with_app.refresh_from_db()
    assert with_app.check_password(new)
    assert not is_in(client)


# --- how the keys lie in the database


def refused(user, code: str) -> bool:
    client = after_password(user)
    answer = client.post(ASK, {"code": code})
    return answer.status_code < 500 and not is_in(client)


def test_keys_lie_encrypted_in_the_database(operator):
    secret = generate_totp_secret()
    TOTP.activate(operator, secret)
    RecoveryCodes.activate(operator)
    stored = {each.type: str(each.data) for each in Authenticator.objects.filter(user=operator)}
    assert secret not in stored["totp"]
    for data in stored.values():
        assert "'fernet:" in data
    assert Authenticator.objects.get(type="totp").wrap().validate_code(code_of(secret))


def test_a_new_secret_key_opens_what_was_stored_with_the_one_before(settings, operator):
    secret = generate_totp_secret()
    TOTP.activate(operator, secret)
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another long text of nobody's"
    client = after_password(operator)
    client.post(ASK, {"code": code_of(secret)})
    assert is_in(client)


def test_factors_stored_with_a_lost_key_let_nobody_in_and_the_log_says_why(settings, operator, caplog):
    secret = generate_totp_secret()
    TOTP.activate(operator, secret)
    codes = RecoveryCodes.activate(operator).get_unused_codes()
    settings.SECRET_KEY = "another long text of nobody's"
    assert refused(operator, code_of(secret))
    assert refused(operator, code_of("A" * 32))
    assert refused(operator, codes[0])
    assert "SECRET_KEY is not the one it was stored with" in caplog.text

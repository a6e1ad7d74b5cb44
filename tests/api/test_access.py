"""Who is let in: tokens, sessions, closed by default, and how fast."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from knox.models import AuthToken
from rest_framework.settings import api_settings
from rest_framework.test import APIClient

from tests.api.problems import assert_problem

pytestmark = pytest.mark.django_db

URL = "/api/v1/me/"


def test_nobody_is_let_in_without_a_token(anonymous):
    response = anonymous.get(URL)
    assert_problem(response, "not_authenticated")
    assert response.headers["WWW-Authenticate"] == "Token"


def test_a_token_lets_its_user_in(api_for, user_for):
    response = api_for("operator").get(URL)
    assert response.status_code == 200
    assert response.json()["username"] == user_for("operator").username


@pytest.mark.parametrize(
    "header",
    [
        "Token",
        "Token wrong",
        "Token a b",
        "Token \xff\xfe",
        "Token %00",
        f"Token {'a' * 64}",
        f"Token {'0' * 10_000}",
        "Bearer x",
        "Basic YTpi",
        "🙂".encode().decode("latin-1"),
    ],
)
def test_a_header_that_is_no_token_is_refused(header, anonymous):
    assert_problem(anonymous.get(URL, headers={"Authorization": header}), "not_authenticated")


def test_an_expired_token_is_refused(user_for):
    _, token = AuthToken.objects.create(user_for("operator"), expiry=timedelta(days=1))
    AuthToken.objects.update(expiry=timezone.now() - timedelta(seconds=1))
    response = APIClient(HTTP_AUTHORIZATION=f"Token {token}").get(URL)
    assert_problem(response, "not_authenticated")
    assert not AuthToken.objects.exists()


def test_a_token_without_an_end_is_good_beside_one_that_has_expired(user_for):
    user = user_for("operator")
    AuthToken.objects.create(user, expiry=timedelta(seconds=-1))
    _, token = AuthToken.objects.create(user, expiry=None)
    assert APIClient(HTTP_AUTHORIZATION=f"Token {token}").get(URL).status_code == 200


def test_deactivation_acts_at_once(api_for, user_for):
    client = api_for("operator")
    assert client.get(URL).status_code == 200
    user = user_for("operator")
    user.is_active = False
    user.save()
    assert_problem(client.get(URL), "not_authenticated")


def test_a_session_lets_a_browser_in(client_for):
    assert client_for("operator").get(URL).status_code == 200


def test_a_browser_changes_nothing_without_the_token_of_its_page(user_for):
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.force_login(user_for("operator"), backend="allauth.account.auth_backends.AuthenticationBackend")
    response = client.post("/api/v1/patients/", {"name": "Asha"}, content_type="application/json")
    assert_problem(response, "csrf_failed")


def test_a_session_without_a_second_factor_is_refused_where_it_is_obligatory(client_for, settings):
    settings.MFA_REQUIRED = True
    assert_problem(client_for("operator").get(URL), "mfa_required")


def test_the_api_is_closed_by_default():
    assert [each.__name__ for each in api_settings.DEFAULT_PERMISSION_CLASSES] == ["ClosedByDefault"]


def test_a_wrong_method_is_refused_and_the_right_ones_are_named(api_for):
    response = api_for("operator").delete(URL)
    assert_problem(response, "method_not_allowed")
    assert "GET" in response.headers["Allow"]


def test_options_names_methods_and_nothing_else(api_for):
    response = api_for("operator").options("/api/v1/patients/")
    assert response.status_code == 200
    assert response.json() == {"methods": ["GET", "POST", "HEAD", "OPTIONS"]}


def test_head_answers_like_get_without_a_body(api_for):
    response = api_for("operator").head(URL)
    assert (response.status_code, response.content) == (200, b"")


def test_who_asks_only_for_html_is_told_that_answers_are_json(api_for):
    assert_problem(api_for("operator").get(URL, headers={"Accept": "text/html"}), "not_acceptable")


def test_me_names_clinics_roles_and_what_they_allow(api_for, user_for, clinic):
    (held,) = api_for("operator").get(URL).json()["clinics"]
    assert (held["id"], held["name"], held["roles"]) == (str(clinic.pk), "Hill Clinic", ["operator"])
    assert "study.upload" in held["may"]
    assert "prediction.view" not in held["may"]
    clinic.show_unread_results = True
    clinic.save()
    assert "prediction.view" in api_for("operator").get(URL).json()["clinics"][0]["may"]


def test_me_of_a_system_administrator_has_no_clinic(api_for):
    body = api_for("system").get(URL).json()
    assert (body["is_system_admin"], body["clinics"]) == (True, [])


def test_answers_are_not_kept_by_caches(api_for, patient):
    assert api_for("operator").get(f"/api/v1/patients/{patient.pk}/").headers["Cache-Control"] == "private, no-store"

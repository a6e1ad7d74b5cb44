"""Step-up: what weighs most asks once more who is there, brings the person back and loses nothing they typed."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret, hotp_value, yield_hotp_counters_from_time
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from rest_framework.response import Response
from rest_framework.views import APIView

import cxrsite.urls
from patients.stepup import recent_sign_in_required, require_recent_sign_in
from tests import factories

PASSWORD_PAGE, FACTOR_PAGE = "/accounts/reauthenticate/", "/accounts/2fa/reauthenticate/"
LONG_AGO = 15 * 60 + 1
done: list[dict[str, Any]] = []


@recent_sign_in_required
def weighty(request: HttpRequest) -> HttpResponse:
    """Stands for signing a report."""
    if request.method == "POST":
        done.append({"text": request.POST.getlist("text"), "q": request.GET.get("q"), "user": request.user.pk})
    return HttpResponse("done")


class WeightyApi(APIView):
    def post(self, request: Any) -> Response:
        require_recent_sign_in(request)
        return Response({"done": True})


urlpatterns = [
    path("weighty/", weighty),
    path("open/", login_not_required(weighty)),
    path("api/v1/weighty/", WeightyApi.as_view()),
    path("", include("cxrsite.urls")),
]
handler403, handler404, handler500 = cxrsite.urls.handler403, cxrsite.urls.handler404, cxrsite.urls.handler500


@pytest.fixture(autouse=True)
def weighty_site(settings):
    settings.ROOT_URLCONF = __name__
    done.clear()


@pytest.fixture
def radiologist(user_for):
    return user_for("radiologist")


@pytest.fixture
def secret(radiologist) -> str:
    """The radiologist has an authenticator app."""
    secret = generate_totp_secret()
    TOTP.activate(radiologist, secret)
    return secret


def code_of(secret: str) -> str:
    return f"{hotp_value(secret, next(yield_hotp_counters_from_time())):06}"


def next_of(response: HttpResponse) -> str:
    return parse_qs(urlsplit(response.headers["Location"]).query)["next"][0]


def confirm(client: Any, away: HttpResponse, **proof: str) -> HttpResponse:
    """Answer the page to which one was sent."""
    where = urlsplit(away.headers["Location"])
    return client.post(where.path, proof | {"next": next_of(away)})


def test_who_has_just_signed_in_is_not_asked_again(client_for):
    assert client_for("radiologist").get("/weighty/").content == b"done"


def test_signing_in_on_the_page_counts(anonymous, radiologist):
    anonymous.post("/accounts/login/", {"login": radiologist.username, "password": factories.PASSWORD})
    assert anonymous.get("/weighty/").content == b"done"


def test_after_fifteen_minutes_a_page_asks_for_the_password_and_brings_back(client_for):
    client = client_for("radiologist", ago=LONG_AGO)
    away = client.get("/weighty/?q=1")
    assert (away.status_code, urlsplit(away.url).path, next_of(away)) == (302, PASSWORD_PAGE, "/weighty/?q=1")
    back = confirm(client, away, password=factories.PASSWORD)
    assert (back.status_code, back.url) == (302, "/weighty/?q=1")
    assert client.get(back.url).content == b"done"


def test_a_posted_form_is_kept_and_sent_on_unaltered(client_for, radiologist):
    client = client_for(radiologist, ago=LONG_AGO)
    typed = {"text": ["No effusion.\nHeart ärger & <b>", "second"]}
    away = client.post("/weighty/?q=7", typed)
    assert done == []
    assert confirm(client, away, password=factories.PASSWORD).content == b"done"
    assert done == [{"text": typed["text"], "q": "7", "user": radiologist.pk}]


def test_a_kept_form_is_sent_on_once(client_for):
    client = client_for("radiologist", ago=LONG_AGO)
    away = client.post("/weighty/", {"text": "once"})
    confirm(client, away, password=factories.PASSWORD)
    confirm(client, away, password=factories.PASSWORD)
    assert len(done) == 1


def test_a_wrong_password_opens_nothing(client_for):
    client = client_for("radiologist", ago=LONG_AGO)
    away = client.post("/weighty/", {"text": "x"})
    assert confirm(client, away, password="wrong").status_code == 200
    assert client.get("/weighty/").status_code == 302
    assert done == []


def test_a_form_of_one_person_is_not_sent_on_by_the_next(client_for, user_for):
    client = client_for("radiologist", ago=LONG_AGO)
    client.post("/weighty/", {"text": "the first person's"})
    client.post("/accounts/login/", {"login": "nobody", "password": "x"})
    client.post("/accounts/logout/")
    client.post("/accounts/login/", {"login": user_for("operator").username, "password": factories.PASSWORD})
    client.post(PASSWORD_PAGE, {"password": factories.PASSWORD, "next": "/weighty/"})
    assert done == []


def test_who_has_a_second_factor_shows_that_one(client_for, radiologist, secret):
    client = client_for(radiologist, ago=LONG_AGO, second_factor=True)
    away = client.post("/weighty/", {"text": "x"})
    assert urlsplit(away.url).path == FACTOR_PAGE
    assert confirm(client, away, code=code_of(secret)).content == b"done"


def test_a_password_does_not_stand_in_for_a_second_factor(client_for, radiologist, secret):
    client = client_for(radiologist, ago=LONG_AGO, second_factor=True)
    assert client.post(PASSWORD_PAGE, {"password": factories.PASSWORD}).headers["Location"].startswith(FACTOR_PAGE)
    assert client.get("/weighty/").status_code == 302
    assert client_for(radiologist).get("/weighty/").status_code == 302


def test_a_factor_set_up_after_the_password_was_given_needs_no_second_proof(client_for, radiologist):
    client = client_for(radiologist)
    TOTP.activate(radiologist, generate_totp_secret())
    assert client.get("/weighty/").content == b"done"


def test_a_script_of_a_page_is_refused_in_words(client_for):
    answer = client_for("radiologist", ago=LONG_AGO).post("/weighty/", HTTP_ACCEPT="application/problem+json")
    assert (answer.status_code, answer.json()["code"]) == (403, "reauthentication_required")


def test_htmx_is_sent_to_sign_in_and_back_to_the_page_it_came_from(client_for):
    answer = client_for("radiologist", ago=LONG_AGO).post(
        "/weighty/", HTTP_HX_REQUEST="true", HTTP_HX_CURRENT_URL="http://testserver/studies/1/?a=b"
    )
    assert answer.headers["HX-Redirect"] == f"{PASSWORD_PAGE}?next=%2Fstudies%2F1%2F%3Fa%3Db"


def test_the_api_takes_a_fresh_session_and_refuses_a_stale_one(client_for):
    assert client_for("radiologist").post("/api/v1/weighty/").status_code == 200
    answer = client_for("radiologist", ago=LONG_AGO).post("/api/v1/weighty/")
    assert (answer.status_code, answer.json()["code"]) == (403, "reauthentication_required")


def test_a_token_cannot_step_up(api_for):
    answer = api_for("radiologist").post("/api/v1/weighty/")
    assert (answer.status_code, answer.json()["code"]) == (403, "reauthentication_required")
    assert answer.json()["detail"] == "Sign in again on the site to do this. A program with a token cannot."


def test_a_visitor_is_never_recent(anonymous):
    away = anonymous.get("/open/")
    assert away.status_code in (302, 403)
    assert b"done" not in away.content

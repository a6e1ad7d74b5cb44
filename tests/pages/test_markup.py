"""What holds for every page: strict CSP, nothing from elsewhere, labelled fields, no caching of patient data."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from django.urls import reverse

from diagnosis.models import Worker
from tests import factories

pytestmark = pytest.mark.django_db


class Markup(HTMLParser):
    """Collects what a strict policy forbids, addresses, and fields without a label."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forbidden: list[str] = []
        self.addresses: list[str] = []
        self.fields: dict[str, str] = {}
        self.labels: set[str] = set()
        self.headings = 0
        self._labelled = 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "style" or (tag == "script" and not given.get("src") and given.get("type") != "application/json"):
            self.forbidden.append(tag)
        self.forbidden += [name for name in given if name == "style" or name.startswith("on")]
        self.addresses += [given[name] for name in ("src", "href", "action") if given.get(name)]
        self.headings += tag == "h1"
        if tag == "label":
            self._labelled += 1
            self.labels.add(given.get("for", ""))
        shown = tag in ("input", "select", "textarea") and given.get("type") not in ("hidden", "submit")
        if shown and not self._labelled and "aria-label" not in given:
            self.fields[given.get("id", "")] = given.get("name", "")

    def handle_endtag(self, tag):
        self._labelled -= tag == "label"

    @property
    def unlabelled(self) -> list[str]:
        return [name for place, name in self.fields.items() if place not in self.labels]


@pytest.fixture
def addresses(patient, user_for):
    """Every page, with something on it."""
    study = factories.study_make(patient, indication="<script>alert(1)</script>")
    prediction = factories.predicted_film_make(study, map_key="derived/x")
    prediction.radiograph.display_key = "derived/y"
    prediction.radiograph.warnings = [{"code": "low_resolution", "message": "Accepted; small."}]
    prediction.radiograph.save()
    factories.prediction_make(prediction.radiograph, factories.model_version_make("2.0.0", status="shadow"))
    failed = factories.radiograph_make(study)
    factories.job_make(failed, state="failed")
    factories.radiograph_make(study, state="rejected")
    signed = factories.study_make(patient)
    factories.predicted_film_make(signed)
    report = factories.report_make(signed, factories.user_make("radiologist", patient.clinic), "draft")
    factories.discordance_make(report)
    factories.alert_make(report)
    now = study.created_at
    Worker.objects.create(name="infer@here", kind="infer", started_at=now, seen_at=now, note="no model")
    return [
        "/",
        f"/?patient={patient.pk}",
        f"/?study={study.pk}",
        "/films/",
        f"/patients/{patient.pk}/",
        f"/studies/{study.pk}/",
        f"/studies/{study.pk}/status/",
        f"/studies/{study.pk}/read/",
        f"/studies/{study.pk}/report/",
        f"/studies/{signed.pk}/report/",
        "/follow-up/",
        "/second-look/",
        "/moves/",
        "/status/",
        "/numbers/",
        f"/models/{prediction.model_version_id}/",
        "/about/",
        "/nowhere/",
        reverse("patient_list"),
        reverse("account_change_password"),
        reverse("mfa_index"),
        reverse("account_logout"),
    ]


def test_no_page_needs_inline_script_or_style_or_another_host(client_for, addresses):
    client = client_for("radiologist")
    for address in addresses:
        answer = client.get(address)
        assert answer.status_code in (200, 404), address
        markup = Markup(answer.content.decode())
        assert markup.forbidden == [], address
        assert [each for each in markup.addresses if each.startswith(("http:", "https:", "//", "javascript:"))] == []
        policy = answer["Content-Security-Policy"]
        assert "unsafe" not in policy, address
        assert "default-src 'self'" in policy, address


def test_every_page_has_one_heading_and_a_label_for_each_field(client_for, addresses):
    client = client_for("radiologist")
    for address in addresses:
        markup = Markup(client.get(address).content.decode())
        assert markup.headings == (0 if "/status/" in address and "studies" in address else 1), address
        assert markup.unlabelled == [], address


def test_what_people_typed_is_never_markup(client_for, addresses):
    client = client_for("radiologist")
    for address in addresses:
        assert b"<script>alert" not in client.get(address).content


def test_pages_with_patient_data_are_not_kept(client_for, addresses):
    client = client_for("radiologist")
    for address in addresses[:10]:
        assert "no-store" in client.get(address)["Cache-Control"], address


def test_sign_in_page_needs_no_script_and_shows_no_menu(anonymous):
    page = anonymous.get(reverse("account_login")).content.decode()
    scripts = re.findall(r'<script src="([^"]+)"', page)
    assert all("/mfa/" in address or "/account/" in address for address in scripts), "only what a passkey needs"
    assert '<form method="post"' in page
    assert "Sign in" in page
    assert "Worklist" not in page


def test_menu_holds_what_the_role_can_use(client_for):
    pages = ("Send a film", "Worklist", "Films", "Follow-up", "Patients", "Numbers", "Status")

    def menu(role):
        page = client_for(role).get("/about/").content.decode()
        nav = page[page.index("<nav") : page.index("</nav>")]
        return [words for words in pages if words in nav]

    assert menu("operator") == ["Send a film", "Films", "Patients", "Status"]
    assert menu("radiologist") == ["Send a film", "Worklist", "Films", "Follow-up", "Patients", "Numbers", "Status"]
    assert menu("clinicadmin") == ["Films", "Numbers", "Status"]
    assert menu("doctor") == ["Films", "Follow-up", "Patients", "Status"]
    assert menu("system") == ["Status"]


def test_error_page_carries_code_and_reference(client_for):
    answer = client_for("operator").get("/nowhere/")
    assert answer.status_code == 404
    assert "not_found" in answer.content.decode()
    assert answer["X-Request-ID"] in answer.content.decode()


def test_address_that_only_takes_forms_says_so_in_words(client_for):
    answer = client_for("operator").get("/send/patient/")
    assert (answer.status_code, answer["Allow"]) == (405, "POST")
    assert "This address does not accept GET." in answer.content.decode()


def test_script_of_a_page_may_ask_for_the_problem_instead(client_for):
    answer = client_for("operator").get("/nowhere/", HTTP_ACCEPT="text/html, application/problem+json")
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "not_found"

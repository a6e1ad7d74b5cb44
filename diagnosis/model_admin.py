"""Model versions in the administration: history, thresholds and card to be read; each move asks first, then calls the
service.

May import: Django, `diagnosis.models`, `diagnosis.card`, `diagnosis.services`, `mlcore.contracts`, `patients`.
Registered by `diagnosis.admin`.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable

from django.conf import settings
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html

from diagnosis.card import card_beside
from diagnosis.models import ModelChange, ModelVersion, OperatingPoint
from diagnosis.registry import models_read
from diagnosis.services import models
from diagnosis.services.model_files import files_fingerprint
from mlcore.contracts import ModelIntegrityError
from patients.admin import LinesInline, ReadOnlyAdmin
from patients.errors import ApplicationError
from patients.models import User
from patients.stepup import require_recent_sign_in

#: Move → what the page asks, what follows, and what it says afterwards.
MOVES = {
    "activate": ("Activate {model}?", "{model} reads every new film from now on.", "{model} is active."),
    "ask": (
        "Ask for {model} to be activated?",
        "Nothing changes yet: another system administrator sees the same files and figures and decides.",
        "You asked for {model}. Another system administrator has to approve it.",
    ),
    "approve": ("Approve {model}?", "{model} reads every new film from now on.", "{model} is active."),
    "decline": (
        "Decline {model}?",
        "The request is closed. Nothing else changes.",
        "The request for {model} is closed.",
    ),
    "shadow": (
        "Put {model} on trial?",
        "{model} reads every new film after the active version has. Nobody is shown what it says, also not later.",
        "{model} is on trial.",
    ),
    "retire": ("Retire {model}?", "{model} reads no new film from now on; its results stay.", "{model} is retired."),
    "roll_back": (
        "Go back to {model}?",
        "{model} was active before and reads every new film again.",
        "{model} is active again.",
    ),
}
AFTER = {"activate": "active", "ask": "active", "shadow": "shadow", "retire": "retired", "roll_back": "active"}
REPLACED = "{active} retires: it still reads the films that wait for it now, and its results stay."
CONFIRM = {"ask": "Ask for it", "approve": "Approve and activate", "decline": "Decline"}
NONE_LEFT = "No version is active then: films are checked and kept, and read once one is activated."


class OperatingPointInline(LinesInline):
    model = OperatingPoint
    fields = ("label", "clinic", "threshold", "chosen_for")
    show_change_link = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[OperatingPoint]:
        return super().get_queryset(request).select_related("clinic")


class ModelChangeInline(LinesInline):
    model = ModelChange
    fields = ("at", "verb", "by", "sha256", "card_sha256")
    verbose_name_plural = "history"
    show_change_link = False


@admin.register(ModelVersion)
class ModelVersionAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "status", "since", "asked", "approved", "short_hash", "card_page")
    list_filter = ("status", "task")
    search_fields = ("name", "=version", "sha256__startswith")
    exclude = ("card",)
    readonly_fields = ("card_page", "whole_card")
    inlines = (ModelChangeInline, OperatingPointInline)
    actions = ("activate", "approve", "decline", "shadow", "retire", "roll_back")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ModelVersion]:
        return models_read()

    @admin.display(description="since")
    def since(self, model: ModelVersion) -> object:
        return model.since

    @admin.display(description="asked for by")
    def asked(self, model: ModelVersion) -> str:
        return model.request.by if model.request else "–"

    @admin.display(description="approved by")
    def approved(self, model: ModelVersion) -> str:
        return model.approval.by if model.approval else "–"

    @admin.display(description="sha256")
    def short_hash(self, model: ModelVersion) -> str:
        return model.sha256[:12]

    @admin.display(description="page")
    def card_page(self, model: ModelVersion) -> str:
        return format_html('<a href="{}">Card with its figures</a>', reverse("model_detail", args=[model.pk]))

    @admin.display(description="card")
    def whole_card(self, model: ModelVersion) -> str:
        return format_html("<pre>{}</pre>", json.dumps(model.card, indent=2, ensure_ascii=False))

    # --- moves

    @admin.action(description="Activate: ask for it to read every new film")
    def activate(self, request: HttpRequest, chosen: QuerySet[ModelVersion]) -> HttpResponse | None:
        return self._ask(request, chosen, lambda model, by: models.model_activate(model=model, by=by))

    @admin.action(description="Approve: activate what another administrator asked for")
    def approve(self, request: HttpRequest, chosen: QuerySet[ModelVersion]) -> HttpResponse | None:
        return self._decide(request, chosen, lambda model, by: models.model_approve(model=model, by=by))

    @admin.action(description="Decline: close a request for activation")
    def decline(self, request: HttpRequest, chosen: QuerySet[ModelVersion]) -> HttpResponse | None:
        return self._decide(request, chosen, lambda model, by: models.model_decline(model=model, by=by))

    @admin.action(description="Put on trial: it reads every new film, unseen")
    def shadow(self, request: HttpRequest, chosen: QuerySet[ModelVersion]) -> HttpResponse | None:
        return self._ask(request, chosen, lambda model, by: models.model_shadow(model=model, by=by))

    @admin.action(description="Retire: it reads no new film")
    def retire(self, request: HttpRequest, chosen: QuerySet[ModelVersion]) -> HttpResponse | None:
        return self._ask(request, chosen, lambda model, by: models.model_retire(model=model, by=by))

    @admin.action(description="Go back: from the active version to the one before")
    def roll_back(self, request: HttpRequest, chosen: QuerySet[ModelVersion]) -> HttpResponse | None:
        if not chosen.filter(status=ModelVersion.Status.ACTIVE).exists():
            self.message_user(request, "Choose the active version to go back from it.", messages.WARNING)
            return None
        before = models.model_before()
        if before is None:
            self.message_user(request, ApplicationError("no_model_before").detail, messages.WARNING)
            return None
        target = self.get_queryset(request).filter(pk=before.pk)
        return self._ask(request, target, lambda model, by: models.model_rollback(by=by))

    def _decide(
        self, request: HttpRequest, chosen: QuerySet[ModelVersion], act: Callable[[ModelVersion, User], object]
    ) -> HttpResponse | None:
        """As `_ask`, about a request that waits; deciding asks once more who is there."""
        waiting = [model for model in chosen if model.request]
        if len(chosen) == 1 and not waiting:
            refusal = ApplicationError("approval_not_asked", model=str(chosen[0]))
            self.message_user(request, refusal.detail, messages.WARNING)
            return None
        if "confirmed" in request.POST:
            require_recent_sign_in(request)
        return self._ask(request, chosen, act)

    def _ask(
        self, request: HttpRequest, chosen: QuerySet[ModelVersion], act: Callable[[ModelVersion, User], object]
    ) -> HttpResponse | None:
        """The page that asks; once it is confirmed, the move."""
        if len(chosen) != 1:
            self.message_user(request, "Choose one version.", messages.WARNING)
            return None
        model, action = chosen[0], request.POST["action"]
        if "confirmed" not in request.POST:
            return self._question(request, model, action)
        try:
            act(model, request.user)
        except ApplicationError as error:
            self.message_user(request, error.detail, messages.ERROR)
        else:
            self.message_user(request, MOVES[_words(action)][2].format(model=model), messages.SUCCESS)
        return None

    def _question(self, request: HttpRequest, model: ModelVersion, action: str) -> HttpResponse | None:
        if model.status == AFTER.get(action):
            self.message_user(request, f"{model} is that already.", messages.WARNING)
            return None
        active = ModelVersion.objects.filter(status=ModelVersion.Status.ACTIVE).first()
        words = _words(action)
        question, consequence, _ = MOVES[words]
        follows = [consequence.format(model=model)]
        if words in ("activate", "approve", "roll_back") and active not in (None, model):
            follows.append(REPLACED.format(active=active))
        if action == "retire" and active == model:
            follows.append(NONE_LEFT)
        context = {
            **self.admin_site.each_context(request),
            "title": question.format(model=model),
            "follows": follows,
            "action": action,
            "selected": active.pk if action == "roll_back" and active else model.pk,
            "confirm": CONFIRM.get(words, "Yes, do it"),
        }
        if action in ("activate", "approve", "decline"):
            context |= _files_and_figures(model, active)
        return TemplateResponse(request, "admin/diagnosis/modelversion/confirm.html", context)


def _words(action: str) -> str:
    """Where two people are needed, activating is asking."""
    return "ask" if action == "activate" and settings.MODEL_APPROVALS >= 2 else action


def _files_and_figures(model: ModelVersion, active: ModelVersion | None) -> dict[str, object]:
    """What both people have to see alike: the hashes that the request froze, or would freeze, and the figures."""
    asked = model.request
    try:
        files = asked.files if asked else files_fingerprint(model)
    except ModelIntegrityError:
        files = ("cannot be read", "cannot be read")
    return {
        "model": model,
        "asked": asked,
        "weights_sha256": textwrap.wrap(files[0], 16),  # a telephone breaks them there
        "card_sha256": textwrap.wrap(files[1], 16),
        "columns": [str(model), f"{active} (active)" if active else "no version is active"],
        "rows": card_beside(model.card, active.card if active else {}),
    }

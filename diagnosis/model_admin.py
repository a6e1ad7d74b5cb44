"""Model versions in the administration: history, thresholds and card to be read; each move asks first, then calls the
service.

May import: Django, `diagnosis.models`, `diagnosis.services`, `patients`. Registered by `diagnosis.admin`.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html

from diagnosis.models import ModelChange, ModelVersion, OperatingPoint
from diagnosis.registry import models_read
from diagnosis.services import models
from patients.admin import LinesInline, ReadOnlyAdmin
from patients.errors import ApplicationError
from patients.models import User

#: Move → what the page asks, what follows, and what it says afterwards.
MOVES = {
    "activate": ("Activate {model}?", "{model} reads every new film from now on.", "{model} is active."),
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
AFTER = {"activate": "active", "shadow": "shadow", "retire": "retired", "roll_back": "active"}
REPLACED = "{active} retires: it still reads the films that wait for it now, and its results stay."
NONE_LEFT = "No version is active then: films are checked and kept, and read once one is activated."


class OperatingPointInline(LinesInline):
    model = OperatingPoint
    fields = ("label", "clinic", "threshold", "chosen_for")
    show_change_link = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[OperatingPoint]:
        return super().get_queryset(request).select_related("clinic")


class ModelChangeInline(LinesInline):
    model = ModelChange
    fields = ("at", "verb", "by")
    verbose_name_plural = "history"
    show_change_link = False


@admin.register(ModelVersion)
class ModelVersionAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "status", "since", "approved", "short_hash", "card_page")
    list_filter = ("status", "task")
    search_fields = ("name", "=version", "sha256__startswith")
    exclude = ("card",)
    readonly_fields = ("card_page", "whole_card")
    inlines = (ModelChangeInline, OperatingPointInline)
    actions = ("activate", "shadow", "retire", "roll_back")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ModelVersion]:
        return models_read()

    @admin.display(description="since")
    def since(self, model: ModelVersion) -> object:
        return model.since

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

    @admin.action(description="Activate: it reads every new film")
    def activate(self, request: HttpRequest, chosen: QuerySet[ModelVersion]) -> HttpResponse | None:
        return self._ask(request, chosen, lambda model, by: models.model_activate(model=model, by=by))

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
            self.message_user(request, MOVES[action][2].format(model=model), messages.SUCCESS)
        return None

    def _question(self, request: HttpRequest, model: ModelVersion, action: str) -> HttpResponse | None:
        if model.status == AFTER[action]:
            self.message_user(request, f"{model} is that already.", messages.WARNING)
            return None
        active = ModelVersion.objects.filter(status=ModelVersion.Status.ACTIVE).first()
        question, consequence, _ = MOVES[action]
        follows = [consequence.format(model=model)]
        if action in ("activate", "roll_back") and active not in (None, model):
            follows.append(REPLACED.format(active=active))
        if action == "retire" and active == model:
            follows.append(NONE_LEFT)
        context = {
            **self.admin_site.each_context(request),
            "title": question.format(model=model),
            "follows": follows,
            "action": action,
            "selected": active.pk if action == "roll_back" and active else model.pk,
        }
        return TemplateResponse(request, "admin/diagnosis/modelversion/confirm.html", context)

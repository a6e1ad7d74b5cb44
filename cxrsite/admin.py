"""The administration's pages of libraries, cut down to what a system administrator needs: take away, never make.

A lost second factor, a token to revoke, a lock-out to lift. Secrets are not shown. May import: the libraries' own
admin modules (so that they register first), Django, `patients.admin`.
"""

from __future__ import annotations

from typing import Any

import allauth.account.admin
import allauth.mfa.admin
import allauth.usersessions.admin  # noqa: F401
import axes.admin  # noqa: F401
import knox.admin  # noqa: F401
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib import admin
from django.http import HttpRequest
from knox.models import AuthToken

from patients.admin import ReadOnlyAdmin

admin.site.site_header = admin.site.site_title = "Chest X-ray reading: administration"
admin.site.index_title = "What the system keeps"

for model in (EmailAddress, Authenticator, UserSession, AccessAttempt, AccessFailureLog, AccessLog, AuthToken):
    admin.site.unregister(model)


class RevocableAdmin(ReadOnlyAdmin):
    """Rows that may be taken away."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser


@admin.register(Authenticator)
class AuthenticatorAdmin(RevocableAdmin):
    """Taking it away lets a person who lost a phone set up a new one."""

    fields = list_display = ("user", "type", "created_at", "last_used_at")
    list_select_related = ("user",)
    search_fields = ("=user__username",)


@admin.register(AuthToken)
class AuthTokenAdmin(RevocableAdmin):
    """Taking it away shuts the program out at once. `manage.py issue_token` makes one."""

    fields = list_display = ("user", "token_key", "created", "expiry")
    list_select_related = ("user",)
    search_fields = ("=token_key", "=user__username")


@admin.register(AccessAttempt)
class AccessAttemptAdmin(RevocableAdmin):
    """Failed sign-ins. Taking them away lifts the lock-out."""

    fields = list_display = ("username", "ip_address", "failures_since_start", "attempt_time")
    search_fields = ("=username", "=ip_address")


@admin.register(AccessLog)
class AccessLogAdmin(ReadOnlyAdmin):
    """Who signed in and out, when and from where."""

    fields = list_display = ("username", "ip_address", "attempt_time", "logout_time")
    search_fields = ("=username", "=ip_address")

"""Every address of the site. May import: views of both apps."""

from __future__ import annotations

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.contrib.auth.decorators import login_required
from django.urls import include, path, reverse_lazy
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView

import diagnosis.api.urls
import patients.api.urls
from cxrsite import health
from cxrsite.metrics import metrics
from cxrsite.openapi import SwaggerView
from cxrsite.sessions import session_state

api = [
    *patients.api.urls.urlpatterns,
    *diagnosis.api.urls.urlpatterns,
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("docs/", login_required(SwaggerView.as_view()), name="docs"),
]

# One way to sign in, with its lock-out and second factor, for the administration too.
admin.site.login = secure_admin_login(admin.site.login)

urlpatterns = [
    path("accounts/session/", session_state, name="session_state"),
    path("accounts/", include("allauth.urls")),
    # No record has a page to "view on site", and Django's own shortcut answers 500 to a malformed id.
    path("admin/r/<path:rest>", RedirectView.as_view(url=reverse_lazy("admin:index"))),
    path("admin/", admin.site.urls),
    path("patients/", include("patients.urls")),
    path("audit/", include("patients.audit_urls")),
    path("emergency/", include("patients.emergency_urls")),
    path("people/", include("patients.member_urls")),
    path("", include("diagnosis.urls")),
    path("api/v1/", include((api, "api"))),
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
    path("progressz", health.progressz, name="progressz"),
    path("metrics", metrics, name="metrics"),
]

handler400 = "cxrsite.problems.bad_request"
handler403 = "cxrsite.problems.permission_denied"
handler404 = "cxrsite.problems.page_not_found"
handler500 = "cxrsite.problems.server_error"

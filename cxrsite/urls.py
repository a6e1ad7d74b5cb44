"""Every address of the site. May import: views of both apps."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from cxrsite import health

urlpatterns = [
    path("accounts/", include("allauth.urls")),
    path("admin/", admin.site.urls),
    path("patients/", include("patients.urls")),
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
]

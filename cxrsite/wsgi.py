"""The web server's entry point. Pages are loaded with it, before web processes are forked and anybody waits."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cxrsite.settings.local")
application = get_wsgi_application()

import cxrsite.urls  # noqa: E402, F401

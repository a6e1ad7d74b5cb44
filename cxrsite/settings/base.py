"""Settings shared by every environment. Values come from `env.py`; nothing here reads `os.environ`.

May import: `cxrsite.settings.env`, `cxrsite.settings.celery`, `cxrsite.logs`, Django helpers.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from csp.constants import NONCE, NONE, SELF
from pghistory import ForeignKey

from cxrsite.logs import logging_config
from cxrsite.settings import env
from cxrsite.settings.celery import *

BASE_DIR = env.BASE_DIR
VAR_DIR = env.VAR_DIR
SECRET_KEY = env.SECRET_KEY
DEBUG = False
ALLOWED_HOSTS = env.ALLOWED_HOSTS
CSRF_TRUSTED_ORIGINS = env.CSRF_TRUSTED_ORIGINS

INSTALLED_APPS = [
    "cxrsite",
    "patients",
    "diagnosis",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.humanize",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "axes",
    "csp",
    "django_filters",
    "django_htmx",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "knox",
    "pghistory",
    "pgtrigger",
    "rest_framework",
]

MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "cxrsite.middleware.RequestContextMiddleware",
    "cxrsite.middleware.ProtectiveHeadersMiddleware",
    "csp.middleware.CSPMiddleware",
    "django_permissions_policy.PermissionsPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "cxrsite.sessions.SessionLimitsMiddleware",
    "cxrsite.middleware.HistoryContextMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "cxrsite.middleware.ActorMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "cxrsite.middleware.MfaRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "cxrsite.middleware.ApplicationErrorMiddleware",
    "cxrsite.limits.PageLimitsMiddleware",
    "axes.middleware.AxesMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]

ROOT_URLCONF = "cxrsite.urls"
WSGI_APPLICATION = "cxrsite.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
                "patients.context_processors.break_glass",
            ],
        },
    }
]

# Where one login serves for everything, row security does not bind it: an error, except on one's own computer.
ONE_DATABASE_LOGIN_WILL_DO = False

AUTH_USER_MODEL = "patients.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
ACCOUNT_ADAPTER = "cxrsite.accounts.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = True
MFA_ADAPTER = "cxrsite.second_factors.MFAAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "Chest X-ray reading"
MFA_REQUIRED = bool(env.MFA_REQUIRED)
# What weighs most (`patients.stepup`) asks who is there unless that was proved within this time.
STEP_UP_SECONDS = ACCOUNT_REAUTHENTICATION_TIMEOUT = 15 * 60

AXES_VERBOSE = False
# Wrong passwords are counted by axes (see `cxrsite.accounts`), wrong codes of a second factor by allauth: so many
# per person before the right one is refused as well.
ACCOUNT_RATE_LIMITS = {"login_failed": "5/15m/key"}
AXES_FAILURE_LIMIT = 5
AXES_RESET_ON_SUCCESS = True
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_LOCKOUT_CALLABLE = "cxrsite.accounts.lockout_response"
AXES_USERNAME_CALLABLE = "cxrsite.accounts.lockout_username"

# Without activity a session ends after the first, in any case after the second; with the browser too.
SESSION_IDLE_SECONDS = env.SESSION_IDLE_MINUTES * 60
SESSION_COOKIE_AGE = env.SESSION_HOURS * 60 * 60
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
ACCOUNT_SESSION_REMEMBER = False
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "cxrsite.problems.csrf_failure"
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
PERMISSIONS_POLICY: dict[str, list[str]] = {
    name: [] for name in ("camera", "display-capture", "geolocation", "microphone", "midi", "payment", "serial", "usb")
}
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF, NONCE],
        "style-src": [SELF, NONCE],
        "img-src": [SELF, "data:", "blob:"],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}

globals().update(env.email_config())
SITE_URL = env.SITE_URL or f"http://localhost:{env.PORT}"
EMAIL_TIMEOUT = 10

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# Films lie under MEDIA_ROOT and are never routed: the image view checks, audits and sends them.
MEDIA_ROOT = env.MEDIA_DIR
MODEL_ROOT = env.MODEL_DIR
SENDFILE_BACKEND = "django_sendfile.backends.nginx" if env.SENDFILE_NGINX else "django_sendfile.backends.simple"
SENDFILE_ROOT = str(MEDIA_ROOT)
SENDFILE_URL = "/protected"

MAX_UPLOAD_BYTES = env.MAX_UPLOAD_MB * 1_000_000
FILE_UPLOAD_HANDLERS = ["diagnosis.uploads.FilmUploadHandler"]
FILE_UPLOAD_TEMP_DIR = str(VAR_DIR / "incoming")
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_500_000
DATA_UPLOAD_MAX_NUMBER_FILES = 1
DATA_UPLOAD_MAX_NUMBER_FIELDS = 50

# A changed row is history's business; reading changes none, so GET need not say who reads.
PGHISTORY_MIDDLEWARE_METHODS = ("POST", "PUT", "PATCH", "DELETE")
PGHISTORY_FOREIGN_KEY_FIELD = ForeignKey(db_index=False)

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "cxrsite.api.TokenAuthentication",
        "cxrsite.api.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["cxrsite.api.ClosedByDefault"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["cxrsite.api.StrictJSONParser"],
    "DEFAULT_PAGINATION_CLASS": "cxrsite.api.KeysetPagination",
    "DEFAULT_FILTER_BACKENDS": ["cxrsite.api.StrictFilterBackend"],
    "DEFAULT_METADATA_CLASS": "cxrsite.api.MethodsOnly",
    "URL_FORMAT_OVERRIDE": None,
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_THROTTLE_CLASSES": ["cxrsite.limits.ApiLimits"],
    "EXCEPTION_HANDLER": "cxrsite.problems.exception_handler",
}
REST_KNOX = {"TOKEN_TTL": timedelta(days=90), "AUTH_HEADER_PREFIX": "Token", "AUTO_REFRESH": False}
SPECTACULAR_SETTINGS = {
    "TITLE": "Chest X-ray reading API",
    "DESCRIPTION": "Send chest films, follow their jobs, read what the model says with its model and thresholds.",
    "VERSION": "1",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SCHEMA_COERCE_PATH_PK": False,
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["cxrsite.api.ClosedByDefault"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "persistAuthorization": False, "validatorUrl": None},
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "RadiographState": "diagnosis.models.Radiograph.State",
        "JobState": "diagnosis.models.Job.State",
        "UrgencyEnum": "diagnosis.models.Study.Urgency",
        "ModelStatus": "diagnosis.models.ModelVersion.Status",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "cxrsite.openapi.document_problems",
        "cxrsite.openapi.document_births",
    ],
}

for _folder in (Path(FILE_UPLOAD_TEMP_DIR), MEDIA_ROOT, MODEL_ROOT):
    with suppress(OSError):  # a start-up check says it in a sentence
        _folder.mkdir(parents=True, exist_ok=True)

# allauth counts wrong codes and remembers used ones here: every web process must know, and Redis may be empty.
CACHES = {"default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cxrsite_cache"}}
# Requests per minute: `cxrsite.limits` says of what.
RATE_LIMITS = {"visitor": 60, "person": 1200, "token": 1200, "upload": 600, "search": 300} | env.RATE_LIMITS

MODEL_APPROVALS = env.MODEL_APPROVALS
CLAMAV_URL = env.CLAMAV_URL
INFER_BATCH = env.INFER_BATCH
PREPARE_CONCURRENCY = env.PREPARE_CONCURRENCY
INFER_ENGINE = env.INFER_ENGINE
JOB_LEASE_SECONDS = env.JOB_LEASE_SECONDS
JOB_DEADLINE_SECONDS = 300
SWEEP_SECONDS = env.SWEEP_SECONDS
# What the wiring leaves lying is swept away as well, a little each time.
SWEPT_AS_WELL = ["cxrsite.limits.request_counts_forget"]

SENTRY_DSN = env.SENTRY_DSN
METRICS_TOKEN = env.METRICS_TOKEN

LOGGING = logging_config(level=env.LOG_LEVEL, form=env.LOG_FORMAT)

"""One settings file, fed by the environment (`curation/env.py`). Reading it starts nothing.

With neither DATABASE_URL nor REDIS_URL set, the embedded services of `curation/services.py` are used: `manage.py`
starts them, everything else finds them.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

from curation import env, services

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = env.path("WHETSTONE_VAR", BASE_DIR / "var")
ARTIFACTS_DIR = env.path("WHETSTONE_ARTIFACTS", VAR_DIR / "artifacts")
CACHE_DIR = env.path("WHETSTONE_CACHE", VAR_DIR / "cache")

DEBUG = env.boolean("WHETSTONE_DEBUG", False)
SECRET_KEY = env.secret("WHETSTONE_SECRET_KEY") or services.secret_key(VAR_DIR)
if len(SECRET_KEY) < 50:
    raise ImproperlyConfigured("WHETSTONE_SECRET_KEY should have 50 characters or more; unset it to have one made.")
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", *env.names("WHETSTONE_HOSTS", "")]  # probes come by loopback names
BEHIND_TLS = env.boolean("WHETSTONE_TLS", False)

INSTALLED_APPS = [
    "curation.apps.CurationConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
    "axes",
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
]
MIDDLEWARE = [
    "curation.logs.RequestLog",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "curation.sessions.remember",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "curation.urls"
WSGI_APPLICATION = "curation.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "curation.views.context.look",
                "curation.views.context.chrome",
            ],
        },
    },
]


def _database(url: str) -> dict[str, object]:
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.pop("host", "") or parts.hostname or "",
        "PORT": str(parts.port or query.pop("port", "")),
        "OPTIONS": query,
        "CONN_HEALTH_CHECKS": True,
        "CONN_MAX_AGE": env.integer("WHETSTONE_CONN_MAX_AGE", 0),
    }


DATABASE_URL = env.url("DATABASE_URL", ("postgres", "postgresql")) or services.database_url(VAR_DIR)
REDIS_URL = env.url("REDIS_URL", ("redis", "rediss", "unix")) or services.redis_url(VAR_DIR)
DATABASES = {"default": _database(DATABASE_URL)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}

AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "curation.people.Accounts"]
# Whoever fails to sign in too often from one address waits; the same name may sign in from elsewhere.
AXES_FAILURE_LIMIT = env.integer("WHETSTONE_SIGN_IN_TRIES", 5, least=1)
AXES_COOLOFF_TIME = timedelta(minutes=env.number("WHETSTONE_SIGN_IN_WAIT_MINUTES", 15, least=0.01))
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_LOCKOUT_CALLABLE = "curation.views.accounts.locked"
AXES_CLIENT_IP_CALLABLE = "curation.people.address_of"
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False  # so that the time which the page names holds
AXES_DISABLE_ACCESS_LOG = True
AXES_VERBOSE = AXES_ENABLE_ADMIN = False
# A company's own OpenID Connect, where one is named: allauth speaks with it, curation/oidc.py says who gets in.
OIDC_NAME = env.string("WHETSTONE_OIDC_NAME", "OpenID Connect")
OIDC_URL = env.url("WHETSTONE_OIDC_URL", ("https", "http"))
OIDC_APP = {
    "provider_id": "oidc", "name": OIDC_NAME, "client_id": env.string("WHETSTONE_OIDC_CLIENT"),
    "secret": env.secret("WHETSTONE_OIDC_SECRET"), "settings": {"server_url": OIDC_URL},
}  # fmt: skip
SOCIALACCOUNT_PROVIDERS: dict[str, Any] = {
    "openid_connect": {"OAUTH_PKCE_ENABLED": True, "APPS": [OIDC_APP] if OIDC_URL else []}
}
SOCIALACCOUNT_ADAPTER = "curation.oidc.Adapter"
SOCIALACCOUNT_LOGIN_ON_GET = True  # a form may not lead to another site here; what comes back is checked by its state
SESSION_ENGINE = "curation.sessions"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_SECURE = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = BEHIND_TLS
SECURE_REDIRECT_EXEMPT = [r"^(healthz|readyz|metrics)$"]  # asked from beside us, not through the proxy
SECURE_HSTS_SECONDS = 31_536_000 if BEHIND_TLS else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_TLS else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],  # Tabler's check marks and arrows are data: images inside its style sheet
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LOCALE_PATHS = [BASE_DIR / "curation" / "locale"]
TIME_ZONE = "UTC"
USE_I18N = USE_TZ = True
STATIC_URL = "static/"
# Our own folder is served as it is: a checkout needs no collecting, and no other app brings files.
STATIC_ROOT = BASE_DIR / "curation" / "static"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 2**20
MAX_IMPORT_BYTES = env.integer("WHETSTONE_MAX_IMPORT_BYTES", 32 * 2**20, least=1)

# The guards that are served: the file that says which, and where the serving program answers.
GUARDS_FILE = env.path("WHETSTONE_GUARDS_FILE", VAR_DIR / "guards.json")
GUARD_SOCKET = services.socket_folder(VAR_DIR) / "guard.sock"
GUARD_URL = env.url("WHETSTONE_GUARD_URL", ("http", "https", "unix")) or f"unix://{GUARD_SOCKET}"

METRICS_TOKEN = env.secret("WHETSTONE_METRICS_TOKEN")  # what Prometheus shows at /metrics; none: there is no such page

# Webhooks go to public addresses, and to these networks of our own, such as 10.1.0.0/16.
WEBHOOK_NETWORKS = env.networks("WHETSTONE_WEBHOOK_NETWORKS")

# Jobs; see curation/models/job.py.
JOB_HEARTBEAT_SECONDS = env.number("WHETSTONE_JOB_HEARTBEAT_SECONDS", 2, least=0.05)
JOB_DEAD_AFTER_SECONDS = env.number("WHETSTONE_JOB_DEAD_AFTER_SECONDS", 15, least=0.2)
JOB_RERING_SECONDS = env.number("WHETSTONE_JOB_RERING_SECONDS", 10, least=0.1)
RECONCILE_SECONDS = env.number("WHETSTONE_RECONCILE_SECONDS", 15, least=0.1)

# Celery is only the doorbell: ids in JSON, no results.
CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://", 1)  # kombu's name for a Unix socket
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # a broker that comes back finds its workers waiting
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 3600,
    "socket_connect_timeout": 2,
    "socket_timeout": 10,
    "health_check_interval": 10,
}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
# A long job outlives a broken connection: its row says who has it, so a second delivery is a no-op.
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False

JSON_LOGS = env.string("WHETSTONE_LOG_FORMAT", "line") == "json"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request": {"()": "curation.logs.WithRequest"}},
    "formatters": {
        "line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"},
        "json": {
            "()": "pythonjsonlogger.json.JsonFormatter",
            "format": "%(asctime)s %(levelname)s %(name)s %(message)s %(request_id)s",
            "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger"},
        },
    },
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler", "formatter": "json" if JSON_LOGS else "line", "filters": ["request"],
        },
    },
    "root": {"handlers": ["stderr"], "level": env.string("WHETSTONE_LOG_LEVEL", "INFO")},
    # Tracebacks of requests would quote local variables in reports, and their 404 lines every probe of the internet;
    # httpx would tell of every look at whether the guard's server is well. A line for each request is for machines.
    "loggers": {
        "django.request": {"level": "ERROR"}, "httpx": {"level": "WARNING"},
        "axes": {"level": "ERROR"},
        "curation.request": {"level": "INFO" if JSON_LOGS else "WARNING"},
    },
}  # fmt: skip

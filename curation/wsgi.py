"""The web application for gunicorn."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "curation.settings")
# A thread keeps its connection: opening one costs more than most requests do.
os.environ.setdefault("WHETSTONE_CONN_MAX_AGE", "600")
application = get_wsgi_application()

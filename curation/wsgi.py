"""The web application for gunicorn."""

from __future__ import annotations

import gc
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "curation.settings")
# A thread keeps its connection: opening one costs more than most requests do.
os.environ.setdefault("WHETSTONE_CONN_MAX_AGE", "600")
application = get_wsgi_application()
# What was loaded stays; looking through it for garbage every few requests takes a twentieth of the processor.
gc.freeze()
gc.set_threshold(20_000, 20, 20)

"""Real PostgreSQL and Redis for the whole run, in a throw-away folder; nothing of the developer's is touched."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no fault of what is tested.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

VAR = Path(tempfile.mkdtemp(prefix="whetstone-test-"))
VAR.chmod(0o755)
SHARED_CACHE = Path(__file__).resolve().parent.parent / "var" / "cache"  # converted weights, made once
for name in ("DATABASE_URL", "REDIS_URL", "WHETSTONE_ARTIFACTS", "WHETSTONE_SECRET_KEY"):
    os.environ.pop(name, None)
os.environ["WHETSTONE_VAR"] = str(VAR)
os.environ.setdefault("WHETSTONE_CACHE", str(SHARED_CACHE))
# Named here and not in pyproject.toml: there, the settings would be read before this file has set the stage.
os.environ["DJANGO_SETTINGS_MODULE"] = "curation.settings"
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # several test processes share the cores: who waits, sleeps
_services = ExitStack()


def pytest_configure(config: pytest.Config) -> None:
    """Start the services before anything asks for a database; each process of a parallel run has its own."""
    if config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        # This one only hands out the tests. What it set may not reach the others: they set the stage themselves.
        os.environ.pop("DJANGO_SETTINGS_MODULE")
        return
    from curation import services

    _services.enter_context(services.held(VAR))
    from django.conf import settings as site

    assert site.VAR_DIR == VAR


def pytest_unconfigure(config: pytest.Config) -> None:
    _services.close()
    shutil.rmtree(VAR, ignore_errors=True)


@pytest.fixture(autouse=True)
def _own_artifacts(settings: Any, tmp_path: Path) -> None:
    settings.ARTIFACTS_DIR = tmp_path / "artifacts"
    settings.GUARDS_FILE = tmp_path / "guards.json"
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.LOGGING_CONFIG = None


@pytest.fixture
def redis_is_empty() -> Iterator[None]:
    """Nothing cached from another test."""
    from django.core.cache import cache

    cache.clear()
    yield
    cache.clear()

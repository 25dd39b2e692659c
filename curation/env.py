"""Typed readers of environment variables that fail loudly, naming the variable."""

from __future__ import annotations

import math
import os
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from urllib.parse import urlsplit


class BadSetting(Exception):
    """An environment variable holds what cannot be used; the message says what was expected."""


def string(name: str, default: str = "") -> str:
    """Read a string; an empty variable counts as unset."""
    return os.environ.get(name) or default


def secret(name: str) -> str:
    """Read a secret from the variable, or from the file that `<name>_FILE` points to; empty where neither is set."""
    if file := os.environ.get(f"{name}_FILE"):
        try:
            return Path(file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise BadSetting(f"{name}_FILE points to {file}, which cannot be read: {error.strerror}.") from None
    return string(name)


def boolean(name: str, default: bool) -> bool:
    """Read 1/0, true/false, yes/no or on/off."""
    value = string(name).lower()
    if not value:
        return default
    if value in ("1", "true", "yes", "on"):
        return True
    if value in ("0", "false", "no", "off"):
        return False
    raise BadSetting(f"{name} should be true or false, found {value!r}.")


def number(name: str, default: float, *, least: float = 0) -> float:
    """Read a finite number that is at least `least`."""
    value = string(name)
    try:
        found = float(value) if value else default
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise BadSetting(f"{name} should be a number, found {value!r}.")
    if found < least:
        raise BadSetting(f"{name} should be at least {least:g}, found {found:g}.")
    return found


def integer(name: str, default: int, *, least: int = 0) -> int:
    """Read a whole number that is at least `least`."""
    found = number(name, default, least=least)
    if found != int(found):
        raise BadSetting(f"{name} should be a whole number, found {found:g}.")
    return int(found)


def names(name: str, default: str) -> list[str]:
    """Read a list of names parted by commas."""
    return [part.strip() for part in string(name, default).split(",") if part.strip()]


def networks(name: str) -> list[IPv4Network | IPv6Network]:
    """Read IP networks parted by commas, such as 10.0.0.0/8."""
    try:
        return [ip_network(part) for part in names(name, "")]
    except ValueError as error:
        raise BadSetting(f"{name} should be networks such as 10.0.0.0/8: {error}.") from None


def path(name: str, default: Path) -> Path:
    """Read a path, made absolute."""
    return Path(string(name) or default).expanduser().resolve()


def url(name: str, schemes: tuple[str, ...]) -> str:
    """Read a URL of one of these schemes; empty where unset."""
    value = secret(name)
    if value and urlsplit(value).scheme not in schemes:
        raise BadSetting(f"{name} should start with {' or '.join(f'{scheme}://' for scheme in schemes)}.")
    return value

#!/usr/bin/env python
"""Run a command of the site, with the embedded services up while it runs where no others are named."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

# These neither ask the database nor ring the bell.
ALONE = {"help", "--help", "-h", "--version", "version", "check", "collectstatic", "services", "diffsettings"}


def _leave(number: int, frame: FrameType | None) -> None:
    """End by way of every `finally`, so that being told to end leaves no service behind either."""
    sys.exit(128 + number)


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "curation.settings")
    from django.core.management import execute_from_command_line

    from curation import env, services

    try:
        if len(sys.argv) < 2 or sys.argv[1] in ALONE or "--help" in sys.argv:
            execute_from_command_line(sys.argv)
        else:
            for number in (signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, _leave)
            with services.available():
                execute_from_command_line(sys.argv)
    except (services.ServiceError, env.BadSetting) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()

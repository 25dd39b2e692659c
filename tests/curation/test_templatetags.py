"""Words that templates make of values."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from curation.templatetags.whetstone import ago, since, tempo


@pytest.mark.parametrize(
    ("seconds", "past", "length"),
    [
        (0, "just now", "under a minute"),
        (59, "just now", "under a minute"),
        (61, "1 minute ago", "1 minute"),
        (2 * 3600 + 180, "2 hours, 3 minutes ago", "2 hours, 3 minutes"),
        (-5, "just now", "under a minute"),  # clocks of two machines differ
    ],
)
def test_nothing_was_zero_minutes_ago(seconds: int, past: str, length: str) -> None:
    moment = timezone.now() - timedelta(seconds=seconds)

    assert ago(moment).replace("\xa0", " ") == past
    assert since(moment).replace("\xa0", " ") == length


@pytest.mark.parametrize(
    ("rate", "words"),
    [(12.34, "12.3 a second"), (0.1, "0.1 a second"), (0.025, "1.5 a minute"), (0.0005, "1.8 an hour")],
)
def test_a_slow_rate_is_told_over_a_longer_time(rate: float, words: str) -> None:
    assert tempo(rate) == words

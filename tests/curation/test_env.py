from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from curation import env

NAME = "WHETSTONE_TRIAL"


@pytest.fixture
def put(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda value: monkeypatch.setenv(NAME, value)


def test_an_unset_variable_gives_the_default(tmp_path: Path) -> None:
    assert env.string(NAME, "plain") == "plain"
    assert env.boolean(NAME, True) is True
    assert env.number(NAME, 1.5) == 1.5
    assert env.integer(NAME, 7) == 7
    assert env.names(NAME, "a, b,,c ") == ["a", "b", "c"]
    assert env.path(NAME, tmp_path) == tmp_path
    assert env.secret(NAME) == env.url(NAME, ("http",)) == ""


def test_an_empty_variable_counts_as_unset(put: Callable[[str], None]) -> None:
    put("")

    assert env.string(NAME, "plain") == "plain"
    assert env.boolean(NAME, True) is True
    assert env.integer(NAME, 7) == 7


@pytest.mark.parametrize(
    ("value", "means"), [("1", True), ("Yes", True), ("on", True), ("0", False), ("FALSE", False), ("off", False)]
)
def test_truth_is_read_in_the_usual_spellings(put: Callable[[str], None], value: str, means: bool) -> None:
    put(value)

    assert env.boolean(NAME, not means) is means


@pytest.mark.parametrize(
    ("value", "read", "says"),
    [
        ("perhaps", lambda: env.boolean(NAME, False), "true or false, found 'perhaps'"),
        ("many", lambda: env.number(NAME, 1), "a number, found 'many'"),
        ("0.1", lambda: env.number(NAME, 1, least=0.5), "at least 0.5, found 0.1"),
        ("nan", lambda: env.number(NAME, 1), "number"),
        ("1.5", lambda: env.integer(NAME, 1), "a whole number, found 1.5"),
        ("inf", lambda: env.integer(NAME, 1), "number"),
        ("-1", lambda: env.integer(NAME, 1), "at least 0, found -1"),
        ("mysql://x/y", lambda: env.url(NAME, ("postgres", "postgresql")), "postgres:// or postgresql://"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_name(
    put: Callable[[str], None], value: str, read: Callable[[], object], says: str
) -> None:
    put(value)

    with pytest.raises(env.BadSetting, match=says) as refusal:
        read()

    assert str(refusal.value).startswith(NAME)


def test_a_refused_address_is_not_quoted_since_it_may_hold_a_password(put: Callable[[str], None]) -> None:
    put("mysql://ana:opensesame@host/db")

    with pytest.raises(env.BadSetting) as refusal:
        env.url(NAME, ("postgresql",))

    assert "opensesame" not in str(refusal.value)


def test_paths_are_made_absolute_and_the_home_sign_is_understood(put: Callable[[str], None]) -> None:
    put("~/some/../place")

    assert env.path(NAME, Path("/")) == Path.home().resolve() / "place"


def test_a_secret_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from the file\n")
    monkeypatch.setenv(NAME, "from the variable")
    monkeypatch.setenv(f"{NAME}_FILE", str(tmp_path / "secret"))

    assert env.secret(NAME) == "from the file"


def test_a_secret_file_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(f"{NAME}_FILE", str(tmp_path / "nothing"))

    with pytest.raises(env.BadSetting, match=f"{NAME}_FILE points to .*nothing.*cannot be read"):
        env.secret(NAME)

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from classifier.runfolder import ProgramError, RunFolder
from pipeline import chat
from pipeline.adversary import run as program
from pipeline.adversary.run import attack
from pipeline.chat import LARGEST_ANSWER, LONGEST_PAUSE
from pipeline.context import silent
from pipeline.generate import generate
from pipeline.generators import Prompt, load
from pipeline.generators.endpoint import Endpoint
from pipeline.meter import Meter, Tariff
from tests.pipeline.adversary_fakes import arena, misses, sentence
from tests.pipeline.fake_endpoint import GOOD, FakeEndpoint, Reply, says, serving
from tests.pipeline.test_generate import run_on, seed


@pytest.fixture
def fake() -> Iterator[FakeEndpoint]:
    with serving() as fake:
        yield fake


@pytest.fixture
def ask(fake: FakeEndpoint) -> Callable[..., list[str | None]]:
    def ask(*replies: Reply, prompts: int = 1, **settings: Any) -> list[str | None]:
        fake.replies = list(replies)
        endpoint = Endpoint(url=fake.url, model="m", pause=0.01, concurrency=1, attempts=3, timeout=5, **settings)
        return endpoint.generate([Prompt("Message: hi\nAnswer:")] * prompts, 1, silent)

    return ask


def test_an_answer_is_the_message(ask: Callable[..., Any], fake: FakeEndpoint) -> None:
    assert ask(GOOD) == ["hello there"]
    assert fake.requests[0]["model"] == "m"
    assert fake.requests[0]["messages"][0]["content"].endswith("Answer:")


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_passing_failure_is_tried_again(ask: Callable[..., Any], fake: FakeEndpoint, status: int) -> None:
    assert ask((status, b""), GOOD) == ["hello there"]
    assert len(fake.requests) == 2


def test_a_lasting_refusal_is_not_tried_again(ask: Callable[..., Any], fake: FakeEndpoint) -> None:
    with pytest.raises(ProgramError, match="status 401"):
        ask((401, b""))
    assert len(fake.requests) == 1


@pytest.mark.parametrize(
    "body", [b"not json", b"{}", b'{"choices": []}', b"[1]", b'{"choices": [{"message": 3}]}', b"[" * 100_000]
)
def test_garbage_abstains_and_the_others_go_on(ask: Callable[..., Any], body: bytes) -> None:
    assert ask((200, body), (200, body), (200, body), GOOD, prompts=2) == [None, "hello there"]


def test_half_a_character_is_replaced_by_one_that_can_be_stored(ask: Callable[..., Any]) -> None:
    assert ask((200, b'{"choices": [{"message": {"content": "hello \\ud83d there"}}]}')) == ["hello ? there"]


def test_an_empty_answer_abstains(ask: Callable[..., Any]) -> None:
    empty = json.dumps({"choices": [{"message": {"content": "  "}}]}).encode()

    assert ask((200, empty)) == [None]


def test_half_an_answer_abstains(ask: Callable[..., Any]) -> None:
    half = (200, GOOD[1][:20] + b"...")

    assert ask(half, half, half, GOOD, prompts=2) == [None, "hello there"]


def test_an_endless_answer_is_cut_off(ask: Callable[..., Any]) -> None:
    long = (200, b" " * (LARGEST_ANSWER + 10))

    assert ask(long, long, long, GOOD, prompts=2) == [None, "hello there"]


def test_when_nothing_is_answered_it_says_what_to_check(ask: Callable[..., Any]) -> None:
    with pytest.raises(ProgramError, match="none of 2 prompts; the last one with: status 500") as raised:
        ask((500, b"secret body"), prompts=2)

    assert "OPENAI_API_KEY" in raised.value.remedy
    assert "secret" not in str(raised.value)


def test_nobody_at_the_address_is_a_sentence() -> None:
    endpoint = Endpoint(url="http://127.0.0.1:9/v1", model="m", attempts=1)

    with pytest.raises(ProgramError, match="ConnectError"):
        endpoint.generate([Prompt("x")], 1, silent)


@pytest.mark.parametrize("given", [{}, {"url": "http://localhost/v1"}, {"model": "m"}])
def test_a_missing_address_or_model_is_a_sentence(given: dict[str, str]) -> None:
    with pytest.raises(ProgramError, match="needs a url and a model"):
        Endpoint(**given).generate([Prompt("x")], 1, silent)


def test_the_key_comes_from_the_environment_and_stays_out_of_lineage(
    ask: Callable[..., Any], fake: FakeEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-1")

    ask(GOOD, key_variable="MY_KEY")

    assert fake.headers == ["Bearer sk-1"]
    assert "sk-1" not in repr(Endpoint(key_variable="MY_KEY")) + Endpoint(model="m").digest()


# How long it waits


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made; none takes any time."""
    pauses: list[float] = []
    monkeypatch.setattr(chat.time, "sleep", pauses.append)
    return pauses


@pytest.mark.parametrize(("asked", "waited"), [("7", 7.0), ("0", 0.0), ("86400", LONGEST_PAUSE), ("soon", 0.01)])
def test_it_waits_as_long_as_the_endpoint_asks_but_not_for_ever(
    ask: Callable[..., Any], slept: list[float], asked: str, waited: float
) -> None:
    assert ask((429, b"", {"Retry-After": asked}), GOOD) == ["hello there"]
    assert slept == [waited]


def test_it_waits_until_the_date_that_the_endpoint_names(ask: Callable[..., Any], slept: list[float]) -> None:
    until = datetime.now(UTC) + timedelta(seconds=20)

    ask((429, b"", {"Retry-After": format_datetime(until, usegmt=True)}), GOOD)

    assert 0 < slept[0] <= 20


# What it counts


def metered(fake: FakeEndpoint, meter: Meter, *replies: Reply, prompts: int = 1, **settings: Any) -> list[str | None]:
    fake.replies = list(replies)
    endpoint = Endpoint(url=fake.url, model="m", pause=0.01, concurrency=1, attempts=3, timeout=5, **settings)
    return endpoint.metered(meter).generate([Prompt("x" * 40)] * prompts, 1, silent)


def test_tokens_are_what_the_endpoint_says(fake: FakeEndpoint) -> None:
    metered(
        fake, meter := Meter(Tariff(price_in=2.0, price_out=10.0)), says("hello there", used=(1000, 100)), prompts=3
    )

    assert (meter.used["calls"], meter.used["prompt_tokens"], meter.used["completion_tokens"]) == (3, 3000, 300)
    assert meter.used["estimated"] == 0
    assert meter.cost == pytest.approx(0.009)


@pytest.mark.parametrize("usage", [None, {}, "many", {"prompt_tokens": "9", "completion_tokens": 1},
                                   {"prompt_tokens": -9, "completion_tokens": 1},
                                   {"prompt_tokens": 10**400, "completion_tokens": 1}])  # fmt: skip
def test_tokens_are_estimated_where_the_endpoint_does_not_say(fake: FakeEndpoint, usage: Any) -> None:
    body = json.loads(says("hello there")[1]) | {"usage": usage}

    metered(fake, meter := Meter(), (200, json.dumps(body).encode()))

    assert (meter.used["prompt_tokens"], meter.used["completion_tokens"], meter.used["estimated"]) == (10, 3, 1)


@pytest.mark.parametrize(
    "refusal",
    [
        says("I can't help with that."), says("I can\u2019t help with that."), says(None, refusal="No."),
        says("", refusal="No."),
    ],
)  # fmt: skip
def test_a_refusal_abstains_is_counted_and_not_asked_again(fake: FakeEndpoint, refusal: Reply) -> None:
    assert metered(fake, meter := Meter(), refusal) == [None]

    assert (meter.used["refusals"], meter.used["calls"], meter.used["retries"]) == (1, 1, 0)
    assert meter.used["unanswered"] == 0


def test_what_a_content_filter_cut_off_is_a_refusal(fake: FakeEndpoint) -> None:
    body = {"choices": [{"message": {"content": "hello"}, "finish_reason": "content_filter"}]}

    assert metered(fake, meter := Meter(), (200, json.dumps(body).encode())) == [None]
    assert meter.used["refusals"] == 1


def test_garbage_that_was_paid_is_counted_with_its_retries(fake: FakeEndpoint) -> None:
    garbage = 200, json.dumps({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 7}}).encode()

    assert metered(fake, meter := Meter(), garbage, garbage, garbage, GOOD, prompts=2) == [None, "hello there"]

    assert (meter.used["calls"], meter.used["retries"], meter.used["unanswered"]) == (2, 2, 1)
    assert (meter.used["prompt_tokens"], meter.used["completion_tokens"]) == (15 + 10, 21 + 3)


def test_half_a_stream_is_paid_and_an_error_is_not(fake: FakeEndpoint) -> None:
    half = 200, GOOD[1][:20] + b"..."

    metered(fake, meter := Meter(), half, (500, b""), GOOD)

    assert (meter.used["calls"], meter.used["retries"]) == (1, 2)
    assert (meter.used["prompt_tokens"], meter.used["estimated"]) == (20, 2)


@pytest.mark.parametrize("bound", [{"budget": 0.003, "price_in": 1.0}, {"most_tokens": 3300}])
def test_nothing_is_sent_once_the_budget_is_used_up(fake: FakeEndpoint, bound: dict[str, Any]) -> None:
    meter = Endpoint(**bound).meter()

    found = metered(fake, meter, says("hello there", used=(1000, 100)), prompts=10)

    assert found == ["hello there"] * 3 + [None] * 7
    assert len(fake.requests) == 3
    assert "used up" in meter.stop


def test_a_failure_is_not_tried_again_once_the_budget_is_used_up(fake: FakeEndpoint) -> None:
    garbage = 200, json.dumps({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 7}}).encode()

    assert metered(fake, Endpoint(most_tokens=5).meter(), garbage) == [None]
    assert len(fake.requests) == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"budget": 1.0}, "needs price_in or price_out"), ({"price_in": -1.0}, "price_in is 0 or more"),
        ({"concurrency": 0}, "1 or more"), ({"url": "ftp://x"}, "begins with http"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_a_sentence(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ProgramError, match=said):
        load({"key": "endpoint", "settings": given})


# In a run


def a_run(fake: FakeEndpoint, folder: Path, seeds: int = 200, **settings: Any) -> RunFolder:
    fake.answer = lambda prompt: says("What is the way to water a plant, please?", used=(100, 10))
    own = {"url": fake.url, "model": "m", "concurrency": 1, "price_in": 1.0, "price_out": 10.0, **settings}
    return run_on(
        folder, [seed(n) for n in range(seeds)], paraphrasers=[{"key": "paraphrase", "settings": {"tries": 1}}],
        generator={"key": "endpoint", "settings": own},
    )  # fmt: skip


def test_a_run_says_what_it_spent(fake: FakeEndpoint, tmp_path: Path) -> None:
    generate(run := a_run(fake, tmp_path, seeds=3), silent)

    spent = run.metrics()["generator"]
    assert spent == {"calls": 3, "retries": 0, "refusals": 0, "unanswered": 0, "prompt_tokens": 300,
                     "completion_tokens": 30, "estimated": 0, "cost": 0.0006, "stop": ""}  # fmt: skip


def test_a_run_ends_well_with_what_its_budget_paid_for(fake: FakeEndpoint, tmp_path: Path) -> None:
    said: list[str] = []

    # Each answer costs 0.0002.
    generate(
        run := a_run(fake, tmp_path, budget=0.01), lambda done, total, message="", metrics=None, /: said.append(message)
    )

    stages = run.metrics()["stages"]
    assert len(fake.requests) == 50
    assert stages["paraphrase"]["made"] == 50
    assert stages["chat-spelling"]["asked"] == 200  # what needs no generator is written all the same
    assert run.metrics()["generator"]["stop"] == "The budget of 0.01 is used up"
    assert said[-1] == "The budget of 0.01 is used up: 264 of 400 texts were asked for"


def test_a_budget_that_pays_for_nothing_usable_is_a_sentence(fake: FakeEndpoint, tmp_path: Path) -> None:
    run = a_run(fake, tmp_path, most_tokens=100)
    fake.answer = lambda prompt: says("ok", used=(100, 10))
    request = run.request()
    run.write_request({"settings": {**request["settings"], "augmenters": []}})

    with pytest.raises(ProgramError, match="100 tokens of this run are used up before anything usable"):
        generate(run, silent)


def test_a_run_that_goes_on_counts_nothing_twice(fake: FakeEndpoint, tmp_path: Path) -> None:
    generate(run := a_run(fake, tmp_path), silent)
    before, asked = run.metrics()["generator"], len(fake.requests)
    parts = sorted((tmp_path / "parts").iterdir())
    parts[-1].unlink()  # as if it had been killed while it wrote the last part

    generate(run, silent)

    again = len(fake.requests) - asked
    assert 0 < again < asked
    assert run.metrics()["generator"]["calls"] == before["calls"] + again == len(fake.requests)


def test_a_run_that_goes_on_has_only_what_is_left_of_its_budget(fake: FakeEndpoint, tmp_path: Path) -> None:
    run = a_run(fake, tmp_path, budget=0.01)
    (tmp_path / "spent.jsonl").write_text(
        '\n{"calls": 40, "prompt_tokens": 4000, "completion_tokens": 400}\n{"calls": 1, "prompt_tok'
    )

    generate(run, silent)

    assert len(fake.requests) == 10
    assert run.metrics()["generator"]["calls"] == 50


def test_a_larger_budget_lets_a_finished_run_go_on(fake: FakeEndpoint, tmp_path: Path) -> None:
    generate(a_run(fake, tmp_path, budget=0.01), silent)

    generate(run := a_run(fake, tmp_path, budget=10.0), silent)

    assert run.metrics()["stages"]["paraphrase"]["asked"] == 200
    assert len(fake.requests) == 50 + (200 - 64)
    assert run.metrics()["generator"]["stop"] == ""


def test_an_attack_stops_where_its_budget_does_and_says_so(
    fake: FakeEndpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "_arena", lambda *_: arena(misses("zebra")))
    fake.answer = lambda prompt: says(f"zebra {sentence(len(fake.requests))}", used=(100, 10))
    own = {"url": fake.url, "model": "m", "concurrency": 1, "most_tokens": 12 * 110}
    method = {"key": "best-of-n", "settings": {"candidates": 80, "batch": 8}}
    rows = [{**seed(n, sentence(n), label="unsafe"), "role": "seed"} for n in range(4)]
    reward = {"key": "guard-error", "settings": {"drift_cosine": -1}}
    run = run_on(
        tmp_path, rows, method=method, reward=reward, wanted=70, generator={"key": "endpoint", "settings": own}
    )
    said: list[str] = []

    attack(run, lambda done, total, message="", metrics=None, /: said.append(message))

    assert len(fake.requests) == 12
    spent = run.metrics()["generator"]
    assert (spent["calls"], spent["prompt_tokens"]) == (12, 1200)
    assert 0 < run.metrics()["finds"] <= 12
    assert "tokens of this run are used up" in said[-1]

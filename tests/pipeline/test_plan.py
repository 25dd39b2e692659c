from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from classifier.runfolder import RunFolder
from pipeline.__main__ import main
from pipeline.adversary.best_of_n import BestOfN
from pipeline.adversary.grpo import Grpo
from pipeline.context import silent
from pipeline.generate import generate
from pipeline.plan import SAMPLED, of_adversary, of_generate, spread
from tests.pipeline.adversary_fakes import tiny_generator
from tests.pipeline.fake_endpoint import says, serving
from tests.pipeline.test_generate import ASKED, run_on, seed

PARAPHRASE = {"key": "paraphrase", "copies": 3, "settings": {"tries": 2}}


def endpoint(**settings: Any) -> dict[str, Any]:
    return {"key": "endpoint", "settings": {"url": "http://127.0.0.1:9/v1", "model": "m", **settings}}


def planned(folder: Path, seeds: int = 10, **settings: Any) -> RunFolder:
    return run_on(folder, [seed(n) for n in range(seeds)], **{"paraphrasers": [PARAPHRASE], **settings})


def test_a_plan_counts_calls_by_seeds_copies_and_tries(tmp_path: Path) -> None:
    plan = of_generate(planned(tmp_path, generator=endpoint()))

    assert {line.stage: (line.wishes, line.calls) for line in plan.lines} == {
        "chat-spelling": (10, 0), "paraphrase": (30, 60),
    }  # fmt: skip


def test_a_stage_of_two_turns_is_counted_twice(tmp_path: Path) -> None:
    plan = of_generate(planned(tmp_path, paraphrasers=[{"key": "round-trip"}], generator=endpoint()))

    assert plan.lines[1].calls == 20


def test_tokens_of_an_endpoint_are_a_quarter_of_the_characters_and_all_that_may_be_written(tmp_path: Path) -> None:
    plan = of_generate(planned(tmp_path, generator=endpoint()))

    (_, line), prompt = plan.lines, plan.samples["paraphrase"]
    assert line.prompt_tokens == 60 * -(-len(prompt) // 4)
    assert line.completion_tokens == 60 * 40


def test_what_is_planned_is_what_is_asked(tmp_path: Path) -> None:
    with serving() as fake:
        fake.answer = lambda prompt: says("What is the way to water a plant, please?")
        stage = {"key": "paraphrase", "settings": {"tries": 1}}
        run = planned(tmp_path, seeds=80, paraphrasers=[stage], generator=endpoint(url=fake.url))
        line = of_generate(run).total()
        assert not fake.requests

        generate(run, silent)

    spent = run.metrics()["generator"]
    assert (spent["calls"], spent["prompt_tokens"]) == (line.calls, line.prompt_tokens)
    assert spent["completion_tokens"] <= line.completion_tokens


def test_time_and_money_of_an_endpoint_follow_from_its_settings(tmp_path: Path) -> None:
    own = endpoint(price_in=1.0, price_out=10.0, seconds_each=3.0, concurrency=6, budget=2.5)
    plan = of_generate(planned(tmp_path, generator=own))

    line = plan.lines[1]
    assert line.seconds == 60 * 3 / 6
    assert line.cost == pytest.approx((line.prompt_tokens + 10 * line.completion_tokens) / 1e6)
    assert "budget 2.5" in plan.text()


def test_a_price_that_nobody_gave_is_unknown_and_not_nothing(tmp_path: Path) -> None:
    plan = of_generate(planned(tmp_path, generator=endpoint()))

    assert plan.total().cost is None
    assert "unknown; set price_in and price_out" in plan.text()


def test_tokens_of_a_local_model_are_counted_by_its_tokenizer_and_its_weights_stay_where_they_are(
    tmp_path: Path,
) -> None:
    folder = tiny_generator(tmp_path / "weights")
    (folder / "model.safetensors").write_bytes(b"could not be loaded")

    plan = of_generate(planned(tmp_path / "run", generator={"key": "local", "settings": {"model": str(folder)}}))

    assert plan.lines[1].prompt_tokens > 60
    assert plan.lines[1].seconds and plan.total().cost == 0


def test_a_generator_that_nobody_knows_has_no_time_and_no_cost(tmp_path: Path) -> None:
    ASKED.clear()
    total = of_generate(planned(tmp_path, generator={"key": "parrot"})).total()

    assert (total.seconds, total.cost) == (None, None)
    assert not ASKED


def test_no_prompt_is_shown_of_what_must_not_be_generated(tmp_path: Path) -> None:
    rows = [seed(1, "a forbidden one here", label="unsafe", categories=["child-exploitation"]), seed(2)]

    plan = of_generate(run_on(tmp_path, rows, paraphrasers=[PARAPHRASE], generator=endpoint()))

    assert plan.lines[1].wishes == 3
    assert "forbidden one" not in plan.text()


@pytest.mark.parametrize("count", [1, SAMPLED, SAMPLED + 1, 5 * SAMPLED])
def test_a_sample_begins_with_the_first_and_reaches_the_end(count: int) -> None:
    chosen = spread(range(count), SAMPLED)  # type: ignore[arg-type]

    assert chosen[0] == 0  # type: ignore[comparison-overlap]
    assert count - chosen[-1] <= 5  # type: ignore[operator]
    assert len(chosen) <= SAMPLED


@pytest.mark.parametrize(
    ("method", "asks"), [(BestOfN(candidates=100, batch=16), 112), (Grpo(steps=2, candidates=64, batch=64), 32 + 64)]
)
def test_an_attack_plans_all_that_it_may_ask(tmp_path: Path, method: Any, asks: int) -> None:
    assert method.asks() == asks

    rows = [{**seed(n), "role": "seed"} for n in range(4)]
    settings = {"candidates": 100, "batch": 16}
    run = run_on(tmp_path, rows, method={"key": "best-of-n", "settings": settings}, generator=endpoint())

    assert of_adversary(run).lines[0].calls == 112


def test_the_shell_gets_prompts_and_a_table_and_programs_the_last_line_without_any_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planned(tmp_path, generator=endpoint(price_in=1.0))

    assert main(["generate", str(tmp_path), "--plan"]) == 0

    *shown, last = capsys.readouterr().out.splitlines()
    assert "Message: how do i water plant number 0" in shown
    assert any(line.startswith("paraphrase") and "60" in line for line in shown)
    assert "water plant" not in last
    assert json.loads(last)["total"]["calls"] == 60
    assert sorted(file.name for file in tmp_path.iterdir()) == ["input.parquet", "request.json"]


def test_a_plan_of_nothing_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", str(tmp_path), "--plan"]) == 1

    assert "request.json is missing" in json.loads(capsys.readouterr().out)["error"]


def test_what_the_site_starts_can_show_no_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["generate", str(tmp_path), "--plan", "--watch-parent"])

    assert "not allowed with" in capsys.readouterr().err

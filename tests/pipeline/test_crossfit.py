"""Guards as judges, trained on a tiny encoder and a planted rule: a text is unsafe exactly where it says "poison"."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classifier.config import TrainSettings
from classifier.runfolder import ProgramError, RunFolder
from pipeline.adversary.run import attack
from pipeline.context import Context, silent
from pipeline.crossfit import MIDDLE, Guards
from pipeline.filters import filters
from pipeline.filters.label_judge import CONTRADICTED
from pipeline.judge import Opinion, Panel, fold, together
from pipeline.judging import Judging
from pipeline.records import Example
from tests.classifier.planted import PLAIN, Reports, planted_rows
from tests.pipeline.adversary_fakes import tiny_generator, unsure_guard
from tests.tiny_models import tiny_encoder

# More than a few passes: the tiny encoder's weights are drawn at random, and the rule has to be learnt from nothing.
QUICK = {"epochs": 6, "learning_rate": 3e-3, "batch_size": 8, "max_length": 24, "probe": False}
SURE, UNSURE = Opinion("unsafe", 0.9), Opinion(None, 0.5)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Any:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("weights") / "tiny")


@pytest.fixture(scope="module")
def quick(encoder: Path) -> TrainSettings:
    return TrainSettings(backbone=str(encoder), **QUICK)


def decided(count: int = 240, seed: int = 0) -> list[Example]:
    """Examples of the planted rule; each family has one text of either label."""
    return [
        Example(str(n), row["text"], row["label"], family=f"family {n // 2}")
        for n, row in enumerate(planted_rows(count, seed))
    ]


def fit(examples: list[Example], settings: TrainSettings, folder: Path, report: Any = silent) -> Guards:
    parts = zip(*[(one.text, one.label, one.family) for one in examples], strict=True) if examples else ([], [], [])
    return Guards.fit(*parts, settings, 2, folder, report)


@pytest.fixture(scope="module")
def home(quick: TrainSettings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two finished guards. Shared: read it, do not write to it."""
    folder = tmp_path_factory.mktemp("judge")
    fit(decided(), quick, folder)
    return folder


def named(k: int) -> str:
    """A new family of the fold k."""
    return next(name for name in map(str, range(100)) if fold(name, 2) == k)


def test_guards_tell_labels_apart_for_families_of_either_fold(home: Path, quick: TrainSettings) -> None:
    unknown = decided(80, seed=9)
    families = [named(n // 2 % 2) for n in range(len(unknown))]

    said = fit(decided(), quick, home).opinions([one.text for one in unknown], None, families)

    spoken = [(opinion.label, one.label) for opinion, one in zip(said, unknown, strict=True) if opinion.label]
    assert len(spoken) > 40
    assert sum(said == true for said, true in spoken) / len(spoken) > 0.9
    assert all(opinion.label for opinion in said if not MIDDLE[0] < opinion.probability < MIDDLE[1])


def test_no_guard_learns_from_the_families_that_it_judges(home: Path) -> None:
    for k in range(2):
        rows = RunFolder(home / f"fold-{k}-of-2").rows("input.parquet")
        assert {fold(row["family"], 2) for row in rows} == {1 - k}
        split = {row["family"]: row["split"] for row in rows}
        assert [split[row["family"]] for row in rows] == [row["split"] for row in rows]  # no family on two sides


def test_a_family_is_judged_by_the_guard_that_did_not_see_it() -> None:
    class Says:
        def __init__(self, probability: float) -> None:
            self.probability = probability

        def unsafe(self, texts: list[str]) -> list[float]:
            return [self.probability] * len(texts)

    judge = Guards([Says(0.01), Says(0.99)])  # type: ignore[list-item]

    said = judge.opinions(["a", "b", " "], None, [named(0), named(1), named(1)])

    assert [one.label for one in said] == ["safe", "unsafe", None]


def test_a_finished_guard_is_found_again_and_says_the_same(home: Path, quick: TrainSettings) -> None:
    texts, families = [one.text for one in decided(20, seed=5)], [named(n % 2) for n in range(20)]
    before = {file: file.stat().st_mtime_ns for file in home.rglob("*.safetensors")}
    reports = Reports()

    first = fit(decided(), quick, home, reports).opinions(texts, None, families)

    assert reports.messages == [f"Guard {k} of 2 that judges: Trained already" for k in (1, 2)]
    assert {file: file.stat().st_mtime_ns for file in home.rglob("*.safetensors")} == before
    assert fit(decided(), quick, home).opinions(texts, None, families) == first


def test_what_was_broken_off_goes_on_and_other_rows_begin_anew(quick: TrainSettings, tmp_path: Path) -> None:
    settings = TrainSettings(**{**quick.to_dict(), "epochs": 2, "checkpoint_steps": 5})
    with pytest.raises(InterruptedError):
        fit(decided(), settings, tmp_path, Reports(break_at=12))
    resumed = Reports()
    fit(decided(), settings, tmp_path, resumed)
    digest = RunFolder(tmp_path / "fold-0-of-2").metrics()["digest"]
    fit(decided(), settings, tmp_path / "unbroken")

    assert "Guard 1 of 2 that judges: Going on from step 10" in resumed.messages
    assert RunFolder(tmp_path / "unbroken" / "fold-0-of-2").metrics()["digest"] == digest

    anew = Reports()
    fit([*decided(), Example("new", "a cat", "safe", family=named(1))], settings, tmp_path, anew)
    assert {"Guard 1 of 2 that judges: Trained", "Guard 2 of 2 that judges: Trained already"} <= set(anew.messages)
    assert not any("Going on" in message for message in anew.messages)


def test_trained_or_found_again_what_comes_after_draws_the_same_numbers(quick: TrainSettings, tmp_path: Path) -> None:
    import torch

    settings, drawn = TrainSettings(**{**quick.to_dict(), "epochs": 1}), []
    for _ in range(2):
        torch.manual_seed(3)
        fit(decided(), settings, tmp_path)
        drawn.append(float(torch.rand(1)))

    assert drawn[0] == drawn[1]


def test_the_training_of_a_judge_is_no_curve_of_the_run_that_asks_it(quick: TrainSettings, tmp_path: Path) -> None:
    reports = Reports()
    fit(decided(), TrainSettings(**{**quick.to_dict(), "epochs": 1}), tmp_path, reports)

    assert any("Epoch 1 of 1" in message for message in reports.messages)
    assert [shown for _, _, shown in reports if shown] == []


@pytest.mark.parametrize("examples", [[], decided(60), [one for one in decided(400) if one.label == "safe"]])
def test_with_too_few_to_calibrate_on_they_abstain_and_say_how_many_it_takes(
    examples: list[Example], quick: TrainSettings, tmp_path: Path
) -> None:
    judge = fit(examples, quick, tmp_path)

    assert judge.opinions(["some text"], None, ["f"]) == [Opinion(None, 0.5)]
    assert "some 100 decided examples of each label" in judge.silence
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("opinions", "label", "probability", "contradicted"),
    [
        ([SURE, Opinion("unsafe", 0.7)], "unsafe", 0.8, False), ([UNSURE, SURE], "unsafe", 0.9, False),
        ([SURE, Opinion("safe", 0.2)], None, 0.55, True), ([UNSURE, Opinion(None, 0.6)], None, 0.55, False),
    ],
)  # fmt: skip
def test_several_judges_have_one_opinion(
    opinions: list[Opinion], label: str | None, probability: float, contradicted: bool
) -> None:
    found = together(opinions)

    assert (found.label, found.contradicted) == (label, contradicted)
    assert found.probability == pytest.approx(probability)


class Fixed:
    """A judge that always says the same."""

    def __init__(self, opinion: Opinion = UNSURE, silence: str = "") -> None:
        self.opinion, self.silence = opinion, silence

    def opinions(self, texts: Any, embeddings: Any, families: Any) -> list[Opinion]:
        return [self.opinion] * len(texts)


def test_a_panel_is_silent_where_all_are_and_then_says_what_each_needs() -> None:
    assert Panel([Fixed(silence="Needs 8."), Fixed(silence="Needs 100.")]).silence == "Needs 8. Needs 100."
    assert Panel([Fixed(SURE), Fixed(silence="Needs 100.")]).silence == ""
    assert Panel([Fixed(SURE), Fixed()]).opinions(["a"], np.zeros((1, 2)), ["f"]) == [SURE]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kind": "oracle"}, "kind should be one of probe, guards, both, found 'oracle'"),
        ({"folds": 1}, "folds should be a whole number from 2 to 10, found 1"),
        ({"folds": 2.0}, "folds should be a whole number from 2 to 10, found 2.0"),
        ({"epochs": 0}, "epochs should be a whole number from 1 to 1,000, found 0"),
    ],
)
def test_a_judge_that_cannot_be_is_refused_in_a_sentence(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Judging(**given)


def test_guards_need_a_folder_and_a_backbone_that_is_here(tmp_path: Path) -> None:
    vectors = np.eye(240, dtype=np.float32)
    with pytest.raises(ProgramError, match="trained in a run's folder"):
        Judging("guards").fit(decided(), vectors, None, silent)
    with pytest.raises(ProgramError, match="as a judge: No model named '/no/where'") as error:
        Judging("guards", backbone="/no/where").fit(decided(), vectors, tmp_path, silent)
    assert "or the kind probe" in error.value.remedy


# In a filter and in an attack


@pytest.fixture
def _quickly(monkeypatch: pytest.MonkeyPatch, quick: TrainSettings) -> None:
    """Judges of recipes train as the tiny encoder needs it: such settings are not a recipe's to choose."""
    monkeypatch.setattr("pipeline.judging.TrainSettings", lambda **some: TrainSettings(**{**quick.to_dict(), **some}))


def candidate(name: str, text: str, label: str) -> Example:
    return Example(name, text, label, family=f"new {name}")  # type: ignore[arg-type]


def planted(text: str) -> str:
    return f"{text} poison {text}"


HARMLESS = " ".join(PLAIN[10:14])


@pytest.mark.usefixtures("_quickly")
def test_the_filter_lets_guards_judge_and_people_decide_where_probe_and_guards_contradict(
    encoder: Path, tmp_path: Path
) -> None:
    known = decided()
    asked = [candidate("a", planted(HARMLESS), "safe"), candidate("b", HARMLESS, "safe")]
    # The first coordinate tells the probe the label: for the second candidate the opposite of what the words say.
    chance = np.random.default_rng(0)
    unsafe = np.array([1.0, 0, 0, 0])
    vectors = {one.id: chance.normal(0, 0.1, 4) + (unsafe if one.label == "unsafe" else -unsafe) for one in known}
    vectors |= {"a": unsafe, "b": unsafe}
    context = Context(known=known, embeddings=vectors, folder=tmp_path)
    settings = {"backbone": str(encoder), "epochs": 6}

    guards = list(filters.make("label-judge", {"kind": "guards", **settings})(asked, context))
    both = list(filters.make("label-judge", {"kind": "both", **settings})(asked, context))

    assert [one.keep for one in guards] == [False, True]
    assert guards[0].reason == "proposed as safe, the judge says unsafe"
    assert [(one.keep, one.score is None, one.reason) for one in both] == [
        (False, False, "proposed as safe, the judge says unsafe"), (True, True, CONTRADICTED),
    ]  # fmt: skip


@pytest.mark.usefixtures("_quickly")
def test_an_attack_is_judged_by_guards_of_its_own(encoder: Path, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    run.write_request({"settings": {
        "method": {"key": "best-of-n", "settings": {"candidates": 16, "batch": 16, "max_new_tokens": 8}},
        "generator": {"key": "local", "settings": {"model": str(tiny_generator(tmp_path / "weights"))}},
        "reward": {"key": "guard-error", "settings": {"drift_cosine": -1}}, "wanted": 4,
        "guard": str(unsure_guard(tmp_path / "guard")),
        "judge": {"kind": "guards", "backbone": str(encoder), "folds": 2, "epochs": 2},
    }})  # fmt: skip
    rows = [{**vars_of(one), "role": "decided"} for one in decided()]
    rows += [{**vars_of(one), "role": "seed"} for one in decided(6)]
    run.write_rows(rows, "input.parquet")
    reports = Reports()

    attack(run, reports)

    assert {k for k in range(1, 3) if any(f"Guard {k} of 2 that judges" in said for said in reports.messages)} == {1, 2}
    assert run.metrics()["judge_silence"] == ""
    assert run.metrics()["attempts"] == 16
    assert (run / "judge" / "fold-1-of-2" / "model").is_dir()


def vars_of(one: Example) -> dict[str, Any]:
    return {"id": one.id, "text": one.text, "label": one.label, "categories": [], "family": one.family}


def test_an_attack_whose_judge_cannot_be_says_so(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.write_request({"settings": {
        "method": {"key": "best-of-n"}, "guard": "nowhere", "judge": {"kind": "oracle"},
    }})  # fmt: skip
    run.write_rows([{**vars_of(decided(2)[1]), "role": "seed"}], "input.parquet")

    with pytest.raises(ProgramError, match="a judge's kind should be one of probe, guards, both, found 'oracle'"):
        attack(run, silent)


def test_rows_are_parted_alike_whenever_they_are_the_same() -> None:
    from pipeline.crossfit import _parted

    rows = [{"family": str(n // 2)} for n in range(100)]
    shuffled = random.Random(1).sample(rows, len(rows))
    split = {row["family"]: row["split"] for row in _parted(rows)}
    assert {row["family"]: row["split"] for row in _parted(shuffled)} == split
    assert sum(side == "validation" for side in split.values()) == 10

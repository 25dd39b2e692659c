from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classifier import devices, losses, optimize, probe, targets
from classifier.artifacts import digest_file, verify
from classifier.config import TrainSettings
from classifier.runfolder import ProgramError, RunFolder
from classifier.score import load_scorer
from classifier.train import Training, train
from tests.classifier.planted import (
    ROOT,
    Reports,
    both_splits,
    figures,
    steps,
    trained,
    training_run,
)
from tests.processes import IN_TWO_PROCESSES
from tests.tiny_models import tiny_llama

LEARNS = 0.9  # validation average precision; chance is one half


@pytest.mark.parametrize(
    "options",
    [
        {"rdrop": 0.5}, {"consistency": 1.0}, {"energy": 0.3}, {"mining": 2.0}, {"average": 0.9}, {"bf16": True},
        {"accumulate": 3}, {"class_balance": 1.0}, {"probe": True},
    ],
    ids=lambda options: next(iter(options)),
)  # fmt: skip
def test_every_option_trains_a_guard_that_learns(options: dict[str, Any], encoder: Path, tmp_path: Path) -> None:
    run = training_run(tmp_path, encoder, **options)
    assert trained(run)["validation"]["average_precision"] > LEARNS
    verify(run / "model")
    assert load_scorer(run / "model").scores(["a cake"])[0].shape == (1,)


def test_a_source_that_weighs_nothing_is_not_there(encoder: Path, tmp_path: Path) -> None:
    mine = [{**row, "source": "a"} for row in both_splits()]
    contrary = [{**row, "label": "safe", "categories": [], "source": "b"} for row in mine]
    options = {"epochs": 1, "probe": True, "source_weights": {"b": 0.0}}

    without = training_run(tmp_path / "without", encoder, mine, **options)
    among = training_run(tmp_path / "among", encoder, mine + contrary, **options)

    assert trained(among)["rows"] == trained(without)["rows"] == len(mine)
    assert digest_file(among / "model" / "model.safetensors") == digest_file(without / "model" / "model.safetensors")
    assert trained(among)["validation"] == trained(without)["validation"]


def test_pieces_of_a_batch_add_up_to_the_batch(encoder: Path, tmp_path: Path) -> None:
    settings = {"epochs": 1, "dropout": 0.0}
    config = json.loads((encoder / "config.json").read_text())
    assert config["hidden_dropout_prob"] == 0.1, "dropout of the encoder draws anew for each piece"
    still = tmp_path / "still"
    still.mkdir()
    for file in encoder.iterdir():
        (still / file.name).write_bytes(file.read_bytes())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (still / "config.json").write_text(json.dumps(config))
    losses_of = []
    for pieces in (1, 4):
        run = training_run(tmp_path / str(pieces), still, accumulate=pieces, **settings)
        trained(run)
        losses_of.append([step["loss"] for step in steps(run)])
    assert losses_of[0] == pytest.approx(losses_of[1], abs=1e-4)


def test_frozen_trains_the_heads_alone(encoder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    run = training_run(tmp_path, encoder, frozen=True, epochs=2)
    trained(run)
    before, after = load_file(encoder / "model.safetensors"), load_file(run / "model/model.safetensors")
    assert all((before[name] == value).all() for name, value in after.items() if name in before)


def test_adapters_are_merged_into_a_plain_encoder_that_has_moved(encoder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    run = training_run(tmp_path, encoder, lora_rank=8, learning_rate=2e-2, epochs=6)
    assert trained(run)["validation"]["average_precision"] > 0.7
    before, after = load_file(encoder / "model.safetensors"), load_file(run / "model/model.safetensors")
    assert set(after) <= set(before) and not any("lora" in name for name in after)
    moved = {name for name, value in after.items() if (before[name] != value).any()}
    assert moved and all("weight" in name for name in moved)


def test_a_decoder_is_a_backbone_like_any_other(tmp_path: Path) -> None:
    run = training_run(tmp_path / "run", tiny_llama(tmp_path / "llama"), max_length=64, epochs=4)
    assert trained(run)["validation"]["average_precision"] > 0.6
    assert load_scorer(run / "model").scores(["x" * 500, ""])[0].shape == (2,)


def test_it_ends_early_where_validation_does_not_get_better(encoder: Path, tmp_path: Path) -> None:
    run = training_run(tmp_path, encoder, learning_rate=0.0, head_learning_rate=0.0, epochs=30, patience=2)
    found = trained(run)
    # Equal counts as better: the later of two equal epochs saw more.
    assert len(found["history"]) == 30
    worse = training_run(tmp_path / "worse", encoder, epochs=40, patience=2)
    assert len(trained(worse)["history"]) <= 40


def test_patience_counts_epochs_since_the_best(encoder: Path, tmp_path: Path) -> None:
    run = training_run(tmp_path, encoder, patience=2)
    training = Training(run, TrainSettings.from_dict(run.request()["settings"]), [], Reports())
    training.state.history = [{"epoch": 1.0}, {"epoch": 2.0}]
    training.state.best_epoch = 0
    assert not training._over()
    training.state.history.append({"epoch": 3.0})
    assert training._over()


def test_a_budget_of_processor_time_ends_the_training_and_the_schedule(encoder: Path, tmp_path: Path) -> None:
    run = training_run(tmp_path, encoder, budget_minutes=0.02, epochs=1000)
    found = trained(run)
    assert 1.2 <= found["processor_seconds"] < 12
    assert 0 < found["steps"] < 12_000
    assert (run / "model/guard.json").exists()


def test_memory_that_runs_out_halves_the_batch_once_and_says_so(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Training._loss

    def greedy(self: Training, rows: list[int]) -> Any:
        if len(rows) > 4:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")
        return whole(self, rows)

    monkeypatch.setattr(Training, "_loss", greedy)
    reports = Reports()
    run = training_run(tmp_path, encoder, epochs=1)
    train(run, reports)
    assert reports.messages.count("Memory ran out: batches go in 2 pieces from here") == 1
    assert [len(step["rows"]) for step in steps(run)] == [8] * 12, "the samples of a step are the same"

    broke = training_run(tmp_path / "broke", encoder, epochs=1, batch_size=32)
    with pytest.raises(ProgramError, match="Memory ran out at step 0 with batches in 2 pieces"):
        train(broke, Reports())


def test_any_other_error_is_not_taken_for_a_lack_of_memory(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Training, rows: list[int]) -> Any:
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(Training, "_loss", broken)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        train(training_run(tmp_path, encoder), Reports())


def test_mean_weights_and_hard_rows_survive_a_break(encoder: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"average": 0.9, "mining": 2.0, "checkpoint_steps": 5}
    whole = training_run(tmp_path / "whole", encoder, **settings)
    broken = training_run(tmp_path / "broken", encoder, **settings)
    trained(whole)
    with pytest.raises(InterruptedError):
        train(broken, Reports(break_at=18))
    trained(broken)
    assert [step["rows"] for step in steps(broken)[18:]] == [step["rows"] for step in steps(whole)[15:]]
    assert [step["loss"] for step in steps(broken)[18:]] == pytest.approx(
        [step["loss"] for step in steps(whole)[15:]], abs=1e-4
    )
    assert digest_file(whole / "model/model.safetensors") == digest_file(broken / "model/model.safetensors")


def in_two_processes(run: RunFolder) -> None:
    """Train as `accelerate launch` does."""
    command = [sys.executable, "-m", *IN_TWO_PROCESSES, "classifier", "train", run.path]
    done = subprocess.run(
        list(map(str, command)), cwd=ROOT, capture_output=True, text=True, check=False, timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def test_two_processes_train_the_guards_of_folds_together(encoder: Path, tmp_path: Path) -> None:
    runs = [training_run(tmp_path / name, encoder, epochs=1, folds=2) for name in ("one", "two")]
    trained(runs[0])
    in_two_processes(runs[1])
    assert [figures(run)["steps"] for run in runs] == [18, 18]
    assert figures(runs[1])["validation"]["n"] == 136
    verify(runs[1] / "model")


def test_two_processes_see_the_samples_of_one(encoder: Path, tmp_path: Path) -> None:
    runs = [training_run(tmp_path / name, encoder, epochs=1) for name in ("one", "two")]
    trained(runs[0])
    in_two_processes(runs[1])
    assert [step["rows"] for step in steps(runs[1])] == [step["rows"] for step in steps(runs[0])]
    assert steps(runs[1])[0]["loss"] < 0.8 * steps(runs[0])[0]["loss"], "the first one has its share of a step's rows"
    assert len(figures(runs[1])["history"]) == 1
    verify(runs[1] / "model")


def test_a_student_learns_what_its_teacher_says_and_asks_only_once(
    trained_run: RunFolder, encoder: Path, tmp_path: Path
) -> None:
    rows = [{**row, "label": "safe", "categories": []} if row["split"] == "train" else row for row in both_splits()]
    run = training_run(tmp_path, encoder, rows, teacher=str(trained_run / "model"), distill=1.0)
    assert trained(run)["validation"]["average_precision"] > LEARNS, "its own labels say that nothing is unsafe"
    written = (run / "teacher.parquet").stat().st_mtime_ns
    (run / "metrics.json").unlink()
    trained(run)
    assert (run / "teacher.parquet").stat().st_mtime_ns == written


# Targets


def test_labels_are_smoothed_by_how_much_annotators_disagreed() -> None:
    rows = [{"agreement": 1.0}, {"agreement": 0.75}, {"agreement": 0.5}, {"agreement": None}, {}]
    found = targets.smoothed(np.array([1, 1, 0, 1, 0], np.float32), rows, 0.2)
    assert found.tolist() == pytest.approx([1, 0.9, 0.2, 1, 0])
    assert targets.smoothed(np.ones(1, np.float32), [{"agreement": 0.5}], 0.0).tolist() == [1]


def test_balancing_lets_labels_and_sources_weigh_the_same_and_a_step_stay_as_long() -> None:
    rows = [{"label": "safe", "source": "a"}] * 6 + [{"label": "unsafe", "source": "b"}] * 2
    label = np.array([0.0] * 6 + [1.0] * 2, np.float32)
    for settings in (TrainSettings(class_balance=1.0), TrainSettings(source_balance=1.0)):
        found = targets.weights(rows, label, settings)
        assert found[:6].sum() == pytest.approx(found[6:].sum())
        assert found.mean() == pytest.approx(1)
    named = targets.weights(rows, label, TrainSettings(source_weights={"b": 0.0}))
    assert named[6:].tolist() == [0, 0]
    assert targets.weights([{"weight": 2.0}], np.ones(1, np.float32), TrainSettings()).tolist() == [2]


def test_twins_are_found_by_their_pair() -> None:
    rows = [
        {"label": "unsafe", "pair": "x"}, {"label": "safe", "pair": "x"}, {"label": "unsafe", "pair": "y"},
        {"label": "safe"}, {"label": "unsafe"},
    ]  # fmt: skip
    assert targets.twins(rows).tolist() == [1, -1, -1, -1, -1]


def test_twins_of_a_project_are_found_by_their_family() -> None:
    rows = [{"label": label, "family": family} for label, family in (("unsafe", "a"), ("safe", "a"), ("unsafe", ""))]
    assert targets.twins(rows).tolist() == [1, -1, -1]


def test_losses_are_those_computed_by_hand() -> None:
    import torch

    logits, label = torch.tensor([0.0, -4.0, 4.0]), torch.tensor([0.0, 0.0, 1.0])
    assert losses.energy_loss(logits, label).tolist() == [1, 0, 0]
    assert losses.agreement_loss(logits, logits).tolist() == [0, 0, 0]
    one, other = torch.tensor([1.0]), torch.tensor([-1.0])
    p, q = one.sigmoid(), other.sigmoid()
    kl = p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()
    back = q * (q / p).log() + (1 - q) * ((1 - q) / (1 - p)).log()
    assert losses.agreement_loss(one, other).item() == pytest.approx(((kl + back) / 2).item(), abs=1e-5)
    assert losses.twin_loss(torch.tensor([3.0, 0.0]), torch.tensor([0.0, 0.0])).tolist() == [0, 2]
    unknown = torch.tensor([[1.0, float("nan")]])
    assert losses.category_loss(torch.zeros(1, 2), unknown).item() == pytest.approx(np.log(2), abs=1e-6)
    assert losses.hardness(torch.tensor([0.0]), torch.tensor([1.0])).item() == 0.5


def test_twins_are_pushed_apart(encoder: Path, tmp_path: Path) -> None:
    rows = both_splits()
    for number in range(0, 96, 2):
        rows[number]["pair"] = rows[number + 1]["pair"] = f"p{number}"
    rows = [{"pair": "", **row} for row in rows]
    found = trained(training_run(tmp_path, encoder, rows, twins=0.5))
    assert found["validation"]["average_precision"] > LEARNS


def test_the_rate_warms_up_and_falls_to_zero() -> None:
    import torch

    optimizer = torch.optim.AdamW([torch.zeros(1, requires_grad=True)], lr=2.0)
    optimizer.param_groups[0]["full_rate"] = 2.0
    rates = []
    for fraction in (0.0, 0.05, 0.1, 0.55, 1.0):
        optimize.set_rates(optimizer, fraction, 0.1, 0.001)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.02, 1.02, 2.0, 1.0, 0.0], abs=1e-2)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"bf16": 1}, "bf16 should be true or false"),
        ({"frozen": True, "lora_rank": 4}, "frozen trains the heads alone"),
        ({"source_weights": {"a": -1}}, "source_weights"),
        ({"distill": 2}, "distill should be between 0 and 1"),
        ({"target_fpr": 0.9}, "target_fpr should be between"),
    ],
)
def test_options_that_make_no_sense_are_refused(values: dict[str, Any], says: str) -> None:
    with pytest.raises(ProgramError, match=says):
        TrainSettings.from_dict(values)


def test_the_default_threshold_keeps_to_the_false_positives_that_were_asked_for(encoder: Path, tmp_path: Path) -> None:
    run = training_run(tmp_path, encoder, epochs=1, target_fpr=0.1)
    found = trained(run)
    assert found["validation"]["fpr"] <= 0.1
    card = json.loads((run / "model/guard.json").read_text(encoding="utf-8"))
    assert load_scorer(run / "model").threshold == card["thresholds"]["default"]
    assert card["review"]["from"] <= card["review"]["to"]


def test_what_sources_say_of_each_other_makes_the_guard_less_sure(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[set[str]] = []
    monkeypatch.setattr(probe, "caution", lambda vectors, label, sources: asked.append(set(sources)) or 2.0)
    rows = [{**row, "source": f"file {at // 2 % 5}"} for at, row in enumerate(both_splits())]
    said = {}
    for on in (True, False):
        run = training_run(tmp_path / str(on), encoder, rows, epochs=1, probe=True, other_sources=on)
        assert trained(run)["caution"] == (2.0 if on else 1.0)
        said[on] = json.loads((run / "model/guard.json").read_text(encoding="utf-8"))["temperature"]

    assert asked == [{f"file {at}" for at in range(5)}]
    assert said[True] == pytest.approx(2 * said[False])


@pytest.mark.parametrize("quick", [True, False])
def test_bfloat16_is_left_where_the_processor_would_emulate_it(quick: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(devices, "has_bfloat16", lambda: quick)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with devices.Devices().precision(bf16=True):
        assert torch.is_autocast_enabled("cpu") is quick

"""Try settings against each other with successive halving, and say what mattered.

    request.json  {"settings": {...}, "space": {"learning_rate": [1e-4, 2e-4], "energy": [0, 0.5]}, "categories": [...],
                   "candidates": 8, "first_minutes": 1.0}

Every candidate gets the first budget of processor time; the better half gets twice as much, and so on until one is
left (Jamieson and Talwalkar 2016). A rung is trained from the start: the schedule ends with the budget, so a half-done
run says little about a whole one. Settings are judged on the validation split of `input.parquet` alone.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from classifier.config import TrainSettings
from classifier.runfolder import ProgramError, Report, RunFolder, write_json

FIGURE = "average_precision"


def sweep(run: RunFolder, report: Report) -> None:
    """The program: leave `metrics.json` with the winner, every trial, and the worth of each setting."""
    request = run.request()
    if not (run / "input.parquet").exists():
        raise ProgramError(f"{run / 'input.parquet'} is missing.", "Give the folder that holds both files.")
    space = _space(request)
    candidates = choose(space, int(request.get("candidates", 8)), int(request.get("settings", {}).get("seed", 0)))
    minutes, trials, rung = float(request.get("first_minutes", 1.0)), [], 0
    while True:
        found = []
        for number, candidate in enumerate(candidates):
            report(number, len(candidates), f"Rung {rung + 1}: {len(candidates)} settings, {minutes:g} minutes each")
            found.append({**_trial(run, request, candidate, minutes, f"rung-{rung}/{number}"), "rung": rung})
        trials += found
        found.sort(key=lambda trial: -trial[FIGURE])
        if len(found) == 1:
            break
        candidates = [trial["settings"] for trial in found[: math.ceil(len(found) / 2)]]
        minutes, rung = minutes * 2, rung + 1
    best = {"settings": found[0]["settings"], FIGURE: found[0][FIGURE]}
    write_json(run / "metrics.json", {"best": best, "what_mattered": what_mattered(trials), "trials": trials})
    report(1, 1, "Swept", {FIGURE: best[FIGURE]})


def _space(request: Mapping[str, Any]) -> dict[str, list[Any]]:
    space = request.get("space")
    if not isinstance(space, dict) or not space or not all(isinstance(v, list) and v for v in space.values()):
        raise ProgramError("request.json has no space of settings.", 'Write "space": {"setting": [values]} there.')
    for name, values in space.items():
        for value in values:
            TrainSettings.from_dict({name: value})
    return space


def choose(space: Mapping[str, Sequence[Any]], count: int, seed: int = 0) -> list[dict[str, Any]]:
    """At most `count` combinations of a space, chosen at random but always the same."""
    every = [dict(zip(space, values, strict=True)) for values in itertools.product(*space.values())]
    return random.Random(seed).sample(every, min(count, len(every)))


def _trial(
    run: RunFolder, request: Mapping[str, Any], candidate: Mapping[str, Any], minutes: float, name: str
) -> dict[str, Any]:
    """Train one candidate, unless it was trained before the program was broken off."""
    from classifier.train import train

    folder = RunFolder(run / name)
    settings = {**request.get("settings", {}), **candidate, "budget_minutes": minutes}
    folder.write_request({"settings": settings, "categories": request.get("categories", [])})
    if not (folder / "input.parquet").exists():
        os.link(run / "input.parquet", folder / "input.parquet")
    train(folder, lambda *_: None)
    found = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    precision = found["validation"].get(FIGURE)
    if precision is None:
        raise ProgramError("The validation split cannot tell settings apart.", "Give it rows of both labels.")
    return {"settings": dict(candidate), "minutes": minutes, FIGURE: precision, "steps": found["steps"]}


def what_mattered(trials: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """For each setting, how far its values lie apart on average, the most important first.

    Means over the first rung, where every candidate had the same budget and none had been chosen yet. With few
    candidates the means are confounded: read them as a hint where to look.
    """
    first = [trial for trial in trials if trial["rung"] == 0]
    worth = []
    for name in first[0]["settings"]:
        groups: dict[str, list[float]] = defaultdict(list)
        for trial in first:
            groups[json.dumps(trial["settings"][name])].append(trial[FIGURE])
        means = {value: sum(figures) / len(figures) for value, figures in groups.items()}
        worth.append({"setting": name, "spread": max(means.values()) - min(means.values()), "means": means})
    return sorted(worth, key=lambda one: -one["spread"])

"""`python -m pipeline`: the programs that make and sift examples, for the site and for a shell."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from classifier.runfolder import Report, RunFolder, run_program

PROGRAMS = {
    "generate": ("pipeline.generate", "generate", "write candidates from seeds: input.parquet -> output.parquet"),
    "filter": ("pipeline.filter", "filter_examples", "let every filter say what it thinks of each candidate"),
    "import": ("pipeline.bring", "bring", "read a file of seeds under limits: request.json -> chunks, errors.csv"),
    "look": ("pipeline.look", "look", "look at the first rows of a file under limits: request.json -> look.json"),
    "agreement": ("pipeline.agreement", "measure", "measure how far people agree: input.parquet -> metrics.json"),
    "adversary": ("pipeline.adversary.run", "attack", "search for what a guard gets wrong, in both directions"),
}
PLANNED = ("generate", "adversary")


def parser() -> argparse.ArgumentParser:
    """The command line of the programs."""
    main = argparse.ArgumentParser(prog="python -m pipeline", description="Programs that make and sift examples.")
    commands = main.add_subparsers(dest="program", required=True, metavar="PROGRAM")
    for name, (module, _, text) in PROGRAMS.items():
        command = commands.add_parser(name, help=text, description=f"{text}. See {module} for settings and columns.")
        command.add_argument("folder", type=Path, metavar="RUN_FOLDER", help="holds request.json and input.parquet")
        how = command.add_mutually_exclusive_group()  # the site watches and logs, and a plan shows texts
        how.add_argument("--watch-parent", action="store_true", help="exit when standard input closes")
        if name in PLANNED:
            how.add_argument("--plan", action="store_true", help="show prompts, tokens, time and cost, and run nothing")
    return main


def main(arguments: list[str] | None = None) -> int:
    """Run one program; return its exit status."""
    options = parser().parse_args(arguments)
    if getattr(options, "plan", False):
        return show_plan(options.program, options.folder)
    module, name, _ = PROGRAMS[options.program]

    def work(run: RunFolder, report: Report) -> None:
        work_of: Callable[[RunFolder, Report], None] = getattr(import_module(module), name)
        work_of(run, report)

    return run_program(work, options.folder, watch_parent=options.watch_parent)


def show_plan(program: str, folder: Path) -> int:
    """Print what a program would ask for: a table for people, and one JSON object on the last line."""
    from pipeline.plan import PLANS, Plan

    found: list[Plan] = []
    status = run_program(lambda run, _: found.append(PLANS[program](run)), folder)
    for plan in found:
        print(plan.text(), json.dumps(plan.figures()), sep="\n")
    return status


if __name__ == "__main__":
    sys.exit(main())

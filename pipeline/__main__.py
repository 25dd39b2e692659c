"""`python -m pipeline`: the programs that make and sift examples, for the site and for a shell."""

from __future__ import annotations

import argparse
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


def parser() -> argparse.ArgumentParser:
    """The command line of the programs."""
    main = argparse.ArgumentParser(prog="python -m pipeline", description="Programs that make and sift examples.")
    commands = main.add_subparsers(dest="program", required=True, metavar="PROGRAM")
    for name, (module, _, text) in PROGRAMS.items():
        command = commands.add_parser(name, help=text, description=f"{text}. See {module} for settings and columns.")
        command.add_argument("folder", type=Path, metavar="RUN_FOLDER", help="holds request.json and input.parquet")
        command.add_argument("--watch-parent", action="store_true", help="exit when standard input closes")
    return main


def main(arguments: list[str] | None = None) -> int:
    """Run one program; return its exit status."""
    options = parser().parse_args(arguments)
    module, name, _ = PROGRAMS[options.program]

    def work(run: RunFolder, report: Report) -> None:
        work_of: Callable[[RunFolder, Report], None] = getattr(import_module(module), name)
        work_of(run, report)

    return run_program(work, options.folder, watch_parent=options.watch_parent)


if __name__ == "__main__":
    sys.exit(main())

"""`python -m classifier`: the programs of the guard, for the site and for a shell."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from classifier.runfolder import ProgramError, Report, RunFolder, run_program

PROGRAMS = {
    "train": "fine-tune a guard on labelled rows: input.parquet (text, label, categories, split) -> model/",
    "evaluate": "measure a guard on labelled rows: input.parquet -> metrics.json, output.parquet, or by flags",
    "score": "score texts with a guard: input.parquet (id, text) -> output.parquet (id, unsafe, categories)",
    "embed": "embed texts with a frozen encoder: input.parquet (id, text) -> output.parquet (id, vector)",
    "sweep": "try settings by successive halving: input.parquet, a space of settings -> metrics.json (what mattered)",
}


def parser() -> argparse.ArgumentParser:
    """The command line of the programs."""
    main = argparse.ArgumentParser(prog="python -m classifier", description="Programs of the guard.")
    commands = main.add_subparsers(dest="program", required=True, metavar="PROGRAM")
    for name, text in PROGRAMS.items():
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument(
            "folder", nargs="?", type=Path, metavar="RUN_FOLDER", help="holds request.json and input.parquet"
        )
        command.add_argument("--watch-parent", action="store_true", help="exit when standard input closes")
        if name == "evaluate":
            _evaluate_flags(command)
    return main


def _evaluate_flags(command: argparse.ArgumentParser) -> None:
    command.add_argument("--model", type=Path, help="a guard's folder, with --data instead of a run folder")
    command.add_argument("--data", type=Path, help="JSON lines with text, label, category, .gz or not, or a folder")
    command.add_argument("--threshold", type=float, help="block at or above this; the guard's own without it")
    command.add_argument("--attacks", action="store_true", help="flip rates under typos, disguises, paraphrase")
    command.add_argument("--peer", action="append", default=[], help="measure another guard too; may be repeated")


def work_of(program: str) -> Callable[[RunFolder, Report], None]:
    """The function of a program, loaded only now."""
    work: Callable[[RunFolder, Report], None] = getattr(import_module(f"classifier.{program}"), program)
    return work


def main(arguments: list[str] | None = None) -> int:
    """Run one program; return its exit status."""
    command = parser()
    options = command.parse_args(arguments)
    if getattr(options, "model", None) or getattr(options, "data", None):
        return _evaluate(options)
    if options.folder is None:
        command.error(f"{options.program} needs a RUN_FOLDER")
    return run_program(work_of(options.program), options.folder, watch_parent=options.watch_parent)


def _evaluate(options: argparse.Namespace) -> int:
    from classifier.examine import Examination, examine

    if not (options.model and options.data):
        print("evaluate needs both --model and --data", file=sys.stderr)
        return 2
    wanted = Examination(options.model, options.data, options.threshold, options.attacks, tuple(options.peer))
    try:
        print(json.dumps(examine(wanted)))
    except (ProgramError, OSError) as error:
        print(f"{error} {getattr(error, 'remedy', '')}".strip(), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`python -m classifier`: the programs of the guard, for the site and for a shell."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from classifier.runfolder import ProgramError, ProgressWriter, Report, RunFolder, run_program

PROGRAMS = {
    "train": "fine-tune a guard on labelled rows: input.parquet (text, label, categories, split) -> model/",
    "evaluate": "measure a guard on labelled rows: input.parquet -> metrics.json, output.parquet, or by flags",
    "score": "score texts with a guard: input.parquet (id, text) -> output.parquet (id, unsafe, categories)",
    "export": "write a guard as ONNX in full and in 8 bits, measured on input.parquet -> model/, or by flags",
    "embed": "embed texts with a frozen encoder: input.parquet (id, text) -> output.parquet (id, vector)",
    "sweep": "try settings by successive halving: input.parquet, a space of settings -> metrics.json (what mattered)",
}

TOOLS = {
    "serve": "answer over HTTP for guards by name, with dynamic batching and hot swap",
    "scan": "score the lines of files or of a pipe",
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
        if name == "export":
            command.add_argument("--model", type=Path, help="a guard's folder, with --data and --out")
            command.add_argument("--data", type=Path, help="labelled JSON lines to calibrate and to measure on")
            command.add_argument("--out", type=Path, help="the new folder")
            command.add_argument("--bound", type=float, default=0.005, help="average precision that may be lost")
    for name, text in TOOLS.items():
        commands.add_parser(name, help=text, add_help=False)
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
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] in TOOLS:
        return _said(lambda: int(import_module(f"classifier.{arguments[0]}").main(arguments[1:])))
    command = parser()
    options = command.parse_args(arguments)
    if getattr(options, "model", None) or getattr(options, "data", None):
        return _export(options) if options.program == "export" else _evaluate(options)
    if options.folder is None:
        command.error(f"{options.program} needs a RUN_FOLDER")
    return run_program(work_of(options.program), options.folder, watch_parent=options.watch_parent)


def _evaluate(options: argparse.Namespace) -> int:
    from classifier.examine import Examination, examine

    if not (options.model and options.data):
        print("evaluate needs both --model and --data", file=sys.stderr)
        return 2
    wanted = Examination(options.model, options.data, options.threshold, options.attacks, tuple(options.peer))
    return _said(lambda: print(json.dumps(examine(wanted))))


def _export(options: argparse.Namespace) -> int:
    from classifier.export import ExportSettings, export_file

    if not (options.model and options.data and options.out):
        print("export needs --model, --data and --out", file=sys.stderr)
        return 2
    settings = ExportSettings.from_dict({"model": str(options.model), "bound": options.bound})
    progress = ProgressWriter(sys.stderr)
    return _said(lambda: print(json.dumps(export_file(settings, options.data, options.out, progress))))


def _said(work: Callable[[], int | None]) -> int:
    """Do the work; say in a sentence why it could not be done."""
    try:
        return work() or 0
    except (ProgramError, OSError) as error:
        print(f"{error} {getattr(error, 'remedy', '')}".strip(), file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())

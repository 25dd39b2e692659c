"""The rules that keep the layers apart and the files small: that they hold, and that their guards bite."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import shutil
import statistics
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAYERS = ("curation", "pipeline", "classifier")
HEAVY = (
    "torch", "transformers", "trl", "peft", "datasets", "accelerate", "sklearn", "scipy", "pandas", "rensa", "pyarrow",
    "onnxruntime",
)  # fmt: skip
PLACES = (*LAYERS, "tests", "templates", "docs", "benchmarks", ".ci")
VENDORED = ROOT / "curation" / "static" / "vendor"


def tracked_files() -> Iterator[Path]:
    """The project's own text files; what others wrote and what tools leave behind is not among them."""
    top = [file for file in ROOT.iterdir() if file.is_file()]
    for file in [*top, *(file for place in PLACES for file in (ROOT / place).rglob("*"))]:
        if file.suffix not in (".pyc", ".png", ".gz") and file.is_file() and VENDORED not in file.parents:
            yield file


def sources(*places: str) -> list[Path]:
    files = (file for place in places for file in (ROOT / place).rglob("*.py"))
    return sorted(file for file in files if "migrations" not in file.parts)


def run(tool: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a tool of the virtual environment in a folder."""
    return subprocess.run(
        [Path(sys.executable).parent / tool, *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )


# The web stays light


LOADING = """
import dataclasses, json, os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "curation.settings"
import django
django.setup()
import curation.urls, curation.tasks, curation.celery
from importlib import import_module
from pathlib import Path
from pipeline.registry import Registry

registries = {}
for package in sorted(file.parent.name for file in Path("pipeline").glob("*/__init__.py")):
    module = import_module(f"pipeline.{package}")
    registries.update({one.package: one for one in vars(module).values() if isinstance(one, Registry)})
stages = {name: list(registry.stages) for name, registry in registries.items()}
frozen = [stage.__dataclass_params__.frozen for registry in registries.values() for stage in registry.stages.values()]
heavy = sorted(set(sys.argv[1:]) & set(sys.modules))
print(json.dumps({"stages": stages, "frozen": all(frozen), "heavy": heavy}))
"""


@pytest.fixture(scope="module")
def loaded() -> dict[str, object]:
    """What a fresh interpreter holds after it has loaded the addresses, the tasks and every stage."""
    done = subprocess.run(
        [sys.executable, "-c", LOADING, *HEAVY], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return result


def test_addresses_tasks_and_every_stage_load_without_the_heavy_libraries(loaded: dict[str, object]) -> None:
    assert loaded["heavy"] == []


def test_every_kind_of_stage_has_some_and_all_are_frozen(loaded: dict[str, object]) -> None:
    stages = loaded["stages"]

    assert isinstance(stages, dict)
    assert {f"pipeline.{kind}" for kind in (
        "adversary", "augmenters", "exporters", "filters", "generators", "importers", "paraphrasers", "rewards",
    )} <= {kind for kind, keys in stages.items() if keys}  # fmt: skip
    assert loaded["frozen"] is True


def test_reading_the_settings_starts_nothing(tmp_path: Path) -> None:
    code = "import curation.settings as s, psutil; from curation import services\n"
    code += "print(services.status(s.VAR_DIR), psutil.Process().children(recursive=True))"
    environment = {"WHETSTONE_VAR": str(tmp_path), "PATH": "/usr/bin:/bin"}

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )

    assert done.stdout == "{'postgres': None, 'redis': None} []\n", done.stderr
    assert sorted(file.name for file in tmp_path.iterdir()) == ["redis-password", "secret-key"]


# The guards hold, and bite


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources, to plant mistakes in."""
    copy = tmp_path_factory.mktemp("sources")
    shutil.copy(ROOT / "pyproject.toml", copy)
    for layer in LAYERS:
        shutil.copytree(ROOT / layer, copy / layer, ignore=shutil.ignore_patterns("__pycache__", "static"))
    return copy


@pytest.fixture
def copy(clean: Path) -> Iterator[Path]:
    yield clean
    for planted in clean.rglob("planted.py"):
        planted.unlink()


def layers(folder: Path) -> subprocess.CompletedProcess[str]:
    return run("lint-imports", "--no-cache", cwd=folder)


def broken(said: str) -> list[str]:
    return re.findall(r"^(.*) BROKEN$", said, re.MULTILINE)


def test_all_contracts_hold(copy: Path) -> None:
    done = layers(copy)

    assert done.returncode == 0, done.stdout
    assert "Contracts: 3 kept, 0 broken." in done.stdout


@pytest.mark.parametrize(
    ("folder", "line", "contract"),
    [
        ("pipeline", "import curation.models", "Imports go downward: curation, pipeline, classifier"),
        ("classifier", "import pipeline.records", "Imports go downward: curation, pipeline, classifier"),
        ("classifier", "import django", "The programs do not know Django"),
        ("pipeline/filters", "from celery import Celery", "The programs do not know Django"),
        ("curation/operations", "from curation import views", "Operations and models know nothing of views"),
        ("curation/models", "from curation.tasks import *", "Operations and models know nothing of views"),
    ],
)
def test_an_import_that_crosses_a_line_breaks_its_contract(copy: Path, folder: str, line: str, contract: str) -> None:
    (copy / folder / "planted.py").write_text(f"{line}\n")

    done = layers(copy)

    assert done.returncode != 0
    assert any(name.startswith(contract) for name in broken(done.stdout)), done.stdout


@pytest.mark.parametrize("library", HEAVY)
@pytest.mark.parametrize("layer", LAYERS)
def test_a_heavy_import_at_the_top_of_a_file_is_refused(copy: Path, layer: str, library: str) -> None:
    (copy / layer / "planted.py").write_text(f"import {library}\n\nprint({library})\n")

    done = run("ruff", "check", "--no-cache", "--output-format", "concise", f"{layer}/planted.py", cwd=copy)

    assert done.returncode == 1
    assert f"TID253 `{library}` is banned at the module level" in done.stdout


def test_a_heavy_import_inside_a_function_is_fine(copy: Path) -> None:
    planted = "def count() -> int:\n    import torch\n\n    return int(torch.cuda.device_count())\n"
    (copy / "classifier" / "planted.py").write_text(planted)

    done = run("ruff", "check", "--no-cache", "classifier/planted.py", cwd=copy)

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("line", ["import pickle", "import litellm"])
def test_what_the_project_never_uses_is_refused_anywhere(copy: Path, line: str) -> None:
    (copy / "classifier" / "planted.py").write_text(f"def load() -> None:\n    {line}\n")

    done = run("ruff", "check", "--no-cache", "--output-format", "concise", "classifier/planted.py", cwd=copy)

    assert "TID251" in done.stdout


def test_the_list_of_heavy_libraries_is_the_linters() -> None:
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]["flake8-tidy-imports"]

    assert set(HEAVY) <= set(rules["banned-module-level-imports"])


# Small files, small functions


def test_no_file_is_longer_than_500_lines() -> None:
    lengths = {str(file.relative_to(ROOT)): len(file.read_text().splitlines()) for file in sources(*LAYERS, "tests")}

    assert {file: lines for file, lines in lengths.items() if lines > 500} == {}
    assert statistics.median(lengths.values()) <= 120


def test_functions_are_short() -> None:
    lengths = sorted(body_length(function) for file in sources(*LAYERS) for function in functions(file))

    assert statistics.median(lengths) <= 8
    assert lengths[int(0.95 * len(lengths))] <= 40


def functions(file: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def body_length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from the first statement to the last; the docstring does not count."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


# Nothing of one machine


# Put together here, so that this file does not hold what it looks for.
HOME_PATHS = r"(?<![\w.])/(work|root|home)" + "/"
REGISTRIES = ("index-" + "url", "find-" + "links", "python" + "hosted", "pypi" + r"\.org")
OF_ONE_MACHINE = re.compile("|".join((HOME_PATHS, *REGISTRIES)))


@pytest.mark.parametrize("line", ["--{}-url x", "open('/{}/x')"])
def test_a_line_that_holds_on_one_machine_only_is_recognised(line: str) -> None:
    assert OF_ONE_MACHINE.search(line.format("index" if "url" in line else "root"))
    assert not OF_ONE_MACHINE.search(line.format("other"))


def test_no_file_names_a_path_of_one_machine_or_the_host_of_a_registry() -> None:
    found = {}
    for file in tracked_files():
        for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if OF_ONE_MACHINE.search(line):
                found[f"{file.relative_to(ROOT)}:{number}"] = line.strip()[:120]

    assert found == {}


def test_every_requirement_is_pinned_to_a_version_that_any_machine_can_find() -> None:
    lines = [line for file in ROOT.glob("requirements*.txt") for line in file.read_text().splitlines()]
    pins = [line for line in lines if line and not line.startswith("#")]

    assert [pin for pin in pins if not re.fullmatch(r"[a-z0-9-]+==[\w.]+( ; .+)?", pin)] == []
    assert "torch==2.13.0" in pins


def test_vendored_files_are_what_their_checksums_say() -> None:
    sums = [line.split(maxsplit=1) for line in (VENDORED / "CHECKSUMS.sha256").read_text().splitlines() if line]

    assert sums
    for digest, name in sums:
        assert hashlib.sha256((VENDORED / name).read_bytes()).hexdigest() == digest, name

"""The card of a guard: what it is, how it was made, how it does and what to beware of, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable

from curation.models import Guard
from curation.operations import guards, scored
from curation.operations.curves import Share

FIGURES = (
    ("average_precision", "Average precision"), ("f1", "F1 at its threshold"), ("recall", "Harm found"),
    ("fpr", "Harmless blocked"), ("recall_at_fpr_5", "Harm found at 5 % false alarms"), ("ece", "Calibration error"),
    ("category_accuracy", "Right category, of harmful texts"),
)  # fmt: skip
LIMITS = """A guard answers for texts like those it was trained on. It is one layer: it misses harm that is new to it
and blocks some harmless texts. Look at its figures per category before you rely on one, keep people in the loop for
what it is not sure of, and measure it on your own traffic before you trust a figure from here."""


def card(guard: Guard) -> str:
    """The card as Markdown. Figures and counts only, no text of any example."""
    parts = [f"# {guard} of {guard.project.name}", _facts(guard), *_measured(guard), _gate(guard), "## Limits", LIMITS]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(headers: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(headers), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _facts(guard: Guard) -> str:
    settings = guard.settings.get("settings", {})
    rows = [
        ("State", guard.state), ("Digest", f"`{guard.digest}`"), ("Policy", str(guard.project.policy_version)),
        ("Made in", f"{guard.round}"), ("Parent", str(guard.parent or "none")),
        ("Trained on", f"{guard.dataset_rows:,} rows, `{guard.dataset_digest[:16]}`"),
        ("Base weights", f"`{guard.base_digest[:16]}`"), ("Code", f"`{guard.code_revision[:16] or 'unknown'}`"),
        ("Settings", ", ".join(f"{name} {value}" for name, value in settings.items()) or "defaults"),
    ]  # fmt: skip
    return _table(("", ""), rows)


def _measured(guard: Guard) -> list[str]:
    parts = []
    for found in guard.evaluations.select_related("evaluation_set").order_by("evaluation_set"):
        spans = found.metrics.get("intervals") or {}
        rows = [(words, _figure(found.metrics.get(name)), _span(spans.get(name))) for name, words in FIGURES]
        title = f"## On {found.evaluation_set.name} ({found.evaluation_set.rows:,} rows)"
        parts += [title, _table(("", "Value", "95 % interval"), rows), *_slices(guard, found.evaluation_set)]
    return parts


def _slices(guard: Guard, one: object) -> list[str]:
    measured = scored.of(guard, one)  # type: ignore[arg-type]
    if measured is None:
        return []
    names = guard.project.category_names()
    rows = [(names.get(row["key"], row["key"]), *_cells(row["recall"])) for row in measured.categories(list(names))]
    return [_table(("Category", "Harm found", "95 % interval", "Rows"), rows)] if rows else []


def _cells(share: Share) -> tuple[str, str, str]:
    return _figure(share.value), _span(share.span), str(share.whole)


def _figure(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, int | float) else "–"


def _span(span: Iterable[float] | None) -> str:
    return " to ".join(f"{end:.3f}" for end in span) if span else ""


def _gate(guard: Guard) -> str:
    notes = [move for move in guard.moves() if move.new == Guard.State.ACTIVE]
    lines = [f"- {move.at:%Y-%m-%d}: live{f' by {move.by}' if move.by else ''}. {move.note}".rstrip() for move in notes]
    lines += [f"- {check.rule}: {check.sentence}" for check in guards.checks(guard) if check.passed is False]
    return "\n".join(["## Going live", *lines]) if lines else ""

"""Exports of annotation tools: each record becomes a row of plain columns, with what everybody said in its cells.

A cell of judgements is `{"judgements": [{"by", "machine", "values"}, …]}`; everything else stays as it is. Formats:
https://docs.argilla.io/latest/how_to_guides/import_export (version 2 nested and flat, and the lists of version 1),
https://labelstud.io/guide/task_format (JSON; JSON-MIN and CSV are plain rows), https://doccano.github.io/doccano
(classification; one file for each person where a project is not shared).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

JUDGEMENTS = "judgements"
COUNTED = ("submitted", None, "")  # of Argilla's responses; drafts and discarded ones say nothing
Row = dict[str, Any]
Judged = list[dict[str, Any]]


def judged(cell: Any) -> Judged | None:
    """What people and machines said, where a cell holds that."""
    return cell.get(JUDGEMENTS) if isinstance(cell, dict) and isinstance(cell.get(JUDGEMENTS), list) else None


def recognise(record: Mapping[str, Any]) -> str:
    """The key of the tool that wrote a record; empty for a plain row."""
    return next((name for name, (is_one, _) in DIALECTS.items() if is_one(record)), "")


def unfold(dialect: str, record: Row) -> Row:
    """A record of a tool as plain columns. A record of another shape stays as it is."""
    is_one, unfolded = DIALECTS[dialect]
    return unfolded(record) if is_one(record) else record


def _said(by: Any, values: Any, *, machine: bool = False) -> dict[str, Any]:
    return {"by": "" if by is None else str(by)[:150], "machine": machine, "values": _values(values)}


def _values(given: Any) -> list[str]:
    """Names that were chosen; numbers and texts as they are read."""
    listed = given if isinstance(given, list) else [given]
    return [str(value) for value in listed if isinstance(value, str | int | float) and value != ""]


def _cells(questions: Mapping[str, Judged]) -> Row:
    return {name: {JUDGEMENTS: said} for name, said in questions.items()}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


# Argilla


def _is_argilla(record: Mapping[str, Any]) -> bool:
    nested = isinstance(record.get("fields"), dict) and isinstance(record.get("responses"), dict | list)
    return nested or any(_is_response(name, value) for name, value in record.items())


def _is_response(name: str, value: Any) -> bool:
    """A flat column of answers, or a list of them as version 1 has it."""
    if name.endswith(".responses.users"):
        return True
    return (
        isinstance(value, list) and bool(value) and isinstance(value[0], dict) and {"user_id", "value"} <= set(value[0])
    )


def _argilla(record: Row) -> Row:
    if isinstance(record.get("fields"), dict):
        rest = {
            "id": record.get("id") or record.get("external_id"),
            **_mapping(record.get("metadata")),
            **record["fields"],
        }
        return {**rest, **_cells(_nested(record))}
    return _flat(record)


def _nested(record: Row) -> dict[str, Judged]:
    found: dict[str, Judged] = {}
    given = record["responses"]
    if isinstance(given, dict):
        answers = [(question, one) for question, many in given.items() for one in _objects(many)]
    else:  # as the server answers: a response a person, with all questions
        answers = [
            (question, {**_mapping(value), "user_id": one.get("user_id"), "status": one.get("status")})
            for one in _objects(given) for question, value in _mapping(one.get("values")).items()
        ]  # fmt: skip
    for question, one in answers:
        if one.get("status") in COUNTED:
            found.setdefault(question, []).append(_said(one.get("user_id"), one.get("value")))
    suggested = record.get("suggestions")
    for question, one in _mapping(suggested).items():
        one = _mapping(one)
        found.setdefault(question, []).append(_said(one.get("agent"), one.get("value"), machine=True))
    return found


def _flat(record: Row) -> Row:
    found: dict[str, Judged] = {}
    kept = dict(record)
    for name in [name for name in record if name.endswith(".responses.users")]:
        question = name.removesuffix(".responses.users")
        users, answers = record[name] or [], record.get(f"{question}.responses") or []
        status = record.get(f"{question}.responses.status") or [None] * len(users)
        found[question] = [
            _said(by, value)
            for by, value, state in zip(users, answers, status, strict=False)
            if state in COUNTED
        ]  # fmt: skip
        for part in (".responses", ".responses.users", ".responses.status"):
            kept.pop(f"{question}{part}", None)
    for question in [name for name, value in record.items() if _is_response(name, value) and "." not in name]:
        said = _objects(kept.pop(question))
        found[question] = [_said(one["user_id"], one["value"]) for one in said if one.get("status") in COUNTED]
    for name in [name for name in kept if name.endswith((".suggestion", "-suggestion"))]:
        question, value = name[: -len(".suggestion")], kept.pop(name)
        agent = kept.pop(f"{name}.agent", None) or _mapping(kept.pop(f"{name}-metadata", None)).get("agent")
        kept.pop(f"{name}.score", None)
        if value is not None:
            found.setdefault(question, []).append(_said(agent, value, machine=True))
    return {**kept, **_cells(found)}


# Label Studio


def _is_label_studio(record: Mapping[str, Any]) -> bool:
    return isinstance(record.get("data"), dict) and isinstance(
        record.get("annotations", record.get("completions")), list
    )


def _label_studio(record: Row) -> Row:
    found: dict[str, Judged] = {}
    for one in _objects(record.get("annotations", record.get("completions"))):
        if not one.get("was_cancelled"):
            _results(found, one, _person(one.get("completed_by")), machine=False)
    for one in _objects(record.get("predictions")):
        _results(found, one, one.get("model_version"), machine=True)
    return {"id": record.get("id"), **_mapping(record.get("meta")), **record["data"], **_cells(found)}


def _person(by: Any) -> Any:
    """A number, or the person with all that is known of them."""
    return (by.get("email") or by.get("username") or by.get("id")) if isinstance(by, dict) else by


def _results(found: dict[str, Judged], annotation: Mapping[str, Any], by: Any, *, machine: bool) -> None:
    said: dict[str, list[str]] = {}
    for result in _objects(annotation.get("result")):
        values = _chosen(_mapping(result.get("value")))
        if values and isinstance(result.get("from_name"), str):
            said.setdefault(result["from_name"], []).extend(values)
    for name, values in said.items():
        found.setdefault(name, []).append(_said(by, values, machine=machine))


def _chosen(value: Mapping[str, Any]) -> list[str]:
    """Choices by name, places in a taxonomy by their path, ratings and numbers as they are."""
    if "taxonomy" in value:
        paths = value["taxonomy"] if isinstance(value["taxonomy"], list) else []
        return [" / ".join(_values(path)) for path in paths]
    return _values(value.get("choices", value.get("rating", value.get("number"))))


# doccano


def _is_doccano(record: Mapping[str, Any]) -> bool:
    """Text, number and a list of labels; of older versions a list of who set which."""
    labels = record.get("label", record.get("labels", record.get("annotations")))
    named = isinstance(record.get("text", record.get("data")), str) and "id" in record
    return named and isinstance(labels, list) and ("annotations" not in record or all(map(_is_old, labels)))


def _is_old(annotation: Any) -> bool:
    return isinstance(annotation, dict) and {"label", "user"} <= set(annotation)


def _doccano(record: Row) -> Row:
    kept = dict(record)
    if "data" in kept and "text" not in kept:
        kept["text"] = kept.pop("data")
    if "annotations" in kept:
        people: dict[str, list[Any]] = {}
        for one in kept.pop("annotations"):
            people.setdefault(str(one["user"]), []).append(one["label"])
        kept |= _cells({"label": [_said(by, labels) for by, labels in people.items()]})
    elif "label" not in kept:
        kept["label"] = kept.pop("labels")
    return kept


DIALECTS: dict[str, tuple[Callable[[Mapping[str, Any]], bool], Callable[[Row], Row]]] = {
    "label-studio": (_is_label_studio, _label_studio),
    "argilla": (_is_argilla, _argilla),
    "doccano": (_is_doccano, _doccano),
}
JUDGED_BY_NAME = ("label-studio", "argilla")  # a question without an answer is not even named
NAMES = {"label-studio": "Label Studio", "argilla": "Argilla", "doccano": "doccano"}


def people_of(cells: Iterable[Any]) -> list[str]:
    """Who said something in these cells."""
    return sorted({one["by"] for cell in cells for one in judged(cell) or () if not one["machine"]})

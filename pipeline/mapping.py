"""What the columns of a file mean here, and a row read by that: its text, its label, and who said so.

Where people's judgements come with a row, its label is what most of them said; each judgement is kept beside it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Mapping as Values
from dataclasses import asdict, dataclass, field, fields, replace
from functools import lru_cache
from typing import Any, BinaryIO

from classifier.normalize import normalized_hash
from pipeline.dialects import JUDGED_BY_NAME, judged, unfold
from pipeline.importers import FILE, FOLDER, SPLIT, BadRow, Columns, Record, RowError, importers
from pipeline.records import SAFE, UNSAFE, Label

ROLES = ("text", "label", "categories", "language", "family", "external_id", "annotator")
SURROGATE = re.compile("[\ud800-\udfff]")
LONGEST_NAME = 100  # characters of the name of a label, a category, a family
MOST_JUDGEMENTS = 100  # of one text
# What other tools call the two labels.
LABELS: dict[str, Label] = {
    **dict.fromkeys(("safe", "0", "benign", "harmless", "not_harmful", "unharmful", "negative", "false"), SAFE),
    **dict.fromkeys(("unsafe", "1", "harmful", "toxic", "positive", "true", "malicious"), UNSAFE),
}


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one annotator, or a machine, said of a text before it came here."""

    annotator: str
    label: str  # empty where the label was left out
    categories: tuple[str, ...] = ()
    said: tuple[str, ...] = ()  # in the words of the file
    machine: bool = False


@dataclass(frozen=True, slots=True)
class ImportedRow:
    """A row that can be taken."""

    line: int  # where it begins, from 1
    text: str
    label: Label
    categories: tuple[str, ...] = ()
    pair: str = ""  # rows of the same pair are one family: a seed and its twin
    language: str = "en"
    external_id: str = ""
    judgements: tuple[Judgement, ...] | None = None  # none where the file names nobody


class LeftOut(Exception):
    """The row holds only what the mapping leaves out."""


@dataclass(frozen=True)
class Mapping:
    """Which column is what, and what its values are here. As it stands: the names that we document."""

    text: str = "text"
    label: str = "label"
    categories: str = "categories"
    language: str = "language"
    family: str = "pair"
    external_id: str = ""
    annotator: str = ""
    dialect: str = ""  # the tool that exported the file
    labels: Values[str, str] = field(default_factory=dict)  # safe, unsafe, unsafe:category; empty leaves it out
    names: Values[str, str] = field(default_factory=dict)  # a category's key; empty leaves it out
    splits: tuple[str, ...] = ()  # of an archive; none takes all

    @classmethod
    def of(cls, values: Values[str, Any]) -> Mapping:
        """From JSON; what is not known is passed over."""
        known = {one.name: values[one.name] for one in fields(cls) if one.name in values}
        return cls(**{**known, "splits": tuple(known.get("splits", ()))})

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def columns(self) -> Columns | None:
        """What has to be read; all of it where a tool's columns are made of others."""
        if self.dialect:
            return None
        named = [name for role in ROLES if (name := getattr(self, role)) and name not in (FILE, FOLDER, SPLIT)]
        needed = tuple(name for name in (self.text, self.label) if name in named)
        return Columns(needed, (*named, "category"))


class Reader:
    """Reads rows by a mapping, for a policy with these categories."""

    def __init__(self, mapping: Mapping, categories: frozenset[str]) -> None:
        self._mapping, self._categories = mapping, categories
        self.meaning = lru_cache(maxsize=4096)(self._meaning)

    def row(self, record: Record) -> ImportedRow:
        """Check the values of a row.

        Raises:
            BadRow: one of them cannot be taken.
            LeftOut: none of them is wanted.
        """
        mapping, values = self._mapping, record.values
        if mapping.dialect:
            values = unfold(mapping.dialect, values)
        language = _short(values.get(mapping.language), "language", 8) or "en"
        family = _short(values.get(mapping.family), "pair" if mapping.family == "pair" else "family", LONGEST_NAME)
        external = (
            _short(values.get(mapping.external_id), "the external id", LONGEST_NAME) if mapping.external_id else ""
        )
        text = _text(values.get(mapping.text))
        judgements = self._judgements(values)
        if judgements is not None:
            # The label is counted when all of them are known: more may follow for the same text.
            return ImportedRow(record.line, text, SAFE, (), family, language, external, tuple(judgements))
        label, categories = self.label(labels_of(values.get(mapping.label)), self._named(values))
        if not label:
            raise LeftOut
        return ImportedRow(record.line, text, label, categories, family, language, external)

    def _named(self, values: Values[str, Any]) -> list[str]:
        column = self._mapping.categories
        value = values.get(column) or (values.get("category") if column == "categories" else None)
        return names_of(value) if value else []

    def label(self, said: list[str], named: list[str]) -> tuple[Any, tuple[str, ...]]:
        """What labels and names of categories mean together; an empty label where all of it is left out.

        Raises:
            BadRow: a word has no meaning here, or two contradict each other.
        """
        if not said:
            raise BadRow("label should be safe or unsafe, found nothing")
        meant = [self.meaning(word) for word in said]
        labels = {label for label, _ in meant if label}
        keys = [key for _, key in meant if key] + [key for name in named if (key := self._category(name))]
        if len(labels) > 1:
            raise BadRow("labelled both safe and unsafe; map one of them to leave out")
        label = next(iter(labels), "")
        if label == SAFE and keys:
            raise BadRow("labelled safe, but it names a category; leave one of them out")
        return label, tuple(dict.fromkeys(keys))

    def _meaning(self, word: str) -> tuple[str, str]:
        """Label and category that a value stands for."""
        meant = self._mapping.labels.get(word)
        if meant is None:
            meant = LABELS.get(word.casefold())
        if meant is None:
            raise BadRow(f"label should be safe or unsafe, found {word[:40]!r}")
        label, _, key = meant.partition(":")
        return label, key

    def _category(self, name: str) -> str:
        key = self._mapping.names.get(name)
        if key is None:
            key = name
        if key and key not in self._categories:
            raise BadRow(f"the policy has no category {key[:60]!r}; it has: {', '.join(sorted(self._categories))}")
        return key

    def _judgements(self, values: Values[str, Any]) -> list[Judgement] | None:
        """What each annotator said; None where a file names none."""
        cell = values.get(self._mapping.label)
        cells = [] if cell is None and self._mapping.dialect in JUDGED_BY_NAME else judged(cell)
        if cells is not None:
            named = judged(values.get(self._mapping.categories)) or []
            return list(map(self._judgement, _together(cells, named)))
        if not self._mapping.annotator:
            return None
        by = _short(values.get(self._mapping.annotator), "annotator", 150)
        said = labels_of(values.get(self._mapping.label))
        if not said:  # one file a person lists what they have not judged, too
            return []
        return [self._judgement((by, False, said, self._named(values)))]

    def _judgement(self, one: tuple[str, bool, list[str], list[str]]) -> Judgement:
        by, machine, said, named = one
        if "\0" in by or any(len(word) > LONGEST_NAME or "\0" in word for word in (*said, *named)):
            raise BadRow(f"an annotator's label should be a name of at most {LONGEST_NAME} characters")
        label, categories = self.label(said, named)
        return Judgement(by, label, categories, (*said, *named), machine)


def _together(
    labels: list[dict[str, Any]], named: list[dict[str, Any]]
) -> list[tuple[str, bool, list[str], list[str]]]:
    """One entry for each who gave a label, with the categories that the same one named."""
    beside: dict[tuple[str, bool], list[str]] = {}
    for one in named:
        beside.setdefault((one["by"], one["machine"]), []).extend(one["values"])
    return [
        (one["by"], one["machine"], one["values"], beside.get((one["by"], one["machine"]), []))
        for one in labels if one["values"]
    ]  # fmt: skip


def decided(row: ImportedRow) -> ImportedRow:
    """The row with the label that most of its annotators gave, and the categories that half of those named.

    Raises:
        BadRow: no person gave one, or as many gave the one as the other.
        LeftOut: all of them gave one that is left out.
    """
    people = [one for one in row.judgements or () if not one.machine]
    if not people:
        raise BadRow("labelled by a machine only" if row.judgements else "labelled by nobody")
    counts = Counter(one.label for one in people if one.label)
    if not counts:
        raise LeftOut
    if counts[SAFE] == counts[UNSAFE]:
        raise BadRow(f"its annotators disagree: {counts[SAFE]} say safe, {counts[UNSAFE]} unsafe")
    label: Label = SAFE if counts[SAFE] > counts[UNSAFE] else UNSAFE
    return replace(row, label=label, categories=_named_by_half([one for one in people if one.label == label]))


def _named_by_half(judgements: list[Judgement]) -> tuple[str, ...]:
    counts = Counter(key for one in judgements for key in one.categories)
    least = min(len(judgements) / 2, max(counts.values(), default=0))
    return tuple(key for key, count in counts.items() if count >= least)


# Values of cells


def labels_of(value: Any) -> list[str]:
    """The words of a label: one, or those of a list."""
    if value is None or value == "":
        return []
    if isinstance(value, dict) and isinstance(value.get("choices"), list):  # Label Studio's JSON-MIN
        value = value["choices"]
    listed = value if isinstance(value, list | tuple) else [value]
    if not all(isinstance(one, str | int | float) for one in listed):
        raise BadRow(f"label should be safe or unsafe, found {type(value).__name__}")
    return [word for one in listed if (word := _word(one))]


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():  # what a spreadsheet or a column with gaps makes of 1
        value = int(value)
    return str(value).strip()


def names_of(value: Any) -> list[str]:
    """The names of categories: those of a list, of a text parted by | ; or commas, or of a table of yes and no."""
    if isinstance(value, dict) and isinstance(value.get("choices"), list):
        value = value["choices"]
    if isinstance(value, str):
        for mark in ";,":
            value = value.replace(mark, "|")
        value = value.split("|")
    elif isinstance(value, dict) and all(isinstance(one, bool | int | float | None) for one in value.values()):
        value = [name for name, yes in value.items() if yes and yes >= 0.5]
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        raise BadRow("categories should be a list of names")
    return list(dict.fromkeys(name.strip() for name in value if name.strip()))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise BadRow("has no text" if value is None else f"text should be a string, found {type(value).__name__}")
    if not value.strip():
        raise BadRow("text is empty")
    if "\0" in value:
        raise BadRow("text holds a NUL character, which no database takes")
    if SURROGATE.search(value):
        raise BadRow("text holds half a surrogate pair, which is no character")
    return value.strip()


def _short(value: Any, name: str, longest: int) -> str:
    if value in (None, ""):
        return ""
    if not isinstance(value, str | int) or len(str(value)) > longest or "\0" in str(value):
        raise BadRow(f"{name} should be a name of at most {longest} characters")
    return str(value).strip()


# Files


class Taken:
    """The rows of a file that can be taken, with those that repeat another found; counts what was left out.

    Rows of the same text by several annotators become one, so they are held until all are read.
    """

    def __init__(self, reader: Reader, mapping: Mapping) -> None:
        self._row, self._mapping = reader.row, mapping
        self._first: dict[str, int] = {}
        self._held: dict[str, ImportedRow] = {}
        self.left_out = 0

    def __call__(self, records: Iterable[Record | RowError]) -> Iterator[ImportedRow | RowError]:
        splits = self._mapping.splits
        for record in records:
            if isinstance(record, RowError):
                yield record
                continue
            if splits and record.values.get(SPLIT) not in splits:
                continue
            if (row := self._tried(self._one, record, record.line, record.where)) is not None:
                yield row
        for held in self._held.values():
            if (row := self._tried(decided, held, held.line)) is not None:
                yield row

    def _tried(
        self, read: Callable[[Any], ImportedRow | None], given: Any, line: int, where: str = ""
    ) -> ImportedRow | RowError | None:
        try:
            return read(given)
        except BadRow as error:
            return RowError(line, f"{where}: {error}" if where else str(error))
        except LeftOut:
            self.left_out += 1
            return None

    def _one(self, record: Record) -> ImportedRow | None:
        """A row; None where it is held."""
        row = self._row(record)
        key = normalized_hash(row.text)
        if self._mapping.annotator:
            self._hold(key, row)
            return None
        first = self._first.setdefault(key, row.line)
        if first != row.line:
            raise BadRow(f"repeats line {first} of this file")
        return row if row.judgements is None else decided(row)

    def _hold(self, key: str, row: ImportedRow) -> None:
        held = self._held.setdefault(key, row)
        if held is row:
            return
        before, more = held.judgements or (), row.judgements or ()
        if {one.annotator for one in before} & {one.annotator for one in more} or len(before) >= MOST_JUDGEMENTS:
            raise BadRow(f"repeats line {held.line} of this file by the same annotator")
        self._held[key] = replace(held, judgements=(*before, *more))


def read(format: str, file: BinaryIO, mapping: Mapping, categories: frozenset[str]) -> Iterator[ImportedRow | RowError]:
    """The rows of a file: those that can be taken, and the others with their reason."""
    return Taken(Reader(mapping, categories), mapping)(importers.make(format)(file, mapping.columns))

"""Guessing what the columns of a file mean, from names and values. A person sees every guess and decides."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from pipeline.importers import FILE, FOLDER, SPLIT
from pipeline.look import Column, Look
from pipeline.mapping import LABELS, ROLES, Mapping
from pipeline.records import SAFE, UNSAFE

# Names that others give to each column, the surest first.
KNOWN: dict[str, tuple[str, ...]] = {
    "text": (
        "text", "prompt", "content", "message", "user_input", "input", "sentence", "comment", "comment_text", "query",
        "question", "instruction", "utterance", "body", "user_message",
    ),
    "label": (
        "label", "labels", "prompt_label", "prompt_harm_label", "is_safe", "safe", "is_unsafe", "unsafe", "is_harmful",
        "harmful", "toxicity", "toxic", "is_toxic", "verdict", "class", "target", "safety", "cats", "safety_label",
        "gold_label", "true_label", "ground_truth", "label_text", "label_name", "is_malicious", "malicious",
        "is_offensive", "offensive", "is_hateful", "hateful", "is_hate", "jailbreak", "is_jailbreak", "harm", "is_bad",
        "flagged", "is_flagged", "classification", "annotation", "y", "y_true",
    ),
    "categories": (
        "categories", "category", "violated_categories", "hazards", "hazard", "harm_category", "subcategory",
        "harm_categories", "harms", "hazard_category", "violations", "taxonomy", "topic",
    ),
    "language": ("language", "lang", "locale", "language_code"),
    "family": (
        "pair", "family", "group", "pair_id", "family_id", "group_id", "conversation_id", "cluster", "parent_id",
    ),
    "external_id": (
        "id", "_id", "uid", "uuid", "external_id", "example_id", "record_id", "prompt_id", "text_id", "idx",
    ),
    "annotator": (
        "annotator", "annotator_id", "annotated_by", "labeler", "labeler_id", "rater", "rater_id", "worker",
        "worker_id", "user", "username", "user_id", "completed_by", "reviewer",
    ),
}  # fmt: skip
SAFE_WORDS = {"safe", "none", "no violation", "allowed", "ok", "acceptable", "clean", "not harmful", "non toxic"}
UNSAFE_WORDS = {
    "unsafe", "violation", "blocked", "refused", "bad", "hate speech", "offensive", "flagged", "not allowed",
    "not safe", "jailbreak",
}  # fmt: skip
YES_OR_NO = {"true", "false", "1", "0", "yes", "no"}
CHILDREN = re.compile(r"minor|child", re.IGNORECASE)
LANGUAGE = re.compile(r"[a-z]{2,3}([-_][A-Za-z]{2,4})?")
LEAST_KNOWN = 0.5  # share of a column's values that must be known for it to be guessed by them


@dataclass(frozen=True)
class Hazard:
    """A category of the policy and the names that it has elsewhere."""

    key: str
    name: str
    elsewhere: tuple[str, ...] = ()


def plain(word: str) -> str:
    """A name without its case, its number and its marks: `S10: Hate` and `hate` are the same."""
    word = re.sub(r"^(s|o|c)?\d{1,2}\s*[:.)-]\s*", "", word.strip().casefold())
    return " ".join(re.findall(r"[^\W_]+", word.replace("&", " and ")))


class Taxonomy:
    """Finds the category of a policy that a name stands for."""

    def __init__(self, hazards: Iterable[Hazard]) -> None:
        self._keys: dict[str, str] = {}
        elsewhere: dict[str, set[str]] = {}
        for hazard in hazards:
            self._keys |= dict.fromkeys((plain(hazard.key), plain(hazard.name)), hazard.key)
            for name in hazard.elsewhere:
                for form in _forms(name):
                    elsewhere.setdefault(form, set()).add(hazard.key)
        # Where others have one name for several of ours, only a person knows which is meant.
        clear = {form: next(iter(keys)) for form, keys in elsewhere.items() if len(keys) == 1}
        self._keys = clear | self._keys

    def key(self, word: str) -> str:
        """The category's key; empty where none is known by this name."""
        first, last = word.partition("/")[0], word.rpartition("/")[2]
        # A part may be wider than the whole: of what concerns children only the whole counts.
        parts = () if CHILDREN.search(word) else (plain(last), plain(first))
        return next((key for form in (*_forms(word), *parts) if (key := self._keys.get(form))), "")


def _forms(name: str) -> tuple[str, ...]:
    """The whole name, and the number that Llama Guard gives it."""
    number = re.match(r"s\d{1,2}\b", name.strip().casefold())
    return (plain(name), number[0]) if number else (plain(name),)


def guess(look: Look, taxonomy: Taxonomy) -> Mapping:
    """The mapping that a file seems to want: columns by their names, then by their values."""
    left = [column for column in look.columns if column.name not in (FILE, FOLDER, SPLIT)]
    found: dict[str, str] = {}
    for role in ROLES:
        by_name = _label if role == "label" else _by_name
        if column := by_name(role, left, taxonomy) or _by_values(role, left, taxonomy):
            found[role] = column.name
            left.remove(column)
    _by_place(look, found, taxonomy)
    mapping = replace(Mapping.of({role: found.get(role, "") for role in ROLES}), dialect=look.dialect)
    return with_values(mapping, look, taxonomy)


def _by_name(role: str, columns: list[Column], taxonomy: Taxonomy) -> Column | None:
    return next(iter(_named(role, columns, taxonomy)), None)


def _named(role: str, columns: list[Column], taxonomy: Taxonomy) -> list[Column]:
    """The columns that bear a name of the role, the surest name first."""
    fit = [column for column in columns if _fits(role, column, taxonomy)]
    return [column for name in KNOWN[role] for column in fit if _written(column.name) == name]


def _written(name: str) -> str:
    """A name as we list them: `isHarmful`, `Is-Harmful` and `is harmful` are all `is_harmful`."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())
    return re.sub(r"[\s.\-]+", "_", apart).casefold()


def _label(role: str, columns: list[Column], taxonomy: Taxonomy) -> Column | None:
    """A column that has both a name and values of a label, else one of the two; a yes or no of unknown name is last."""
    named = _named(role, columns, taxonomy)
    told = [column for column in named if _says(column, taxonomy, YES_OR_NO) >= LEAST_KNOWN]
    said = [column for column in columns if _says(column, taxonomy, set()) >= LEAST_KNOWN]
    pairs = [column for column in columns if len(column.values or {}) == 2]
    answers = [column for column in pairs if _says(column, taxonomy, YES_OR_NO) == 1]
    return next(iter([*told, *said, *named]), None) or _by_values(role, columns, taxonomy) or next(iter(answers), None)


def _says(column: Column, taxonomy: Taxonomy, also: set[str]) -> float:
    """How much of a column says just safe or unsafe; yes, no and their like count where they are `also` taken."""
    values = column.values or {}
    plainly = {
        word: count
        for word, count in values.items()
        if (plain(word) in also or plain(word) not in YES_OR_NO) and meaning(word, taxonomy) in (SAFE, UNSAFE)
    }
    return sum(plainly.values()) / sum(values.values()) if values else 0.0


def _fits(role: str, column: Column, taxonomy: Taxonomy) -> bool:
    if role == "text":
        return column.values is None or column.mean_length > 0
    if role == "annotator":
        return not column.judged
    return role != "label" or column.values is not None


def _by_values(role: str, columns: list[Column], taxonomy: Taxonomy) -> Column | None:
    if role == "text":
        texts = [column for column in columns if column.mean_length > 0 and not column.judged]
        return max(texts, key=lambda column: column.mean_length, default=None)
    if role in ("family", "external_id", "annotator"):
        return None  # only their names tell them
    scored = [(_share(role, column, taxonomy), column) for column in columns]
    best, column = max(scored, key=lambda pair: pair[0], default=(0.0, None))
    return column if best >= LEAST_KNOWN else None


def _share(role: str, column: Column, taxonomy: Taxonomy) -> float:
    """How much of a column's values the role would know."""
    values = (column.names if role == "categories" else column.values) or {}
    known: dict[str, Callable[[str], object]] = {
        "label": lambda word: not word.isdigit() and meaning(word, taxonomy),
        "categories": taxonomy.key,
        "language": LANGUAGE.fullmatch,
    }
    total = sum(values.values())
    return sum(count for word, count in values.items() if known[role](word)) / total if total else 0.0


def _by_place(look: Look, found: dict[str, str], taxonomy: Taxonomy) -> None:
    """Where the columns say nothing, the names of files and folders may: a file a person, a folder a label."""
    file, folder = look.column(FILE), look.column(FOLDER)
    if "label" not in found and folder and _share("label", folder, taxonomy) >= LEAST_KNOWN:
        found["label"] = FOLDER
    several = file is not None and file.values is not None and len(file.values) > 1
    if look.dialect == "doccano" and several and not look.splits and "annotator" not in found:
        found["annotator"] = FILE


def with_values(mapping: Mapping, look: Look, taxonomy: Taxonomy) -> Mapping:
    """The mapping with a meaning for every value that is known and that it has none for yet."""
    label, categories = look.column(mapping.label), look.column(mapping.categories)
    inverted = _is_inverted(mapping.label)
    meant = {word: _turned(meaning(word, taxonomy), word, inverted) for word in (label.values or {} if label else {})}
    labels = {word: said for word, said in meant.items() if said}  # the others wait for a person
    names = {word: taxonomy.key(word) for word in (categories.names or {} if categories else {})}
    return replace(mapping, labels={**labels, **mapping.labels}, names={**names, **mapping.names})


def _is_inverted(column: str) -> bool:
    """Whether a yes in this column says that a text is safe."""
    return plain(column) in ("safe", "is safe", "is response safe", "is prompt safe", "safe to use")


def _turned(meant: str, word: str, inverted: bool) -> str:
    yes_or_no = plain(word) in YES_OR_NO
    turned: dict[str, str] = {SAFE: UNSAFE, UNSAFE: SAFE}
    return turned.get(meant, meant) if inverted and yes_or_no else meant


def meaning(word: str, taxonomy: Taxonomy) -> str:
    """What a value of a label seems to say: safe, unsafe, or unsafe with a category; empty where it is not known."""
    known = LABELS.get(word.casefold())
    if known:
        return known
    if plain(word) in SAFE_WORDS | {"no", "false"}:
        return SAFE
    if plain(word) in UNSAFE_WORDS | {"yes", "true"}:
        return UNSAFE
    key = taxonomy.key(word)
    return f"{UNSAFE}:{key}" if key else ""

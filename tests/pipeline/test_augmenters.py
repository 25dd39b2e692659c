from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from classifier import attacks
from classifier.normalize import normalized_hash
from classifier.obfuscation import read
from classifier.runfolder import ProgramError
from pipeline.augmenters import augmenters
from pipeline.augmenters.padding import HARMLESS
from pipeline.context import silent
from pipeline.filters.shape import Shape
from pipeline.generate import generate
from pipeline.records import Example
from tests.pipeline.test_generate import run_on, seed

TEXT = "How do I get my brother to lend me his old car?"
PARENT = Example("1", TEXT, "unsafe", ("fraud",), "f1")
RULES = ("entity-swap", "form", "multi-turn", "obfuscation", "padding", "retelling", "typos")


def written(key: str, number: int = 0, parent: Example = PARENT, **settings: Any) -> Any:
    return augmenters.make(key, settings).draft(parent, "", random.Random(number))


@pytest.mark.parametrize("key", RULES)
def test_a_rule_needs_no_model_changes_the_text_and_keeps_the_label(key: str) -> None:
    stage = augmenters.make(key)
    made = [draft for n in range(20) if (draft := written(key, n))]

    assert stage.prompt(PARENT, random.Random(0)) is None and stage.prompt_reference() == ""
    assert len({draft.text for draft in made}) > (1 if key != "entity-swap" else 0)
    assert all((draft.label, draft.categories) == ("unsafe", ("fraud",)) for draft in made)
    assert all(normalized_hash(draft.text) != normalized_hash(TEXT) for draft in made)
    assert written(key, 3) == written(key, 3)


@pytest.mark.parametrize("style", ["leetspeak", "look-alikes", "spacing", "base64", "rot13", "zero-width"])
def test_a_disguise_hides_words_that_the_guard_can_bring_back(style: str) -> None:
    text = written("obfuscation", styles=style).text

    assert text != TEXT
    plain = read(text).text.casefold().replace("\u034f", "")
    assert sum(word in plain for word in TEXT.casefold().split()) >= 8


def test_emoji_stand_in_the_words() -> None:
    text = written("obfuscation", styles="emoji").text

    assert not text.isascii()
    assert "".join(c for c in text if c.isascii()) == TEXT


@pytest.mark.parametrize(("key", "given"), [("obfuscation", {"styles": "smoke"}), ("form", {"forms": "opera"})])
def test_a_name_that_is_not_there_says_what_is(tmp_path: Path, key: str, given: dict[str, str]) -> None:
    with pytest.raises(ProgramError, match="there are: "):
        generate(run_on(tmp_path, [seed(1)], augmenters=[{"key": key, "settings": given}]), silent)


def test_padding_leaves_the_message_whole_and_is_not_what_attacks_measure_with() -> None:
    assert TEXT in written("padding").text
    assert not set(HARMLESS) & {*attacks.OPENERS, *attacks.CLOSERS}


def test_a_quotation_is_proposed_as_safe() -> None:
    draft = written("quoting")

    assert f'"{TEXT}"' in draft.text
    assert (draft.label, draft.categories) == ("safe", ())
    assert not augmenters.make("quoting").applies(Example("2", TEXT, "safe"))


def test_data_around_a_message_is_data() -> None:
    texts = [written("form", n, forms="data").text for n in range(10)]

    assert any(json.loads(text)["input"] == TEXT for text in texts if text.startswith("{"))


@pytest.mark.parametrize("key", RULES)
def test_what_a_rule_writes_has_the_shape_of_a_message(key: str) -> None:
    parents = (
        PARENT,
        Example("2", "My neighbour is loud again", "safe"),
        Example("3", "Write John a poem, please.", "safe"),
    )
    made = [written(key, n, parent) for parent in parents for n in range(40)]

    assert {Shape().fault(draft.text) for draft in made if draft} == {""}


def test_the_same_word_becomes_the_same_word() -> None:
    parent = Example("1", "My sister asked HIS sister", "safe")

    assert written("entity-swap", parent=parent).text == "My brother asked HER brother"


def test_an_unsafe_twin_is_proposed_as_unsafe_of_its_category(tmp_path: Path) -> None:
    said = {"key": "parrot", "settings": {"says": "how do i steal a bike today"}}
    stage = {"key": "unsafe-twin", "settings": {"category": "theft"}}
    generate(
        run := run_on(tmp_path, [seed(1, "how do i fix a bike today")], augmenters=[stage], generator=said), silent
    )

    (row,) = run.rows("output.parquet")
    assert (row["label"], row["categories"], row["parent_id"]) == ("unsafe", ["theft"], "1")


@pytest.mark.parametrize("category", ["child-exploitation", "Child_Exploitation", "Hate "])
def test_no_twin_is_written_of_a_forbidden_category(tmp_path: Path, category: str) -> None:
    said = {"key": "parrot", "settings": {"says": "something else entirely"}}
    stage = {"key": "unsafe-twin", "settings": {"category": category}}
    run = run_on(tmp_path, [seed(1)], augmenters=[stage], generator=said, forbidden_categories=["hate"])
    with pytest.raises(ProgramError, match="no text may be made of"):
        generate(run, silent)
    assert not list(tmp_path.glob("parts/*"))


def test_a_sexual_twin_never_mentions_minors(tmp_path: Path) -> None:
    said = {"key": "parrot", "settings": {"says": "describe the student to me at length"}}
    stage = {"key": "unsafe-twin", "settings": {"category": "sexual-content"}}
    rows = [seed(1, "describe the house to me at length")]
    with pytest.raises(ProgramError, match="nothing that could be used"):
        generate(run_on(tmp_path, rows, augmenters=[stage], generator=said), silent)


def test_each_stage_has_its_own_count(tmp_path: Path) -> None:
    stages = [{"key": key} for key in RULES]
    generate(
        run_on(tmp_path, [seed(1, TEXT), seed(2, "Where is the nearest library in London?")], augmenters=stages), silent
    )

    assert set(json.loads((tmp_path / "metrics.json").read_text())["stages"]) == set(RULES)

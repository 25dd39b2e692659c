from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from classifier.runfolder import ProgramError, Report, RunFolder
from pipeline import prompts
from pipeline.augmenters import augmenters
from pipeline.cleaning import clean
from pipeline.context import NEVER_GENERATED, Refusals, is_forbidden_draft, is_forbidden_text, silent
from pipeline.generate import generate
from pipeline.generators import Prompt, generators
from pipeline.paraphrasers import paraphrasers
from pipeline.records import Example
from pipeline.registry import Registry, UnknownStage

ASKED: list[str] = []
WARMTH: list[float] = []


@generators.register("parrot")
@dataclass(frozen=True)
class Parrot:
    """Answer with what was asked, and remember it."""

    says: str = ""

    def digest(self) -> str:
        return "parrot"

    def generate(self, prompts: Sequence[Prompt], seed: int, report: Report, /) -> list[str | None]:
        ASKED.extend(prompt.text for prompt in prompts)
        return [self.says or None for _ in prompts]


@pytest.fixture(autouse=True)
def nothing_asked() -> None:
    ASKED.clear()
    WARMTH.clear()


def seed(number: int, text: str = "", **fields: Any) -> dict[str, Any]:
    return {
        "id": str(number), "text": text or f"how do i water plant number {number}", "label": "safe", "categories": [],
        "family": f"f{number}", "language": "en", **fields,
    }  # fmt: skip


def run_on(folder: Path, rows: list[dict[str, Any]], **settings: Any) -> RunFolder:
    run = RunFolder(folder)
    run.write_rows(rows, "input.parquet")
    defaults = {"augmenters": [{"key": "chat-spelling", "settings": {"share": 1.0}}], "generator": {"key": "parrot"}}
    run.write_request({"settings": {**defaults, **settings}})
    return run


def test_drafts_carry_all_that_made_them(tmp_path: Path) -> None:
    said = {"key": "parrot", "settings": {"says": "What is the way to water a plant?"}}
    run = run_on(tmp_path, [seed(1)], augmenters=[], paraphrasers=[{"key": "paraphrase"}], generator=said)

    generate(run, silent)

    (row,) = run.rows("output.parquet")
    assert row["text"] == "What is the way to water a plant?"
    assert (row["parent_id"], row["family"], row["origin"], row["stage"]) == ("1", "f1", "paraphrased", "paraphrase")
    assert row["prompt"].startswith("paraphrase.v2@")
    assert row["model"] == "parrot"
    assert json.loads(row["settings"])["temperature"] == 0.6


def test_a_safe_twin_of_an_unsafe_seed_is_proposed_as_safe(tmp_path: Path) -> None:
    said = {"key": "parrot", "settings": {"says": "how do i borrow a bike"}}
    rows = [seed(1, "how do i steal a bike", label="unsafe", categories=["theft"]), seed(2)]

    generate(run := run_on(tmp_path, rows, augmenters=[{"key": "safe-twin"}], generator=said), silent)

    (row,) = run.rows("output.parquet")
    assert (row["parent_id"], row["label"], row["categories"]) == ("1", "safe", [])


def test_what_abstains_is_counted_and_never_stored(tmp_path: Path) -> None:
    run = run_on(tmp_path, [seed(1), seed(2)], paraphrasers=[{"key": "paraphrase"}])

    generate(run, silent)

    stages = json.loads((tmp_path / "metrics.json").read_text())["stages"]
    assert stages["paraphrase"] == {"asked": 2, "made": 0, "abstained": 2}
    assert {row["stage"] for row in run.rows("output.parquet")} == {"chat-spelling"}


def test_a_generator_that_says_nothing_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match="nothing that could be used"):
        generate(run_on(tmp_path, [seed(1)], augmenters=[], paraphrasers=[{"key": "paraphrase"}]), silent)


@generators.register("interpreter")
@dataclass(frozen=True)
class Interpreter:
    """Translates between two languages of a word each, and remembers what it was asked."""

    german: str = "wie gieße ich meine Pflanzen"
    english: str = "what is the way to water plants"

    def digest(self) -> str:
        return "interpreter"

    def generate(self, prompts: Sequence[Prompt], seed: int, report: Report, /) -> list[str | None]:
        ASKED.extend(prompt.text for prompt in prompts)
        texts = [self.german if prompt.text.endswith("German:") else self.english for prompt in prompts]
        return [text or None for text in texts]


def test_a_round_trip_goes_into_the_language_and_back(tmp_path: Path) -> None:
    trip = [{"key": "round-trip"}]

    generate(
        run := run_on(tmp_path, [seed(1)], augmenters=[], paraphrasers=trip, generator={"key": "interpreter"}), silent
    )

    there, back = ASKED
    assert there.endswith("English: how do i water plant number 1\nGerman:")
    assert back.endswith("German: wie gieße ich meine Pflanzen\nEnglish:")
    (row,) = run.rows("output.parquet")
    assert (row["text"], row["origin"], row["stage"]) == (Interpreter.english, "paraphrased", "round-trip")
    assert row["prompt"].startswith("english-german.v1@")


@pytest.mark.parametrize("answer", ["", "I'm sorry, but I can't help with that."])
def test_a_round_trip_that_does_not_arrive_is_not_sent_back(tmp_path: Path, answer: str) -> None:
    mute = {"key": "interpreter", "settings": {"german": answer}}
    run = run_on(tmp_path, [seed(1), seed(2)], paraphrasers=[{"key": "round-trip"}], generator=mute)

    generate(run, silent)

    assert len(ASKED) == 2
    assert run.metrics()["stages"]["round-trip"] == {"asked": 2, "made": 0, "abstained": 2}


def test_a_round_trip_starts_from_english_only() -> None:
    stage = paraphrasers.make("round-trip")

    assert stage.applies(Example("1", "how do i water plants", "safe"))
    assert not stage.applies(Example("1", "wie gieße ich Pflanzen", "safe", language="de"))


@pytest.mark.parametrize("version", ["english-german.v1", "english-french.v1"])
def test_a_translation_prompt_reads_both_ways(version: str) -> None:
    there = prompts.load(version)

    assert there.reversed().reversed() == there
    assert there.reversed().render("x").endswith("x\nEnglish:")
    assert there.reversed().shots[0] == there.shots[0][::-1]


def test_the_same_request_gives_the_same_drafts(tmp_path: Path) -> None:
    rows = [seed(n) for n in range(20)]
    one, two = (run_on(tmp_path / name, rows, seed=4) for name in "ab")
    generate(one, silent)
    generate(two, silent)

    assert one.rows("output.parquet") == two.rows("output.parquet")


def test_a_run_that_was_killed_goes_on_with_the_next_part(tmp_path: Path) -> None:
    rows = [seed(n) for n in range(3000)]
    run = run_on(tmp_path, rows, augmenters=[{"key": "chat-spelling", "settings": {"share": 1.0}}])
    (run / "request.json").write_text((run / "request.json").read_text().replace("parrot", "local"))
    program = [sys.executable, "-m", "pipeline", "generate", str(tmp_path)]
    process = subprocess.Popen(program, stdout=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while len(list(tmp_path.glob("parts/*.parquet"))) < 5 and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = {part: part.stat().st_mtime_ns for part in tmp_path.glob("parts/*.parquet")}
    assert 5 <= len(kept) < 47

    assert subprocess.run(program, stdout=subprocess.DEVNULL, check=False).returncode == 0

    assert {part: part.stat().st_mtime_ns for part in kept} == kept
    drafts = run.rows("output.parquet")
    assert len(drafts) == len({row["parent_id"] for row in drafts}) > 2500


@pytest.mark.parametrize("key", ["child-exploitation", "Child_Exploitation", " child exploitation"])
def test_no_prompt_is_ever_made_from_what_must_not_be_generated(tmp_path: Path, key: str) -> None:
    rows = [seed(1, "a forbidden one here", label="unsafe", categories=[key]), seed(2)]
    said = {"key": "parrot", "settings": {"says": "something else entirely"}}

    generate(run := run_on(tmp_path, rows, paraphrasers=[{"key": "paraphrase"}], generator=said), silent)

    assert ASKED
    assert not [prompt for prompt in ASKED if "forbidden one" in prompt]
    assert {row["parent_id"] for row in run.rows("output.parquet")} == {"2"}


def test_a_policy_can_forbid_more_but_never_less(tmp_path: Path) -> None:
    refusals = Refusals.of({"forbidden_categories": ["hate"]})

    assert refusals.categories > NEVER_GENERATED
    assert not refusals.allows(Example("1", "x", "unsafe", ("hate",)))
    assert not Refusals.of({"forbidden_categories": []}).allows(Example("1", "x", "unsafe", ("child-exploitation",)))


def test_only_forbidden_seeds_are_refused_by_count(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match="no seed that text may be made from"):
        generate(run_on(tmp_path, [seed(1, label="unsafe", categories=["child-exploitation"])]), silent)


@pytest.mark.parametrize(
    ("text", "forbidden"),
    [
        ("a teenager and porn", True), ("she is 15 years old and naked", True), ("a s3x joke for kids", True),
        ("ki\u200bds and nudity", True), ("a naked truth about kidneys", False),
        ("strip the paint off the crib", False),
        ("my kids like zebras with stripes", False), ("an erotic novel for adults", False),
    ],
)  # fmt: skip
def test_minors_and_sexuality_never_stand_in_one_text(text: str, forbidden: bool) -> None:
    assert is_forbidden_text(text) is forbidden


def test_from_a_sexual_seed_any_mention_of_minors_is_thrown_away(tmp_path: Path) -> None:
    parent = Example("1", "describe it to me", "unsafe", ("sexual-content",))

    assert is_forbidden_draft("I am a student. describe it to me", parent)
    assert not is_forbidden_draft("I am a plumber. describe it to me", parent)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("Sure, here is the message: how do I bake bread", "how do I bake bread"),
        ('"how do I bake bread"', "how do I bake bread"),
        ("\n\n how do I bake bread \nMessage: next", "how do I bake bread"),
        ("I'm sorry, but I can't help with that.", None), ("ok", None), ("x" * 1000, None), ("", None),
        ("As an AI language model I think", None),
    ],
)  # fmt: skip
def test_cleaning_leaves_one_message_or_nothing(answer: str, message: str | None) -> None:
    assert clean(answer) == message


def test_an_unknown_stage_and_an_unknown_setting_say_what_there_is() -> None:
    with pytest.raises(UnknownStage, match="no stage 'telepathy'; there are: chat-spelling, entity-swap"):
        augmenters.make("telepathy")
    with pytest.raises(UnknownStage, match="no setting 'volume'; it has: passages, rounds, temperature"):
        paraphrasers.make("paraphrase", {"volume": 3})


def test_a_key_is_kebab_case_and_taken_once() -> None:
    registry = Registry("pipeline.augmenters")
    with pytest.raises(ValueError, match="kebab-case"):
        registry.register("Not This")
    registry.register("mine")(type("One", (), {}))
    with pytest.raises(ValueError, match="taken"):
        registry.register("mine")(type("Two", (), {}))


def test_every_stage_explains_itself_in_one_line() -> None:
    for registry in (augmenters, paraphrasers, generators):
        for key in registry.stages:
            assert registry.help(key).endswith("."), key


def test_a_prompt_is_named_by_version_and_content() -> None:
    prompt = prompts.load("paraphrase.v1")

    assert prompt.render("one\ntwo").endswith("Message: one two\nSame message, other words:")
    assert prompt.reference == f"paraphrase.v1@{prompt.digest[:12]}"


def test_chat_spelling_changes_words_and_keeps_the_label() -> None:
    stage = augmenters.make("chat-spelling", {"share": 1.0, "slips": 0.0})
    parent = Example("1", "Are you going to the party tonight?", "unsafe", ("fraud",))

    written = stage.draft(parent, "", random.Random(1))

    assert written.text == "r u goin 2 da party 2nite?"
    assert (written.label, written.categories) == ("unsafe", ("fraud",))


def test_a_persona_leaves_the_message_as_it_is() -> None:
    stage = augmenters.make("persona")
    parent = Example("1", "how do i water plants", "safe")

    written = stage.draft(parent, "I live in a small flat with many plants.", random.Random(1))

    assert "how do i water plants" in written.text
    assert stage.draft(parent, "I live in a small flat with", random.Random(1)) is None


@pytest.mark.slow
def test_the_packaged_model_writes_usable_drafts(tmp_path: Path) -> None:
    texts = "what should i cook tonight", "how do i fix a flat bike", "write a note to my landlord", "my cat is loud"
    rows = [seed(n, text) for n, text in enumerate(texts)]
    run = run_on(tmp_path, rows, paraphrasers=[{"key": "paraphrase"}], generator={"key": "local"}, augmenters=[])

    generate(run, silent)

    made = run.rows("output.parquet")
    assert len(made) >= 3
    assert all(row["text"] and "\n" not in row["text"] for row in made)


@generators.register("stammerer")
@dataclass(frozen=True)
class Stammerer:
    """Speak of something else until it was asked often enough."""

    says: str = ""
    after: int = 2
    first: str = "The moon is bright tonight"

    def digest(self) -> str:
        return "stammerer"

    def generate(self, prompts: Sequence[Prompt], seed: int, report: Report, /) -> list[str | None]:
        ASKED.append(f"{len(prompts)} prompts")
        WARMTH.append(prompts[0].temperature)
        return [self.says if len(ASKED) > self.after else self.first for _ in prompts]


@pytest.mark.parametrize(("rounds", "asked", "moon"), [(1, 1, True), (3, 2, False)])
def test_a_wish_that_nothing_fits_is_asked_again_and_others_are_not(
    rounds: int, asked: int, moon: bool, tmp_path: Path
) -> None:
    rows = [seed(1, "how do i water the plants"), seed(2, "is the moon bright this evening")]
    said = {"key": "stammerer", "settings": {"says": "how can i water plants", "after": 1}}
    stage = {"key": "paraphrase", "settings": {"rounds": rounds, "tries": 2}}
    run = run_on(tmp_path, rows, augmenters=[], paraphrasers=[stage], generator=said)

    generate(run, silent)

    rounds_asked = ["4 prompts", "2 prompts"]  # the second one is for the plants alone
    assert rounds_asked[:asked] == ASKED
    first, second = run.rows("output.parquet")
    assert (first["text"] == "The moon is bright tonight") is moon
    assert second["text"] == "The moon is bright tonight"


def test_a_model_that_loops_is_asked_again_and_writes_cooler(tmp_path: Path) -> None:
    loop = "how do i water the plants the plants the plants the plants the plants the plants"
    said = {"key": "stammerer", "settings": {"says": "how can i water plants", "after": 1, "first": loop}}
    rows = [seed(1, "how do i water the plants")]
    run = run_on(tmp_path, rows, augmenters=[], paraphrasers=[{"key": "paraphrase"}], generator=said)

    generate(run, silent)

    assert [row["text"] for row in run.rows("output.parquet")] == ["how can i water plants"]
    assert [0.6, pytest.approx(0.42)] == WARMTH


def test_what_cannot_be_said_again_as_a_whole_is_asked_for_by_a_passage(tmp_path: Path) -> None:
    text = "how do i water the plants in the hall? they look rather sad to me"
    said = {"key": "stammerer", "settings": {"says": "to my eyes they seem unhappy", "after": 1}}
    run = run_on(tmp_path, [seed(1, text)], augmenters=[], paraphrasers=[{"key": "paraphrase"}], generator=said)

    generate(run, silent)

    [row] = run.rows("output.parquet")
    assert row["text"] in {
        "how do i water the plants in the hall? to my eyes they seem unhappy",
        "to my eyes they seem unhappy they look rather sad to me",
    }


@generators.register("falters")
@dataclass(frozen=True)
class Falters:
    """Answer once, then fail as an endpoint does that answers none of its prompts."""

    def digest(self) -> str:
        return "falters"

    def generate(self, prompts: Sequence[Prompt], seed: int, report: Report, /) -> list[str | None]:
        if ASKED:
            raise ProgramError("The endpoint answered none of 1 prompts.")
        ASKED.append("once")
        return ["The moon is bright tonight" for _ in prompts]


def test_a_failure_when_asked_again_loses_nothing_of_the_first_answers(tmp_path: Path) -> None:
    rows = [seed(1, "is the moon bright this evening"), seed(2, "how do i water the plants")]
    run = run_on(tmp_path, rows, augmenters=[], paraphrasers=[{"key": "paraphrase"}], generator={"key": "falters"})
    generate(run, silent)
    assert len(run.rows("output.parquet")) == 2


LONG = " ".join(f"This is sentence number {n}, and it is about the plants of room {n}." for n in range(12))


def test_of_a_long_text_a_passage_of_whole_sentences_is_rewritten_and_the_rest_stays() -> None:
    stage, example = paraphrasers.make("paraphrase"), Example("1", LONG, "safe")
    draft = stage.draft(example, "It is all about the plants in other rooms.", random.Random(3))
    kept = draft.text.split("It is all about the plants in other rooms.")

    assert stage.applies(example)
    assert LONG.startswith(kept[0]) and LONG.endswith(kept[1]), "what stands around the passage is untouched"
    assert LONG[len(kept[0]) : len(LONG) - len(kept[1])] in stage.prompt(example, random.Random(3)).text
    assert {part.strip()[-1:] for part in kept} <= {"", "."}, "no sentence is cut"


@pytest.mark.parametrize("text", [LONG * 3, "x" * 400, "plants " * 60])
def test_a_text_without_a_passage_of_its_own_is_left_alone(text: str) -> None:
    assert not paraphrasers.make("paraphrase").applies(Example("1", text, "safe"))

"""The local generator reads nothing twice and waits for no ended row; what it writes is the same."""

from __future__ import annotations

from typing import Any

import pytest

from classifier.runfolder import ProgramError
from pipeline import prompts
from pipeline.generators import Prompt, local
from pipeline.generators.local import _read, _shared, _write, complete, sample, write

TEXTS = ["How do I bake bread?", "You are a nice person.", "What time does the library open on Sundays in the summer?"]


@pytest.fixture(scope="module")
def pair() -> tuple[Any, Any]:
    """The packaged tokenizer, and a tiny model of the same kind with weights of chance."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    from pipeline.generators.weights import DEFAULT_GENERATOR, generator_folder

    tokenizer = AutoTokenizer.from_pretrained(generator_folder(DEFAULT_GENERATOR), padding_side="left")
    torch.manual_seed(7)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4
    )
    return tokenizer, LlamaForCausalLM(config).eval()


PROMPTS = [prompts.load("paraphrase.v1").render(text) for text in TEXTS]
GREEDY = 1e-9  # of the probability: only the likeliest token fits


def plain(pair: tuple[Any, Any], texts: list[str]) -> list[list[int]]:
    """What the library writes after the texts, the likeliest token each time."""
    batch = pair[0](texts, return_tensors="pt", padding=True)
    output = pair[1].generate(**batch, do_sample=False, max_new_tokens=12, pad_token_id=pair[0].pad_token_id)
    rows: list[list[int]] = output[:, batch["input_ids"].shape[1] :].tolist()
    return rows


@pytest.mark.slow
@pytest.mark.parametrize(
    "texts",
    [PROMPTS, TEXTS, TEXTS[:1], [TEXTS[0], TEXTS[1], TEXTS[0]]],
    ids=["prompts of one stage", "nothing in common", "one alone", "one twice"],
)
def test_reading_what_is_shared_once_changes_nothing(pair: tuple[Any, Any], texts: list[str]) -> None:
    expected = pair[0].batch_decode(plain(pair, texts), skip_special_tokens=True)
    asked = [Prompt(text, max_new_tokens=12, temperature=1.0) for text in texts]
    assert complete(*pair, asked, GREEDY) == [text.strip() for text in expected]


@pytest.mark.slow
@pytest.mark.parametrize("row", [0, 1, 2])
@pytest.mark.parametrize("at", [0, 1, 5])
def test_a_row_ends_at_its_ending_and_the_others_go_on(pair: tuple[Any, Any], row: int, at: int) -> None:
    import torch

    rows = plain(pair, PROMPTS)
    nothing, ending = pair[0].eos_token_id, rows[row][at]
    ends = torch.tensor([nothing, ending])
    with torch.inference_mode():
        written = _write(pair[1], _read(*pair, PROMPTS), ends, 1.0, GREEDY, 12)
    for whole, part in zip(rows, written, strict=True):
        # One that comes first of all is the line break before the answer.
        end = next((i + 1 for i, token in enumerate(whole) if i and token == ending), len(whole))
        assert part == whole[:end]


def test_a_token_is_drawn_from_the_nucleus() -> None:
    import torch

    torch.manual_seed(0)
    scores = torch.log(torch.tensor([[0.1, 0.5, 0.05, 0.35]])).expand(400, -1)
    assert set(sample(scores, 1.0, 0.8).tolist()) == {1, 3}  # .5 does not reach .8, .5 and .35 do
    assert set(sample(scores, 1.0, 0.4).tolist()) == {1}
    counts = torch.bincount(sample(scores, 1.0, 1.0), minlength=4) / 400
    assert torch.allclose(counts, torch.tensor([0.1, 0.5, 0.05, 0.35]), atol=0.08)


def test_a_row_keeps_a_token_of_its_own() -> None:
    assert _shared([[1, 2, 3], [1, 2, 4]]) == 2
    assert _shared([[1, 2], [1, 2, 3]]) == 1
    assert _shared([[1, 2, 3]]) == 2
    assert _shared([[5, 2], [1, 2]]) == 0


def starved(most: int, sizes: list[int]) -> Any:
    """A model with memory for `most` prompts at a time."""

    def complete(tokenizer: Any, model: Any, batch: list[Prompt], top_p: float) -> list[str]:
        sizes.append(len(batch))
        if len(batch) > most:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return [prompt.text.upper() for prompt in batch]

    return complete


def count(texts: list[str]) -> dict[str, list[list[int]]]:
    return {"input_ids": [[0] * len(text) for text in texts]}


def test_where_memory_runs_out_it_goes_on_in_half_batches_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    said: list[str] = []
    monkeypatch.setattr(local, "complete", starved(4, sizes))
    asked = [Prompt(f"number {n}") for n in range(20)]

    answers = write(count, None, asked, 8, 0.9, 0, lambda done, total, message="", *_: said.append(message))

    assert answers == [f"NUMBER {n}" for n in range(20)]
    assert sizes == [8, 4, 4, 4, 4, 2, 2]
    assert said[0] == "Memory ran out: 4 prompts at a time from here" and len(set(said)) == 2


def test_where_half_a_batch_is_too_much_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "complete", starved(2, []))

    with pytest.raises(ProgramError, match="4 prompts at a time"):
        write(count, None, [Prompt("one")] * 8, 8, 0.9, 0, lambda *_: None)


def test_another_failure_is_not_taken_for_a_lack_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> list[str]:
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(local, "complete", broken)
    with pytest.raises(RuntimeError, match="shapes differ"):
        write(count, None, [Prompt("one")], 8, 0.9, 0, lambda *_: None)

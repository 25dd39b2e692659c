"""The local generator reads what its prompts share once; what it writes is the same."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline import prompts
from pipeline.generators.local import _encode, _shared

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


def written(pair: tuple[Any, Any], batch: Any) -> Any:
    output = pair[1].generate(**batch, do_sample=False, max_new_tokens=12, pad_token_id=pair[0].pad_token_id)
    return output[:, batch["input_ids"].shape[1] :].tolist()


@pytest.mark.slow
@pytest.mark.parametrize(
    "texts",
    [[prompts.load("paraphrase.v1").render(text) for text in TEXTS], TEXTS, TEXTS[:1], [TEXTS[0], TEXTS[0]]],
    ids=["prompts of one stage", "nothing in common", "one alone", "the same twice"],
)
def test_reading_the_shared_beginning_once_changes_nothing(pair: tuple[Any, Any], texts: list[str]) -> None:
    plain = pair[0](texts, return_tensors="pt", padding=True)
    assert written(pair, _encode(*pair, texts)) == written(pair, plain)


def test_a_row_keeps_a_token_of_its_own() -> None:
    assert _shared([[1, 2, 3], [1, 2, 4]]) == 2
    assert _shared([[1, 2], [1, 2, 3]]) == 1
    assert _shared([[1, 2, 3]]) == 2
    assert _shared([[5, 2], [1, 2]]) == 0

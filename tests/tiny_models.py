"""Random models of a few thousand weights, for tests of mechanics: what they say is noise, how they load is real."""

from __future__ import annotations

import string
from collections.abc import Iterable
from pathlib import Path
from typing import Any

# Whole words, so that a short sentence is a handful of tokens; anything else falls apart into characters.
WORDS = (
    "the a an and or not is are to of in on for with my your his her this that how do does can i you we they it what "
    "when where why who make write tell show find bake mend grow paint bread cake garden table chair song letter dog "
    "cat river road house rain sun red green blue small large old new quick slow good bad poison mushroom knife tea"
)
CHARACTERS = string.ascii_lowercase + string.digits + string.punctuation
POSITIONS = 512


def tiny_encoder(folder: Path, seed: int = 0) -> Path:
    """Write a random two-layer BERT (width 32) and a lower-casing WordPiece tokenizer; return the folder."""
    from transformers import BertConfig, BertModel

    tokenizer = _wordpiece()
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=POSITIONS, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    return _save(folder, tokenizer, BertModel, config, seed)


def tiny_llama(folder: Path, seed: int = 0) -> Path:
    """Write a random two-layer Llama (width 32) and a byte-level tokenizer with eos and pad; return the folder."""
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = _bytes()
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
        intermediate_size=64, max_position_embeddings=POSITIONS, tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    return _save(folder, tokenizer, LlamaForCausalLM, config, seed)


def _save(folder: Path, tokenizer: Any, model_class: Any, config: Any, seed: int) -> Path:
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = model_class(config)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _wordpiece() -> Any:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = [*special, *CHARACTERS, *(f"##{c}" for c in CHARACTERS), *WORDS.split()]
    tokenizer = Tokenizer(models.WordPiece(vocab=_numbered(pieces), unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", special.index("[CLS]")), ("[SEP]", special.index("[SEP]"))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        mask_token="[MASK]", model_max_length=POSITIONS,
    )  # fmt: skip


def _bytes() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = ["<|pad|>", "<|start|>", "<|end|>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(models.BPE(vocab=_numbered(pieces), merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<|pad|>", bos_token="<|start|>", eos_token="<|end|>",
        model_max_length=POSITIONS,
    )  # fmt: skip


def _numbered(pieces: Iterable[str]) -> dict[str, int]:
    return {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}

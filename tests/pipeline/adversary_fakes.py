"""A tiny random language model over a few plain words, and an arena of fakes around it."""

import hashlib
import random

import numpy as np

from pipeline.judge import Opinion
from pipeline.rewards import Arena
from pipeline.rewards.likeness import Known

TEXT = (
    "river stone garden window letter winter summer kitchen market tower bridge forest candle mirror basket "
    "ladder pepper button saddle hammer violin harbor pillow carpet copper velvet meadow lantern orchard zebra"
)
WORDS = TEXT.split()


def tiny_generator(folder, seed=0):
    """Save a random Llama of about 20 thousand weights whose tokens are whole words; return the folder."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    # Every word is of two to eight letters, so that anything it writes has the form of a sentence.
    vocabulary = {word: at for at, word in enumerate(["<unk>", "<end>", "<pad>", "<line>\n", *WORDS])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="<unk>", eos_token="<end>", pad_token="<pad>", padding_side="left"
    )
    torch.manual_seed(seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(vocabulary), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
            num_attention_heads=2, num_key_value_heads=2, eos_token_id=1, pad_token_id=2, bos_token_id=None,
            initializer_range=0.2,  # at the usual 0.02 the head is too weak for any adapter to change what is said
        )
    )  # fmt: skip
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def embed(texts):
    """Unit vectors [n, 64]: each text's own random direction."""
    rows = [
        np.random.default_rng(int(hashlib.sha256(text.encode()).hexdigest()[:8], 16)).normal(size=64) for text in texts
    ]
    return np.array([row / np.linalg.norm(row) for row in rows], np.float32).reshape(-1, 64)


def arena(guard, label="unsafe", known=(), **fields):
    """An arena whose judge says `label` of everything."""
    opinions = {"unsafe": Opinion("unsafe", 0.9), "safe": Opinion("safe", 0.1), None: Opinion(None, 0.5)}
    judge = fields.pop("judge", lambda texts, vectors, families: [opinions[label]] * len(texts))
    own = fields.pop("embed", embed)
    return Arena(guard=guard, embed=own, judge=judge, known=Known(list(known), own(list(known))), **fields)


def misses(word):
    """A guard with one planted weakness: it is sure of harm, except where the word stands."""
    return lambda texts: [0.05 if word in text.split() else 0.99 for text in texts]


def sentence(seed, words=6):
    return " ".join(random.Random(seed).sample(WORDS[:-1], words))

"""A tiny random language model over a few plain words, and an arena of fakes around it."""

import hashlib
import random
from pathlib import Path

import numpy as np

from classifier.runfolder import RunFolder
from pipeline.adversary.archive import Archive
from pipeline.adversary.hunt import Hunt
from pipeline.context import silent
from pipeline.judge import Opinion
from pipeline.records import Example
from pipeline.rewards import Arena
from pipeline.rewards.guard_error import GuardError
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


def unsure_guard(folder):
    """A guard on the packaged encoder that learnt nothing: unsure of everything, as a guard at its boundary is."""
    from classifier.train import train

    run = RunFolder(folder)
    run.write_request({"settings": {"epochs": 1}, "categories": ["theft"]})
    rows = [
        {"id": str(n), "text": sentence(n), "label": "unsafe" if n % 2 else "safe", "categories": [], "family": str(n),
         "split": "validation" if n % 5 < 2 else "train"}
        for n in range(20)
    ]  # fmt: skip
    run.write_rows(rows, "input.parquet")
    train(run, silent)
    return run / "model"


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


def sentence(seed, words=6, among=WORDS[:-1]):
    return " ".join(random.Random(seed).sample(among, words))


SEEDS = [Example(f"s{n}", sentence(n), "unsafe", ("theft",), f"f{n}") for n in range(4)]


class Scripted:
    """A generator that says given texts in turn and counts what it was asked."""

    def __init__(self, texts):
        self.texts, self.asked = texts, 0

    def generate(self, wanted, seed, report, /):
        self.asked += len(wanted)
        return [self.texts[(self.asked + n) % len(self.texts)] for n in range(len(wanted))]

    def digest(self):
        return "scripted"


def make_hunt(folder, generator, **fields):
    return Hunt(
        seeds=SEEDS, arena=arena(misses("zebra"), known=[seed.text for seed in SEEDS]),
        reward=GuardError(drift_cosine=-1), archive=Archive(Path(folder) / "archive"), generator=generator,
        folder=Path(folder), **fields,
    )  # fmt: skip

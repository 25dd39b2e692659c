"""How fast the local generator writes, against plain loops over `model.generate` with the same weights.

    python benchmarks/generate.py [--prompts N] [--model NAME]

All three write paraphrases of the same texts of the demo, sampled alike. `plain` is what most people write: one prompt
after the other, in float32. `plain_batched` gives the library what it can do by itself: batches of 32, padded, in the
type that is quick here. A candidate is accepted when it is one message, no copy, and as like to its parent as the
stage asks for. Turns alternate; loading is not counted. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from classifier.embed import Embedder  # noqa: E402
from classifier.normalize import normalized_hash  # noqa: E402
from pipeline.cleaning import clean  # noqa: E402
from pipeline.context import Refusals, silent  # noqa: E402
from pipeline.generators import Prompt  # noqa: E402
from pipeline.generators.local import Local, first_line, load_model  # noqa: E402
from pipeline.generators.weights import DEFAULT_GENERATOR, generator_folder  # noqa: E402
from pipeline.paraphrasers.paraphrase import Paraphrase  # noqa: E402
from pipeline.records import Example  # noqa: E402

BATCH = 32
Write = Callable[[Sequence[Prompt], int], Sequence[str | None]]


def main() -> None:
    options = parsed()
    parents, asked = questions(options.prompts)
    ways = {"ours": ours(options.model), "plain": plain(options.model), "plain_batched": batched(options.model)}
    seconds, answers = dict.fromkeys(ways, 0.0), {name: list[tuple[str, str | None]]() for name in ways}
    for write in ways.values():
        write(asked[:2], 0)  # what is done once: loading, choosing of kernels
    for turn in range(options.turns):
        for name, write in ways.items():
            part = slice(turn, None, options.turns)
            some, theirs = (asked[part], parents[part]) if name != "plain" else (asked[part][:12], parents[part][:12])
            began = time.perf_counter()
            written = write(some, turn)
            seconds[name] += time.perf_counter() - began
            answers[name] += zip(theirs, written, strict=True)
    print(json.dumps(compared(options, seconds, answers)))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--prompts", type=int, default=256)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--model", default=DEFAULT_GENERATOR)
    parser.add_argument("--quick", action="store_true", help="eight prompts: that it runs")
    options = parser.parse_args()
    if options.quick:
        options.prompts, options.turns = 8, 1
    return options


def questions(count: int) -> tuple[list[str], list[Prompt]]:
    """Texts of the demo and the prompts that ask for their paraphrase, two for each as the stage does."""
    lines = (ROOT / "curation/demo/seeds.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    seeds = [
        Example(str(at), row["text"], row["label"], tuple(row.get("categories", ()))) for at, row in enumerate(rows)
    ]
    stage = Paraphrase()
    chosen = [seed for seed in seeds if Refusals().allows(seed) and stage.applies(seed)]
    texts = [chosen[at % len(chosen)].text for at in range(max(1, count // stage.tries)) for _ in range(stage.tries)]
    return texts, [stage.prompt(Example("", text, "safe"), None) for text in texts]  # type: ignore[arg-type]


def ours(name: str) -> Write:
    """The generator of the product."""
    generator = Local(model=name)
    return lambda asked, seed: generator.generate(asked, seed, silent)


def plain(name: str) -> Write:
    """One prompt after the other."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = generator_folder(name)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    def write(asked: Sequence[Prompt], seed: int) -> list[str | None]:
        torch.manual_seed(seed)
        return [text for prompt in asked for text in sampled(tokenizer, model, [prompt])]

    return write


def batched(name: str) -> Write:
    """Batches in the order that they come in."""
    import torch

    tokenizer, model = load_model(generator_folder(name))

    def write(asked: Sequence[Prompt], seed: int) -> list[str | None]:
        torch.manual_seed(seed)
        parts = (asked[at : at + BATCH] for at in range(0, len(asked), BATCH))
        return [text for part in parts for text in sampled(tokenizer, model, part)]

    return write


def sampled(tokenizer: Any, model: Any, asked: Sequence[Prompt]) -> list[str | None]:
    """The first line of what the library samples."""
    batch = tokenizer([prompt.text for prompt in asked], return_tensors="pt", padding=len(asked) > 1).to(model.device)
    output = model.generate(
        **batch, do_sample=True, temperature=asked[0].temperature, top_p=0.9, max_new_tokens=asked[0].max_new_tokens,
        pad_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    texts = tokenizer.batch_decode(output[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
    return [first_line(text) for text in texts]


def compared(
    options: argparse.Namespace, seconds: dict[str, float], answers: dict[str, list[tuple[str, str | None]]]
) -> dict[str, Any]:
    """Rates of each way, and how many times faster ours is."""
    embedder, figures = Embedder(), {}
    for name, pairs in answers.items():
        accepted = sum(accept(embedder, pairs))
        figures[name] = {
            "candidates": len(pairs), "seconds": round(seconds[name], 2), "accepted": accepted,
            "candidates_per_second": round(len(pairs) / seconds[name], 3),
            "accepted_per_second": round(accepted / seconds[name], 3),
        }  # fmt: skip
    rate = {name: figure["accepted_per_second"] for name, figure in figures.items()}
    times = {name: round(rate["ours"] / rate[name], 2) if rate[name] else None for name in rate if name != "ours"}
    load = os.getloadavg()[0]
    return {"benchmark": "generate", "model": options.model, "load": load, "ours_against": times, **figures}


def accept(embedder: Embedder, pairs: Sequence[tuple[str, str | None]]) -> list[bool]:
    """Whether each answer is one message, no copy, and like its parent within the stage's band."""
    low, high = Paraphrase.band
    texts = [clean(answer or "") or "" for _, answer in pairs]
    vectors = embedder.embed([*[parent for parent, _ in pairs], *texts])
    likeness = (vectors[: len(pairs)] * vectors[len(pairs) :]).sum(1)
    return [
        bool(text) and normalized_hash(text) != normalized_hash(parent) and low <= like <= high
        for (parent, _), text, like in zip(pairs, texts, likeness.tolist(), strict=True)
    ]


if __name__ == "__main__":
    main()

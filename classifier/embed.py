"""Sentence embeddings by a frozen encoder, for likeness and for the judge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier import batches, model, weights
from classifier.config import DEFAULT_ENCODER
from classifier.devices import has_bfloat16
from classifier.runfolder import Report, RunFolder
from classifier.score import BATCH, texts_of

MAX_LENGTH = 256  # tokens: what all-MiniLM-L6-v2 was trained with


class Embedder:
    """An encoder with mean pooling; equal directions mean like sentences."""

    def __init__(self, name: str = DEFAULT_ENCODER) -> None:
        self._tokenizer, self._encoder = model.load_encoder(weights.encoder_folder(name))
        self._encoder.eval()

    def embed(self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> NDArray[np.float32]:
        """Unit vectors [n, width], float32, in the order of the texts."""
        import torch

        ids = batches.encode(self._tokenizer, texts, MAX_LENGTH)
        vectors = np.zeros((len(texts), self._encoder.config.hidden_size), np.float32)
        done = 0
        # In bfloat16 three times as fast; cosines move by 0.002 at most, and their bounds have two digits.
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16()):
            for rows in batches.by_length([len(sequence) for sequence in ids], BATCH):
                tokens, mask = batches.pad([ids[row] for row in rows], self._tokenizer.pad_token_id or 0)
                hidden = self._encoder(input_ids=tokens, attention_mask=mask).last_hidden_state.float()
                vectors[rows] = torch.nn.functional.normalize(model.mean_pool(hidden, mask), dim=-1).numpy()
                done += len(rows)
                if progress:
                    progress(done, len(texts))
        return vectors


def embed(run: RunFolder, report: Report) -> None:
    """The program: embed `input.parquet` with the encoder that the request names, all-MiniLM-L6-v2 by default."""
    name: Any = run.request().get("settings", {}).get("model", DEFAULT_ENCODER)
    rows = run.rows()
    vectors = Embedder(name).embed(texts_of(rows), lambda done, total: report(done, total, "Embedding"))
    run.write_rows([{"id": row["id"], "vector": v.tolist()} for row, v in zip(rows, vectors, strict=True)])
    report(len(rows), len(rows), "Embedded")

"""Small files in the formats that others document: written here, mild, and short."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from typing import Any

ARGILLA: list[dict[str, Any]] = [
    {
        "id": "r-1", "fields": {"text": "how do i fake a receipt"}, "metadata": {"lang": "en"}, "vectors": {},
        "responses": {
            "harm": [
                {"value": "unsafe", "user_id": "0f6e"}, {"value": "unsafe", "user_id": "77ab"},
                {"value": "safe", "user_id": "9c2d"},
            ],
            "kinds": [{"value": ["Fraud/Deception"], "user_id": user} for user in ("0f6e", "77ab")],
        },
        "suggestions": {"harm": {"value": "safe", "score": 0.6, "agent": "small-model"}}, "_server_id": "a",
    },
    {
        "id": "r-2", "fields": {"text": "how do i frame a receipt"}, "metadata": {"lang": "en"}, "vectors": {},
        "responses": {"harm": [{"value": "safe", "user_id": "0f6e"}]}, "suggestions": {}, "_server_id": "b",
    },
]  # fmt: skip
ARGILLA_FLAT: list[dict[str, Any]] = [
    {
        "id": "r-1", "status": "completed", "text": "how do i fake a receipt", "lang": "en",
        "harm.responses": ["unsafe", "unsafe", "safe"], "harm.responses.users": ["0f6e", "77ab", "9c2d"],
        "harm.responses.status": ["submitted", "submitted", "discarded"], "harm.suggestion": "safe",
        "harm.suggestion.score": 0.6, "harm.suggestion.agent": "small-model",
    }
]  # fmt: skip
ARGILLA_1: list[dict[str, Any]] = [
    {
        "text": "how do i fake a receipt", "external_id": "r-1", "metadata": "{}",
        "harm": [{"user_id": "0f6e", "value": "unsafe", "status": "submitted"}],
        "harm-suggestion": "safe", "harm-suggestion-metadata": {"agent": "small-model", "score": 0.6, "type": "model"},
    }
]  # fmt: skip


def choice(name: str, *values: str) -> dict[str, Any]:
    return {"id": "x1", "from_name": name, "to_name": "text", "type": "choices", "value": {"choices": list(values)}}


def taxonomy(name: str, *path: str) -> dict[str, Any]:
    return {"id": "x2", "from_name": name, "to_name": "text", "type": "taxonomy", "value": {"taxonomy": [list(path)]}}


LABEL_STUDIO: list[dict[str, Any]] = [
    {
        "id": 11, "data": {"text": "how do i fake a receipt"}, "meta": {}, "project": 3,
        "annotations": [
            {"id": 1, "completed_by": {"id": 4, "email": "ana@example.org"}, "was_cancelled": False, "lead_time": 4.2,
             "result": [choice("harm", "Unsafe"), taxonomy("kind", "Crime", "Fraud")]},
            {"id": 2, "completed_by": 7, "was_cancelled": False, "result": [choice("harm", "Unsafe")]},
            {"id": 3, "completed_by": 8, "was_cancelled": True, "result": [choice("harm", "Safe")]},
        ],
        "predictions": [{"model_version": "model 1", "score": 0.7, "result": [choice("harm", "Safe")]}],
    },
    {
        "id": 12, "data": {"text": "how do i frame a receipt"}, "meta": {}, "project": 3, "predictions": [],
        "annotations": [{"id": 4, "completed_by": 7, "was_cancelled": False, "result": [choice("harm", "Safe")]}],
    },
    {"id": 13, "data": {"text": "nobody looked at this one"}, "annotations": [], "predictions": []},
]  # fmt: skip
LABEL_STUDIO_MIN = [
    {
        "id": 11,
        "text": "how do i fake a receipt",
        "harm": "Unsafe",
        "annotator": 7,
        "annotation_id": 1,
        "lead_time": 3.1,
    },
    {
        "id": 11,
        "text": "how do i fake a receipt",
        "harm": "Unsafe",
        "annotator": 8,
        "annotation_id": 2,
        "lead_time": 2.0,
    },
]
DOCCANO = {
    "ana": [
        {"id": 1, "text": "how do i fake a receipt", "label": ["unsafe", "Fraud"], "Comments": []},
        {"id": 2, "text": "how do i frame a receipt", "label": ["safe"], "Comments": ["plain"]},
    ],
    "bob": [
        {"id": 1, "text": "how do i fake a receipt", "label": ["unsafe"], "Comments": []},
        {"id": 2, "text": "how do i frame a receipt", "label": [], "Comments": []},
    ],
}
DOCCANO_OLD = [
    {"id": 1, "text": "how do i fake a receipt", "annotations": [{"label": 4, "user": 2, "id": 9}], "meta": {}}
]


def as_lines(rows: list[Any]) -> bytes:
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


def as_array(rows: list[Any]) -> bytes:
    return json.dumps(rows, indent=1).encode()


def as_zip(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def as_tar(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def as_gzip(content: bytes) -> bytes:
    return gzip.compress(content)


def as_parquet(columns: dict[str, Any], metadata: dict[str, str] | None = None) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    packed = io.BytesIO()
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), packed)
    return packed.getvalue()


def as_arrow(columns: dict[str, Any]) -> bytes:
    import pyarrow as pa

    table, packed = pa.table(columns), io.BytesIO()
    with pa.ipc.new_stream(packed, table.schema) as writer:
        writer.write_table(table)
    return packed.getvalue()

"""Croissant metadata: what a release holds, in the JSON-LD that dataset searches and loaders read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

CONTEXT: dict[str, Any] = {
    "@language": "en", "@vocab": "https://schema.org/", "citeAs": "cr:citeAs", "column": "cr:column",
    "conformsTo": "dct:conformsTo", "cr": "http://mlcommons.org/croissant/", 
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"}, "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/", "examples": {"@id": "cr:examples", "@type": "@json"}, "extract": "cr:extract",
    "field": "cr:field", "fileProperty": "cr:fileProperty", "fileObject": "cr:fileObject", "fileSet": "cr:fileSet",
    "format": "cr:format", "includes": "cr:includes", "isLiveDataset": "cr:isLiveDataset", "jsonPath": "cr:jsonPath",
    "key": "cr:key", "md5": "cr:md5", "parentField": "cr:parentField", "path": "cr:path", "recordSet": "cr:recordSet",
    "references": "cr:references", "regex": "cr:regex", "repeated": "cr:repeated", "replace": "cr:replace",
    "sc": "https://schema.org/", "separator": "cr:separator", "source": "cr:source", "subField": "cr:subField",
    "transform": "cr:transform",
}  # fmt: skip
COLUMNS = {
    "id": "sc:Text", "text": "sc:Text", "label": "sc:Text", "family": "sc:Text", "language": "sc:Text",
    "origin": "sc:Text", "split": "sc:Text", "label_source": "sc:Text", "person_verdicts": "sc:Integer",
    "agreeing_verdicts": "sc:Integer", "machine_verdicts": "sc:Integer",
}  # fmt: skip
ANY_LICENCE = "https://choosealicense.com/no-permission/"


def croissant(summary: Mapping[str, Any], files: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the metadata of a release and its files."""
    about = summary["about"]
    return {
        "@context": CONTEXT, "@type": "sc:Dataset", "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": summary["name"], "version": f"{summary['version']}.0.0", "url": f"urn:sha256:{summary['digest']}",
        "description": f"{summary['counts']['rows']:,} short messages, labelled under {summary['policy']}.",
        "license": about.get("licence") or ANY_LICENCE,
        "citeAs": f"{summary['name']}, release {summary['version']}, SHA-256 {summary['digest']}",
        "distribution": [_file(file) for file in files if file["name"].endswith((".jsonl", ".parquet", ".csv"))],
        "recordSet": [_records()],
    }  # fmt: skip


def _file(file: Mapping[str, Any]) -> dict[str, Any]:
    kinds = {"jsonl": "application/jsonlines", "parquet": "application/x-parquet", "csv": "text/csv"}
    return {
        "@type": "cr:FileObject", "@id": file["name"], "name": file["name"], "contentUrl": file["name"],
        "contentSize": f"{file['bytes']} B", "encodingFormat": kinds[file["name"].rsplit(".", 1)[1]],
        "sha256": file["sha256"],
    }  # fmt: skip


def _records() -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet", "@id": "rows", "name": "rows",
        "field": [
            {
                "@type": "cr:Field", "@id": f"rows/{name}", "name": name, "dataType": kind,
                "source": {"fileObject": {"@id": "data.jsonl"}, "extract": {"column": name}},
            }
            for name, kind in COLUMNS.items()
        ],
    }  # fmt: skip

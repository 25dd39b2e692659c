"""The dataset card: what is in a release, how it came about, and what it should not be used for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def dataset_card(summary: Mapping[str, Any]) -> str:
    """Return the card in Markdown, with the front matter that the Hugging Face hub reads."""
    parts = (
        _front_matter(summary), _title(summary), _composition(summary), _making(summary), _sources(summary),
        _agreement(summary["counts"]), _policy(summary), _harm(summary), USE,
    )  # fmt: skip
    return "\n".join(part.strip() + "\n" for part in parts)


def _front_matter(summary: Mapping[str, Any]) -> str:
    counts = summary["counts"]
    size = next((name for limit, name in SIZES if counts["rows"] < limit), "n>1M")
    languages = "\n".join(f"- {language}" for language in counts["language"])
    files = "\n".join(f"  - split: {name}\n    path: data/{name}.parquet" for name in summary["splits"])
    return f"""---
pretty_name: {_quoted(summary["name"])}
task_categories:
- text-classification
language:
{languages}
size_categories:
- {size}
tags:
- safety
- guardrail
- content-moderation
{_licence(summary)}configs:
- config_name: default
  data_files:
{files}
---"""


def _licence(summary: Mapping[str, Any]) -> str:
    named = summary["about"].get("licence")
    return f"license: other\nlicense_name: {_quoted(named)}\n" if named else ""


def _quoted(value: object) -> str:
    import json

    return json.dumps(str(value), ensure_ascii=False)


def _title(summary: Mapping[str, Any]) -> str:
    return f"""
# {_cell(summary["name"])}, release {summary["version"]}

{summary["counts"]["rows"]:,} short messages labelled safe or unsafe under the policy
{_cell(summary["policy"])}, made to train and measure a safety classifier.
SHA-256 of `data.jsonl`, by which this version is known: `{summary["digest"]}`.

**Content.** The unsafe rows ask for harmful things or express them. They stand here so that a detector can learn them.
"""


def _composition(summary: Mapping[str, Any]) -> str:
    counts = summary["counts"]
    blocks = [
        _table(title, counts[key])
        for title, key in (
            ("Label", "label"), ("Category", "category"), ("Origin", "origin"), ("Split", "split"),
            ("Language", "language"), ("Who decided the label", "label_source"),
        )
    ]  # fmt: skip
    return "## Composition\n\n" + "\n".join(blocks)


def _table(title: str, counts: Mapping[str, int]) -> str:
    if not counts:
        return ""
    rows = "\n".join(f"| {_cell(name)} | {count:,} |" for name, count in counts.items())
    return f"| {title} | Rows |\n|---|---:|\n{rows}\n"


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def _making(summary: Mapping[str, Any]) -> str:
    sources = summary["counts"]["label_source"]
    person, machine, seed = (sources.get(name, 0) for name in ("person", "machine", "seed"))
    return f"""
## How it was made

Seeds were written or imported by people. Machines wrote further examples from them (`origin`: augmented, paraphrased,
adversarial); filters said what they thought of each, and `stage`, `settings`, `prompt` and `model` say what wrote it.
`family` names the root seed: no family is in two splits, so train and evaluation share no seed.

{person:,} labels were decided by a person, {machine:,} by a machine (every filter and an independent judge agreed), and
{seed:,} came with the seed. A machine's verdict is never counted as a person's: see `label_source`,
`person_verdicts` and `machine_verdicts` of each row.
"""


def _sources(summary: Mapping[str, Any]) -> str:
    about, models = summary["about"], {name: n for name, n in summary["counts"]["model"].items() if name}
    told = about.get("sources") or "The person who made this release said nothing about its sources."
    return f"""
## Sources and licences

{_cell(told)}

Licence: {_cell(about.get("licence") or "none was named; ask before you pass it on")}.

{_table("Written by (weights or endpoint)", models)}
"""


def _agreement(counts: Mapping[str, Any]) -> str:
    several, kept, both = counts["judged_by_several"], counts["proposals_judged"], counts["machine_and_person"]
    return f"""
## Agreement

{several:,} rows were judged by two people or more; on {_of(counts["of_one_mind"], several)} of these all said so.
People judged {kept:,} rows that a machine had written and labelled, and left the label of
{_of(counts["proposals_kept"], kept)} as it was. On {both:,} rows a machine and people both decided; the machine said
what people said on {_of(counts["machine_as_person"], both)}. Rejected rows are not in here, so
these shares are above those of all that was judged.
"""


def _of(part: int, whole: int) -> str:
    return f"{part:,} ({part / whole:.1%})" if whole else "none"


def _harm(summary: Mapping[str, Any]) -> str:
    severity = {entry["key"]: entry["severity"] for entry in summary["categories"]}
    counts: dict[str, int] = {}
    for key, count in summary["counts"]["category"].items():
        name = str(severity.get(key, "not in the policy"))
        counts[name] = counts.get(name, 0) + count
    return f"""
## Harm in it

{_table("Severity (1 mild to 4 worst)", dict(sorted(counts.items())))}
A row counts once for each of its categories. Whoever reads these rows should know beforehand what is in them.
{_cell(summary["content_note"])}
"""


def _policy(summary: Mapping[str, Any]) -> str:
    rows = "\n".join(
        f"| `{_cell(entry['key'])}` | {_cell(entry['name'])} | {entry['severity']} | {_cell(entry['definition'])} |"
        for entry in summary["categories"]
    )
    return f"## Policy\n\n| Key | Category | Severity (1 to 4) | Definition |\n|---|---|---:|---|\n{rows}\n"


USE = """
## Use and limits

Meant for training and measuring detectors of harmful messages. Not meant for training a system to write such messages.
Machine-written rows carry the style and the faults of their generator, labels decided by a machine are noisier than
those decided by people, and a guard that does well here has been measured on this policy and these languages only.
Reading unsafe rows is unpleasant: show them only where they are needed, and give people breaks.
"""

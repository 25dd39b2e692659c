from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from classifier import peers
from classifier.evaluate import evaluate
from classifier.examine import Examination, examine
from classifier.published import published
from classifier.runfolder import ProgramError, RunFolder
from tests.classifier.planted import planted_rows
from tests.tiny_models import tiny_encoder, tiny_llama

LLAMA_TEMPLATE = "{% for m in messages %}{{ m['content'] }}{% endfor %}{% if add_generation_prompt %} >{% endif %}"


def classifier(folder: Path, labels: list[str], several: bool = False) -> Path:
    """A tiny sequence classifier with labels of these names."""
    from transformers import AutoConfig, AutoModelForSequenceClassification

    tiny_encoder(folder)
    config = AutoConfig.from_pretrained(folder)
    config.id2label = dict(enumerate(labels))
    config.label2id = {name: at for at, name in enumerate(labels)}
    if several:
        config.problem_type = "multi_label_classification"
    AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    return folder


def by_hand(folder: Path, text: str) -> Any:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    return model(**tokenizer(text, return_tensors="pt")).logits[0].detach()


def test_a_classifier_is_unsafe_by_as_much_as_it_is_not_safe(tmp_path: Path) -> None:
    folder = classifier(tmp_path, ["toxic", "Safe", "threat"])
    texts = ["bake a cake", "the poison"]
    expected = [1 - float(by_hand(folder, text).softmax(0)[1]) for text in texts]
    assert peers.open_peer(str(folder)).unsafe(texts) == pytest.approx(expected, abs=1e-5)


def test_a_multi_label_classifier_is_as_unsafe_as_its_worst_label(tmp_path: Path) -> None:
    folder = classifier(tmp_path, ["toxic", "safe", "threat"], several=True)
    expected = max(float(by_hand(folder, "bake").sigmoid()[at]) for at in (0, 2))
    assert peers.open_peer(str(folder)).unsafe(["bake"]) == pytest.approx([expected], abs=1e-5)


def test_labels_that_say_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match=r"No label of .* a, b"):
        peers.open_peer(str(classifier(tmp_path, ["a", "b"])))


def test_a_generative_guard_is_asked_through_its_template_and_batches_change_nothing(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = tiny_llama(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = LLAMA_TEMPLATE
    tokenizer.save_pretrained(folder)
    texts = ["bake a cake", "a much longer text about poison", "x"]
    together = peers.open_peer(f"generative:shieldgemma:{folder}").unsafe(texts)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    for text, score in zip(texts, together, strict=True):
        ids = tokenizer(f"{text} >", return_tensors="pt", add_special_tokens=False)
        with torch.inference_mode():
            spread = model(**ids).logits[0, -1].softmax(0)
        yes, no = (float(spread[tokenizer(word, add_special_tokens=False)["input_ids"][0]]) for word in ("Yes", "No"))
        assert score == pytest.approx(yes / (yes + no), abs=1e-4)


def test_words_that_begin_alike_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match="begin with the same token"):
        peers.open_peer(f"generative:wildguard:{tiny_llama(tmp_path)}")


def spread(**words: float) -> list[dict[str, Any]]:
    return [{"token": "\n\n", "logprob": 0.0, "top_logprobs": [{"token": "\n\n", "logprob": 0.0}]},
            {"token": "x", "logprob": 0.0,
             "top_logprobs": [{"token": f" {word}", "logprob": math.log(p)} for word, p in words.items()]}]  # fmt: skip


def test_the_first_word_that_means_something_counts() -> None:
    llama, qwen = peers.TEMPLATES["llama-guard"], peers.TEMPLATES["qwen3guard"]
    assert peers.first_word(spread(unsafe=0.6, safe=0.2, other=0.2), llama) == pytest.approx(0.75)
    assert peers.first_word(spread(Unsafe=0.2, Safe=0.4, Controversial=0.4), qwen) == pytest.approx(0.4)
    assert peers.first_word(spread(hello=1.0), llama) == 0.5


@pytest.fixture
def endpoint() -> Iterator[Any]:
    """A server that speaks both APIs, is busy at first, and remembers what it was asked."""

    class Server(BaseHTTPRequestHandler):
        asked: list[tuple[str, Any, str | None]] = []
        busy = 1
        status = 200
        garbage: bytes | None = None

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            Server.asked.append((self.path, body, self.headers.get("Authorization")))
            status = 429 if Server.busy else Server.status
            Server.busy = 0
            if self.path.endswith("moderations"):
                scores = [{"hate": 0.1, "harm": 0.9 if "poison" in text else 0.2} for text in body["input"]]
                answer: Any = {"results": [{"category_scores": score} for score in scores]}
            else:
                answer = {"choices": [{"logprobs": {"content": spread(unsafe=0.3, safe=0.1)}}]}
            content = Server.garbage or json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Retry-After", "0")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.api = Server  # type: ignore[attr-defined]
    server.url = f"http://127.0.0.1:{server.server_port}/v1"  # type: ignore[attr-defined]
    yield server
    server.shutdown()
    server.server_close()


def test_a_moderation_endpoint_is_asked_in_batches_with_the_key_and_waited_for(
    endpoint: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(peers.KEY, "secret")
    found = peers.open_peer(f"moderation:{endpoint.url}#omni").unsafe(["cake"] * 40 + ["poison \ud800"])
    assert found == [0.2] * 40 + [0.9]
    assert [len(body["input"]) for _, body, _ in endpoint.api.asked] == [32, 32, 9]
    assert {key for _, _, key in endpoint.api.asked} == {"Bearer secret"}


def test_a_chat_endpoint_answers_by_log_probabilities(endpoint: Any) -> None:
    found = peers.open_peer(f"chat:llama-guard:{endpoint.url}#guard").unsafe(["cake"])
    assert found == pytest.approx([0.75])
    assert endpoint.api.asked[-1][1]["logprobs"] is True


def test_an_endpoint_that_refuses_is_a_sentence(endpoint: Any) -> None:
    endpoint.api.busy, endpoint.api.status = 0, 401
    with pytest.raises(ProgramError, match="gave status 401"):
        peers.open_peer(f"moderation:{endpoint.url}#omni").unsafe(["cake"])
    assert len(endpoint.api.asked) == 1


@pytest.mark.parametrize(
    ("way", "garbage", "says"),
    [
        ("moderation", b"<html>\xff", "not JSON"),
        ("moderation", b'["results"]', "does not answer as the moderation API"),
        ("moderation", b'{"results": [{"category_scores": {"hate": 7}}]}', "not between 0 and 1"),
        ("moderation", b'{"results": [{"category_scores": {"hate": NaN}}]}', "not between 0 and 1"),
        ("chat:llama-guard", b"null", "no log-probabilities"),
        ("chat:llama-guard", b'{"choices": [{"logprobs": {"content": ["safe"]}}]}', "no log-probabilities"),
    ],
)
def test_an_endpoint_that_answers_garbage_is_a_sentence(
    endpoint: Any, tmp_path: Path, way: str, garbage: bytes, says: str
) -> None:
    endpoint.api.busy, endpoint.api.garbage = 0, garbage
    run = peer_run(tmp_path, f"{way}:{endpoint.url}#m", ["cake"])
    with pytest.raises(ProgramError, match=says):
        evaluate(run, lambda *_: None)


def peer_run(folder: Path, spec: str, texts: list[str]) -> RunFolder:
    run = RunFolder(folder)
    run.write_request({"settings": {"peer": spec}})
    labels = ["unsafe" if "poison" in text else "safe" for text in texts]
    rows = zip(texts, labels, strict=True)
    run.write_rows(
        [{"id": at, "text": text, "label": label, "categories": []} for at, (text, label) in enumerate(rows)],
        "input.parquet",
    )
    return run


def test_the_program_measures_a_peer_on_a_folders_rows_and_says_how_far_it_is(endpoint: Any, tmp_path: Path) -> None:
    run, heard = peer_run(tmp_path, f"moderation:{endpoint.url}#m", ["cake"] * 40 + ["poison"] * 10), []
    evaluate(run, lambda done, total, *_: heard.append((done, total)))
    found = run.metrics()
    assert heard == [(32, 50), (50, 50), (50, 50)]
    assert (found["n"], found["average_precision"], found["threshold"]) == (50, 1.0, 0.5)
    assert {"intervals", "recall_at_fpr_1", "seconds"} <= set(found)
    assert [row["unsafe"] for row in run.rows("output.parquet")] == [0.2] * 40 + [0.9] * 10


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("nowhere", "There is no peer"),
        ("generative:poet:x", "no template 'poet'"),
        ("generative:llama-guard:nowhere", "There is no peer"),
        ("chat:llama-guard:ftp://host#m", "should be an address"),
        ("moderation:https://host/v1", "should be an address"),
    ],
)
def test_a_peer_that_cannot_be_asked_is_a_sentence(spec: str, says: str) -> None:
    with pytest.raises(ProgramError, match=says):
        peers.open_peer(spec)


def test_a_pickled_peer_is_never_loaded(tmp_path: Path) -> None:
    folder = classifier(tmp_path, ["safe", "unsafe"])
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ProgramError, match="pickle"):
        peers.open_peer(str(folder))


def test_peers_are_measured_on_the_same_rows_and_published_figures_are_marked(
    trained_run: RunFolder, tmp_path: Path
) -> None:
    rows = planted_rows(20, seed=4)
    (tmp_path / "sets").mkdir()
    for name in ("openai_moderation", "own"):
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / "sets" / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    guard = trained_run / "model"
    weak = classifier(tmp_path / "weak", ["safe", "unsafe"])
    found = examine(Examination(guard, tmp_path / "sets", peers=(str(guard), str(weak))))
    itself, other, *table = found["peers"]
    assert itself["sets"]["own"]["n"] == other["sets"]["own"]["n"] == 20
    assert itself["average"]["average_precision"] == pytest.approx(found["average"]["average_precision"])
    assert (itself["published"], table[0]["published"]) == (False, True)
    assert set(table[0]["f1"]) == {"openai_moderation"}
    assert published(["own"]) == []

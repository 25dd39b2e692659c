"""The serving program as a real process: what it answers, what it refuses, and how one guard replaces another."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest

from classifier.artifacts import digest_file
from classifier.embed import Embedder
from tests.classifier.planted import flip_byte, started
from tests.guards import CATEGORIES, Served, make_guard, serving
from tests.processes import wait_until

pytestmark = pytest.mark.processes
SECRET = "a very peculiar sentence"


def digest_of(folder: Path) -> str:
    return digest_file(folder / "MANIFEST.json")


@pytest.fixture(scope="module")
def guards(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("guards")
    return make_guard(root / "one", 1), make_guard(root / "two", 2)


@pytest.fixture(scope="module")
def server(guards: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server for the tests that only ask."""
    with serving(tmp_path_factory.mktemp("served"), one=guards[0], two=guards[1]) as served:
        yield served


def test_an_answer_names_the_guard_and_scores_every_category(server: Served, guards: tuple[Path, Path]) -> None:
    found = server.post("/score", {"model": "two", "texts": ["bake a small cake", "a dog"]}).json()

    assert found["digest"] == digest_of(guards[1])
    assert len(found["results"]) == 2
    for result in found["results"]:
        assert result["decision"] in ("safe", "review", "unsafe")
        assert set(result["category_scores"]) == set(CATEGORIES)
        assert 0 <= result["unsafe"] <= 1


def test_texts_come_back_as_the_encoders_own_vectors(server: Served) -> None:
    texts = ["how do i bake bread", "a recipe for bread", "\ud800 the moon", ""]

    vectors = np.array(server.post("/embed", {"texts": texts}).json()["vectors"])

    assert np.allclose(vectors[:2], Embedder().embed(texts[:2]), atol=1e-4)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2
    assert server.post("/embed", {"texts": []}).json() == {"vectors": []}


@pytest.mark.parametrize("body", [{}, {"texts": "one"}, {"texts": [1]}, {"texts": ["x"] * 17}, [], b"{"])
def test_what_cannot_be_embedded_is_a_sentence(body: Any, server: Served) -> None:
    answer = server.post("/embed", body)

    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


def test_two_guards_answer_by_their_names(server: Served) -> None:
    one, two = (server.post("/score", {"model": name, "texts": ["a dog"]}).json() for name in ("one", "two"))

    assert one["results"][0]["unsafe"] != two["results"][0]["unsafe"]


def test_the_official_client_works_with_only_another_address(server: Served) -> None:
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none is needed on loopback")

    single = client.moderations.create(input="bake a small cake")
    many = client.moderations.create(input=["a dog", "a cat", "a house"], model="omni-moderation-latest")

    assert len(single.results) == 1
    assert len(many.results) == 3
    assert isinstance(single.results[0].flagged, bool)


def test_curl_gets_the_same_answer(server: Served) -> None:
    done = subprocess.run(
        ["curl", "-sS", f"{server.url}/v1/moderations", "-H", "Content-Type: application/json",
         "-d", json.dumps({"input": "bake a small cake"})],
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert json.loads(done.stdout)["results"][0]["category_scores"].keys() == set(CATEGORIES)


BAD: dict[str, tuple[Any, int]] = {
    "not JSON": (b"{", 400),
    "not UTF-8": (b'{"input": "\xff\xfe"}', 400),
    "an array": ([], 400),
    "no input": ({}, 400),
    "a number": ({"input": 7}, 400),
    "null": ({"input": None}, 400),
    "empty text": ({"input": ""}, 400),
    "blank text": ({"input": ["fine", " \n"]}, 400),
    "empty array": ({"input": []}, 400),
    "nested arrays": ({"input": [["a"], ["b"]]}, 400),
    "deeply nested": (b"[" * 100_000, 400),
    "an image": ({"input": [{"type": "image_url", "image_url": {"url": "x"}}]}, 400),
    "100,000 items": ({"input": ["a"] * 100_000}, 400),
    "1 MB of text": ({"input": "word " * 200_000}, 400),
    "5 MB of body": ({"input": "word " * 1_000_000}, 413),
    "unknown model": ({"input": "a dog", "model": "nobody"}, 404),
    "model of a wrong type": ({"input": "a dog", "model": 7}, 400),
    "a huge number": (b'{"input": ' + b"9" * 10_000 + b"}", 400),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_gets_an_error_of_openais_shape(server: Served, kind: str) -> None:
    body, status = BAD[kind]

    response = server.post("/v1/moderations", body)

    assert response.status_code == status
    error = response.json()["error"]
    assert error["message"].endswith((".", "model."))
    assert error["type"] == "invalid_request_error"
    assert server.health()["status"] == "ok"


@pytest.mark.parametrize(
    "text", ["\ud800 lone", "\x00 zero", "x" * 100_000, "\u202e reversed", "🙂" * 500, "a", "\ud83d" * 50]
)
def test_odd_texts_are_scored(server: Served, text: str) -> None:
    response = server.post("/v1/moderations", json.dumps({"input": [text, "a dog"]}).encode())

    assert response.status_code == 200, response.text
    assert len(response.json()["results"]) == 2


def test_text_parts_are_one_text(server: Served) -> None:
    parts = [{"type": "text", "text": "a dog"}, {"type": "text", "text": "a cat"}]

    assert len(server.post("/v1/moderations", {"input": parts}).json()["results"]) == 1


def test_an_address_that_is_not_there_is_refused_in_the_same_shape(server: Served) -> None:
    assert server.post("/v2/moderations", {}).json()["error"]["type"] == "invalid_request_error"
    assert httpx.get(f"{server.url}/score").status_code == 405


def test_a_request_that_breaks_off_disturbs_nobody(server: Served) -> None:
    port = httpx.URL(server.url).port
    assert port is not None
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b'POST /v1/moderations HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"input"')

    assert server.post("/score", {"texts": ["a dog"]}).status_code == 200


def test_nothing_of_a_text_reaches_log_or_metrics(server: Served) -> None:
    server.post("/score", {"texts": [SECRET], "model": "one"})
    server.post("/v1/moderations", {"input": [SECRET, 7]})
    server.post(f"/{SECRET}", {"input": SECRET})

    metrics = httpx.get(f"{server.url}/metrics").text
    assert 'guard_texts_total{model="one"}' in metrics
    assert "peculiar" not in metrics
    assert "peculiar" not in server.log.read_text()


# One guard in another's place


def asked(served: Served, over: threading.Event, statuses: Counter[Any], digests: set[str]) -> None:
    """A client that never stops asking, over connections that it keeps."""
    with httpx.Client(base_url=served.url, timeout=60) as client:
        while not over.is_set():
            try:
                response = client.post("/score", json={"texts": ["a dog", "a cat"], "model": "guard"})
                statuses[response.status_code] += 1
                digests.add(response.json().get("digest"))
            except httpx.TransportError as error:
                statuses[type(error).__name__] += 1


def test_promotions_under_load_drop_no_request(guards: tuple[Path, Path], tmp_path: Path) -> None:
    with serving(tmp_path, guard=guards[0]) as served:
        over, statuses, digests = threading.Event(), Counter[Any](), set[str]()
        clients = [threading.Thread(target=asked, args=(served, over, statuses, digests)) for _ in range(4)]
        for client in clients:
            client.start()
        for number in range(4):
            after = guards[(number + 1) % 2]
            served.serve(guard=after)
            served.wait_for("guard", digest_of(after))
            seen = statuses.total()
            wait_until(lambda seen=seen: statuses.total() > seen + 8, "clients go on asking")  # type: ignore[misc]
        over.set()
        for client in clients:
            client.join()

        assert set(statuses) == {200}, statuses
        assert digests == {digest_of(guard) for guard in guards}


@pytest.mark.parametrize("harm", ["digest", "pickle", "remote code", "half-written", "missing"])
def test_a_guard_that_cannot_be_trusted_replaces_nothing(
    guards: tuple[Path, Path], tmp_path: Path, harm: str, swap_server: Served
) -> None:
    broken = tmp_path / "broken"
    if harm != "missing":
        shutil.copytree(guards[1], broken)
    spoil(broken, harm)

    swap_server.serve(guard=broken)

    wait_until(lambda: swap_server.health()["failures"].get("guard"), "the failure is known")
    found = swap_server.health()
    assert found["models"]["guard"]["digest"] == digest_of(guards[0])
    assert found["failures"]["guard"].count("Traceback") == 0
    assert swap_server.post("/score", {"texts": ["a dog"]}).status_code == 200


@pytest.fixture(scope="module")
def swap_server(guards: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("swap"), guard=guards[0]) as served:
        yield served


def spoil(folder: Path, harm: str) -> None:
    """Make a guard's folder one that must not be loaded."""
    from classifier.artifacts import write_manifest

    match harm:
        case "digest":
            flip_byte(folder / "heads.safetensors")
        case "half-written":
            (folder / "MANIFEST.json").unlink()
        case "pickle":
            (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
            (folder / "heads.safetensors").unlink()
            write_manifest(folder)
        case "remote code":
            config = json.loads((folder / "config.json").read_text())
            (folder / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoModel": "own.Code"}}))
            write_manifest(folder)


def test_a_file_that_is_not_whole_changes_nothing(swap_server: Served, guards: tuple[Path, Path]) -> None:
    swap_server.names.write_text('{"models": {"gua')
    wait_until(lambda: swap_server.health()["failures"], "the failure is known")

    assert swap_server.post("/score", {"texts": ["a dog"]}).status_code == 200
    swap_server.serve(guard=guards[0])


def test_what_is_in_flight_is_answered_before_the_server_ends(guards: tuple[Path, Path], tmp_path: Path) -> None:
    with serving(tmp_path, guard=guards[0]) as served:
        statuses: list[int] = []
        texts = ["a small cake for the table " * 40] * 300
        client = threading.Thread(
            target=lambda: statuses.append(served.post("/score", {"texts": texts}).status_code)
        )  # fmt: skip
        client.start()
        wait_until(
            lambda: 'guard_texts_total{model="guard"} 300' in httpx.get(f"{served.url}/metrics").text, "it is in"
        )

        status = served.stop()
        client.join()

        assert statuses == [200]
        assert status == 0


def test_without_a_guard_the_server_waits_and_says_so(tmp_path: Path, guards: tuple[Path, Path]) -> None:
    with serving(tmp_path) as served:
        response = served.post("/v1/moderations", {"input": "a dog"})
        assert response.status_code == 503
        assert "promote a guard" in response.json()["error"]["message"]
        assert response.headers["Retry-After"]

        served.serve(guard=guards[0])
        served.wait_for("guard")

        assert served.post("/v1/moderations", {"input": "a dog"}).status_code == 200


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nothing to serve"),
        (["--model", "nowhere"], "There is no guard at nowhere"),
        (["--model", "one={guard}", "--backend", "onnx-fp32"], "has no backend"),
        (["--model", "one={guard}", "--policy", "{guard}/config.json"], "is not a policy file"),
    ],
)
def test_what_cannot_be_served_is_a_sentence(arguments: list[str], said: str, guards: tuple[Path, Path]) -> None:
    process = started("serve", *(part.format(guard=guards[0]) for part in arguments))

    _, error = process.communicate(timeout=120)

    assert process.returncode == 1
    assert said in error
    assert "Traceback" not in error


def test_a_policy_gives_openais_names(guards: tuple[Path, Path], tmp_path: Path) -> None:
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps({"categories": [{"key": "hate", "crosswalk": {"openai": "hate"}}]}))
    path = tmp_path / "guard.sock"
    process = started("serve", "--model", guards[0], "--socket", path, "--policy", policy)
    try:
        wait_until(path.exists, "the socket is there")
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://guard") as client:
            found = client.post("/v1/moderations", json={"input": "a dog"}).json()["results"][0]
    finally:
        process.terminate()
        process.communicate(timeout=60)

    assert len(found["categories"]) == 13
    assert found["category_scores"]["hate"] > 0
    assert found["category_scores"]["violence"] == 0

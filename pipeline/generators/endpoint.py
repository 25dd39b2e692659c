"""Any endpoint that speaks OpenAI's chat completions, through plain HTTP."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx

from classifier.runfolder import ProgramError, Report
from pipeline.generators import Prompt, generators

LARGEST_ANSWER = 256 * 1024  # bytes; one short line was asked for
RETRIED = {408, 425, 429, 500, 502, 503, 504}
LONGEST_PAUSE = 30.0  # seconds


class NoAnswer(Exception):
    """The endpoint did not answer this prompt usefully; the message is a status or a kind of failure."""


@generators.register("endpoint")
@dataclass(frozen=True)
class Endpoint:
    """Write with a model behind an OpenAI-compatible endpoint."""

    url: str = ""  # up to and with /v1
    model: str = ""
    key_variable: str = "OPENAI_API_KEY"  # the key itself stays in the environment
    concurrency: int = 4
    timeout: float = 60.0  # seconds for one answer
    attempts: int = 4
    pause: float = 1.0  # seconds before the second attempt; doubled for each further one

    def __post_init__(self) -> None:
        if self.url and not self.url.startswith(("http://", "https://")):
            raise ValueError(f"an endpoint's url begins with http:// or https://, found {self.url!r}")

    def digest(self) -> str:
        """How lineage names what wrote: the endpoint shows nothing of its weights."""
        return f"endpoint:{self.model}"

    def generate(self, prompts: Sequence[Prompt], seed: int, report: Report, /) -> list[str | None]:
        """Ask for each prompt; None where nothing useful came.

        Raises:
            ProgramError: the address or the model is missing, or not one prompt was answered.
        """
        if not (self.url and self.model):
            raise ProgramError("The endpoint needs a url and a model.", "Set both in the recipe's generator.")
        key = os.environ.get(self.key_variable, "")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        answers: list[str | None] = []
        failures: list[str] = []
        with (
            httpx.Client(base_url=self.url.rstrip("/"), headers=headers, timeout=self.timeout) as client,
            ThreadPoolExecutor(self.concurrency) as pool,
        ):
            for answer, failure in pool.map(lambda prompt: self._answer(client, prompt, seed), prompts):
                answers.append(answer)
                failures += [failure] if failure else []
                report(len(answers), len(prompts), "Asking the endpoint")
        if prompts and len(failures) == len(prompts):
            raise ProgramError(
                f"The endpoint answered none of {len(prompts)} prompts; the last one with: {failures[-1]}.",
                f"Check the address, the model's name and the key in {self.key_variable}, then press Retry.",
            )
        return answers

    def _answer(self, client: httpx.Client, prompt: Prompt, seed: int) -> tuple[str | None, str]:
        """An answer and no failure, or no answer and what went wrong."""
        failure = ""
        for attempt in range(self.attempts):
            try:
                return self._ask(client, prompt, seed), ""
            except NoAnswer as error:
                failure = str(error)
                if not error.__cause__ and failure.isdigit() and int(failure) not in RETRIED:
                    break  # asking again would end the same way
            if attempt + 1 < self.attempts:
                time.sleep(min(LONGEST_PAUSE, self.pause * 2**attempt))
        return None, f"status {failure}" if failure.isdigit() else failure

    def _ask(self, client: httpx.Client, prompt: Prompt, seed: int) -> str | None:
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": prompt.text}],
            "temperature": prompt.temperature,
            "max_tokens": prompt.max_new_tokens,
            "stop": ["\n"],
            "seed": seed,
        }
        try:
            with client.stream("POST", "/chat/completions", json=body) as response:
                if response.status_code != httpx.codes.OK:
                    raise NoAnswer(str(response.status_code))
                return _content(_read(response))
        except httpx.HTTPError as error:
            raise NoAnswer(type(error).__name__) from error


def _read(response: httpx.Response) -> bytes:
    """The body, up to a size that no honest answer has."""
    body = b""
    for piece in response.iter_bytes():
        body += piece
        if len(body) > LARGEST_ANSWER:
            raise NoAnswer("an answer that is too long")
    return body


def _content(body: bytes) -> str | None:
    import json

    try:
        content: Any = json.loads(body)["choices"][0]["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError):
        raise NoAnswer("an answer of another shape") from None
    return content.strip() or None if isinstance(content, str) else None

"""Asking a model behind any endpoint that speaks OpenAI's chat completions, through plain HTTP."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx

from classifier.runfolder import ProgramError, Report
from pipeline.cleaning import is_refusal
from pipeline.generators import Prompt
from pipeline.meter import Meter, Tariff, estimated_tokens

LARGEST_ANSWER = 256 * 1024  # bytes; one short line was asked for
RETRIED = {408, 425, 429, 500, 502, 503, 504}
LONGEST_PAUSE = 30.0  # seconds
MOST_COUNTED = 10**9  # tokens of one answer; no honest count is higher


class NoAnswer(Exception):
    """The endpoint did not answer this prompt usefully; the message is a status or a kind of failure."""

    def __init__(self, failure: str, *, passing: bool = True, pause: float | None = None) -> None:
        super().__init__(failure)
        self.passing = passing  # whether asking again may end otherwise
        self.pause = pause  # seconds that the endpoint asked for


@dataclass(frozen=True)
class Answer:
    """What came of one prompt: a text; or a failure; or neither, for a refusal and where nothing was sent any more."""

    text: str | None = None
    failure: str = ""


@dataclass(frozen=True)
class Connection:
    """Where an endpoint is, how it is asked, and what it may cost."""

    url: str = ""  # up to and with /v1
    model: str = ""
    key_variable: str = "OPENAI_API_KEY"  # the key itself stays in the environment
    concurrency: int = 4
    timeout: float = 60.0  # seconds for one answer
    attempts: int = 4
    pause: float = 1.0  # seconds before the second attempt; doubled for each further one
    price_in: float = 0.0  # of a million tokens read; 0 where it is not known
    price_out: float = 0.0  # of a million tokens written; 0 where it is not known
    budget: float = 0.0  # money for one run; 0 sets no bound. Requests that are under way then are still paid
    most_tokens: int = 0  # read and written by one run; 0 sets no bound
    seconds_each: float = 2.0  # how long an answer takes: for estimates alone

    def __post_init__(self) -> None:
        if self.url and not self.url.startswith(("http://", "https://")):
            raise ValueError(f"an endpoint's url begins with http:// or https://, found {self.url!r}")
        for name in ("price_in", "price_out", "budget", "most_tokens", "seconds_each"):
            if getattr(self, name) < 0:
                raise ValueError(f"an endpoint's {name} is 0 or more, found {getattr(self, name)!r}")
        if self.concurrency < 1 or self.attempts < 1:
            raise ValueError("an endpoint's concurrency and attempts are 1 or more")
        if self.budget and not (self.price_in or self.price_out):
            raise ValueError("an endpoint's budget needs price_in or price_out: without a price nothing is ever spent")

    def tariff(self) -> Tariff:
        """Its prices and bounds."""
        return Tariff(self.price_in, self.price_out, self.budget, self.most_tokens)

    def meter(self, file: Path | None = None) -> Meter:
        """A meter with its prices and bounds."""
        return Meter(self.tariff(), file)

    def check(self) -> None:
        """See that there is somebody to ask.

        Raises:
            ProgramError: the address or the model is missing.
        """
        if not (self.url and self.model):
            raise ProgramError("The endpoint needs a url and a model.", "Set both in the recipe.")

    def ask(self, prompts: Sequence[Prompt], seed: int, meter: Meter, report: Report) -> list[Answer]:
        """Ask for each prompt, several at a time, until the meter says stop.

        Raises:
            ProgramError: the address or the model is missing, or every prompt failed.
        """
        self.check()
        key = os.environ.get(self.key_variable, "")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        answers: list[Answer] = []
        with (
            httpx.Client(base_url=self.url.rstrip("/"), headers=headers, timeout=self.timeout) as client,
            ThreadPoolExecutor(self.concurrency) as pool,
        ):
            for answer in pool.map(lambda prompt: self._answer(client, prompt, seed, meter), prompts):
                answers.append(answer)
                report(len(answers), len(prompts), meter.stop or "Asking the endpoint")
        if answers and all(answer.failure for answer in answers) and not meter.stop:
            raise ProgramError(
                f"The endpoint answered none of {len(prompts)} prompts; the last one with: {answers[-1].failure}.",
                f"Check the address, the model's name and the key in {self.key_variable}, then press Retry.",
            )
        return answers

    def _answer(self, client: httpx.Client, prompt: Prompt, seed: int, meter: Meter) -> Answer:
        answer = Answer()
        for attempt in range(self.attempts):
            if meter.stop:
                break
            used = Counter({"retries" if attempt else "calls": 1})
            try:
                return self._ask(client, prompt, seed, used)
            except NoAnswer as error:
                answer = Answer(failure=str(error))
                last = attempt + 1 == self.attempts or not error.passing
                used["unanswered"] = int(last)
                wait = self.pause * 2**attempt if error.pause is None else error.pause
            finally:
                meter.add(used)
            if last:
                break
            time.sleep(min(LONGEST_PAUSE, wait))
        return answer

    def _ask(self, client: httpx.Client, prompt: Prompt, seed: int, used: Counter[str]) -> Answer:
        """Send one request, and put into `used` what it used."""
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
                    raise _status(response)
                # From here on it is paid, even where the answer breaks off before it says how much it was.
                used.update(prompt_tokens=estimated_tokens(prompt.text), estimated=1)
                said = _read(response)
        except httpx.HTTPError as error:
            raise NoAnswer(type(error).__name__) from error
        return _understood(said, used)


def _status(response: httpx.Response) -> NoAnswer:
    code = response.status_code
    return NoAnswer(f"status {code}", passing=code in RETRIED, pause=_seconds(response.headers.get("Retry-After", "")))


def _seconds(asked: str) -> float | None:
    """What `Retry-After` asks for: seconds, or a date; None where it says nothing that can be read."""
    if asked.strip().isdecimal():
        return float(asked)
    try:
        until = parsedate_to_datetime(asked)
    except ValueError:
        return None
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _read(response: httpx.Response) -> bytes:
    """The body, up to a size that no honest answer has."""
    body = b""
    for piece in response.iter_bytes():
        body += piece
        if len(body) > LARGEST_ANSWER:
            raise NoAnswer("an answer that is too long")
    return body


def _understood(said: bytes, used: Counter[str]) -> Answer:
    """The answer in a body. A refusal has no text, and is no failure: the model read the prompt and would not."""
    try:
        body: Any = json.loads(said)
        counted = _usage(body)
        for name, number in counted.items():  # in place of what was estimated
            used[name] = number
        choice = body["choices"][0]
        message = choice["message"]
        content, refusal = message["content"], message.get("refusal")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        raise NoAnswer("an answer of another shape") from None
    # Half a surrogate pair is valid JSON, and nothing that could be stored.
    text = content.strip().encode("utf-8", "replace").decode() if isinstance(content, str) else ""
    if not counted:
        used["completion_tokens"] += estimated_tokens(text)
    if refusal or choice.get("finish_reason") == "content_filter" or is_refusal(text):
        used["refusals"] += 1
        return Answer()
    return Answer(text or None)


def _usage(body: Any) -> Mapping[str, int]:
    """Tokens as the endpoint counted them; nothing where it did not."""
    usage = body.get("usage")
    names = ("prompt_tokens", "completion_tokens")
    if not isinstance(usage, dict) or not all(
        type(usage.get(name)) is int and 0 <= usage[name] <= MOST_COUNTED for name in names
    ):
        return {}
    return {name: usage[name] for name in names} | {"estimated": 0}

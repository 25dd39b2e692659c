"""A model behind an endpoint as a generator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from classifier.runfolder import Report
from pipeline.chat import Connection
from pipeline.generators import Prompt, generators
from pipeline.meter import Meter


@generators.register("endpoint")
@dataclass(frozen=True)
class Endpoint(Connection):
    """Write with a model behind an OpenAI-compatible endpoint. Seeds leave this machine for it."""

    def digest(self) -> str:
        """How lineage names what wrote: the endpoint shows nothing of its weights."""
        return f"endpoint:{self.model}"

    def generate(self, prompts: Sequence[Prompt], seed: int, report: Report, /) -> list[str | None]:
        """Ask for each prompt; None where nothing useful came. Prices and bounds hold for this call alone."""
        return self.metered(self.meter()).generate(prompts, seed, report)

    def metered(self, meter: Meter) -> Metered:
        """The same, counted by a run's own meter."""
        return Metered(self, meter)


@dataclass(frozen=True)
class Metered:
    """An endpoint in the course of a run."""

    endpoint: Endpoint
    meter: Meter

    def digest(self) -> str:
        return self.endpoint.digest()

    def generate(self, prompts: Sequence[Prompt], seed: int, report: Report, /) -> list[str | None]:
        """Ask for each prompt; None where nothing useful came.

        Raises:
            ProgramError: the address or the model is missing, or not one prompt was answered.
        """
        return [answer.text for answer in self.endpoint.ask(prompts, seed, self.meter, report)]

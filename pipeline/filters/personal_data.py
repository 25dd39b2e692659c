from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from classifier.obfuscation import read
from pipeline.context import Context
from pipeline.filters import filters
from pipeline.records import Example, Finding

EMAIL = re.compile(r"\b[\w.+-]+@(?!example\.)[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}\b", re.IGNORECASE)
PHONE = re.compile(r"(?<![\w.])(?:\+\d{1,3}[ -]?)?(?:\(\d{2,4}\)[ -]?|\d{2,4}[ -])\d{3,4}[ -]?\d{3,5}(?![\w.])")
IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b")
CARD = re.compile(r"(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)")


@filters.register("personal-data")
@dataclass(frozen=True)
class PersonalData:
    """Drop an example that holds an e-mail address, a phone number, a bank account or a payment card.

    A model that writes such a thing may have learnt it of somebody; a fictitious one is no loss.
    """

    def __call__(self, examples: Iterable[Example], context: Context) -> Iterator[Finding]:
        for example in examples:
            found = kind(read(example.text).text) or kind(example.text)
            yield Finding(example.id, "personal-data", keep=not found, reason=f"holds {found}" if found else "")


def kind(text: str) -> str:
    """What personal data a text holds, by kind and never by content; empty where there is none."""
    if EMAIL.search(text):
        return "an e-mail address"
    if any(_is_card(match[0]) for match in CARD.finditer(text)):
        return "the number of a payment card"
    if IBAN.search(text):
        return "a bank account"
    return "a phone number" if PHONE.search(text) else ""


def _is_card(text: str) -> bool:
    """Whether digits pass the check of payment cards (Luhn)."""
    digits = [int(c) for c in reversed(text) if c.isdigit()]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0

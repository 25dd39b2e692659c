"""The keys of the desk: one list, from which the browser's keymap, the badges, the help sheet and the settings come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

# What may be a key: one letter of any alphabet, or a sign that no browser and no list of choices needs. Digits choose
# categories, and Backspace, Enter, Escape, Space, Tab and the arrows have their meaning everywhere.
SIGNS = frozenset(",.;:-_'[]\\=<")


@dataclass(frozen=True)
class Act:
    """Something that one key does on the desk."""

    name: str
    key: str
    group: str
    label: str | StrPromise


GROUPS = {
    "decide": _("Decide"),
    "mark": _("Change and mark"),
    "read": _("Read"),
    "move": _("Move"),
}
ACTS = (
    Act("approve", "a", "decide", _("Approve: text and label are right")),
    Act("reject", "r", "decide", _("Reject: should not be in the dataset")),
    Act("reject-because", "w", "decide", _("Reject and say why")),
    Act("relabel", "l", "decide", _("Relabel with several categories")),
    Act("pick", "g", "decide", _("Choose a category by name, also one after the ninth")),
    Act("skip", "k", "decide", _("Skip: not for me")),
    Act("escalate", "t", "decide", _("Hand to an adjudicator")),
    Act("undo", "u", "decide", _("Take the last decision back")),
    Act("unsure", "i", "mark", _("Say that you are not sure")),
    Act("edit", "e", "mark", _("Edit the text")),
    Act("flag", "f", "mark", _("Flag for the lead")),
    Act("comment", "c", "mark", _("Comment")),
    Act("hold", "h", "mark", _("Keep it for later")),
    Act("reveal", "v", "read", _("Read what is veiled, while the key is held")),
    Act("unfold", "m", "read", _("Show all of a long text")),
    Act("diff", "d", "read", _("Compare with what it was written from")),
    Act("similar", "s", "read", _("Similar examples that are decided")),
    Act("policy", "p", "read", _("What the policy says")),
    Act("next", "n", "move", _("Next one, without deciding")),
    Act("back", "b", "move", _("The one before")),
    Act("select", "x", "move", _("Choose a card, in bulk")),
    Act("exit", "o", "move", _("Leave the desk, at any time")),
)
NAMES = frozenset(act.name for act in ACTS)


class BadKeymap(ValueError):
    """A keymap that would not work, with the act it concerns."""

    def __init__(self, act: str, message: str) -> None:
        super().__init__(message)
        self.act = act


def keys(chosen: Mapping[str, str]) -> dict[str, str]:
    """The key of every act: what was chosen, else ours; nothing where that was taken away or given to another."""
    taken = set(chosen.values())
    return {act.name: chosen.get(act.name, "" if act.key in taken else act.key) for act in ACTS}


def check(chosen: Mapping[str, str]) -> dict[str, str]:
    """What differs from our own keys, in small letters.

    Raises:
        BadKeymap: an act is unknown, a key cannot be one, or two acts share one.
    """
    for name, key in chosen.items():
        if name not in NAMES:
            raise BadKeymap(name, gettext("There is no act of this name."))
        _check_key(name, key)
    small = {name: key.lower() for name, key in chosen.items()}
    taken: dict[str, str] = {}
    for name, key in ({act.name: act.key for act in ACTS} | small).items():
        if key and key in taken:
            raise BadKeymap(name, gettext("The key %(key)s is taken twice. Choose another.") % {"key": key.upper()})
        taken[key] = name
    ours = {act.name: act.key for act in ACTS}
    return {name: key for name, key in small.items() if key != ours[name]}


def _check_key(name: str, key: str) -> None:
    if key and not (len(key) == 1 and (key.isalpha() or key in SIGNS) and len(key.lower()) == len(key.upper()) == 1):
        raise BadKeymap(name, gettext("A key is one letter, or one of %(signs)s") % {"signs": " ".join(sorted(SIGNS))})

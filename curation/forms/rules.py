"""How a project reviews, as leads see and change it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms
from django.db import transaction

from curation.models import AuditEntry, ReviewRules

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    OfRules = forms.ModelForm[ReviewRules]
else:
    OfRules = forms.ModelForm  # Django's own class takes no parameter


@dataclass(frozen=True)
class Group:
    """Fields that belong together, under one heading with one sentence of why."""

    title: str
    lede: str
    fields: tuple[str, ...]


GROUPS = (
    Group("Who decides", "How many people judge an example, and what their verdicts come to.",
          ("overlap", "consensus", "blind")),
    Group("What comes next", "The order of the queue, and what happens to what somebody skips.",
          ("order", "skip_rule", "lease_seconds", "hold_seconds", "prefetch", "bulk_allowed", "bulk_adversarial")),
    Group("Known questions", "Examples with a known answer, mixed in unseen. They show early when somebody needs help.",
          ("gold_rate", "gold_feedback", "gold_window", "gold_bar")),
    Group("Entry exams", "A short exam for each category before its first text is handed out.",
          ("exam_required", "exam_size", "exam_bar")),
    Group("Care", "Defaults for everybody. A person may choose stricter limits, never looser ones, and nobody is told.",
          ("veil_severity", "severe_in_row", "severe_per_day", "rotate_after_minutes", "break_after_minutes",
           "daily_budget_minutes", "end_on_harmless", "support", "flag_note")),
)  # fmt: skip
QUOTA = "quota-"  # what the fields of the quotas are called, before the category's key
QUOTAS = Group(
    "Wanted of each category", "Decided examples to reach; what is short comes earlier. Empty sets none.", ()
)
RULES = tuple(name for group in GROUPS for name in group.fields)
SHARES = ("gold_rate", "gold_bar", "exam_bar")  # kept as shares, shown in percent
MINUTES = {  # kept as seconds, asked for in minutes: from, to, and how these are called
    "lease_seconds": (0.5, 1440, "Between half a minute and 1,440 minutes (a day)"),
    "hold_seconds": (1, 10_080, "Between 1 and 10,080 minutes (a week)"),
}
WORDS = {
    "overlap": ("Verdicts an example needs", "1 to 5 people, each without seeing what the others said"),
    "consensus": ("What decides", "by majority and with everybody of one mind, other results become disputes"),
    "blind": ("Judge blind", "others' verdicts and what machines think of the label stay hidden until one has decided"),
    "order": ("Order of the queue", ""),
    "skip_rule": ("A skipped example", ""),
    "lease_seconds": (
        "Minutes kept for one person",
        "then somebody else may get it; the time begins anew while one is at work",
    ),
    "hold_seconds": (
        "Minutes kept on hold",
        "for whoever puts a text aside, as to ask a colleague; 60 is an hour, 1,440 a day",
    ),
    "prefetch": ("Examples loaded ahead", "so that the next text is there at once"),
    "bulk_allowed": ("Allow deciding many at once", ""),
    "bulk_adversarial": ("Also what the adversary wrote", "it is made to be mistaken, so one by one is safer"),
    "gold_rate": ("Share of the queue, in percent", "0 mixes none in; 50 at most"),
    "gold_feedback": ("Tell the answer", "else nobody learns which one was a known question"),
    "gold_window": ("Answers looked at", "the newest ones of a person"),
    "gold_bar": ("Right of these, in percent", "whoever falls below is paused until a lead has talked with them"),
    "exam_required": ("Ask for the exam", "categories with too few known questions stay open to everybody"),
    "exam_size": ("Questions of an exam", "about half of the category, half harmless"),
    "exam_bar": ("To pass, in percent", ""),
    "veil_severity": ("Cover texts from severity", "1 mild to 4 worst; 5 covers nothing"),
    "severe_in_row": ("Severe texts in a row", "of severity 3 and 4; 0 sets no limit"),
    "severe_per_day": ("Severe texts a day", "0 sets no limit"),
    "rotate_after_minutes": ("Minutes before another category's turn", "0 does not rotate"),
    "break_after_minutes": ("Minutes until a break is suggested", "a nudge only; 0 never asks"),
    "daily_budget_minutes": ("Minutes of reading a day", "a firm stop; 0 sets none"),
    "end_on_harmless": (
        "Harmless texts at the end",
        "so that nobody leaves with the worst in mind; needs a daily stop",
    ),
    "support": ("Where help is", "shown before the first text and at every stop; plain text"),
    "flag_note": ("What a flag is for", ""),
}
CHOICES = {
    "consensus": [("one", "The first verdict"), ("majority", "More than half"), ("unanimous", "All of one mind")],
    "order": [("informative", "The most informative first"), ("oldest", "The oldest first"), ("random", "By chance")],
    "skip_rule": [
        ("mine", "comes back to the same person last"), ("others", "goes to somebody else"),
        ("retire", "leaves the queue"),
    ],
}  # fmt: skip


class RulesForm(OfRules):
    """Every rule with its words; shares are typed in percent, times in minutes."""

    class Meta:
        model = ReviewRules
        fields = RULES

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in SHARES:
            top = 50 if name == "gold_rate" else 100
            self.fields[name] = forms.FloatField(min_value=0, max_value=top)
            self.initial[name] = f"{100 * self.initial[name]:g}"
        for name, (low, high, words) in MINUTES.items():
            said = f"{words}; this is %(show_value)s."
            self.fields[name] = forms.FloatField(
                min_value=low, max_value=high, error_messages={"min_value": said, "max_value": said}
            )
            self.initial[name] = f"{round(self.initial[name] / 60, 2):.8g}"  # near enough to find the second again
        for name, choices in CHOICES.items():
            self.fields[name] = forms.ChoiceField(choices=choices)
        for name, field in self.fields.items():
            field.label, field.help_text = WORDS[name]
            _dress(field)

        for key, name in self.instance.project.category_names().items():
            wanted = self.instance.category_quotas.get(key)
            self.fields[QUOTA + key] = forms.IntegerField(
                label=name, required=False, min_value=0, max_value=10_000_000, initial=wanted,
                widget=forms.NumberInput(attrs={"class": "form-control"}),
            )  # fmt: skip

    def groups(self) -> list[tuple[Group, list[forms.BoundField]]]:
        """The fields as the page shows them."""
        quotas = [self[name] for name in self.fields if name.startswith(QUOTA)]
        return [*((group, [self[name] for name in group.fields]) for group in GROUPS), (QUOTAS, quotas)]

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        for name in SHARES:
            if name in values and values[name] is not None:
                values[name] = values[name] / 100
        if (kept := values.get("lease_seconds") or 0) > (held := values.get("hold_seconds") or kept):
            self.add_error("hold_seconds", f"At least as long as without a hold, {kept:g} minutes; this is {held:g}.")
        for name in MINUTES:
            if name in values and values[name] is not None:
                values[name] = round(60 * values[name])
        if values.get("consensus") == ReviewRules.Consensus.MAJORITY and (values.get("overlap") or 0) < 3:
            self.add_error("overlap", "More than half needs three people or more; with two, choose all of one mind.")
        if values.get("consensus") == ReviewRules.Consensus.UNANIMOUS and (values.get("overlap") or 0) < 2:
            self.add_error("overlap", "To be of one mind takes two people or more.")
        return values

    def keep(self, by: User) -> ReviewRules:
        """Save what changed, and note who changed what from what."""
        before = ReviewRules.objects.get(pk=self.instance.pk)
        self.instance.category_quotas = {
            name.removeprefix(QUOTA): value
            for name, value in self.cleaned_data.items()
            if name.startswith(QUOTA) and value
        }
        names = [*RULES, "category_quotas"]
        changed = [name for name in names if getattr(before, name) != getattr(self.instance, name)]
        detail = {name: [getattr(before, name), getattr(self.instance, name)] for name in changed}
        with transaction.atomic():
            self.instance.changed_by = by
            rules: ReviewRules = self.save()
            if changed:
                AuditEntry.objects.create(project=rules.project, actor=by, action="review-rules-changed", detail=detail)
        return rules


def _dress(field: forms.Field) -> None:
    kind = "form-select" if isinstance(field.widget, forms.Select) else "form-control"
    if isinstance(field.widget, forms.CheckboxInput):
        kind = "form-check-input"
    elif isinstance(field.widget, forms.Textarea):
        field.widget.attrs["rows"] = 3
    field.widget.attrs["class"] = kind

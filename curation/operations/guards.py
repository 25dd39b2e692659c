"""Guards: what may go live, promote one, retire the one before, go back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import transaction

from curation.models import AuditEntry, EvaluationSet, Guard, IllegalMove, Job, Move, Project, PromotionRules
from curation.operations import Refused, measuring, priority, scored, serving, webhooks

if TYPE_CHECKING:
    from django.contrib.auth.models import User

LONGEST_REASON = 400  # characters, so that it fits the move's note beside who and what
SHORTEST_REASON = 10


@dataclass(frozen=True)
class Check:
    """One rule of the gate, and what it found. `passed` is None where nothing can be said, which stops nobody."""

    rule: str
    passed: bool | None
    sentence: str


def rules_of(project: Project) -> PromotionRules:
    """The project's rules for going live, made with our defaults on first use."""
    rules, _ = PromotionRules.objects.get_or_create(project=project)
    return rules


def active_of(project: Project) -> Guard | None:
    """The guard that answers."""
    return project.guards.filter(state=Guard.State.ACTIVE).first()


def checks(guard: Guard, against: Guard | None = None) -> list[Check]:
    """What the project's rules say of a guard that would replace the active one; nothing where none is active."""
    active = against or active_of(guard.project)
    if active is None or active.pk == guard.pk:
        return []
    rules, sets = rules_of(guard.project), measuring.sets_up_to(guard.round)
    found = [_not_worse(guard, active, one, rules) for one in sets] if rules.check_sets else []
    own = guard.round.evaluation_set
    found += _on_rows(guard, active, own, rules) if own and (rules.check_twins or rules.check_recall) else []
    return found


def _not_worse(guard: Guard, active: Guard, one: EvaluationSet, rules: PromotionRules) -> Check:
    new, old = (measured.metrics_on(one) for measured in (guard, active))
    name = f"Not worse on {one.name}"
    if old is None:
        return Check(name, None, f"{active} was never measured on it.")
    if new is None:
        return Check(name, False, f"{guard} was not measured on it, and {active} was. Measure it first.")
    now, before = new.get("average_precision"), old.get("average_precision")
    if now is None or before is None:
        return Check(name, None, "Its rows have one label only.")
    sentence = f"Average precision {now:.3f} against {before:.3f} of {active}; it may lose {rules.sets_loss:.3f}."
    return Check(name, now >= before - rules.sets_loss, sentence)


def _on_rows(guard: Guard, active: Guard, own: EvaluationSet, rules: PromotionRules) -> list[Check]:
    new, old = scored.of(guard, own), scored.of(active, own)
    if new is None or old is None:
        return [Check("Harmless twins, and harm found at 1 % false alarms", None, "Not measured row by row yet.")]
    found = [_twins(new, old, rules)] if rules.check_twins else []
    return [*found, _recall(new, old, rules)] if rules.check_recall else found


def _twins(new: scored.Scored, old: scored.Scored, rules: PromotionRules) -> Check:
    now, before = new.twins_blocked, old.twins_blocked
    if now.value is None or before.value is None:
        return Check("Harmless twins", None, f"{new.on.name} has no harmless twin of a harmful text.")
    sentence = (
        f"Blocks {now.part} of {now.whole} harmless twins, {old.guard} {before.part}; "
        f"it may block {rules.twins_gain * 100:.1f} points more."
    )
    return Check("Harmless twins", now.value <= before.value + rules.twins_gain, sentence)


def _recall(new: scored.Scored, old: scored.Scored, rules: PromotionRules) -> Check:
    now, before, name = new.recall_at_1, old.recall_at_1, "Harm found at 1 % false alarms"
    if now is None or before is None:
        return Check(name, None, "Its rows have one label only.")
    sentence = (
        f"Finds {now * 100:.1f}\u00a0% of the harm, {old.guard} {before * 100:.1f}\u00a0%; "
        f"it may lose {rules.recall_loss * 100:.1f} points."
    )
    return Check(name, now >= before - rules.recall_loss, sentence)


def promote(guard: Guard, by: User | None, note: str = "", reason: str = "") -> None:
    """Make a guard the project's active one; the active one before retires in the same transaction.

    Against a rule of the gate it takes a named person's written reason, which the audit trail keeps with what failed.

    Raises:
        Refused: it was not evaluated, is active already, or breaks a rule and nobody says why it should go live.
    """
    with transaction.atomic():
        Project.objects.select_for_update().get(pk=guard.project_id)
        if broken := [check for check in checks(guard) if check.passed is False]:
            note = _override(guard, by, reason, broken)
        _go_live(guard, by, note or reason.strip()[:LONGEST_REASON])


def _override(guard: Guard, by: User | None, reason: str, broken: list[Check]) -> str:
    """Keep who overrules which rules and why; return what the move says.

    Raises:
        Refused: there is no person, or no reason.
    """
    reason = reason.strip()
    if by is None or len(reason) < SHORTEST_REASON:
        names = "; ".join(f"{check.rule}: {check.sentence}" for check in broken)
        raise Refused(
            f"{guard} does not hold what this project asks of a guard. {names}",
            f"Write in {SHORTEST_REASON} letters or more why it should go live all the same.",
            code="gate", field="reason",
        )  # fmt: skip
    AuditEntry.objects.create(
        project=guard.project, actor=by, action="guard-promoted-against-rules", subject=guard.subject,
        detail={"reason": reason[:LONGEST_REASON], "broken": [[check.rule, check.sentence] for check in broken]},
    )  # fmt: skip
    return f"against the rules: {reason[:LONGEST_REASON]}"


def _go_live(guard: Guard, by: User | None, note: str) -> None:
    """Retire the active guard and make this one active, in the caller's transaction."""
    for active in Guard.objects.filter(project=guard.project_id, state=Guard.State.ACTIVE).exclude(pk=guard.pk):
        active.move_to(Guard.State.RETIRED, by=by, note=f"replaced by {guard}")
    try:
        guard.move_to(Guard.State.ACTIVE, by=by, note=note)
    except IllegalMove:
        raise Refused(f"{guard} is {guard.state}; only an evaluated guard that is not active can go live.") from None
    webhooks.tell(guard.project, "guard.live", guard=guard.number, digest=guard.digest)
    serving.changed(guard.project)
    if priority.unscored(guard.project).exists():
        Job.objects.enqueue(Job.Kind.PRIORITIZE, guard.project, by=by)  # another guard is torn elsewhere


def before_active(project: Project) -> Guard | None:
    """The guard that was active last before the one that is now; None where there was none."""
    retired = {guard.subject: guard for guard in project.guards.filter(state=Guard.State.RETIRED)}
    went_live = Move.objects.filter(subject__in=retired, new=Guard.State.ACTIVE)
    newest = went_live.order_by("-pk").first()
    return retired[newest.subject] if newest else None


def roll_back(project: Project, by: User, reason: str) -> Guard:
    """Make the guard active again that was so before, in one act. No rule stands in its way: it did answer before.

    Raises:
        Refused: there was none, or no reason is given.
    """
    with transaction.atomic():
        Project.objects.select_for_update().get(pk=project.pk)
        active, guard = active_of(project), before_active(project)
        if guard is None or active is None:
            raise Refused("No guard was active before this one.", "Promote another guard instead.")
        if len(reason.strip()) < SHORTEST_REASON:
            raise Refused(f"Say in {SHORTEST_REASON} letters or more why.", "The audit trail keeps it.", field="reason")
        reason = reason.strip()[:LONGEST_REASON]
        detail = {"from": active.number, "to": guard.number, "reason": reason}
        AuditEntry.objects.create(
            project=project, actor=by, action="guard-rolled-back", subject=guard.subject, detail=detail
        )
        _go_live(guard, by, f"rolled back: {reason}")
    return guard


def is_better(guard: Guard, before: Guard | None) -> bool:
    """Whether a guard beats the one before: higher average precision on the same frozen set."""
    if before is None:
        return True
    frozen = guard.round.evaluation_set
    new, old = guard.metrics_on(frozen), before.metrics_on(frozen)
    return bool(new and old and new["average_precision"] > old["average_precision"])


def may_replace(guard: Guard, before: Guard | None) -> bool:
    """Whether a guard may go live by itself: it is better, and no rule of the gate is against it."""
    return is_better(guard, before) and all(check.passed is not False for check in checks(guard))

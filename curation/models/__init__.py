"""The domain, a module per aggregate."""

from curation.models.audit import AuditEntry, Move
from curation.models.example import Example, Finding
from curation.models.guard import Evaluation, EvaluationSet, Guard
from curation.models.job import Job
from curation.models.policy import Category, Policy, PolicyVersion
from curation.models.project import Membership, Project
from curation.models.release import Release
from curation.models.review import Verdict
from curation.models.round import Recipe, Round
from curation.models.states import IllegalMove, Stateful
from curation.models.traffic import ApiKey, Traffic

__all__ = [
    "ApiKey",
    "AuditEntry",
    "Category",
    "Evaluation",
    "EvaluationSet",
    "Example",
    "Finding",
    "Guard",
    "IllegalMove",
    "Job",
    "Membership",
    "Move",
    "Policy",
    "PolicyVersion",
    "Project",
    "Recipe",
    "Release",
    "Round",
    "Stateful",
    "Traffic",
    "Verdict",
]

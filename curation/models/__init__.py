"""The domain, a module per aggregate."""

from curation.models.adjudication import Adjudication
from curation.models.audit import AuditEntry, Move
from curation.models.example import Example, Finding
from curation.models.gold import ExamAttempt, GoldQuestion, Standing
from curation.models.guard import (
    Evaluation,
    EvaluationSet,
    FrozenRows,
    Guard,
    PeerEvaluation,
    PromotionRules,
    RowScores,
)
from curation.models.imported import Import, Provenance, SavedView, Vector
from curation.models.invitation import Invitation
from curation.models.job import Job
from curation.models.plan import Plan, Sample
from curation.models.policy import Category, Policy, PolicyVersion
from curation.models.preferences import OptOut, Preferences
from curation.models.project import Membership, Project
from curation.models.queue import Assignment, Batch, BatchItem, Lease, Purpose
from curation.models.release import Release, ReleaseRow
from curation.models.review import BulkAct, Comment, Flag, Revision, Verdict
from curation.models.round import Recipe, Round
from curation.models.rules import ReviewRules
from curation.models.session import Session
from curation.models.states import IllegalMove, Stateful
from curation.models.token import PersonalToken
from curation.models.traffic import ApiKey, Traffic
from curation.models.webhook import Delivery, Webhook

__all__ = [
    "Adjudication",
    "ApiKey",
    "Assignment",
    "AuditEntry",
    "Batch",
    "BatchItem",
    "BulkAct",
    "Category",
    "Comment",
    "Delivery",
    "Evaluation",
    "EvaluationSet",
    "ExamAttempt",
    "Example",
    "Finding",
    "Flag",
    "FrozenRows",
    "GoldQuestion",
    "Guard",
    "IllegalMove",
    "Import",
    "Invitation",
    "Job",
    "Lease",
    "Membership",
    "Move",
    "OptOut",
    "PeerEvaluation",
    "PersonalToken",
    "Plan",
    "Policy",
    "PolicyVersion",
    "Preferences",
    "Project",
    "PromotionRules",
    "Provenance",
    "Purpose",
    "Recipe",
    "Release",
    "ReleaseRow",
    "ReviewRules",
    "Revision",
    "Round",
    "RowScores",
    "Sample",
    "SavedView",
    "Session",
    "Standing",
    "Stateful",
    "Traffic",
    "Vector",
    "Verdict",
    "Webhook",
]

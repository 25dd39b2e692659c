"""Projects and who may do what in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models

from curation.models.policy import PolicyVersion

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User

    from curation.models.rules import ReviewRules


class Role(models.TextChoices):
    OWNER = "owner"
    LEAD = "lead"
    ANNOTATOR = "annotator"
    ADJUDICATOR = "adjudicator"
    VIEWER = "viewer"


LEADS = (Role.OWNER, Role.LEAD)
ADJUDICATORS = (*LEADS, Role.ADJUDICATOR)
REVIEWERS = (Role.OWNER, Role.LEAD, Role.ANNOTATOR, Role.ADJUDICATOR)


class ProjectQuerySet(models.QuerySet["Project"]):
    def for_roles(self, user: User | AnonymousUser, roles: tuple[Role, ...]) -> ProjectQuerySet:
        """Projects in which the user holds one of these roles."""
        if not user.is_authenticated:
            return self.none()
        return self.filter(memberships__user=user, memberships__role__in=roles)

    def visible_to(self, user: User | AnonymousUser) -> ProjectQuerySet:
        """Projects that the user is a member of."""
        return self.for_roles(user, tuple(Role))

    def reviewed_by(self, user: User | AnonymousUser) -> ProjectQuerySet:
        """Projects whose examples the user may judge."""
        return self.for_roles(user, REVIEWERS)


class Project(models.Model):
    name = models.CharField(max_length=120, unique=True)
    slug = models.SlugField(max_length=60, unique=True)
    description = models.TextField(blank=True)
    policy_version = models.ForeignKey(PolicyVersion, on_delete=models.PROTECT, related_name="projects")
    content_note = models.TextField(
        blank=True, help_text="Shown before the first review: what one will read, and where support is."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ProjectQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name

    def role_of(self, user: User | AnonymousUser) -> str | None:
        """The user's role here, or None for a stranger."""
        if not user.is_authenticated:
            return None
        return self.memberships.filter(user=user).values_list("role", flat=True).first()

    has_batches = True  # whoever knows that no batch is open says so, and saves a claim the question

    @property
    def review_rules(self) -> ReviewRules:
        """How people review here; made with our defaults on first use."""
        from curation.models.rules import ReviewRules

        try:
            return self.rules
        except ReviewRules.DoesNotExist:
            self.rules, _ = ReviewRules.objects.get_or_create(project=self)
            return self.rules

    def category_names(self) -> dict[str, str]:
        """Names of the policy's categories by key, in the policy's order."""
        return dict(self.policy_version.categories.values_list("key", "name"))


class Membership(models.Model):
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="memberships")
    role = models.CharField(max_length=12, choices=Role.choices)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "user"], name="member_once")]

    def __str__(self) -> str:
        return f"{self.user}: {self.role} of {self.project}"

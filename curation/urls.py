"""Addresses, grouped by noun."""

from __future__ import annotations

from allauth.socialaccount.providers.openid_connect import views as oidc
from django.contrib.auth.views import LogoutView
from django.urls import include, path, register_converter

from curation.api import api
from curation.api.moderation import api as moderation
from curation.views import (
    accounts,
    adjudications,
    agreement,
    audit,
    examples,
    gold,
    guards,
    health,
    invitations,
    members,
    people,
    plans,
    projects,
    queue,
    releases,
    reviews,
    rounds,
    rules,
    sessions,
    tokens,
    traffic,
    webhooks,
)


class Verb:
    """What one may do to a round."""

    regex = "|".join(rounds.ACTS)

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(Verb, "verb")

project = [
    path("", projects.overview, name="overview"),
    path("examples/", examples.index, name="examples"),
    path("examples/views", examples.save_view, name="example-view-save"),
    path("examples/views/<int:pk>/forget", examples.forget_view, name="example-view-forget"),
    path("examples/<int:pk>/", examples.detail, name="example"),
    path("examples/<int:pk>/like/", examples.like, name="example-like"),
    path("examples/<int:pk>/overrule", examples.overrule, name="example-overrule"),
    path("examples/<int:pk>/unflag", examples.unflag, name="example-unflag"),
    path("examples/<int:pk>/retire", examples.retire, name="example-retire"),
    path("import/", examples.bring_in, name="import"),
    path("import/start", examples.import_start, name="import-start"),
    path("import/<int:pk>/", examples.import_detail, name="import-detail"),
    path("import/<int:pk>/map", examples.import_map, name="import-map"),
    path("import/<int:pk>/act", examples.import_act, name="import-act"),
    path("import/<int:pk>/report.csv", examples.import_report, name="import-report"),
    path("rounds/", rounds.index, name="rounds"),
    path("rounds/start/", rounds.start, name="round-start"),
    path("rounds/plans/make", plans.make, name="plan-make"),
    path("rounds/plans/<int:pk>/source/", plans.source, name="plan-source"),
    path("rounds/plans/<int:pk>/recipe/", plans.recipe, name="plan-recipe"),
    path("rounds/plans/<int:pk>/preview/", plans.preview, name="plan-preview"),
    path("rounds/plans/<int:pk>/launch/", plans.launch, name="plan-launch"),
    path("rounds/recipes/", plans.recipe_list, name="recipes"),
    path("rounds/recipes/<int:pk>/", plans.recipe_detail, name="recipe"),
    path("rounds/recipes/<int:pk>/recipe.yaml", plans.recipe_file, name="recipe-file"),
    path("rounds/recipes/<int:pk>/clone", plans.recipe_clone, name="recipe-clone"),
    path("rounds/<int:number>/", rounds.detail, name="round"),
    path("rounds/<int:number>/<verb:verb>", rounds.act, name="round-act"),
    path("review/", reviews.index, name="review"),
    path("review/judge", reviews.judge, name="review-judge"),
    path("review/undo", reviews.undo, name="review-undo"),
    path("review/bulk/", reviews.bulk, name="review-bulk"),
    path("queue/", queue.index, name="queue"),
    path("queue/release", queue.release, name="queue-release"),
    path("queue/batches/cut/", queue.cut, name="queue-cut"),
    path("queue/batches/<int:pk>/", queue.batch, name="queue-batch"),
    path("queue/batches/<int:pk>/close", queue.close, name="queue-batch-close"),
    path("queue/batches/<int:pk>/reassign", queue.reassign, name="queue-batch-reassign"),
    path("quality/", agreement.index, name="quality"),
    path("quality/compute", agreement.compute, name="quality-compute"),
    path("quality/disputes/", adjudications.index, name="quality-disputes"),
    path("quality/disputes/<int:pk>/", adjudications.detail, name="quality-dispute"),
    path("quality/known/", gold.index, name="quality-gold"),
    path("quality/known/take", gold.take, name="quality-gold-take"),
    path("quality/known/write/", gold.write, name="quality-gold-write"),
    path("quality/known/<int:pk>/switch", gold.switch, name="quality-gold-switch"),
    path("quality/exams/", gold.exams, name="quality-exams"),
    path("quality/exams/<slug:category>/", gold.exam, name="quality-exam"),
    path("quality/people/", people.index, name="quality-people"),
    path("quality/people/<int:pk>/", people.detail, name="quality-person"),
    path("quality/people/<int:pk>/resume", people.resume, name="quality-resume"),
    path("quality/rules/", rules.edit, name="quality-rules"),
    path("guards/", guards.index, name="guards"),
    path("guards/live/", traffic.index, name="guard-traffic"),
    path("guards/live/choose", traffic.choose, name="guard-traffic-choose"),
    path("guards/live/keys/make", traffic.make_key, name="guard-key-make"),
    path("guards/live/keys/<int:pk>/revoke", traffic.revoke_key, name="guard-key-revoke"),
    path("guards/measure", guards.measure, name="guard-measure"),
    path("guards/back", guards.roll_back, name="guard-back"),
    path("guards/rules/", guards.gate, name="guard-gate"),
    path("guards/peers/<int:pk>/", guards.peer, name="guard-peer"),
    path("guards/<int:number>/", guards.detail, name="guard"),
    path("guards/<int:number>/threshold/", guards.threshold, name="guard-threshold"),
    path("guards/<int:number>/card.md", guards.card, name="guard-card"),
    path("guards/<int:number>/against/<int:other>/", guards.compare, name="guard-compare"),
    path("guards/<int:number>/promote", guards.promote, name="guard-promote"),
    path("webhooks/", webhooks.index, name="webhooks"),
    path("webhooks/<int:pk>/", webhooks.detail, name="webhook"),
    path("webhooks/<int:pk>/act", webhooks.act, name="webhook-act"),
    path("webhooks/<int:pk>/<int:delivery>/again", webhooks.again, name="webhook-again"),
    path("releases/", releases.index, name="releases"),
    path("releases/start", releases.start, name="release-start"),
    path("releases/<int:number>/", releases.detail, name="release"),
    path("releases/<int:number>/files/<path:name>", releases.download, name="release-file"),
    path("people/", members.index, name="members"),
    path("people/<int:pk>/role", members.role, name="member-role"),
    path("people/<int:pk>/remove", members.remove, name="member-remove"),
    path("people/invite", members.invite, name="member-invite"),
    path("people/invitations/<int:pk>/revoke", members.revoke, name="member-invitation-revoke"),
    path("people/audit/", audit.index, name="audit"),
    path("people/audit/chain/", audit.chain, name="audit-chain"),
    path("people/audit/trail.csv", audit.export, {"form": "csv"}, name="audit-csv"),
    path("people/audit/trail.jsonl", audit.export, {"form": "jsonl"}, name="audit-jsonl"),
]
urlpatterns = [
    path("", projects.home, name="home"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
    path("login", accounts.SignIn.as_view(), name="login"),
    path("login/with/<str:provider_id>", oidc.login, name="openid_connect_login"),
    path("login/with/<str:provider_id>/back", oidc.callback, name="openid_connect_callback"),
    path("logout", LogoutView.as_view(), name="logout"),
    path("settings/", accounts.settings, name="settings"),
    path("join/<str:secret>/", invitations.join, name="join"),
    path("projects/new/", projects.make, name="project-make"),
    path("settings/password/", accounts.Password.as_view(), name="password"),
    path("settings/sessions/", sessions.index, name="sessions"),
    path("settings/sessions/end", sessions.end, name="sessions-end"),
    path("settings/tokens/", tokens.index, name="tokens"),
    path("settings/tokens/<int:pk>/revoke", tokens.revoke, name="token-revoke"),
    path("words.js", accounts.words, name="javascript-catalog"),
    path("api/v1/", api.urls),
    path("v1/", moderation.urls),
    path("p/<slug:slug>/", include(project)),
]

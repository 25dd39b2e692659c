"""Addresses, grouped by noun."""

from __future__ import annotations

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path, register_converter

from curation.api.moderation import api as moderation
from curation.views import examples, guards, projects, releases, reviews, rounds, traffic


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
    path("examples/<int:pk>/", examples.detail, name="example"),
    path("examples/<int:pk>/overrule", examples.overrule, name="example-overrule"),
    path("import/", examples.bring_in, name="import"),
    path("import/<str:token>/errors.csv", examples.import_errors, name="import-errors"),
    path("rounds/", rounds.index, name="rounds"),
    path("rounds/start/", rounds.start, name="round-start"),
    path("rounds/<int:number>/", rounds.detail, name="round"),
    path("rounds/<int:number>/<verb:verb>", rounds.act, name="round-act"),
    path("review/", reviews.desk, name="review"),
    path("review/judge", reviews.judge, name="review-judge"),
    path("review/undo", reviews.undo, name="review-undo"),
    path("guards/", guards.index, name="guards"),
    path("guards/live/", traffic.index, name="guard-traffic"),
    path("guards/live/choose", traffic.choose, name="guard-traffic-choose"),
    path("guards/live/keys/make", traffic.make_key, name="guard-key-make"),
    path("guards/live/keys/<int:pk>/revoke", traffic.revoke_key, name="guard-key-revoke"),
    path("guards/<int:number>/", guards.detail, name="guard"),
    path("guards/<int:number>/promote", guards.promote, name="guard-promote"),
    path("releases/", releases.index, name="releases"),
    path("releases/start", releases.start, name="release-start"),
    path("releases/<int:number>/", releases.detail, name="release"),
    path("releases/<int:number>/files/<str:name>", releases.download, name="release-file"),
]
urlpatterns = [
    path("", projects.home, name="home"),
    path("healthz", projects.healthz, name="healthz"),
    path("login", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout", LogoutView.as_view(), name="logout"),
    path("v1/", moderation.urls),
    path("p/<slug:slug>/", include(project)),
]

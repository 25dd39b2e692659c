"""The wizard: source, recipe, preview, estimate, launch. And recipes, which it begins from."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from curation.forms.stages import FileForm, LaunchForm, RecipeForm, SourceForm
from curation.models import Plan, Project, Recipe
from curation.operations import Refused, estimates, plans, recipes
from curation.views import access

STEPS = (("plan-source", "Source"), ("plan-recipe", "Recipe"), ("plan-preview", "Preview"), ("plan-launch", "Launch"))


def _page(
    request: access.UserRequest, plan: Plan, step: str, more: dict[str, Any], failed: bool = False
) -> HttpResponse:
    steps = [{"address": name, "word": word, "now": name == f"plan-{step}"} for name, word in STEPS]
    context = {"project": plan.project, "plan": plan, "steps": steps, **more}
    return render(request, f"round/plan_{step}.html", context, status=422 if failed else 200)


def _plan(project: Project, pk: int) -> Plan:
    plan: Plan = get_object_or_404(project.plans.select_related("round"), pk=pk)
    plan.project = project
    return plan


def _say(request: access.UserRequest, no: Refused) -> None:
    access.tell(request, no)


@require_POST
@access.lead
def make(request: access.UserRequest, project: Project) -> HttpResponse:
    """Begin a plan from a recipe, from a round, or from the default recipe."""
    recipe = round = None
    if (pk := request.POST.get("recipe", "")).isdecimal():
        recipe = get_object_or_404(project.recipes, pk=int(pk[:18]))
    if (number := request.POST.get("round", "")).isdecimal():
        round = get_object_or_404(project.rounds, number=int(number[:9]))
    try:
        plan = plans.make(project, request.user, recipe, round.recipe if round and round.recipe else None)
    except Refused as no:
        _say(request, no)
        return redirect("recipes", project.slug)
    return redirect("plan-source", project.slug, plan.pk)


@require_http_methods(["GET", "POST"])
@access.lead
def source(request: access.UserRequest, project: Project, pk: int) -> HttpResponse:
    """What the round writes from."""
    plan = _plan(project, pk)
    generate = plan.recipe.get("generate") or {}
    chosen = generate.get("source") or {}
    initial = {**chosen, "languages": " ".join(chosen.get("languages") or []), "seeds": generate.get("seeds", 0)}
    form = SourceForm(request.POST or None, initial=initial, project=project)
    if request.method == "POST" and (not generate or form.is_valid()):
        try:
            if generate:
                form.into(plan)
            return redirect("plan-recipe", project.slug, pk)
        except Refused as no:
            form.add_error(None, str(no))
    finds = project.examples.filter(round__state="draft").count()
    fits = plans.usable(project, chosen).count()
    return _page(request, plan, "source", {"form": form, "fits": fits, "finds": finds, "writes": bool(generate)},
                 bool(form.errors))  # fmt: skip


@require_http_methods(["GET", "POST"])
@access.lead
def recipe(request: access.UserRequest, project: Project, pk: int) -> HttpResponse:
    """Which stages, with which settings."""
    plan, problem = _plan(project, pk), ""
    form = RecipeForm(request.POST if request.method == "POST" else None, plan.recipe)
    if request.method == "POST":
        if form.is_valid():
            try:
                plans.change(plan, form.body())
                return redirect("plan-preview", project.slug, pk)
            except Refused as no:
                problem = str(no)
        else:
            problem = "Some settings have a value of another kind; they are marked below."
    return _page(request, plan, "recipe", {"form": form, "problem": problem}, bool(problem))


@require_http_methods(["GET", "POST"])
@access.lead
def preview(request: access.UserRequest, project: Project, pk: int) -> HttpResponse:
    """Ten texts that the recipe really writes; a fragment asks again while they come."""
    plan = _plan(project, pk)
    if request.method == "POST":
        try:
            plans.look(plan, request.user)
        except Refused as no:
            _say(request, no)
        return redirect("plan-preview", project.slug, pk)
    job = plan.preview
    samples = list(job.samples.select_related("parent")) if job else []
    more = {"job": job, "samples": samples, "names": project.category_names()}
    if "HX-Request" in request.headers:
        return render(request, "round/_preview.html", {"project": project, "plan": plan, **more})
    return _page(request, plan, "preview", more)


@require_http_methods(["GET", "POST"])
@access.lead
def launch(request: access.UserRequest, project: Project, pk: int) -> HttpResponse:
    """What it would take, and the button that starts it."""
    plan = _plan(project, pk)
    form = LaunchForm(request.POST or None, instance=plan)
    if request.method == "POST" and form.is_valid():
        form.save()
        if "start" not in request.POST:
            return redirect("plan-launch", project.slug, pk)
        try:
            return redirect("round", project.slug, plans.launch(plan, request.user).number)
        except Refused as no:
            form.add_error(None, str(no))
    start = plan.from_recipe.body if plan.from_recipe else recipes.checked(recipes.default())
    more = {
        "form": form, "estimate": estimates.of(plan), "open_round": project.rounds.open().first(),
        "before": recipes.differences(start, plan.recipe),
    }  # fmt: skip
    return _page(request, plan, "launch", more, bool(form.errors))


# Recipes


@require_http_methods(["GET", "POST"])
@access.lead
def recipe_list(request: access.UserRequest, project: Project) -> HttpResponse:
    """All recipes with their versions; a YAML file brings another one."""
    form = FileForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        try:
            file = form.cleaned_data["file"]
            kept = recipes.save(project, recipes.from_yaml(file.read(recipes.LARGEST_FILE + 1)), request.user)
            return redirect("recipe", project.slug, kept.pk)
        except Refused as no:
            form.add_error("file", str(no))
    found = project.recipes.select_related("created_by", "parent").order_by("name", "-version")
    context = {"project": project, "recipes": found, "form": form}
    return render(request, "round/recipes.html", context, status=422 if form.errors else 200)


@require_GET
@access.lead
def recipe_detail(request: access.UserRequest, project: Project, pk: int) -> HttpResponse:
    """One version of a recipe, and how it differs from another."""
    found: Recipe = get_object_or_404(project.recipes.select_related("parent", "created_by"), pk=pk)
    against = request.GET.get("against", "")
    other = project.recipes.filter(pk=int(against[:18])).first() if against.isdecimal() else found.parent
    context = {
        "project": project, "recipe": found, "text": recipes.to_yaml(found.body), "other": other,
        "differences": recipes.differences(other.body, found.body) if other else [],
        "others": project.recipes.exclude(pk=pk).order_by("name", "-version"),
        "rounds": found.rounds.order_by("number"),
    }  # fmt: skip
    return render(request, "round/recipe.html", context)


@require_GET
@access.lead
def recipe_file(request: access.UserRequest, project: Project, pk: int) -> HttpResponse:
    """A recipe as YAML, which the shell takes too."""
    found: Recipe = get_object_or_404(project.recipes, pk=pk)
    headers = {"Content-Disposition": f'attachment; filename="recipe-{found.pk}-v{found.version}.yaml"'}
    return HttpResponse(recipes.to_yaml(found.body), content_type="application/yaml", headers=headers)


@require_POST
@access.lead
def recipe_clone(request: access.UserRequest, project: Project, pk: int) -> HttpResponse:
    """Copy a recipe under another name."""
    found: Recipe = get_object_or_404(project.recipes, pk=pk)
    try:
        copy = recipes.clone(found, request.POST.get("name", ""), request.user)
    except Refused as no:
        _say(request, no)
        return redirect("recipe", project.slug, pk)
    messages.success(request, f"{copy} is there.")
    return redirect("recipe", project.slug, copy.pk)

"""The manifests say what the Procfile says, hold to the schemas of Kubernetes, and give nothing away."""

from __future__ import annotations

import copy
import re
import shlex
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from django.urls import resolve

ROOT = Path(__file__).resolve().parent.parent
VERSIONS = ("1.30", "1.34")
PLACES = {"--bind", "--socket", "--host", "--port", "--follow"}  # where a process listens differs; what it does may not
MANIFESTS = list(yaml.safe_load_all((ROOT / "deploy/kubernetes/whetstone.yaml").read_text()))
COMPOSE = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
PROCESSES = {
    name: shlex.split(command)
    for name, _, command in (line.partition(": ") for line in (ROOT / "Procfile").read_text().splitlines())
}
DEPLOYMENTS = {one["metadata"]["name"]: one for one in MANIFESTS if one["kind"] == "Deployment"}
TEMPLATES = {one["metadata"]["name"]: one["spec"]["template"] for one in MANIFESTS if "template" in one.get("spec", {})}
PODS = {name: template["spec"] for name, template in TEMPLATES.items()}


def without_places(command: list[str]) -> list[str]:
    kept, skip = [], False
    for word in command:
        if not skip and word not in PLACES:
            kept.append(word)
        skip = word in PLACES
    return kept


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda one: f"{one['kind']} {one['metadata']['name']}")
def test_a_manifest_holds_to_the_schema(manifest: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(manifest, version, strict=True)


def test_a_manifest_with_a_misspelt_field_does_not() -> None:
    wrong = copy.deepcopy(DEPLOYMENTS["web"])
    wrong["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}

    with pytest.raises(kubernetes_validate.ValidationError, match="readynessProbe"):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


def test_every_process_runs_as_the_procfile_says() -> None:
    compose = {name: one["command"] for name, one in COMPOSE["services"].items() if name in PROCESSES}
    cluster = {name: pod["containers"][0]["command"] for name, pod in PODS.items() if name in PROCESSES}

    wanted = {name: without_places(command) for name, command in PROCESSES.items()}
    assert {name: without_places(command) for name, command in compose.items()} == wanted
    assert {name: without_places(command) for name, command in cluster.items()} == wanted
    assert set(DEPLOYMENTS) == set(PROCESSES)


@pytest.mark.parametrize("name", PODS)
def test_a_pod_has_no_more_rights_than_it_needs(name: str) -> None:
    pod = PODS[name]
    (container,) = pod["containers"]

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert set(container["resources"]) == {"requests", "limits"}


def test_probes_ask_for_pages_that_there_are() -> None:
    web = PODS["web"]["containers"][0]

    assert resolve(web["livenessProbe"]["httpGet"]["path"]).url_name == "healthz"
    assert resolve(web["readinessProbe"]["httpGet"]["path"]).url_name == "readyz"


def test_every_setting_that_is_named_is_read_somewhere() -> None:
    code = "".join(
        file.read_text() for folder in ("curation", "pipeline", "classifier") for file in (ROOT / folder).rglob("*.py")
    )
    config = next(one for one in MANIFESTS if one["kind"] == "ConfigMap")["data"]
    of_pods = [one["name"] for pod in PODS.values() for one in pod["containers"][0]["env"]]
    of_compose = [name.removesuffix("_FILE") for name in COMPOSE["x-site"]["environment"]]
    of_image = re.findall(r"\b(WHETSTONE_\w+)=", (ROOT / "deploy/Dockerfile").read_text())

    names = {*config, *of_pods, *of_compose, *of_image}
    assert len(names) > 8
    assert [name for name in sorted(names) if f'"{name}"' not in code] == []


def test_no_password_and_no_key_stands_in_a_file() -> None:
    given = [(name, one.get("environment") or {}) for name, one in COMPOSE["services"].items()]
    secret = re.compile(r"PASSWORD|SECRET|TOKEN|_URL$")
    for name, variables in given:
        for variable, value in variables.items():
            if secret.search(variable.removesuffix("_FILE")) and variable != "WHETSTONE_GUARD_URL":
                assert variable.endswith("_FILE"), f"{name}: {variable}"
                assert value.startswith("/run/secrets/"), f"{name}: {variable}"
    for name, pod in PODS.items():
        for variable in pod["containers"][0]["env"]:
            assert "secretKeyRef" in variable.get("valueFrom", {}), f"{name}: {variable['name']}"


def test_what_is_mounted_is_declared() -> None:
    for name, pod in PODS.items():
        declared = {volume["name"] for volume in pod["volumes"]}
        assert {mount["name"] for mount in pod["containers"][0]["volumeMounts"]} <= declared, name
    for name, service in COMPOSE["services"].items():
        for volume in service.get("volumes", []):
            assert volume.split(":")[0] in COMPOSE["volumes"], f"{name}: {volume}"
        assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"]), name
        assert set(service.get("depends_on", {})) <= set(COMPOSE["services"]), name


def test_only_the_site_reaches_the_guard() -> None:
    (policy,) = [one for one in MANIFESTS if one["kind"] == "NetworkPolicy"]

    assert policy["spec"]["podSelector"]["matchLabels"] == TEMPLATES["guard"]["metadata"]["labels"]
    (rule,) = policy["spec"]["ingress"]
    assert rule["from"] == [{"podSelector": {"matchLabels": TEMPLATES["web"]["metadata"]["labels"]}}]

"""The chart, rendered by Helm's own library: what Kubernetes would be given."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.bootstrap.settings import SECRETS, load_settings
from tests.support import compose

pytestmark = pytest.mark.requirement("DEP-01")

helm = pytest.importorskip("helm_python", reason="Helm's library has no wheel for this kind of machine")
kubernetes_validate = pytest.importorskip("kubernetes_validate")

CHART = Path(__file__).parents[3] / "deployments/chart"
EVERYTHING = {
    "ingress": {"enabled": True, "className": "nginx", "tlsSecret": "visits-tls"},
    "networkPolicy": {"enabled": True, "from": {"kubernetes.io/metadata.name": "ingress"}},
    "image": {"digest": f"sha256:{'0' * 64}"},
    "protocolConfigMap": "protocol",
    "otlpEndpoint": "http://collector:4318",
    "settings": {"ITP_REPAIR_SECONDS": "60"},
    "imagePullSecrets": [{"name": "registry"}],
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "study", "operator": "Exists"}],
}
WAYS: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "with everything": EVERYTHING,
    "without backups": {"backup": {"enabled": False}},
}


def rendered(values: dict[str, Any]) -> list[dict[str, Any]]:
    with helm.Chart.load(str(CHART)) as chart:
        files = chart.render(values, name="itp", namespace="trial")
    return [
        document
        for name, text in files.items()
        if name.endswith(".yaml")
        for document in yaml.safe_load_all(text)
        if document
    ]


@cache
def usual() -> tuple[dict[str, Any], ...]:
    return tuple(rendered({}))


def pods(documents: Any) -> dict[str, dict[str, Any]]:
    """The pods by the name of what makes them."""
    found = {}
    for each in documents:
        spec = each["spec"]
        if each["kind"] == "CronJob":
            spec = spec["jobTemplate"]["spec"]
        if "template" in spec:
            found[each["metadata"]["name"]] = spec["template"]["spec"]
    return found


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("version", ["1.27", "1.35"])
def test_kubernetes_takes_everything_that_is_rendered(way: str, version: str) -> None:
    documents = rendered(WAYS[way])
    assert {"Deployment", "Service", "PodDisruptionBudget"} <= {each["kind"] for each in documents}
    for document in documents:
        kubernetes_validate.validate(document, version, strict=True)
    names = [(each["kind"], each["metadata"]["name"]) for each in documents]
    assert len(set(names)) == len(names)


def test_helm_finds_nothing_to_say_about_the_chart() -> None:
    found = helm.lint(str(CHART))
    said = [each["error"] for each in found["messages"] if "icon is recommended" not in each["error"]]
    assert not said
    assert not found["errors"]


@pytest.mark.parametrize(
    "values",
    [
        {"api": {"replicas": 0}},
        {"secret": ""},
        {"settings": {"PATH": "/"}},
        {"image": {"digest": "latest"}},
        {"replicas": 3},
    ],
)
def test_values_that_cannot_be_meant_are_refused(values: dict[str, Any]) -> None:
    with helm.Chart.load(str(CHART)) as chart, pytest.raises(helm.HelmError):
        chart.validate_schema(values)


def test_no_pod_is_root_or_writes_to_its_root_or_holds_a_token_of_the_cluster() -> None:
    found = pods(rendered(EVERYTHING))
    assert len(found) == 6
    for name, pod in found.items():
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        # Otherwise variables of a Service that is named itp would look like settings.
        assert pod["enableServiceLinks"] is False
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert "memory" in container["resources"]["limits"]
            assert {"/data", "/tmp"} <= {each["mountPath"] for each in container["volumeMounts"]}
            assert container["image"].endswith("0" * 64)


def test_no_secret_is_a_variable_and_each_that_is_named_is_mounted() -> None:
    for name, pod in pods(usual()).items():
        [container] = pod["containers"]
        variables = {each["name"]: each["value"] for each in container["env"]}
        assert not SECRETS - {"ITP_API_TOKENS"} & variables.keys(), name
        [mounted] = [each["secret"] for each in pod["volumes"] if "secret" in each]
        files = {f"/run/secrets/itp/{each['path']}" for each in mounted["items"]}
        named = {value for value in variables.values() if value.startswith("/run/secrets/")}
        assert named <= files
        # A part gets no secret that it does not need; the tokens are the doors' alone.
        assert ("tokens" in {Path(each).name for each in files}) is (name == "itp-api")


def test_every_variable_is_a_setting(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("x" * 40)
    for pod in pods(rendered(EVERYTHING)).values():
        for container in pod["containers"]:
            given = {each["name"]: each["value"] for each in container["env"]}
            given = {key: str(kept) if value.startswith("/") else value for key, value in given.items()}
            given |= {"ITP_PREFECT_AUTH_FILE": ""}
            load_settings(given, tmp_path / ".env")


def test_what_runs_twice_can_be_moved_and_keeps_one() -> None:
    by_kind: dict[str, dict[str, Any]] = {}
    for each in usual():
        by_kind.setdefault(each["kind"], {})[each["metadata"]["name"]] = each
    several = {name: each for name, each in by_kind["Deployment"].items() if each["spec"]["replicas"] > 1}
    assert several.keys() == {"itp-api", "itp-round", "itp-prefect"}
    for name, each in several.items():
        budget = by_kind["PodDisruptionBudget"][name]["spec"]
        assert budget["maxUnavailable"] < each["spec"]["replicas"]
        assert budget["selector"] == each["spec"]["selector"]
        pod = each["spec"]["template"]["spec"]
        assert pod["topologySpreadConstraints"][0]["labelSelector"] == each["spec"]["selector"]
        [container] = pod["containers"]
        assert {"startupProbe", "livenessProbe"} <= container.keys()
    services = by_kind["Deployment"]["itp-prefect-services"]["spec"]
    assert (services["replicas"], services["strategy"]) == (1, {"type": "Recreate"})


def test_the_chart_and_compose_run_the_same_commands_with_the_same_secrets() -> None:
    ours = {name: each for name, each in compose.read()["services"].items() if "command" in each}
    commands = {
        tuple(each["command"]): sorted(each["secrets"])
        for each in ours.values()
        if each["image"].startswith(compose.OURS)
    }
    found = {}
    for pod in pods(usual()).values():
        [container] = pod["containers"]
        if "command" not in container:
            [mounted] = [each["secret"] for each in pod["volumes"] if "secret" in each]
            found[tuple(container["args"])] = sorted(each["key"] for each in mounted["items"])
    assert found == commands


def test_the_backup_is_made_before_old_ones_go() -> None:
    [container] = pods(usual())["itp-backup"]["containers"]
    [script] = container["args"]
    assert container["command"] == ["sh", "-ec"]
    assert re.search(r"itp backup .*\n.*find /backups .*-mtime \+30 -delete", script)

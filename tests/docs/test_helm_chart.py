"""Lint and render the Helm chart by Helm's own library; check the manifests by schemas."""

import json
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any, Final

import helm_python as helm
import kubernetes_validate
import pytest
import yaml

from api.routes import health
from fonoteka.core.config import Configuration

_CHART: Final = Path(__file__).parents[2] / "deploy" / "helm" / "fonoteka"
_VERSIONS: Final = ("1.25", "1.37")  # the oldest of Chart.yaml, and a new one
_LEAST: Final = {"existingSecret": "fonoteka"}
_ALL: Final = {
    **_LEAST,
    "ingress": {"enabled": True, "className": "nginx", "tlsSecret": "tls", "annotations": {"a/b": "c"}},
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "networkPolicy": {"from": [{"namespaceSelector": {"matchLabels": {"a": "b"}}}]},
    "imagePullSecrets": [{"name": "pull"}],
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "a", "operator": "Exists"}],
}
_KINDS: Final = ["ConfigMap", "ConfigMap", "Deployment", "Job", "NetworkPolicy", "PodDisruptionBudget", "Service"]
_EACH: Final = pytest.mark.parametrize("values", [_LEAST, _ALL], ids=["least", "all"])

Manifest = dict[str, Any]


def _rendered(values: dict[str, Any]) -> list[Manifest]:
    return _parsed(json.dumps(values))


@cache
def _parsed(values: str) -> list[Manifest]:
    with helm.Chart.load(str(_CHART)) as chart:
        files = chart.render(json.loads(values), name="calls", namespace="telephony")
    return [each for name, text in files.items() if name.endswith(".yaml") for each in yaml.safe_load_all(text) if each]


def _pods(values: dict[str, Any]) -> dict[str, Manifest]:
    return {each["kind"]: each["spec"]["template"]["spec"] for each in _rendered(values) if each["kind"] in ("Deployment", "Job")}


def test_helm_has_nothing_to_say() -> None:
    found = helm.lint(str(_CHART), values=_LEAST)
    assert found["errors"] == []
    assert [each["error"] for each in found["messages"]] == ["icon is recommended"]


def test_the_kinds_of_manifests() -> None:
    assert sorted(each["kind"] for each in _rendered(_LEAST)) == _KINDS
    assert sorted(each["kind"] for each in _rendered(_ALL)) == sorted([*_KINDS, "Ingress", "Service", "ServiceMonitor"])


@_EACH
@pytest.mark.parametrize("version", _VERSIONS)
def test_manifests_fit_the_schemas_of_kubernetes(values: dict[str, Any], version: str) -> None:
    for manifest in _rendered(values):
        if manifest["kind"] != "ServiceMonitor":  # of the Prometheus operator
            kubernetes_validate.validate(manifest, version, strict=True)


def test_what_the_chart_does_not_know_is_refused() -> None:
    with pytest.raises(helm.HelmError, match="existingSecret"):
        _rendered({})
    with pytest.raises(helm.HelmError, match="replica"):
        _rendered({**_LEAST, "replica": 3})


@_EACH
def test_pods_may_do_little(values: dict[str, Any]) -> None:
    for pod in _pods(values).values():
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in (*pod["initContainers"], *pod["containers"]):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["limits"]["memory"]
            assert container["image"].endswith(":0.1.0")


def test_secrets_are_only_referred_to() -> None:
    assert "Secret" not in [each["kind"] for each in _rendered(_ALL)]
    for pod in _pods(_ALL).values():
        assert {"secretName": "fonoteka", "defaultMode": 0o440} in [volume.get("secret") for volume in pod["volumes"]]
        environment = [entry for container in pod["containers"] for entry in container["env"]]
        assert environment == [{"name": "FONOTEKA_CONFIG", "value": "/etc/fonoteka/fonoteka.toml"}]


def test_the_probes_ask_what_the_api_answers() -> None:
    (api,) = _pods(_LEAST)["Deployment"]["containers"]
    paths = {probe: api[f"{probe}Probe"]["httpGet"]["path"] for probe in ("startup", "liveness", "readiness")}
    assert paths == {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz?agents=false"}
    answered = {route.path for route in health.router.routes}  # type: ignore[attr-defined]
    assert {path.partition("?")[0] for path in paths.values()} <= answered


def test_the_configuration_has_keys_that_exist_and_no_secret() -> None:
    texts = {each["data"]["fonoteka.toml"] for each in _rendered(_LEAST) if each["kind"] == "ConfigMap"}
    assert len(texts) == 1, "the migrations read what the API reads"
    for section, keys in tomllib.loads(texts.pop()).items():
        fields = Configuration.model_fields[section].annotation.model_fields  # type: ignore[union-attr]
        for key in keys:
            field = fields.get(key) or fields[key.removesuffix("_file")]
            assert "SecretStr" not in str(field.annotation) or key.endswith("_file") or key == "s3_access_key", key


def test_the_migrations_run_before_the_api_changes() -> None:
    (job,) = (each for each in _rendered(_LEAST) if each["kind"] == "Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert job["spec"]["template"]["spec"]["containers"][0]["args"] == ["migrate"]
    mounted = [volume["configMap"]["name"] for volume in job["spec"]["template"]["spec"]["volumes"] if "configMap" in volume]
    hooked = [each["metadata"]["name"] for each in _rendered(_LEAST) if "annotations" in each["metadata"] and "data" in each]
    assert mounted == hooked, "its ConfigMap is there before it"


@pytest.mark.parametrize(("agents", "closed"), [(False, ["/metrics", "/readyz", "/agent"]), (True, ["/metrics", "/readyz"])])
def test_the_ingress_leaves_out_what_is_not_for_everybody(agents: bool, closed: list[str]) -> None:
    manifests = _rendered({**_LEAST, "ingress": {"enabled": True, "agents": agents}})
    (ingress,) = (each for each in manifests if each["kind"] == "Ingress")
    (rule,) = ingress["spec"]["rules"]
    to = {path["path"]: path["backend"]["service"]["name"] for path in rule["http"]["paths"]}
    assert to == {**dict.fromkeys(closed, "calls-closed"), "/": "calls"}
    services = {each["metadata"]["name"]: each["spec"].get("selector") for each in manifests if each["kind"] == "Service"}
    assert services["calls-closed"] is None
    assert services["calls"]


def test_selectors_find_the_pods_of_the_api_alone() -> None:
    by_kind = {each["kind"]: each for each in _rendered(_LEAST)}
    wanted = by_kind["Deployment"]["spec"]["selector"]["matchLabels"]
    assert wanted.items() <= by_kind["Deployment"]["spec"]["template"]["metadata"]["labels"].items()
    assert not wanted.items() <= by_kind["Job"]["spec"]["template"]["metadata"]["labels"].items()
    for kind in ("PodDisruptionBudget", "NetworkPolicy", "Service"):
        selector = by_kind[kind]["spec"].get("selector") or by_kind[kind]["spec"]["podSelector"]
        assert selector.get("matchLabels", selector) == wanted


def test_versions_are_those_of_fonoteka() -> None:
    chart = yaml.safe_load((_CHART / "Chart.yaml").read_text(encoding="utf-8"))
    init = (Path(__file__).parents[2] / "fonoteka" / "__init__.py").read_text(encoding="utf-8")
    assert chart["appVersion"] == re.findall(r'__version__ = "(.+)"', init)[0]

"""Check the compose files: hardened services, no secret in plain, no missing file or key."""

import re
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from fonoteka.core.config import Configuration

_ROOT: Final = Path(__file__).parents[2]
_COMPOSE: Final = _ROOT / "deploy" / "compose"
_FILES: Final = (_ROOT / "docker-compose.yml", _COMPOSE / "beside-asterisk.yml")
_OURS: Final = {"fonoteka", "fonoteka-demo"}  # images of this repository
_SECRET: Final = re.compile(r"PASSWORD|SECRET|TOKEN|KEY")
_IDENTIFIERS: Final = {"s3_access_key"}  # no secret without its other half

Service = dict[str, Any]


def _parsed(path: Path) -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return parsed


def _jobs(services: Mapping[str, Service]) -> set[str]:
    """Return the services that others wait to end: they run once, and need no health check."""
    return {
        name
        for service in services.values()
        for name, wanted in service.get("depends_on", {}).items()
        if wanted["condition"] == "service_completed_successfully"
    }


_WHOLE: Final = _parsed(_FILES[0])
_SERVICES: Final = [
    pytest.param(path, name, service, id=f"{path.stem}-{name}")
    for path in _FILES
    for name, service in _parsed(path)["services"].items()
]
_EACH_SERVICE: Final = pytest.mark.parametrize(("path", "name", "service"), _SERVICES)


@_EACH_SERVICE
def test_a_service_may_do_little(path: Path, name: str, service: Service) -> None:
    assert re.fullmatch(r"[1-9]\d*:\d+", service["user"]), "not root, by number: the image may know no names"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "pid", "ipc"} & service.keys()


@_EACH_SERVICE
def test_a_service_has_a_health_check_or_runs_once(path: Path, name: str, service: Service) -> None:
    is_job = name in _jobs(_parsed(path)["services"])
    assert ("healthcheck" in service) != is_job
    assert service["restart"] == ("on-failure" if is_job else "unless-stopped")


@_EACH_SERVICE
def test_images_of_others_have_a_version(path: Path, name: str, service: Service) -> None:
    build = service.get("build", {})
    inline = build.get("dockerfile_inline", "") if isinstance(build, dict) else ""
    of_others = re.findall(r"^FROM (\S+)", inline, re.M)
    if not build and service["image"] not in _OURS:
        of_others = [service["image"]]
    assert of_others or service["image"] in _OURS
    for image in of_others:
        assert re.search(r":[\w.-]*\d+[.-]\d+[\w.-]*(@sha256:[0-9a-f]{64})?$", image), image


@_EACH_SERVICE
def test_what_is_mounted_exists(path: Path, name: str, service: Service) -> None:
    for volume in service.get("volumes", ()):
        source, _, _ = volume.partition(":")
        if source.startswith("."):
            assert (path.parent / source).exists(), source
            assert volume.endswith(":ro"), volume
        elif not source.startswith("/"):
            assert source in _parsed(path)["volumes"]
    build = service.get("build")
    if isinstance(build, dict) and "dockerfile" in build:
        assert (path.parent / build["context"] / build["dockerfile"]).is_file()


@_EACH_SERVICE
def test_no_secret_is_in_plain(path: Path, name: str, service: Service) -> None:
    for key, value in service.get("environment", {}).items():
        assert not _SECRET.search(key) or key.endswith("_FILE"), key
        assert not key.endswith("_FILE") or value.removeprefix("/run/secrets/") in service["secrets"], key
    for secret in service.get("secrets", ()):
        assert secret in _parsed(path)["secrets"]


def test_only_nginx_is_published_and_on_the_loopback() -> None:
    published = {name: service["ports"] for name, service in _WHOLE["services"].items() if "ports" in service}
    assert published.keys() == {"nginx"}
    assert all(re.fullmatch(r"\$\{\w+:-127\.0\.0\.1:\d+\}:\d+", port) for port in published["nginx"])
    outward = {name for name, network in _WHOLE["networks"].items() if not (network or {}).get("internal")}
    assert outward == {"edge"}
    assert {name for name, service in _WHOLE["services"].items() if outward & set(service.get("networks", ()))} == {"nginx"}


def test_networks_and_profiles_fit() -> None:
    services = _WHOLE["services"]
    for name, service in services.items():
        assert set(service.get("networks", ())) <= _WHOLE["networks"].keys(), name
        for other in service.get("depends_on", {}):
            assert other in services
            assert not services[other].get("profiles") or services[other]["profiles"] == service.get("profiles"), name


def test_the_migrations_run_before_the_apis() -> None:
    for name in ("api1", "api2"):
        assert _WHOLE["services"][name]["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}
    assert _WHOLE["services"]["migrate"]["entrypoint"][-1].endswith("fonoteka migrate")


def _keys(text: str) -> Iterator[tuple[str, str]]:
    for section, keys in tomllib.loads(text).items():
        for key in keys:
            yield section, key


def _check_key(section: str, key: str) -> None:
    """Check that a key exists, and that a secret is named by its file."""
    fields = Configuration.model_fields[section].annotation.model_fields  # type: ignore[union-attr]
    field = fields.get(key) or fields[key.removesuffix("_file")]
    is_secret = "SecretStr" in str(field.annotation)
    assert not is_secret or key.endswith("_file") or key in _IDENTIFIERS, f"{section}.{key} is a secret in plain"


def test_the_keys_of_the_configuration_exist() -> None:
    keys = list(_keys((_COMPOSE / "fonoteka.toml").read_text(encoding="utf-8")))
    assert len(keys) > 8
    for section, key in keys:
        _check_key(section, key)
    for service in _WHOLE["services"].values():
        for name in service.get("environment", {}):
            if name.startswith("FONOTEKA_") and name != "FONOTEKA_CONFIG":
                _check_key(*name.removeprefix("FONOTEKA_").lower().split("__"))


def test_the_secrets_are_made_by_the_script_and_stay_out_of_git_and_images(tmp_path: Path) -> None:
    (tmp_path / "secrets.sh").write_text((_COMPOSE / "secrets.sh").read_text())
    subprocess.run(["sh", str(tmp_path / "secrets.sh"), "calls.example.com"], check=True, capture_output=True)
    made = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    named = {Path(secret["file"]) for secret in _WHOLE["secrets"].values()}
    assert {path.name for path in named} == made.keys()
    assert {path.parent for path in named} == {Path("deploy/compose/secrets")}
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    subprocess.run(["sh", str(tmp_path / "secrets.sh")], check=True, capture_output=True)
    assert {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()} == made, "a second run keeps them"
    for ignored in (".gitignore", ".dockerignore"):
        assert "deploy/compose/secrets" in (_ROOT / ignored).read_text().splitlines()


def test_the_proxy_and_the_monitoring_name_services() -> None:
    text = (_COMPOSE / "nginx.conf").read_text(encoding="utf-8")
    upstreams = re.findall(r"server (\w+):\d+ resolve", text)
    assert upstreams == ["api1", "api2"]
    scraped = _parsed(_COMPOSE / "prometheus.yml")["scrape_configs"]
    targets = [target for job in scraped for group in job["static_configs"] for target in group["targets"]]
    sources = [source["url"] for source in _parsed(_COMPOSE / "grafana-datasource.yml")["datasources"]]
    named = {re.sub(r"^http://|:\d+$", "", address) for address in (*targets, *sources, *re.findall(r"http://(\w+):", text))}
    assert {"api1", "api2", "asterisk", "prometheus", "grafana"} <= named
    assert named <= _WHOLE["services"].keys()

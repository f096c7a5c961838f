"""What can be said of the files in `deploy/` without Docker, Kubernetes and systemd: that they fit the gateway."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from openclaw_actors.actors.root import MARGIN_S
from openclaw_actors.cli.main import cli
from openclaw_actors.config import GatewayConfig, load

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
PRODUCTION = ROOT / "conf" / "gateway.production.yaml"
SECRETS = {"OPENCLAW_AUTH_TOKEN": "kJ8_2mPqX-7vLz0RtYw3NbHcDf5", "OPENCLAW_API_KEY": "sk-1"}


def effective(path: Path, **environ: str) -> GatewayConfig:
    loaded = load(path, {"HOME": "/var/lib/openclaw", **environ}, {})
    assert loaded.warnings == ()
    return loaded.config


def dockerfile() -> list[tuple[str, str]]:
    """Instruction and arguments of each line."""
    text = re.sub(r"\\\n\s*", " ", (DEPLOY / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines]


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


def environment_of(image: dict[str, str], service: dict[str, str]) -> dict[str, str]:
    """The environment of a container, with what compose asks of the shell."""
    shell = {**SECRETS, "OPENCLAW_DOMAIN": "chat.example"}

    def filled(text: str) -> str:
        return re.sub(
            r"\$\{(\w+)(?::([-?])(.*?))?\}",
            lambda m: shell.get(m[1]) or (m[3] if m[2] == "-" else pytest.fail(f"{m[1]} is not set")),
            text,
        )

    return image | {name: filled(str(value)) for name, value in service.items()}


def image_environment() -> dict[str, str]:
    pairs = [pair for name, text in dockerfile() if name == "ENV" for pair in text.split()]
    return {name: value for name, _, value in (pair.partition("=") for pair in pairs) if name != "PATH"}


# The configuration


def test_the_production_configuration_needs_the_two_secrets_that_it_names_and_nothing_else() -> None:
    config = effective(PRODUCTION, **SECRETS)
    assert config.llm.provider == "openai"
    assert config.security.trust_forwarded_headers
    for missing in SECRETS:
        with pytest.raises(Exception, match=missing):
            load(PRODUCTION, {"HOME": "/", **{k: v for k, v in SECRETS.items() if k != missing}}, {})


# The image


def test_the_dockerfile_copies_what_is_there_and_drops_root() -> None:
    lines = dockerfile()
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    for text in (text for name, text in lines if name == "COPY" and not text.startswith("--from")):
        for source in text.split()[:-1]:
            assert (ROOT / source).exists()
            assert f"!{source}" in ignored
    last = max(number for number, (name, _) in enumerate(lines) if name == "FROM")
    final = dict(lines[last:])
    assert final["USER"].split(":")[0] == "10001"
    assert '"health", "--ready"' in final["HEALTHCHECK"]
    assert final["EXPOSE"].split() == [str(GatewayConfig().port), str(GatewayConfig().http.port)]
    for name in (final["CMD"].strip('[]"'), "health"):
        assert name in cli.list_commands(None)  # type: ignore[arg-type]


@pytest.mark.timeout(180)
def test_what_the_dockerfile_copies_is_enough_to_install_and_run(tmp_path: Path) -> None:
    """The step that installs, without the dependencies, which are those of the tests."""
    source = tmp_path / "src"
    source.mkdir()
    for text in (text for name, text in dockerfile() if name == "COPY"):
        names = [] if text.startswith("--from") or "conf/" in text else text.split()[:-1]
        for name in names:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, source / name)
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        str(tmp_path / "opt"),
    ]
    done = subprocess.run([*install, str(source)], capture_output=True, text=True, check=False)
    if re.search("onnection|resolution|unreachable|timed out", done.stderr):
        pytest.skip("the package index cannot be reached, and the build needs setuptools")
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "opt" / "openclaw_actors" / "skills").glob("*/SKILL.md"))
    run = [sys.executable, "-c", "import openclaw_actors, sys; print(openclaw_actors.__file__)"]
    environ = {**os.environ, "PYTHONPATH": str(tmp_path / "opt")}
    place = subprocess.run(run, env=environ, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert place.startswith(str(tmp_path / "opt"))
    check = [sys.executable, "-m", "openclaw_actors", "config", "check", "-c", str(PRODUCTION)]
    checked = subprocess.run(
        check, env={**environ, **SECRETS}, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr


# Compose


def test_compose_names_files_that_are_there_and_a_configuration_that_starts() -> None:
    services = compose()["services"]
    gateway, caddy = services["gateway"], services["caddy"]
    assert (
        DEPLOY / gateway["build"]["context"] / gateway["build"]["dockerfile"]
    ).resolve() == DEPLOY / "Dockerfile"
    for volume in caddy["volumes"]:
        source = volume.partition(":")[0]
        assert source in compose()["volumes"] or (DEPLOY / source).is_file()
    config = effective(PRODUCTION, **environment_of(image_environment(), gateway["environment"]))
    assert config.bind_address == "0.0.0.0"
    assert list(config.security.known_proxies) == [caddy["networks"]["inside"]["ipv4_address"]]
    assert int(gateway["stop_grace_period"].rstrip("s")) > config.graceful_shutdown_seconds + MARGIN_S
    assert gateway["read_only"]
    wanted = set(re.findall(r"\{\$(\w+)", (DEPLOY / "Caddyfile").read_text()))
    assert wanted == set(caddy["environment"])


# systemd


def unit() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / "openclaw-actors.service").read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            found.setdefault(line.partition("=")[0], []).append(line.partition("=")[2])
    return found


def test_the_unit_waits_as_long_as_the_gateway_needs() -> None:
    settings = unit()
    config = effective(PRODUCTION, **SECRETS)
    assert settings["Type"] == ["notify"]
    assert settings["NotifyAccess"] == ["main"]
    assert int(settings["TimeoutStopSec"][0]) > config.graceful_shutdown_seconds + MARGIN_S
    assert int(settings["LimitNOFILE"][0]) > 3 * config.sessions.max_live
    assert settings["RestartPreventExitStatus"] == ["2"]
    assert "start" in settings["ExecStart"][0].split()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    text = (DEPLOY / "openclaw-actors.service").read_text()
    program = tmp_path / "openclaw-actors"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    file = tmp_path / "openclaw-actors.service"
    file.write_text(text.replace("/opt/openclaw/bin/openclaw-actors", str(program)))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(file)], capture_output=True, text=True, check=False
    )
    if "not been booted" in done.stderr or "Failed to initialize" in done.stderr:
        pytest.skip(f"systemd-analyze does not work here: {done.stderr.strip()}")
    ours = [line for line in done.stderr.splitlines() if file.name in line]
    assert (done.returncode, ours) == (0, [])


# Kubernetes


def kubernetes() -> dict[str, dict[str, Any]]:
    return {each["kind"]: each for each in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())}


def test_kubernetes_runs_one_pod_that_may_finish_and_asks_what_the_gateway_answers(tmp_path: Path) -> None:
    kinds = kubernetes()
    assert set(kinds) == {"ConfigMap", "StatefulSet", "Service", "Ingress"}
    spec = kinds["StatefulSet"]["spec"]
    assert spec["replicas"] == 1  # a state directory has one owner
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    file = tmp_path / "gateway.yaml"
    file.write_text(kinds["ConfigMap"]["data"]["gateway.yaml"])
    config = effective(file, **SECRETS)
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert ports == {"websocket": config.port, "http": config.http.port}
    probes = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "readiness", "liveness")}
    assert {each["path"] for each in probes.values()} == {"/health/ready", "/health/live"}
    assert probes["liveness"]["path"] == "/health/live"
    assert all(each["port"] in ports for each in probes.values())
    pause_s = float(container["lifecycle"]["preStop"]["exec"]["command"][1])
    needed_s = pause_s + config.graceful_shutdown_seconds + MARGIN_S
    assert pod["terminationGracePeriodSeconds"] > needed_s
    assert pod["securityContext"]["runAsNonRoot"]
    assert {each["name"] for each in container["env"] if "valueFrom" in each} == set(SECRETS)
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    state = next(each["value"] for each in container["env"] if each["name"] == "OPENCLAW_STATE_DIR")
    assert Path(state).parent == Path(mounts["state"])  # the gateway makes it, so that it is its own
    volumes = {each["name"] for each in pod["volumes"]} | {
        each["metadata"]["name"] for each in spec["volumeClaimTemplates"]
    }
    assert set(mounts) == volumes


def test_kubernetes_puts_both_ports_under_one_name() -> None:
    kinds = kubernetes()
    offered = {each["name"] for each in kinds["Service"]["spec"]["ports"]}
    (rule,) = kinds["Ingress"]["spec"]["rules"]
    routes = {each["path"]: each["backend"]["service"]["port"]["name"] for each in rule["http"]["paths"]}
    assert routes == {"/ws": "websocket", "/": "http"}
    assert set(routes.values()) == offered
    assert (
        kinds["Service"]["spec"]["selector"] == kinds["StatefulSet"]["spec"]["template"]["metadata"]["labels"]
    )

"""What deploy/ and docs/deploy.md tell people to run, this version understands."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from typing import Any

import click
import pytest
import typer
import yaml

from cli.main import app
from tasks.settings import PREFIX, Settings

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
GUIDE = ROOT / "docs" / "deploy.md"
VARIABLES = {f"{PREFIX}{name}".upper() for name in Settings.model_fields}
VARIABLES |= {"ADLOOM_ENV_FILE", "ADLOOM_DEBUG"}
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
FILES = [p for p in DEPLOY.rglob("*") if p.is_file()] + [GUIDE, ROOT / "Dockerfile"]


def documents() -> list[dict[str, Any]]:
    files = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    return [d for f in files for d in yaml.safe_load_all(f.read_text(encoding="utf-8"))]


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    for document in documents():
        if "template" in (document.get("spec") or {}):
            name = f"{document['kind']} {document['metadata']['name']}"
            yield name, document["spec"]["template"]["spec"]


PODS = dict(pods())


def commands() -> Iterator[tuple[str, list[str]]]:
    """(where, arguments) of every `adloom …` that is run or shown."""
    for name, pod in PODS.items():
        for container in pod["containers"]:
            if "command" not in container:
                yield name, list(container["args"])
    for unit in UNITS:
        for line in unit.read_text().splitlines():
            program, _, rest = line.removeprefix("ExecStart=").partition(" ")
            if line.startswith("ExecStart=") and program.endswith("/adloom"):
                yield unit.name, shlex.split(rest.replace("947%i", "9470"))
    for number, line in enumerate(GUIDE.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("    adloom "):
            yield f"deploy.md:{number}", shlex.split(line.partition("#")[0])[1:]


@pytest.mark.parametrize(
    "arguments", [pytest.param(a, id=f"{where}: {' '.join(a)}") for where, a in commands()]
)
def test_every_command_line_is_one_of_adloom(arguments: list[str]) -> None:
    command: click.Command = typer.main.get_command(app)
    context, rest = click.Context(command), arguments
    while isinstance(command, click.Group):
        name, found, rest = command.resolve_command(context, rest)
        assert found is not None
        command, context = found, click.Context(found, parent=context, info_name=name)
    command.parse_args(context, list(rest))  # raises UsageError


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_every_variable_is_a_setting(file: Path) -> None:
    assert set(re.findall(r"ADLOOM_[A-Z0-9_]+", file.read_text(encoding="utf-8"))) <= VARIABLES


@pytest.mark.parametrize("name", PODS)
def test_pods_run_without_rights_and_are_probed(name: str) -> None:
    pod = PODS[name]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["automountServiceAccountToken"] is False
    volumes = {v["name"] for v in pod["volumes"]}
    for container in pod["containers"]:
        security = container["securityContext"]
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert security["readOnlyRootFilesystem"]
        assert {m["name"] for m in container["volumeMounts"]} <= volumes
        assert "memory" in container["resources"]["limits"]
        ports = {p["name"] for p in container.get("ports", ())}
        probes = [container[k] for k in container if k.endswith("Probe")]
        assert bool(probes) == bool(ports)
        for probe in probes:
            assert (probe.get("httpGet") or probe["tcpSocket"])["port"] in ports


def test_a_gpu_worker_has_one_gpu_and_time_to_drain() -> None:
    pod = PODS["StatefulSet adloom-gpu"]
    assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert pod["terminationGracePeriodSeconds"] >= 300
    budgets = {d["metadata"]["name"] for d in documents() if d["kind"] == "PodDisruptionBudget"}
    assert {"adloom-gpu", "adloom-control"} <= budgets


def test_no_file_holds_a_secret() -> None:
    assert not [d for d in documents() if d["kind"] == "Secret"]
    for name, pod in PODS.items():
        for container in pod["containers"]:
            for variable in container.get("env", ()):
                if re.search("PASSWORD|AUTH|SECRET|DATABASE", variable["name"]):
                    assert "value" not in variable, name


def test_what_brings_a_fleet_up_unattended_makes_no_link_to_sign_in_for_its_log() -> None:
    unattended = [(where, a) for where, a in commands() if a[0] == "up" and ".md" not in where]
    assert len(unattended) == 2
    for where, arguments in unattended:
        assert "--no-dashboard" in arguments, where


def test_prefects_server_does_not_start_without_a_password() -> None:
    name = "PREFECT_SERVER_API_AUTH_STRING"
    [container] = PODS["Deployment adloom-prefect"]["containers"]
    [variable] = [v for v in container["env"] if v["name"] == name]
    wanted = variable["valueFrom"]["secretKeyRef"]
    assert (wanted["key"], wanted.get("optional", False)) == (name, False)
    unit = (DEPLOY / "systemd" / "adloom-prefect.service").read_text()
    [check] = [n for n in unit.splitlines() if n.startswith("ExecStartPre=")]
    command = shlex.split(check.removeprefix("ExecStartPre=").replace("$$", "$"))
    for env, code in (({}, 78), ({name: ""}, 78), ({name: "ops:secret"}, 0)):
        assert subprocess.run(command, env=env, check=False).returncode == code, env


@pytest.mark.skipif(which("kubectl") is None, reason="kustomize is part of kubectl")
def test_the_kustomization_builds() -> None:
    command = ["kubectl", "kustomize", str(DEPLOY / "kubernetes")]
    built = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    assert len(list(yaml.safe_load_all(built))) == len(documents()) - 1  # the kustomization itself
    assert "image: adloom:0.1.0" in built


@pytest.mark.parametrize("unit", UNITS, ids=lambda u: u.name)
def test_units_are_whole_and_hardened(unit: Path) -> None:
    lines = [n for n in unit.read_text().splitlines() if n and not n.startswith(("#", ";"))]
    sections = [n for n in lines if n.startswith("[")]
    assert sections[:2] == ["[Unit]", "[Service]"]
    assert all("=" in n for n in lines if not n.startswith("["))
    assert {"User=adloom", "NoNewPrivileges=yes", "ProtectSystem=strict"} <= set(lines)
    if "worker" in unit.name:
        assert "KillMode=mixed" in lines
        assert not {"ProtectClock=yes", "PrivateDevices=yes"} & set(lines), "they close the GPU"

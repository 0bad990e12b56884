"""The files under ``examples/deploy`` and the example service's Dockerfile, as what runs them reads them."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from .qdrant_server import ROOT

EXAMPLES = ROOT / "examples"
DEPLOY = EXAMPLES / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
SERVICE = EXAMPLES / "crews" / "concierge_api"
KUBERNETES_VERSION = "1.31"
"""The oldest that the files are for."""


def compose() -> dict[str, Any]:
    """``compose.yaml``, its merge keys applied, its variables not."""
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())  # type: ignore[no-any-return]


def manifests() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of the Kubernetes files that ``kubectl apply`` is given, with its file's name."""
    for path in sorted(KUBERNETES.glob("*.yaml")):
        if path.name != "qdrant-values.yaml":
            for document in yaml.safe_load_all(path.read_text()):
                yield path.name, document


def manifest(kind: str, name: str) -> dict[str, Any]:
    [found] = [each for _, each in manifests() if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


def container_of(pod: Mapping[str, Any]) -> dict[str, Any]:
    [container] = pod["spec"]["containers"]
    return container  # type: ignore[no-any-return]


def concierge_pod() -> dict[str, Any]:
    return manifest("Deployment", "concierge")["spec"]["template"]  # type: ignore[no-any-return]


def backup_pod() -> dict[str, Any]:
    return manifest("CronJob", "memory-snapshot")["spec"]["jobTemplate"]["spec"]["template"]  # type: ignore[no-any-return]


def wrong_in_compose(folder: Path, value: Mapping[str, Any]) -> str:
    """What Compose's published schema finds wrong in the content of a file; empty for nothing."""
    file = folder / "compose.yaml"
    file.write_text(yaml.safe_dump(dict(value)))
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def wrong_in_kubernetes(value: Mapping[str, Any]) -> str:
    """What the schemas that Kubernetes publishes find wrong in an object; empty for nothing."""
    import kubernetes_validate

    try:
        kubernetes_validate.validate(dict(value), KUBERNETES_VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        return str(error)
    return ""


def interpolated(value: str, variables: Mapping[str, str]) -> str:
    """``${NAME}``, ``${NAME:-default}`` and ``${NAME:?message}``, as Compose reads them."""

    def one(match: re.Match[str]) -> str:
        name, how, rest = match.groups()
        if found := variables.get(name):
            return found
        assert how != ":?", f"{name}: {rest}"
        return rest or ""

    return re.sub(r"\$\{(\w+)(?:(:-|:\?)([^}]*))?\}", one, value)


def environment_of(service: Mapping[str, Any], variables: Mapping[str, str]) -> dict[str, str]:
    """What a service of ``compose.yaml`` has in its environment."""
    return {name: interpolated(str(value), variables) for name, value in service["environment"].items()}


def pod_environment(container: Mapping[str, Any], secrets: Mapping[str, str]) -> dict[str, str]:
    """What a container of a pod has in its environment; ``secrets`` by name, one that is optional may be missing."""
    environment = {}
    for each in container["env"]:
        if "value" in each:
            environment[each["name"]] = each["value"]
        else:
            wanted = each["valueFrom"]["secretKeyRef"]
            assert wanted["name"] in secrets or wanted.get("optional"), wanted
            if wanted["name"] in secrets:
                environment[each["name"]] = secrets[wanted["name"]]
    return environment


class Dockerfile:
    """The instructions that say how a container of the example service runs."""

    def __init__(self, path: Path = SERVICE / "Dockerfile") -> None:
        text = re.sub(r"\\\n", " ", path.read_text())
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        self.instructions = [tuple(line.split(maxsplit=1)) for line in lines]

    def all(self, name: str) -> list[str]:
        return [rest for instruction, rest in self.instructions if instruction == name]

    @property
    def command(self) -> list[str]:
        return json.loads(self.all("CMD")[-1])  # type: ignore[no-any-return]

    @property
    def health_command(self) -> list[str]:
        return json.loads(self.all("HEALTHCHECK")[-1].split(" CMD ")[1])  # type: ignore[no-any-return]

    @property
    def environment(self) -> dict[str, str]:
        return dict(pair.split("=", 1) for line in self.all("ENV") for pair in shlex.split(line))


def seconds(duration: str) -> int:
    """Of Compose's durations what the files use."""
    assert duration.endswith("s"), duration
    return int(duration[:-1])

"""The command line against a server, backup and restore, and the files under ``examples/deploy``."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from crewai_persistent_memory import MemoryConfig

from ..support.calling import until
from ..support.qdrant_server import ROOT, QdrantServer
from .conftest import OpenHere

DEPLOY = ROOT / "examples" / "deploy"
COMMAND = str(Path(sys.executable).with_name("crewai-memory"))


def run(*arguments: str, code: int = 0) -> str:
    done = subprocess.run([COMMAND, *arguments], capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code == 0 else done.stderr


def test_the_command_line(server: QdrantServer, collection: str) -> None:
    here = ["--url", server.url, "--collection", collection]
    health = json.loads(run("health", *here, "--json"))
    assert (health["engine"], health["collection"], health["vectors"]) == ("server", collection, "keywords")
    run("remember", "John is allergic to nuts", "--user", "john", *here)
    assert "nuts" in run("recall", "nuts", "--user", "john", *here)
    assert "nothing" in run("recall", "nuts", "--user", "jane", *here)
    assert "Forgot 1" in run("forget", "--all", "--user", "john", *here)
    assert "StoreUnavailableError" in run("health", "--url", "http://127.0.0.1:1", code=2)


def test_a_snapshot_brings_everything_back(server: QdrantServer, collection: str, open_here: OpenHere) -> None:
    store = open_here(server.url)
    store.add("John is allergic to nuts", id="a")
    with server.admin() as admin:
        made = admin.post(f"/collections/{collection}/snapshots").raise_for_status().json()["result"]["name"]
        admin.delete(f"/collections/{collection}").raise_for_status()
        folder = server.folder / "snapshots" / collection
        recover = {"location": f"file://{folder}/{made}"}
        admin.put(f"/collections/{collection}/snapshots/recover", json=recover).raise_for_status()
    assert [entry.id for entry in store.search("nuts")] == ["a"]
    store.add("and likes tea")
    assert open_here(server.url, timeout=8).count() == 2


def environment_of(container: dict[str, Any]) -> dict[str, str]:
    given = container.get("environment") or {each["name"]: each.get("value", "x") for each in container["env"]}
    return {name: re.sub(r"\$\{\w+:?-?(\w*)[^}]*\}", r"\1", value) for name, value in given.items()}


def test_compose(monkeypatch: pytest.MonkeyPatch, server: QdrantServer) -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    build = services["concierge"]["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).resolve().is_file()
    check_environment(monkeypatch, environment_of(services["concierge"]))
    # The health check is bash, because the image has neither curl nor wget: see it succeed, and fail.
    _, bash, flag, script = services["qdrant"]["healthcheck"]["test"]
    for port, expected in ((server.port, 0), (1, 1)):
        done = subprocess.run([bash, flag, script.replace("6333", str(port))], capture_output=True)
        assert done.returncode == expected, done.stderr


def test_kubernetes(monkeypatch: pytest.MonkeyPatch) -> None:
    documents = list(yaml.safe_load_all((DEPLOY / "kubernetes" / "concierge.yaml").read_text()))
    [container] = documents[0]["spec"]["template"]["spec"]["containers"]
    check_environment(monkeypatch, environment_of(container))
    values = yaml.safe_load((DEPLOY / "kubernetes" / "qdrant-values.yaml").read_text())
    assert values["replicaCount"] == 3
    backup = yaml.safe_load((DEPLOY / "kubernetes" / "backup.yaml").read_text())
    [job] = backup["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert subprocess.run(["bash", "-n", "-c", job["command"][2]], capture_output=True).returncode == 0


def test_the_backup_job_keeps_the_newest(server: QdrantServer, collection: str, open_here: OpenHere) -> None:
    """The job's own script against a real server, with two nights in place of seven."""
    open_here(server.url).add("x")
    backup = yaml.safe_load((DEPLOY / "kubernetes" / "backup.yaml").read_text())
    [job] = backup["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    script = job["command"][2].replace("http://qdrant-$node.qdrant-headless:6333", server.url)
    script = script.replace("crewai_memory", collection).replace("for node in 0 1 2", "for node in 0")
    script = script.replace("head -n -7", "head -n -2")
    kept: list[set[str]] = []

    def night() -> int:
        environment = {"KEY": "none", "PATH": "/usr/bin:/bin"}
        subprocess.run(["sh", "-euc", script], env=environment, check=True, capture_output=True)
        with server.admin() as admin:
            found = {each["name"] for each in admin.get(f"/collections/{collection}/snapshots").json()["result"]}
        if found not in kept:  # snapshots of one second share a name
            kept.append(found)
        return len(kept)

    until(night, lambda nights: nights >= 4)
    assert [len(found) for found in kept] == [1, 2, 2, 2]
    assert min(kept[3]) > min(kept[1]), "the oldest went"


def check_environment(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    """What the deployment sets is what the configuration understands."""
    for name, value in environment.items():
        if name.startswith(("CREWAI_MEMORY_", "QDRANT_")):
            monkeypatch.setenv(name, value)
    config = MemoryConfig.build(user_id="john", embedder=None)
    assert config.server is not None
    assert config.server.api_key is not None
    assert config.project_id in ("staging", "production")
    known = {"QDRANT_URL", "QDRANT_API_KEY"} | {f"CREWAI_MEMORY_{name.upper()}" for name in MemoryConfig.model_fields}
    assert {name for name in environment if name.startswith(("CREWAI_MEMORY_", "QDRANT_"))} <= known

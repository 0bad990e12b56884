"""The command line against a server, backup and restore, and the files under ``examples/deploy``."""

from __future__ import annotations

import copy
import json
import re
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, ConfigDict

from crewai_persistent_memory import MemoryConfig

from ..support.deployment import (
    DEPLOY,
    EXAMPLES,
    KUBERNETES,
    SERVICE,
    Dockerfile,
    backup_pod,
    compose,
    concierge_pod,
    container_of,
    environment_of,
    manifest,
    manifests,
    pod_environment,
    seconds,
    wrong_in_compose,
    wrong_in_kubernetes,
)
from ..support.engines import NEWEST, OLDER
from ..support.programs import run_program
from ..support.qdrant_server import QdrantServer
from .conftest import OpenHere

GRACE = 100
"""Seconds that the service gives its answers to end, as the Dockerfile says."""
PROBED = re.compile(r"@app\.get\(\"(/(?:health|live))\"\)")
COMMAND = str(Path(sys.executable).with_name("crewai-memory"))


def run(*arguments: str, code: int = 0) -> str:
    done = run_program([COMMAND, *arguments])
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code == 0 else done.stderr


def test_the_command_line(server: QdrantServer, collection: str) -> None:
    here = ["--url", server.url, "--collection", collection]
    run("remember", "John is allergic to nuts", "--user", "john", *here)
    health = json.loads(run("health", *here, "--json"))
    assert (health["engine"], health["collection"], health["vectors"]) == ("server", collection, "keywords")
    assert "nuts" in run("recall", "nuts", "--user", "john", *here)
    assert "nothing" in run("recall", "nuts", "--user", "jane", *here)
    assert "Forgot 1" in run("forget", "--all", "--yes", "--user", "john", *here)
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


RUN_BY = {
    "crews/concierge.py": "tests/crew/test_examples.py",
    "crews/support_desk.py": "tests/crew/test_examples.py",
    "crews/mem0_cloud.py": "tests/mem0/test_crews.py",
    "crews/mem0_self_hosted.py": "tests/mem0/test_crews.py",
    "crews/mem0_pgvector.py": "tests/mem0/test_vector_store_crews.py",
    "crews/mem0_chroma.py": "tests/mem0/test_vector_store_crews.py",
    "crews/concierge_api/app.py": "tests/support/example_service.py",
    "crews/concierge_api/Dockerfile": "tests/support/deployment.py",
    "deploy/compose.yaml": "tests/support/deployment.py",
    "deploy/kubernetes/qdrant-values.yaml": "tests/server/test_deployment.py",
}
"""Each file, and the module that names and runs it. ``manifests()`` has every other Kubernetes file."""


def test_no_example_is_left_out() -> None:
    files = {str(path.relative_to(EXAMPLES)) for path in EXAMPLES.rglob("*") if path.is_file()}
    files = {each for each in files if not each.endswith(".pyc")}
    applied = {f"deploy/kubernetes/{name}" for name, _ in manifests()}
    assert files == {*RUN_BY, *applied}
    for name, module in RUN_BY.items():
        text = (EXAMPLES.parent / module).read_text()
        assert Path(name).name in text or "Dockerfile().command" in text or "image.command" in text, name


@pytest.mark.skipif(find_spec("kubernetes_validate") is None, reason="the extra 'deployment' is not installed")
class TestSchemas:
    def test_compose(self, tmp_path: Path) -> None:
        assert wrong_in_compose(tmp_path, compose()) == ""

    @pytest.mark.parametrize(("file", "document"), list(manifests()), ids=lambda each: str(each)[:20])
    def test_kubernetes(self, file: str, document: dict[str, Any]) -> None:
        assert wrong_in_kubernetes(document) == ""

    def test_they_refuse(self, tmp_path: Path) -> None:
        """A misspelt key is found, in either description, at any depth."""
        wrong = compose()
        wrong["services"]["qdrant"]["healthcheck"]["intervall"] = "5s"
        assert "intervall" in wrong_in_compose(tmp_path, wrong)
        deployment = copy.deepcopy(manifest("Deployment", "concierge"))
        container_of(deployment["spec"]["template"])["readinessProbe"]["timeout"] = 5
        assert "timeout" in wrong_in_kubernetes(deployment)


class TestWhatRuns:
    """Both deployments, by the same rules."""

    def test_nobody_is_root(self) -> None:
        assert Dockerfile().all("USER") == ["1000"]
        for pod in (concierge_pod(), backup_pod()):
            assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
            assert pod["spec"]["automountServiceAccountToken"] is False
            assert container_of(pod)["securityContext"]["allowPrivilegeEscalation"] is False
        for name, service in compose()["services"].items():
            assert service["cap_drop"] == ["ALL"], name
            assert service["security_opt"] == ["no-new-privileges:true"], name
        assert compose()["services"]["qdrant"]["image"].endswith("-unprivileged")

    def test_memory_has_a_limit(self) -> None:
        assert all(service.get("mem_limit") for service in compose()["services"].values())
        for pod in (concierge_pod(), backup_pod()):
            assert container_of(pod)["resources"]["limits"]["memory"]

    def test_versions_are_pinned(self) -> None:
        images = [container_of(pod)["image"] for pod in (concierge_pod(), backup_pod())]
        images += [each["image"] for each in compose()["services"].values() if "image" in each]
        images += Dockerfile().all("FROM")
        for image in images:
            assert re.search(r":v?\d+\.\d+", image), image

    def test_qdrant_is_one_that_the_tests_run(self) -> None:
        values = yaml.safe_load((KUBERNETES / "qdrant-values.yaml").read_text())
        [version] = {values["image"]["tag"], compose()["services"]["qdrant"]["image"].split(":")[1].split("-")[0]}
        assert version.removeprefix("v") in (NEWEST, OLDER)

    def test_no_secret_is_written_down(self) -> None:
        keys = []
        for service in compose()["services"].values():
            keys += [value for name, value in service["environment"].items() if name.endswith("KEY")]
        assert len(keys) == 5
        assert all(value.startswith("${") for value in keys)
        for pod in (concierge_pod(), backup_pod()):
            keys = [each for each in container_of(pod)["env"] if each["name"].endswith("KEY")]
            assert keys
            assert all("secretKeyRef" in each["valueFrom"] for each in keys)

    def test_answers_have_time_to_end(self) -> None:
        command = Dockerfile().command
        assert int(command[command.index("--timeout-graceful-shutdown") + 1]) == GRACE
        for stage in ("production", "staging"):
            assert seconds(compose()["services"][stage]["stop_grace_period"]) > GRACE
        stopping = int(container_of(concierge_pod())["lifecycle"]["preStop"]["exec"]["command"][1])
        environment = pod_environment(container_of(concierge_pod()), {"qdrant-keys": "x"})
        delivering = int(environment["CREWAI_MEMORY_EXIT_WAIT"])
        assert concierge_pod()["spec"]["terminationGracePeriodSeconds"] > GRACE + stopping + delivering

    def test_probes(self) -> None:
        container = container_of(concierge_pod())
        [port] = container["ports"]
        served = set(PROBED.findall((SERVICE / "app.py").read_text()))
        for name in ("startupProbe", "readinessProbe", "livenessProbe"):
            probe = container[name]
            assert probe["httpGet"]["path"] in served
            assert probe["httpGet"]["port"] == port["containerPort"]
            assert probe["timeoutSeconds"] > 1, "a busy worker is not a dead one"
        # test_compose.py holds /health to this, with a Qdrant that does not answer.
        from .test_compose import PATIENT_ENOUGH

        assert container["readinessProbe"]["timeoutSeconds"] >= PATIENT_ENOUGH
        assert container["livenessProbe"]["httpGet"]["path"] == "/live", "a restart does not bring Qdrant back"

    def test_labels_meet(self) -> None:
        """What selects pods by a label selects those that are meant."""
        labels = concierge_pod()["metadata"]["labels"]
        assert manifest("Service", "concierge")["spec"]["selector"] == labels
        assert manifest("PodDisruptionBudget", "concierge")["spec"]["selector"]["matchLabels"] == labels
        [rule, between] = manifest("NetworkPolicy", "qdrant")["spec"]["ingress"]
        admitted = [each["podSelector"]["matchLabels"] for each in rule["from"]]
        assert admitted == [labels, backup_pod()["metadata"]["labels"]]
        qdrant = {"app.kubernetes.io/name": "qdrant"}
        assert [each["podSelector"]["matchLabels"] for each in between["from"]] == [qdrant]

    def test_a_volume_for_what_is_kept(self) -> None:
        services = compose()
        mounted = dict(each.split(":") for each in services["services"]["qdrant"]["volumes"])
        assert set(mounted) <= set(services["volumes"])
        assert mounted["qdrant_storage"] == "/qdrant/storage"
        [outbox] = Dockerfile().all("VOLUME")
        assert Dockerfile().environment["CREWAI_MEMORY_OUTBOX_PATH"] == outbox
        for stage in ("production", "staging"):
            [(name, path)] = [each.split(":") for each in services["services"][stage]["volumes"]]
            assert (name, path) == (f"{stage}_outbox", outbox), "a queue has one sender"
            assert name in services["volumes"]
        [mount] = container_of(concierge_pod())["volumeMounts"]
        assert mount["mountPath"] == outbox
        assert [each["name"] for each in concierge_pod()["spec"]["volumes"]] == [mount["name"]]
        [volume] = backup_pod()["spec"]["volumes"]
        assert manifest("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"])

    def test_the_dockerfile_copies_what_is_there(self) -> None:
        for copied in Dockerfile().all("COPY"):
            for source in copied.split()[:-1]:
                assert (EXAMPLES.parent / source).exists(), source
        for stage in ("production", "staging"):
            build = compose()["services"][stage]["build"]
            assert (DEPLOY / build["context"] / build["dockerfile"]).resolve() == SERVICE / "Dockerfile"


class TestConfiguration:
    """What a deployment sets is what the configuration understands."""

    @pytest.mark.parametrize("stage", ["production", "staging"])
    def test_compose(self, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
        environment = environment_of(compose()["services"][stage], {"QDRANT_API_KEY": "x"})
        assert configured(monkeypatch, environment).project_id == stage

    def test_kubernetes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        environment = pod_environment(container_of(concierge_pod()), {"qdrant-keys": "x"})
        config = configured(monkeypatch, environment)
        assert config.project_id == "production"
        values = QdrantValues(**yaml.safe_load((KUBERNETES / "qdrant-values.yaml").read_text()))
        assert config.server is not None
        assert len(config.server.urls) == values.replicaCount
        assert config.server.collection_settings.replication_factor == 2
        backup = pod_environment(container_of(backup_pod()), {"qdrant-keys": "x"})
        assert backup["NODES"].split() == list(config.server.urls)
        assert backup["COLLECTION"] == config.server.collection

    def test_the_servers_own(self, tmp_path: Path, qdrant_servers: Any) -> None:
        """Qdrant itself is given the part that the chart hands to it."""
        values = yaml.safe_load((KUBERNETES / "qdrant-values.yaml").read_text())
        config = tmp_path / "config.yaml"
        config.write_text(yaml.safe_dump(values["config"]))
        binary = qdrant_servers(values["image"]["tag"].removeprefix("v")).binary
        server = QdrantServer(binary, tmp_path / "qdrant")
        server.arguments = ("--config-path", str(config), "--uri", f"http://127.0.0.1:{server.p2p_port}")
        server.start()
        try:
            with server.admin() as admin:
                assert admin.get("/cluster").json()["result"]["status"] == "enabled"
        finally:
            server.stop()


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Image(Strict):
    tag: str
    useUnprivilegedImage: bool


class Volume(Strict):
    size: str
    enabled: bool = True


class Budget(Strict):
    enabled: bool
    maxUnavailable: int


class QdrantValues(Strict):
    """What the files use of the values of Qdrant's chart, by the names in its ``values.yaml``."""

    replicaCount: int
    image: Image
    apiKey: Mapping[str, Mapping[str, Mapping[str, str]]]
    persistence: Volume
    snapshotPersistence: Volume
    resources: Mapping[str, Mapping[str, str]]
    podDisruptionBudget: Budget
    affinity: Mapping[str, Any]
    config: Mapping[str, Any]


def configured(monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str]) -> MemoryConfig:
    ours = {name: value for name, value in environment.items() if name.startswith(("CREWAI_MEMORY_", "QDRANT_"))}
    for name, value in ours.items():
        monkeypatch.setenv(name, value)
    config = MemoryConfig.build(user_id="john")
    assert config.server is not None
    assert config.server.api_key is not None
    known = {"QDRANT_URL", "QDRANT_API_KEY"} | {f"CREWAI_MEMORY_{name.upper()}" for name in MemoryConfig.model_fields}
    assert set(ours) <= known
    return config

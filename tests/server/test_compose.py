"""``examples/deploy/compose.yaml`` as its commands say, without Docker: Qdrant and both stages as processes, in the
environment that the file gives them, with ports of this machine in the place of the services' names."""

from __future__ import annotations

import importlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from ..support.asgi import Serving
from ..support.calling import until
from ..support.deployment import SERVICE, compose, environment_of
from ..support.example_service import services
from ..support.openai_server import OpenAIServer
from ..support.qdrant_server import QdrantServer, binaries, missing

pytestmark = pytest.mark.xdist_group("compose")

VARIABLES = {"QDRANT_API_KEY": "a-key-of-the-server", "OPENAI_API_KEY": "sk-test"}
STAGES = ("production", "staging")
PATIENT_ENOUGH = 8
"""Seconds that a probe waits for ``/health``, and more than a guest waits for a 503."""


def pinned_qdrant(folder: Path) -> QdrantServer:
    """The server of ``compose.yaml``: its version, its settings."""
    service = compose()["services"]["qdrant"]
    version = service["image"].split(":v")[1].removesuffix("-unprivileged")
    found = binaries()
    binary = found.get(version) or missing(f"no Qdrant {version}, which compose.yaml pins: run scripts/fetch-qdrant")
    given = environment_of(service, VARIABLES)
    settings = {name.removeprefix("QDRANT__"): value for name, value in given.items()}
    assert set(given) != set(settings)
    return QdrantServer(binary, folder, settings=settings, key=VARIABLES["QDRANT_API_KEY"]).start()


def stage_environment(stage: str, qdrant: QdrantServer, openai: OpenAIServer, **variables: str) -> dict[str, str]:
    environment = environment_of(compose()["services"][stage], {**VARIABLES, **variables})
    assert environment["QDRANT_URL"] == "http://qdrant:6333"
    return {**environment, "QDRANT_URL": qdrant.url, "OPENAI_BASE_URL": f"{openai.url}/v1"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, openai_server: OpenAIServer) -> Iterator[SimpleNamespace]:
    folder = tmp_path_factory.mktemp("compose")
    qdrant = pinned_qdrant(folder / "qdrant")
    try:
        environments = {stage: stage_environment(stage, qdrant, openai_server) for stage in STAGES}
        environments["production"]["WEB_CONCURRENCY"] = "2"  # four are no other case, and take long to start
        no_key = {**environments["staging"], "OPENAI_API_KEY": "", "OPENAI_BASE_URL": ""}
        with services(folder, **environments, no_key=no_key) as started:
            yield SimpleNamespace(qdrant=qdrant, openai=openai_server, **started)
    finally:
        qdrant.stop()


def test_the_stages_do_not_see_each_other(running: SimpleNamespace) -> None:
    secret, asked = "I am allergic to nuts. code-staging", "What must the cook know: am I allergic?"
    assert running.staging.ask("john", secret).status_code == 200
    prompts = {}
    for stage in ("production", "staging"):
        running.openai.prompts.clear()
        assert getattr(running, stage).ask("john", asked).status_code == 200
        [prompts[stage]] = running.openai.agent_prompts
    assert "code-staging" in prompts["staging"], "it remembers"
    assert "code-staging" not in prompts["production"]
    john = {"X-User-Id": "john"}
    kept = {stage: httpx.get(f"{getattr(running, stage).url}/memories", headers=john).json() for stage in STAGES}
    assert "code-staging" in str(kept["staging"])
    assert "code-staging" not in str(kept["production"])
    # What one stage forgets, the other keeps.
    forgotten = httpx.delete(f"{running.production.url}/memories", headers=john).json()
    assert forgotten == {"forgotten": len(kept["production"])}
    assert httpx.get(f"{running.staging.url}/memories", headers=john).json() == kept["staging"]


def test_health_checks_of_the_files(running: SimpleNamespace) -> None:
    assert running.production.health_command().returncode == 0
    # Qdrant's is bash, because its image has neither curl nor wget: see it succeed, and fail.
    _, bash, flag, script = compose()["services"]["qdrant"]["healthcheck"]["test"]
    for port, expected in ((running.qdrant.port, 0), (1, 1)):
        done = subprocess.run([bash, flag, script.replace("6333", str(port))], capture_output=True)
        assert done.returncode == expected, done.stderr


def test_without_a_key_the_service_starts_and_says_so(running: SimpleNamespace) -> None:
    service = running.no_key
    for answer in (service.ask("john", "hello"), httpx.get(f"{service.url}/health")):
        assert answer.status_code == 503
        assert "OPENAI_API_KEY is not set" in answer.json()["detail"]
    assert service.health_command().returncode != 0
    assert service.is_running
    assert httpx.get(f"{service.url}/memories", headers={"X-User-Id": "john"}).status_code == 200


def test_a_wrong_address_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Uvicorn would start a worker that dies at its import again and again."""
    monkeypatch.setenv("QDRANT_URL", "qdrant:6333")
    monkeypatch.syspath_prepend(str(SERVICE))
    with Serving(importlib.import_module("app").app) as service:
        answer = httpx.get(f"{service.url}/health")
        assert (answer.status_code, answer.json()["detail"].partition(":")[0]) == (503, "url")
        asked = httpx.post(f"{service.url}/ask", json={"text": "hello"}, headers={"X-User-Id": "john"})
        assert asked.status_code == 503
        assert httpx.get(f"{service.url}/live").status_code == 200
    del sys.modules["app"]


def test_a_failing_llm_is_said(running: SimpleNamespace) -> None:
    running.openai.fails_with = 401
    try:
        answer = running.staging.ask("jane", "hello")
    finally:
        running.openai.fails_with = None
    assert (answer.status_code, answer.json()["detail"].split(":")[0]) == (502, "the crew failed")


@pytest.mark.parametrize("how", ["pause", "kill"])
def test_a_dead_qdrant_is_said_soon(running: SimpleNamespace, how: str) -> None:
    """Frozen or gone, before and during: a guest is refused within the probes' time, and no LLM is paid for it."""
    getattr(running.qdrant, how)()
    running.openai.prompts.clear()
    try:
        for look in (
            lambda: running.staging.ask("john", "hello"),
            lambda: httpx.get(f"{running.staging.url}/health", timeout=30),
        ):
            start = time.monotonic()
            assert look().status_code == 503
            assert time.monotonic() - start < PATIENT_ENOUGH
        assert httpx.get(f"{running.staging.url}/live").status_code == 200
    finally:
        running.qdrant.resume() if how == "pause" else running.qdrant.restart()
    assert running.openai.prompts == []
    until(lambda: running.staging.ask("john", "hello").status_code, (200).__eq__, 60)


def test_an_answer_that_has_begun_ends_before_the_service_does(running: SimpleNamespace) -> None:
    running.openai.prompts.clear()
    running.openai.held = threading.Event()
    try:
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(running.production.ask, "jane", "hello")
            until(lambda: len(running.openai.agent_prompts), (1).__eq__, 60)
            running.production.terminate()
            until(running.production.log.read_text, lambda log: "Waiting for " in log, 30)
            running.openai.held.set()
            assert answer.result(60).status_code == 200
    finally:
        running.openai.held.set()
        running.openai.held = None
    assert running.production.wait() == 0

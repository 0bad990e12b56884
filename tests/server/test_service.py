"""The example service under Gunicorn: several workers, twenty users, one Qdrant."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from ..support.calling import until
from ..support.programs import Program
from ..support.qdrant_server import ROOT, QdrantServer, free_ports

USERS = [f"user{number}" for number in range(20)]


@contextmanager
def gunicorn(server: QdrantServer, collection: str, folder: Path, *arguments: str) -> Iterator[httpx.Client]:
    [port] = free_ports(1)
    environment = {
        **os.environ,
        "QDRANT_URL": server.url,
        "TEST_COLLECTION": collection,
        # Twenty users at once on a busy machine are no dead server.
        "CREWAI_MEMORY_TIMEOUT": "20",
        "CREWAI_MEMORY_RETRY_FOR": "20",
        "TEST_LLM_CALLS": str(folder / "calls"),
        "TEST_RELEASE": str(folder / "release"),
        "CREWAI_STORAGE_DIR": str(folder / "crewai"),
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "gunicorn", "-k", "asgi", "-w", "4", "-b", f"127.0.0.1:{port}", "--timeout", "120"]
    master = Program([*command, *arguments, "tests.support.concierge_service:app"], cwd=folder, env=environment)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client:
            until(lambda: healthy(client), bool, 120)
            yield client
    finally:
        os.kill(master.pid, signal.SIGTERM)
        sys.stdout.write(master.wait(60).stderr)


def healthy(client: httpx.Client) -> bool:
    try:
        return client.get("/health").status_code == 200
    except httpx.HTTPError:
        return False


def ask(client: httpx.Client, user: str, text: str) -> tuple[str, int]:
    """The answer and the worker's process id. A worker that is killed takes its requests along: they are sent again."""
    for _ in range(20):
        try:
            answer = httpx.post(f"{client.base_url}/ask", json={"text": text}, headers={"X-User-Id": user}, timeout=120)
        except httpx.TransportError:
            continue
        assert answer.status_code == 200, answer.text
        return answer.json()["text"], answer.json()["worker"]
    raise AssertionError("no worker answered")


@pytest.mark.parametrize("arguments", [(), ("--preload",)], ids=["workers", "preload"])
def test_every_worker_knows_every_user_and_none_is_crossed(
    server: QdrantServer, collection: str, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    with gunicorn(server, collection, tmp_path, *arguments) as client, ThreadPoolExecutor(20) as pool:
        told = list(pool.map(lambda user: ask(client, user, f"Remember my locker code-{user}"), USERS))
        os.kill(told[0][1], signal.SIGKILL)
        asked = [(user, "What is my locker code?") for user in USERS * 4]
        answers = list(pool.map(lambda each: ask(client, *each), asked))
        for (user, _), (text, _) in zip(asked, answers, strict=True):
            assert set(re.findall(r"code-\w+", text)) == {f"code-{user}"}, (user, text)
        assert len({worker for _, worker in answers}) >= 3
        assert client.get("/memories").status_code == 422, "no user, no memory"
        mine = client.get("/memories", headers={"X-User-Id": "user3"}).json()
        assert mine
        assert all("code-user3" in text for text in mine if "code-" in text)
        assert client.delete("/memories", headers={"X-User-Id": "user3"}).json()["forgotten"] == len(mine)
        assert client.get("/memories", headers={"X-User-Id": "user3"}).json() == []
        assert client.get("/memories", headers={"X-User-Id": "user4"}).json()


def stream(client: httpx.Client, user: str, text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events of a streamed answer: names and data."""
    asked: dict[str, Any] = {"json": {"text": text}, "headers": {"X-User-Id": user}, "timeout": 120}
    with httpx.stream("POST", f"{client.base_url}/stream", **asked) as answer:
        assert answer.status_code == 200, answer.read()
        name = ""
        for line in answer.iter_lines():
            kind, _, value = line.partition(": ")
            if kind == "event":
                name = value
            elif kind == "data":
                yield name, json.loads(value)


@pytest.fixture
def service(server: QdrantServer, collection: str, tmp_path: Path) -> Iterator[httpx.Client]:
    with gunicorn(server, collection, tmp_path, "-w", "2", "--graceful-timeout", "3") as client:
        yield client


def test_streams_at_once(service: httpx.Client) -> None:
    def streamed(user: str, text: str) -> tuple[str, str, int]:
        events = list(stream(service, user, text))
        chunks = "".join(data["text"] for name, data in events if name == "chunk")
        [answer] = [data for name, data in events if name == "answer"]
        assert events[-1][0] == "answer"
        assert len(events) > 4, "not in one piece"
        return chunks, answer["text"], answer["worker"]

    with ThreadPoolExecutor(len(USERS)) as pool:
        list(pool.map(lambda user: streamed(user, f"Remember my locker code-{user}"), USERS))
        asked = [(user, "What is my locker code?") for user in USERS * 4]
        answers = list(pool.map(lambda each: streamed(*each), asked))
    for (user, _), (chunks, text, _) in zip(asked, answers, strict=True):
        assert set(re.findall(r"code-\w+", chunks)) == set(re.findall(r"code-\w+", text)) == {f"code-{user}"}
    assert len({worker for _, _, worker in answers}) == 2
    for user in USERS:
        mine = service.get("/memories", headers={"X-User-Id": user}).json()
        assert any(f"code-{user}" in text for text in mine)
        assert set(re.findall(r"code-\w+", " ".join(mine))) == {f"code-{user}"}


def test_a_client_that_goes_away_in_the_middle(service: httpx.Client, tmp_path: Path) -> None:
    leaver = {"X-User-Id": "leaver"}
    events = stream(service, "leaver", "Tell me an endless story of code-leaver")
    assert next(events)[0] == "chunk"
    events.close()  # type: ignore[attr-defined]
    with ThreadPoolExecutor(len(USERS)) as pool:
        for user, (text, _) in zip(
            USERS, pool.map(lambda user: ask(service, user, f"My code-{user}"), USERS), strict=True
        ):
            assert set(re.findall(r"code-\w+", text)) == {f"code-{user}"}, "every worker goes on"
    # Gunicorn gives a request three seconds to end by itself. The LLM is still writing.
    until(lambda: "stream over" in (tmp_path / "calls").read_text(), bool, 60)
    (tmp_path / "release").touch()
    until(lambda: (tmp_path / "calls").read_text().count("answered"), (len(USERS) + 1).__eq__, 60)
    assert service.get("/memories", headers=leaver).json() == [], "of an answer that nobody has read"
    assert list(stream(service, "leaver", "What do you know? code-leaver"))[-1][0] == "answer"


def test_no_user_no_call_of_the_llm(service: httpx.Client, tmp_path: Path) -> None:
    for path in ("/ask", "/stream"):
        for headers, status in (({}, 422), ({"X-User-Id": ""}, 422), ({"X-User-Id": b"john\xa0"}, 400)):
            answer = httpx.post(f"{service.base_url}{path}", json={"text": "hello"}, headers=headers, timeout=120)  # type: ignore[arg-type]
            assert answer.status_code == status, answer.text
    calls = tmp_path / "calls"
    assert not calls.exists() or "called" not in calls.read_text()

"""The example service under Gunicorn: several workers, many users at once, one Qdrant.

Its workers import CrewAI, which takes long: all of these tests ask one service, but for one way of starting it.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import sys
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from ..support.calling import until
from ..support.engines import NEWEST, Servers
from ..support.programs import Program
from ..support.qdrant_server import ROOT, QdrantServer, free_ports
from ..support.thorough import IS_THOROUGH

pytestmark = pytest.mark.xdist_group("service")

WORKERS, USERS_AT_ONCE, ROUNDS = (4, 20, 4) if IS_THOROUGH else (3, 8, 2)


UNENCRYPTED: dict[str, Any] = {"timeout": 120, "verify": False}
"""For requests on connections of their own: reading the machine's certificates for each takes longer than a crew."""


def users(kind: str) -> list[str]:
    return [f"{kind}{number}" for number in range(USERS_AT_ONCE)]


class Service:
    """The service, and what its LLM and its streams noted."""

    def __init__(self, client: httpx.Client, folder: Path) -> None:
        self.client, self.release = client, folder / "release"
        self._calls = folder / "calls"

    def noted(self, what: str) -> int:
        return self._calls.read_text().splitlines().count(what) if self._calls.exists() else 0


@contextmanager
def gunicorn(server: QdrantServer, folder: Path, *arguments: str) -> Iterator[Service]:
    [port] = free_ports(1)
    collection = f"t-{uuid.uuid4().hex[:12]}"
    environment = {
        **os.environ,
        "QDRANT_URL": server.url,
        "TEST_COLLECTION": collection,
        # Many users at once on a busy machine are no dead server.
        "CREWAI_MEMORY_TIMEOUT": "20",
        "CREWAI_MEMORY_RETRY_FOR": "20",
        "CREWAI_MEMORY_RECALL_TIMEOUT": "20",
        "TEST_LLM_CALLS": str(folder / "calls"),
        "TEST_RELEASE": str(folder / "release"),
        "CREWAI_STORAGE_DIR": str(folder / "crewai"),
        "PYTHONPATH": str(ROOT),
    }
    given = {"-k": "asgi", "-w": WORKERS, "-b": f"127.0.0.1:{port}", "--timeout": 120}
    command = [sys.executable, "-m", "gunicorn", *(str(part) for pair in given.items() for part in pair), *arguments]
    master = Program([*command, "tests.support.concierge_service:app"], cwd=folder, env=environment)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client:
            until(lambda: healthy(client), bool, 120)
            yield Service(client, folder)
    finally:
        os.kill(master.pid, signal.SIGTERM)
        sys.stdout.write(master.wait(60).stderr)
        with server.admin() as admin:
            admin.delete(f"/collections/{collection}")


@pytest.fixture(scope="module")
def service(qdrant_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    with gunicorn(qdrant_servers(NEWEST), folder, "--graceful-timeout", "3") as started:
        yield started


@pytest.fixture
def preloaded(server: QdrantServer, tmp_path: Path) -> Iterator[Service]:
    with gunicorn(server, tmp_path, "--preload") as started:
        yield started


def healthy(client: httpx.Client) -> bool:
    try:
        return client.get("/health").status_code == 200
    except httpx.HTTPError:
        return False


def ask(client: httpx.Client, user: str, text: str) -> tuple[str, int]:
    """The answer and the worker's process id. A worker that is killed takes its requests along: they are sent again."""
    for _ in range(20):
        try:
            asked: dict[str, Any] = {"json": {"text": text}, "headers": {"X-User-Id": user}, **UNENCRYPTED}
            answer = httpx.post(f"{client.base_url}/ask", **asked)
        except httpx.TransportError:
            continue
        assert answer.status_code == 200, answer.text
        return answer.json()["text"], answer.json()["worker"]
    raise AssertionError("no worker answered")


Asked = TypeVar("Asked", bound=tuple[Any, ...])


def asked_of_several_workers(who: list[str], ask_one: Callable[[str], Asked]) -> list[tuple[str, Asked]]:
    """All users at once, in several rounds; more of them if one worker was so quick that it took every request."""
    answers: list[tuple[str, Asked]] = []
    with ThreadPoolExecutor(len(who)) as pool:
        for number in itertools.count(1):
            answers += zip(who, pool.map(ask_one, who), strict=True)
            # One of the workers may have been killed, and its successor not be there yet.
            several = len({answer[-1] for _, answer in answers}) >= WORKERS - 1
            if number >= ROUNDS and several:
                return answers
            assert number < ROUNDS + 20, "one worker answers everything"
    raise AssertionError


@pytest.mark.parametrize("started", ["service", "preloaded"], ids=["workers", "preload"])
def test_every_worker_knows_every_user_and_none_is_crossed(started: str, request: pytest.FixtureRequest) -> None:
    client = request.getfixturevalue(started).client
    guests = users("guest")
    with ThreadPoolExecutor(len(guests)) as pool:
        told = list(pool.map(lambda user: ask(client, user, f"Remember my locker code-{user}"), guests))
    os.kill(told[0][1], signal.SIGKILL)
    for user, (text, _) in asked_of_several_workers(guests, lambda user: ask(client, user, "What is my locker code?")):
        assert set(re.findall(r"code-\w+", text)) == {f"code-{user}"}, (user, text)
    assert client.get("/memories").status_code == 422, "no user, no memory"
    mine = client.get("/memories", headers={"X-User-Id": "guest3"}).json()
    assert mine
    assert all("code-guest3" in text for text in mine if "code-" in text)
    assert client.delete("/memories", headers={"X-User-Id": "guest3"}).json()["forgotten"] == len(mine)
    assert client.get("/memories", headers={"X-User-Id": "guest3"}).json() == []
    assert client.get("/memories", headers={"X-User-Id": "guest4"}).json()


def stream(client: httpx.Client, user: str, text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events of a streamed answer: names and data."""
    asked: dict[str, Any] = {"json": {"text": text}, "headers": {"X-User-Id": user}, **UNENCRYPTED}
    with httpx.stream("POST", f"{client.base_url}/stream", **asked) as answer:
        assert answer.status_code == 200, answer.read()
        name = ""
        for line in answer.iter_lines():
            kind, _, value = line.partition(": ")
            if kind == "event":
                name = value
            elif kind == "data":
                yield name, json.loads(value)


def test_streams_at_once(service: Service) -> None:
    def streamed(user: str, text: str) -> tuple[str, str, int]:
        events = list(stream(service.client, user, text))
        chunks = "".join(data["text"] for name, data in events if name == "chunk")
        [answer] = [data for name, data in events if name == "answer"]
        assert events[-1][0] == "answer"
        assert len(events) > 4, "not in one piece"
        return chunks, answer["text"], answer["worker"]

    listeners = users("listener")
    with ThreadPoolExecutor(len(listeners)) as pool:
        list(pool.map(lambda user: streamed(user, f"Remember my locker code-{user}"), listeners))
    answers = asked_of_several_workers(listeners, lambda user: streamed(user, "What is my locker code?"))
    for user, (chunks, text, _) in answers:
        assert set(re.findall(r"code-\w+", chunks)) == set(re.findall(r"code-\w+", text)) == {f"code-{user}"}
    for user in listeners:
        mine = service.client.get("/memories", headers={"X-User-Id": user}).json()
        assert any(f"code-{user}" in text for text in mine)
        assert set(re.findall(r"code-\w+", " ".join(mine))) == {f"code-{user}"}


def test_a_client_that_goes_away_in_the_middle(service: Service) -> None:
    client, leaver = service.client, {"X-User-Id": "leaver"}
    over, answered = service.noted("stream over"), service.noted("answered")
    events = stream(client, "leaver", "Tell me an endless story of code-leaver")
    assert next(events)[0] == "chunk"
    events.close()  # type: ignore[attr-defined]
    bystanders = users("bystander")
    with ThreadPoolExecutor(len(bystanders)) as pool:
        answers = list(pool.map(lambda user: ask(client, user, f"My code-{user}"), bystanders))
    for user, (text, _) in zip(bystanders, answers, strict=True):
        assert set(re.findall(r"code-\w+", text)) == {f"code-{user}"}, "every worker goes on"
    # Gunicorn gives a request three seconds to end by itself. The LLM is still writing.
    until(lambda: service.noted("stream over"), (over + 1).__eq__, 60)
    service.release.touch()
    until(lambda: service.noted("answered"), (answered + len(bystanders) + 1).__eq__, 60)
    assert client.get("/memories", headers=leaver).json() == [], "of an answer that nobody has read"
    assert list(stream(client, "leaver", "What do you know? code-leaver"))[-1][0] == "answer"


def test_no_user_no_call_of_the_llm(service: Service) -> None:
    called = service.noted("called")
    for path in ("/ask", "/stream"):
        for headers, status in (({}, 422), ({"X-User-Id": ""}, 422), ({"X-User-Id": b"john\xa0"}, 400)):
            asked: dict[str, Any] = {"json": {"text": "hello"}, "headers": headers, **UNENCRYPTED}
            answer = httpx.post(f"{service.client.base_url}{path}", **asked)
            assert answer.status_code == status, answer.text
    assert service.noted("called") == called

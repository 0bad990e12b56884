"""The example service under Gunicorn: four workers, twenty users, one Qdrant."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from ..support.calling import until
from ..support.qdrant_server import ROOT, QdrantServer, free_ports

USERS = [f"user{number}" for number in range(20)]


@contextmanager
def gunicorn(server: QdrantServer, collection: str, folder: Path, *arguments: str) -> Iterator[httpx.Client]:
    [port] = free_ports(1)
    environment = {
        **os.environ,
        "QDRANT_URL": server.url,
        "TEST_COLLECTION": collection,
        "CREWAI_STORAGE_DIR": str(folder / "crewai"),
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "gunicorn", "-k", "asgi", "-w", "4", "-b", f"127.0.0.1:{port}", "--timeout", "120"]
    with (folder / "gunicorn.log").open("wb") as log:
        master = subprocess.Popen(
            [*command, *arguments, "tests.support.concierge_service:app"],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client:
            until(lambda: healthy(client), bool, 120)
            yield client
    finally:
        master.terminate()
        master.wait(60)


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
        asked = [(user, "What is my locker code?") for user in USERS * 10]
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

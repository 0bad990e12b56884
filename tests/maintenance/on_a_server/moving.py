"""What the tests of a move to another collection have in common."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from crewai_persistent_memory import (
    MemoryStore,
    open_store,
)
from crewai_persistent_memory.backends.qdrant.server.bootstrap import DESCRIPTOR_ID
from crewai_persistent_memory.testing import FakeEmbedder

from ...support.qdrant_server import QdrantServer

OLD, NEW, OTHER = FakeEmbedder(64), FakeEmbedder(32, salt="new"), FakeEmbedder(64, salt="other")
CANARY = "zebra-canary"


def elsewhere(options: dict[str, Any], **others: Any) -> MemoryStore:
    """A store that shares nothing with the others of this process, as in another process."""
    elsewhere.number += 1  # type: ignore[attr-defined]
    of_its_own = {"url": options["url"].replace("127.0.0.1", "localhost"), "max_connections": 32 + elsewhere.number}  # type: ignore[attr-defined]
    return open_store(**{**options, **of_its_own, **others})


elsewhere.number = 0  # type: ignore[attr-defined]


def never_looks(store: MemoryStore) -> None:
    """From now on it does not notice a change of the embedder by itself."""
    engine = store.backend.connection._engine  # type: ignore[attr-defined]
    for name, target in engine.targets.items():
        engine.targets[name] = target._replace(checked_at=math.inf)


def collections(server: QdrantServer) -> set[str]:
    with server.admin() as admin:
        return {each["name"] for each in admin.get("/collections").json()["result"]["collections"]}


def points(server: QdrantServer, collection: str) -> list[dict[str, Any]]:
    with server.admin() as admin:
        body = {"limit": 10_000, "with_payload": True}
        found = admin.post(f"/collections/{collection}/points/scroll", json=body).json()["result"]["points"]
    return [point for point in found if point["id"] != DESCRIPTOR_ID]


def descriptor(server: QdrantServer, collection: str) -> dict[str, Any]:
    with server.admin() as admin:
        answer = admin.get(f"/collections/{collection}/points/{DESCRIPTOR_ID}").json()
    payload: dict[str, Any] = answer["result"]["payload"]
    return payload


def once(monkeypatch: pytest.MonkeyPatch, of: type, method: str, do: Callable[[Any], Any], *, before: bool) -> None:
    """Do it once, before or after a step of the copying; ``do`` may say that it was not the moment."""
    original, done = getattr(of, method), []

    def act(self: Any) -> None:
        if not done:
            done.append(True)
            if do(self) is False:
                done.clear()

    def wrapped(self: Any, *arguments: Any) -> Any:
        if before:
            act(self)
        answer = yield from original(self, *arguments)
        if not before:
            act(self)
        return answer

    monkeypatch.setattr(of, method, wrapped)


def second_of(server: QdrantServer, collection: str) -> str:
    [name] = [each for each in collections(server) if each.startswith(f"{collection}--")]
    return name


DYING = """
import os, sys
from crewai_persistent_memory import open_store
from crewai_persistent_memory.admin import reembed
from crewai_persistent_memory.backends.qdrant.server import moves, moving, carrying
from crewai_persistent_memory.testing import FakeEmbedder
moves.LEASE = 0.1
moves.noticed_after = lambda timeout: 0.6
url, collection, at = sys.argv[1:]
name, number = at.split()
of = carrying.Carrying if hasattr(carrying.Carrying, name) else moving.Move
original, left = getattr(of, name), int(number)

def dying(self, *arguments, **options):
    global left
    left -= 1
    if left < 0:
        os._exit(9)
    return (yield from original(self, *arguments, **options))

setattr(of, name, dying)
with open_store(url=url, collection=collection, embedder=FakeEmbedder(64), durability="store") as store:
    reembed(store, FakeEmbedder(32, salt="new"))
"""

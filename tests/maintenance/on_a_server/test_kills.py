"""The process, and the server, are killed at any moment."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import (
    open_store,
)
from crewai_persistent_memory.admin import (
    erase,
    reembed,
    survey,
)
from crewai_persistent_memory.testing import FakeEmbedder

from ...support.engines import NEWEST, OLDER
from ...support.programs import killed_after, run_program
from ...support.qdrant_server import QdrantServer, binaries
from ...support.thorough import sample
from ..test_reembedding import everything, fill, vectors_agree
from .moving import CANARY, DYING, NEW, OLD, OTHER, collections, descriptor, points, second_of

MOMENTS = [
    "_claim 0",
    "_carrying 0",
    "_mark 0",
    "_vectors 1",
    "_bury_missing 0",
    "_bury_missing 1",
    "_deleted 0",
    "changes 0",
    "_switch 0",
    "_close_to_writes 0",
    "changes 1",
    "_settle 0",
    "changes 4",
    "_drain 0",
    "_empty 0",
]


@pytest.mark.parametrize("at", sample(MOMENTS, 5))
def test_killed_at_any_moment(options: dict[str, Any], server: QdrantServer, at: str) -> None:
    collection = options["collection"]
    with open_store(**options, embedder=OLD) as store:
        fill(store, 50)
        store.scoped(user_id="john").add(CANARY, id="canary")
        before = everything(store)
    ended = run_program([sys.executable, "-c", DYING, server.url, collection, at])
    assert ended.returncode == 9, ended.stderr
    is_switched = "moved_to" in descriptor(server, collection)
    with open_store(**options, embedder=NEW if is_switched else OLD) as store:
        assert everything(store) == before
        john = store.scoped(user_id="john")
        john.add("said meanwhile", id="new")
        john.update("e1", content="changed meanwhile")
        assert erase(store, user_id="nobody", settle=0.01).entries == 0
        john.delete("canary")
        for name in collections(server):
            assert CANARY not in json.dumps(points(server, name))
        new = FakeEmbedder(32, salt="new")
        reembed(store, new)
        texts = [text for call in new.calls for text in call]
        if at in ("_vectors 1", "_bury_missing 1", "_deleted 0", "changes 0", "_switch 0"):
            assert len(texts) < 90, "what was embedded is not embedded again"
        after = everything(store)
        changed = [key for key in before if after.get(key) != before[key]]
        assert sorted(id for _, id in changed) == ["canary", "e1"]
        assert len(after) == len(before)
        assert [john.get(id).content for id in ("new", "e1")] == ["said meanwhile", "changed meanwhile"]  # type: ignore[union-attr]
        assert vectors_agree(store, new)
        assert points(server, collection) == []
        assert descriptor(server, collection)["drained"]
        assert "copy_of" not in descriptor(server, second_of(server, collection))


REEMBEDDING = """
import sys
from crewai_persistent_memory import open_store
from crewai_persistent_memory.admin import reembed
from crewai_persistent_memory.backends.qdrant.server import moves
from crewai_persistent_memory.testing import FakeEmbedder
moves.LEASE = 0.1
moves.noticed_after = lambda timeout: 0.6
url, collection = sys.argv[1:]
with open_store(url=url, collection=collection, embedder=FakeEmbedder(64), durability="store") as store:
    reembed(store, FakeEmbedder(32, salt="new"), progress=lambda count: print(count, flush=True))
"""


KILLS = int(os.environ.get("TRANSFER_KILLS", "2"))


def test_what_was_killed_is_finished_by_the_next(options: dict[str, Any], server: QdrantServer) -> None:
    """Each process is killed when it has looked at two pages more than the one before."""
    with open_store(**options, embedder=OLD) as store:
        fill(store, 128 * KILLS - 56)
        before = everything(store)
    for pages in range(2, 2 * KILLS + 1, 2):
        killed_after([sys.executable, "-c", REEMBEDDING, server.url, options["collection"]], pages)
    with open_store(**options, embedder=OLD) as store:
        done = reembed(store, NEW)
        assert done.there >= (2 * KILLS - 1) * 64 - 1, "each one went on"
        assert done.embedded + done.there == done.entries == len(before)
        assert everything(store) == before
        assert vectors_agree(store, NEW)


@pytest.mark.parametrize("version", [NEWEST, OLDER])
def test_the_server_is_killed(tmp_path: Path, version: str) -> None:
    """In the midst of the copying, and after the move: it starts again with both collections."""
    server = QdrantServer(binaries()[version], tmp_path / "q").start()
    at: dict[str, Any] = {"url": server.url, "collection": "c", "durability": "store", "timeout": 2}
    killed: list[int] = []

    def kill(count: int) -> None:
        if not killed and count > 64:
            killed.append(count)
            server.kill()
            server.restart()

    try:
        with open_store(**at, embedder=OLD) as store:
            fill(store, 100)
            before = everything(store)
            reembed(store, NEW, progress=kill)
            assert killed
            assert everything(store) == before
            server.kill()
            server.restart()
            assert everything(store) == before
            assert points(server, "c") == []
            store.scoped(user_id="john").add("one more")
            reembed(store, OTHER)
            assert survey(store).entries == 202
            assert vectors_agree(store, OTHER)
    finally:
        server.stop()

"""The commands on a Qdrant server: the same answers, and no collection made by looking for one."""

from __future__ import annotations

import pytest

from crewai_persistent_memory import open_store

from ..support.qdrant_server import QdrantServer
from .conftest import Call


@pytest.fixture
def at(server: QdrantServer, collection: str, monkeypatch: pytest.MonkeyPatch, call: Call) -> tuple[str, ...]:
    monkeypatch.delenv("CREWAI_MEMORY_PATH")
    return ("--url", server.url, "--collection", collection)


def test_reading_creates_no_collection(call: Call, at: tuple[str, ...], server: QdrantServer, collection: str) -> None:
    john = ("-u", "john")
    for command in (("list", *john), ("recall", "tea", *john), ("forget", "--all", "-y", *john), ("health",)):
        printed = call(*command, *at)
        assert (printed.code, printed.out) == (2, "")
        assert f"there is no memory at {server.url}, collection {collection!r}: check --url" in printed.err
    with server.admin() as admin:
        assert admin.get(f"/collections/{collection}").status_code == 404


def test_a_round_trip(call: Call, at: tuple[str, ...], server: QdrantServer, collection: str) -> None:
    assert call("remember", "John likes tea", "-u", "john", "-p", "production", *at).code == 0
    hint = "nothing in project default; user john has 1 in production"
    assert call("list", "-u", "john", *at).out.splitlines()[-1] == hint
    [entry] = call("recall", "tea", "-u", "john", "-p", "production", "--json", *at).json
    assert "Forgot 1" in call("forget", entry["id"][:8], "-u", "john", "-p", "production", *at).out
    with open_store(url=server.url, collection=collection, user_id="john", project_id="production") as store:
        assert store.count() == 0

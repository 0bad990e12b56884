"""A copy: the same entries, in another project or store; nobody else's, and nothing twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import (
    ConfigurationError,
    EntryFilter,
    InvalidArgumentError,
    MemoryEntry,
    MemoryStore,
    Scope,
    open_store,
)
from crewai_persistent_memory.admin import Imported, copy_entries, entries_of

from ..support.embedders import WordHashEmbedder
from ..support.mem0_platform import DEFAULT_KEY, Mem0Platform
from ..support.qdrant_server import QdrantServer

NOON = datetime(2026, 5, 1, 12, 0, 0, 123456)
STAGING = Scope("john", "staging", run_id="r1")


@pytest.fixture
def source(tmp_path: Path) -> Iterator[MemoryStore]:
    with open_store(path=tmp_path / "source", embedder=WordHashEmbedder()) as store:
        for number in range(120):
            entry = MemoryEntry(f"e{number}", f"John likes tea {number}", created_at=NOON, metadata={"n": number})
            store.scoped(STAGING).put([replace(entry, kind="entity" if number % 10 == 0 else "memory")])
        store.scoped(user_id="jane", project_id="staging").add("Jane's secret")
        yield store


def held(store: MemoryStore, **scope: Any) -> dict[tuple[Scope | None, str], MemoryEntry]:
    """The entries; of their vectors two digits, because stores keep them in half precision."""
    found = entries_of(store, with_vectors=True, **scope)
    return {
        (entry.scope, entry.id): replace(entry, embedding=[round(value, 2) + 0.0 for value in entry.embedding or ()])
        for entry in found
    }


def test_from_staging_to_production(source: MemoryStore) -> None:
    done = copy_entries(source, source, into={"project_id": "production"}, user_id="john", project_id="staging")
    assert done == Imported(120, 120, 0)
    copies = held(source, project_id="production")
    assert {owner for owner, _ in copies} == {Scope("john", "production", run_id="r1")}
    originals = held(source, project_id="staging", user_id="john")
    assert {(STAGING, id): replace(entry, scope=STAGING) for (_, id), entry in copies.items()} == originals
    again = copy_entries(source, source, into={"project_id": "production"}, user_id="john")
    assert again == Imported(120, 0, 120), "the copies stay where they are"
    assert len(held(source)) == 241


def test_what_is_chosen(source: MemoryStore) -> None:
    filter = EntryFilter(kind="entity", metadata={"n": 30})
    assert copy_entries(source, source, into={"project_id": "p"}, filter=filter, user_id="john") == Imported(1, 1, 0)
    assert copy_entries(source, source, into={"project_id": "p"}, dry_run=True) == Imported(121, 120, 1)
    assert len(held(source, project_id="p")) == 1


def test_from_embedded_to_a_server_and_back(
    source: MemoryStore, server: QdrantServer, collection: str, tmp_path: Path
) -> None:
    with open_store(url=server.url, collection=collection, embedder=WordHashEmbedder(), durability="store") as target:
        assert copy_entries(source, target) == Imported(121, 121, 0)
        assert held(target) == held(source)
        with open_store(path=tmp_path / "back", embedder=WordHashEmbedder()) as back:
            assert copy_entries(target, back, user_id="john").new == 120
            assert held(back) == held(source, user_id="john")


def test_to_another_embedder_it_is_embedded_anew(source: MemoryStore, tmp_path: Path) -> None:
    with open_store(path=tmp_path / "other", embedder=None) as target:
        assert copy_entries(source, target).new == 121
        assert all(not entry.embedding for entry in held(target).values())
        assert target.scoped(STAGING).search("tea 7", limit=1)[0].id == "e7"


def test_to_mem0(source: MemoryStore, mem0_platform: Mem0Platform) -> None:
    mem0 = {"api_key": DEFAULT_KEY, "host": mem0_platform.url}
    with open_store(mem0=mem0, durability="store") as target:
        filter = EntryFilter(kind="entity")
        for _ in range(2):
            copy_entries(source, target, filter=filter, user_id="john")
        assert len(target.scoped(STAGING).list()) == 12
        with pytest.raises(ConfigurationError, match="cannot list across users"):
            copy_entries(target, source)


def test_two_that_would_be_one_are_refused(source: MemoryStore) -> None:
    source.scoped(user_id="john", project_id="production", run_id="r1").add("another with the same id", id="e1")
    with pytest.raises(InvalidArgumentError, match="'e1' would be in"):
        copy_entries(source, source, into={"project_id": "merged"}, dry_run=True, user_id="john")
    with pytest.raises(InvalidArgumentError, match="into: project"):
        copy_entries(source, source, into={"project": "merged"})

"""The kept stores: opening them, and what they hold."""

from __future__ import annotations

import json
import lzma
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import MemoryStore, Scope

from ..support.qdrant_server import QdrantServer
from ..support.thorough import sample

HERE = Path(__file__).parent


def unpack(layout: int, name: str, to: Path) -> Path:
    """The folder of a kept embedded store."""
    with tarfile.open(HERE / f"layout-{layout}" / f"{name}.tar.xz") as archive:
        archive.extractall(to, filter="data")
    return to / name


def restore(layout: int, name: str, server: QdrantServer, collection: str) -> None:
    """Make a collection of a kept snapshot."""
    snapshot = lzma.decompress((HERE / f"layout-{layout}" / f"{name}.snapshot.xz").read_bytes())
    with server.admin() as admin:
        where = f"/collections/{collection}/snapshots/upload?priority=snapshot&wait=true"
        admin.post(where, files={"snapshot": snapshot}).raise_for_status()


def expected(layout: int, store: str) -> dict[str, dict[str, Any]]:
    """Every entry of a kept store, by its scope and id, with its vector."""
    kept = json.loads((HERE / f"layout-{layout}" / "expected.json").read_text(encoding="utf-8"))
    found = {}
    for entry in kept["entries"]:
        key = f"{entry.pop('in')}/{entry['id']}"
        vector = kept["vectors"][key] if "dense" in store or "killed" in store else None
        found[key] = {**entry, "last_accessed": kept["last_accessed"][store][key], "embedding": vector}
    return found


def scopes(entries: Mapping[str, Mapping[str, Any]]) -> dict[str, Scope]:
    """The scopes of expected entries, by the name that they have there."""
    return {key.partition("/")[0]: _scope(entry["scope"]) for key, entry in entries.items()}


def _scope(fields: Mapping[str, str]) -> Scope:
    return Scope(**fields) if "user_id" in fields else Scope.shared(**fields)


def assert_holds(store: MemoryStore, entries: Mapping[str, Mapping[str, Any]]) -> None:
    """The store holds exactly these entries, and every field of each; the vectors of a few in each scope."""
    found: dict[str, dict[str, Any]] = {}
    vectors: dict[str, Any] = {}
    for name, scope in scopes(entries).items():
        mine = store.scoped(scope)
        for entry in mine.list(limit=10_000):
            if entry.scope == scope:
                found[f"{name}/{entry.id}"] = entry.to_dict()
        with_vector = [key for key in found if key.startswith(f"{name}/") and entries[key]["embedding"] is not None]
        for key in sample(with_vector, 5):
            whole = mine.get(found[key]["id"])
            assert whole is not None
            vectors[key] = whole.embedding if whole.scope == scope else None
    assert found.keys() == entries.keys()
    for key, entry in entries.items():
        # A later version may give an entry more fields.
        wanted = {name: value for name, value in entry.items() if name != "embedding"}
        assert {name: found[key].get(name) for name in wanted} == wanted, key
        if vectors.get(key) is not None:
            # The embedded engine keeps half of the digits.
            assert vectors[key] == pytest.approx(entry["embedding"], abs=5e-4), key

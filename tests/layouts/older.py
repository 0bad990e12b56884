"""Stores of layout 1, of any size: made by its own code where a checkout of that is given, else by taking away what
later layouts added.

``LAYOUT_1_CODE=/tmp/before/src`` names the folder ``src`` of a checkout of commit 2b08bca.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import qdrant_edge as edge

from crewai_persistent_memory import MemoryEntry, open_store
from crewai_persistent_memory.backends.qdrant.embedded.checksums import LEDGER, SEAL
from crewai_persistent_memory.backends.qdrant.embedded.ledger import content_of
from crewai_persistent_memory.backends.qdrant.server.bootstrap import DESCRIPTOR_ID

from ..support.qdrant_server import QdrantServer

CODE = os.environ.get("LAYOUT_1_CODE")
ADDED = ("expires_at", "position", "context", "scope")
"""The keys and indexes of the later layouts."""

MAKE = """
import json, sys
from datetime import datetime, timedelta
from crewai_persistent_memory import MemoryEntry, open_store
options, count = json.loads(sys.argv[1]), int(sys.argv[2])
first = datetime.fromisoformat(sys.argv[3])
with open_store(user_id="john", embedder=None, **options) as store:
    for start in range(0, count, 500):
        numbers = range(start, min(count, start + 500))
        times = [first + timedelta(seconds=n) for n in numbers]
        store.put([
            MemoryEntry(id=str(n), content=f"fact {n} of many", metadata={"n": n}, created_at=at)
            for n, at in zip(numbers, times)
        ])
"""
FIRST = datetime(2026, 3, 1, 12, 0, 0, 7)


def contents(count: int) -> dict[str, tuple[str, datetime, Mapping[str, Any]]]:
    """What :func:`embedded` and :func:`on_server` store: content, time and metadata by id."""
    return {str(n): (f"fact {n} of many", FIRST + timedelta(seconds=n), {"n": n}) for n in range(count)}


def embedded(folder: Path, count: int) -> Path:
    """A closed embedded store of layout 1."""
    _make({"path": str(folder)}, count)
    if CODE is None:
        take_away_embedded(folder)
    return folder


def on_server(server: QdrantServer, collection: str, count: int) -> None:
    """A collection of layout 1."""
    _make({"url": server.url, "collection": collection}, count)
    if CODE is None:
        take_away(server, collection)


def take_away_embedded(folder: Path) -> None:
    shard = edge.EdgeShard.load(str(folder / "shard"))
    everything = edge.Filter(must_not=[edge.IsEmptyCondition(key="tenant")])
    shard.update(edge.UpdateOperation.delete_payload_by_filter(everything, list(ADDED)))
    for key in ADDED:
        shard.update(edge.UpdateOperation.delete_field_index(key))
    shard.flush()
    records, _ = shard.scroll(edge.ScrollRequest(limit=1_000_000))
    (folder / LEDGER).write_bytes(content_of((str(record.id), record.payload) for record in records))
    shard.close()
    (folder / SEAL).unlink()
    descriptor = json.loads((folder / "store.json").read_text())
    del descriptor["layout"]
    descriptor["schema_version"] = 1
    (folder / "store.json").write_text(json.dumps(descriptor))


def take_away(server: QdrantServer, collection: str, *, shard_keys: Sequence[str] | None = None) -> None:
    """With ``shard_keys`` if the collection is sharded by them; the descriptor is in the first."""
    everything = {"must_not": [{"is_empty": {"key": "tenant"}}]}
    of_entries = {"keys": list(ADDED), "filter": everything, "shard_key": shard_keys}
    of_descriptor = {"keys": ["layout"], "points": [DESCRIPTOR_ID], "shard_key": shard_keys and shard_keys[0]}
    with server.admin() as admin:
        for body in (of_entries, of_descriptor):
            answer = admin.post(f"/collections/{collection}/points/payload/delete?wait=true", json=body)
            assert answer.is_success, answer.text
        for key in ADDED:
            admin.delete(f"/collections/{collection}/index/{key}?wait=true").raise_for_status()


def _make(options: Mapping[str, str], count: int) -> None:
    if CODE is not None:
        program = [sys.executable, "-c", MAKE, json.dumps(options), str(count), FIRST.isoformat()]
        subprocess.run(program, env={**os.environ, "PYTHONPATH": CODE}, check=True)
        return
    with open_store(user_id="john", embedder=None, **options) as store:  # type: ignore[arg-type]
        store.put(
            [
                MemoryEntry(id=id, content=content, created_at=created_at, metadata=metadata)
                for id, (content, created_at, metadata) in contents(count).items()
            ]
        )

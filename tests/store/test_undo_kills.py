"""A process that is killed while it forgets, or brings back: every memory is there, or can be brought back."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

from crewai_persistent_memory import MemoryEntry, open_store

from ..support.programs import killed_after

KILLS = int(os.environ.get("TRANSFER_KILLS", "2"))
COUNT = 600

FORGETTING = """
import sys
from crewai_persistent_memory import open_store
from crewai_persistent_memory.backends.qdrant.embedded.engine import EmbeddedEngine

with open_store(path=sys.argv[1], user_id="john", embedder=None, undo_for=3600) as store:
    execute = EmbeddedEngine.execute

    def told(self, request, generation=None):
        print(type(request).__name__, flush=True)
        return execute(self, request, generation)

    EmbeddedEngine.execute = told
    store.reset(for_good=False)
    store.undo_delete()
"""


def test_nothing_is_lost(tmp_path: Path) -> None:
    with open_store(path=tmp_path / "s", user_id="john", embedder=None) as store:
        store.put([MemoryEntry(f"e{number}", f"fact {number}") for number in range(COUNT)])
    chance = random.Random(3)
    for _ in range(KILLS):
        killed_after([sys.executable, "-c", FORGETTING, str(tmp_path / "s")], chance.randrange(1, 60))
        with open_store(path=tmp_path / "s", user_id="john", embedder=None) as store:
            ids = [entry.id for entry in store.scan()]
            kept = [entry.id for entry in store.undo_delete(dry_run=True)]
            assert sorted({*ids, *kept}) == sorted(f"e{number}" for number in range(COUNT))
            assert len(set(ids)) == len(ids)
    with open_store(path=tmp_path / "s", user_id="john", embedder=None) as store:
        store.undo_delete()
        assert sorted(entry.content for entry in store.scan()) == sorted(f"fact {number}" for number in range(COUNT))

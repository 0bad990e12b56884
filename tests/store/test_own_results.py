"""A result belongs to its reader: what is kept of a stored record for the next search is shared with nobody."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, cast

import pytest

from crewai_persistent_memory import MemoryEntry, open_store

NOON = datetime(2026, 1, 1, 12)


@pytest.mark.parametrize("metadata", [{}, {"trip": {"to": "Oslo"}}], ids=["bare", "with metadata"])
def test_what_a_reader_changes_in_a_result_no_other_reader_sees(tmp_path: Path, metadata: dict[str, Any]) -> None:
    with open_store(path=tmp_path, embedder=None) as whole:
        john, jane = whole.scoped(user_id="john"), whole.scoped(user_id="jane")
        for store in (john, jane):
            # Their records are equal to the last character.
            store.put([MemoryEntry("a", "tea in Oslo", metadata=metadata, created_at=NOON, last_accessed=NOON)])
        for _ in range(2):
            [found] = john.search("tea")
            assert found.metadata == metadata
            cast("dict[str, Any]", found.metadata)["seen by"] = "john"
        assert [found.metadata for found in jane.search("tea")] == [metadata]


def test_a_change_of_one_users_entry_is_seen_in_no_other_users(tmp_path: Path) -> None:
    with open_store(path=tmp_path, embedder=None) as whole:
        john, jane = whole.scoped(user_id="john"), whole.scoped(user_id="jane")
        for store in (john, jane):
            store.put([MemoryEntry("a", "tea in Oslo", created_at=NOON, last_accessed=NOON)])
            store.search("tea")
        john.update("a", path="/secret", metadata={"pin": 1234}, source="john", private=True)
        [changed] = john.search("tea", include_private=True)
        assert (changed.path, changed.metadata, changed.source, changed.private) == (
            "/secret",
            {"pin": 1234},
            "john",
            True,
        )
        [other] = jane.search("tea", include_private=True)
        assert (other.path, other.metadata, other.source, other.private) == ("/", {}, None, False)

"""A vector store that is in no table is tried when it is opened, and refused with what does not hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import ConfigurationError, MemoryStore, open_store
from crewai_persistent_memory.backends.mem0.compat import mem0_version
from crewai_persistent_memory.backends.mem0.vector_stores import opening, table
from crewai_persistent_memory.backends.mem0.vector_stores.corrected import CorrectedStore

from ..support.mem0_stores import MORE_OF_MEM0
from .conftest import library_of

IS_OLD = mem0_version() < (2,)
"""Mem0 over Chroma gives distances for scores there, which nothing corrects if the table does not know it."""


@pytest.fixture
def about(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Mem0 over Chroma's folder, as a store that nobody tried."""
    monkeypatch.delitem(table.PROVIDERS, "chroma")  # type: ignore[arg-type]
    monkeypatch.delitem(opening._CORRECTED, "chroma")  # type: ignore[arg-type]
    monkeypatch.setattr(opening, "_PROBED", set())
    options = MORE_OF_MEM0["chroma"].options(request, tmp_path)["mem0"]
    return {**options, "allow_untested_vector_store": True}


def opened(about: Any) -> MemoryStore:
    return open_store(user_id="john", mem0=about, durability="store")


@pytest.mark.skipif(IS_OLD, reason="refused there: see below")
def test_one_that_holds_is_opened_and_has_nothing_of_it(about: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(about) as store:
        assert library_of(store).vector_store.list(top_k=100) == [[]]
        store.add("I am allergic to nuts.")
        assert store.count() == 1
    monkeypatch.setattr(CorrectedStore, "listed", lambda *_: ())  # would not pass
    opened(about).close()


@pytest.mark.skipif(not IS_OLD, reason="Mem0 gives scores")
def test_distances_for_scores(about: Any) -> None:
    with pytest.raises(ConfigurationError, match="'chroma' was tried now, and a search does not give the best first"):
        opened(about)


def cosines(self: Any, query: str, vector: Any, wanted: int, filters: Any) -> Any:
    """As some stores give them: below 0 for what is far."""
    rows = self.store.list(filters=filters, top_k=100)[0]
    for row in rows:
        [other] = self.store.collection.get(ids=[row.id], include=["embeddings"])["embeddings"]
        length = (sum(a * a for a in vector) * sum(b * b for b in other)) ** 0.5
        row.score = float(sum(a * b for a, b in zip(vector, other, strict=True)) / length)
    return sorted(rows, key=lambda row: -row.score)[:wanted]


@pytest.mark.skipif(IS_OLD, reason="what the store gives is taken for a distance there")
def test_one_that_gives_cosines_is_opened(about: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CorrectedStore, "nearest", cosines)
    opened(about).close()


def without_case(self: Any, query: str, vector: Any, wanted: int, filters: Any) -> Any:
    rows = self.store.search(query=query, vectors=vector, top_k=100)
    user = filters["user_id"].lower()
    return [row for row in rows if row.payload["user_id"].lower() == user][:wanted]


def reversed_scores(self: Any, query: str, vector: Any, wanted: int, filters: Any) -> Any:
    rows = self.store.search(query=query, vectors=vector, top_k=wanted, filters=filters)
    for row in rows:
        row.score = 1 - row.score
    return rows


BROKEN: dict[str, tuple[str, Any, str]] = {
    "listing": ("listed", lambda *_: (), "listing does not have all"),
    "search": ("nearest", lambda *_: (), "does not find all of a user's"),
    "case": ("nearest", without_case, "does not find all of a user's"),
    "order": ("nearest", reversed_scores, "does not give the best first"),
    "ids": ("row", lambda *_: None, "not found by its id"),
    "changes": ("changed", lambda *_: None, "a change is not kept"),
    "deletions": ("removed", lambda *_: None, "still there"),
}


@pytest.mark.skipif(IS_OLD, reason="refused there: see above")
@pytest.mark.parametrize("broken", BROKEN)
def test_one_that_does_not_hold_is_refused(broken: str, about: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    name, wrong, reason = BROKEN[broken]
    monkeypatch.setattr(CorrectedStore, name, wrong)
    with pytest.raises(ConfigurationError, match=f"'chroma' was tried now, and .*{reason}"):
        opened(about)

"""Over every Qdrant engine: a short entry is found by the words of what was said before it, as they are now."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import MemoryEntry, MemoryStore
from crewai_persistent_memory.backends.qdrant.engine_requests import Change, Request
from crewai_persistent_memory.io.steps import Steps
from crewai_persistent_memory.store.factory import open_configured

from ..support.engines import STORES

NOON = datetime(2026, 5, 1, 12)


@pytest.fixture(params=["embedded", "server", "server-grpc"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MemoryStore]:
    kind = STORES[request.param]
    with open_configured(kind.config(request, tmp_path, embedder=None, user_id="john")) as opened:
        yield opened
    kind.remove(request, tmp_path)


def turns(*contents: str, first: int = 0) -> list[MemoryEntry]:
    """Each a minute after the one before."""
    return [
        MemoryEntry(f"{number}", content, created_at=NOON + timedelta(minutes=number))
        for number, content in enumerate(contents, first)
    ]


def found(store: MemoryStore, words: str) -> set[str]:
    return {entry.id for entry in store.search(words)}


def test_the_two_before_are_found_with_it(store: MemoryStore) -> None:
    store.put(turns("How was Iceland?", "We saw a whale.", "It was great.", "Good night."))
    assert found(store, "Iceland") == {"0", "1", "2"}
    store.put(turns("Sleep well.", first=4))
    assert found(store, "whale") == {"1", "2", "3"}
    assert found(store, "night") == {"3", "4"}


def test_put_again_with_other_words(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The entries that are put have each other's new words; one that follows them is made anew, and no other."""
    store.put(turns("How was Iceland?", "We saw a whale.", "It was great."))
    store.put(turns("And the food?", first=3))
    changes: list[Change] = []
    connection = store.backend.connection  # type: ignore[attr-defined]
    ask = connection.ask

    def noting(request: Request[Any], route: Any) -> Steps[Any]:
        if isinstance(request, Change):
            changes.append(request)
        return (yield from ask(request, route))

    monkeypatch.setattr(connection, "ask", noting)
    store.put(turns("How was Norway?", "We saw a moose.", "It was great."))
    assert found(store, "Iceland whale") == set()
    assert found(store, "Norway") == {"0", "1", "2"}
    assert found(store, "moose") == {"1", "2", "3"}
    assert len(changes) == 1, "of the entry that was not put"


@pytest.mark.parametrize("gone", ["delete", "private", "path"])
def test_words_that_it_may_not_have_any_more(store: MemoryStore, gone: str) -> None:
    store.put(turns("How was Iceland?", "We saw a whale.", "It was great."))
    if gone == "delete":
        store.delete("0")
    else:
        store.update("0", **{"private": {"private": True, "source": "jane"}, "path": {"path": "/other"}}[gone])
    assert found(store, "Iceland") - {"0"} == set()
    assert found(store, "whale") == {"1", "2"}


def test_another_text(store: MemoryStore) -> None:
    store.put(turns("How was Iceland?", "We saw a whale.", "It was great."))
    store.update("0", content="How was Norway?")
    assert (found(store, "Iceland"), found(store, "Norway")) == (set(), {"0", "1", "2"})
    store.replace(MemoryEntry("1", "We saw a moose.", created_at=NOON + timedelta(minutes=1)))
    assert (found(store, "whale"), found(store, "moose")) == (set(), {"1", "2"})
    assert found(store, "Norway") == {"0", "1", "2"}


def test_what_was_not_said_before_it(store: MemoryStore) -> None:
    first = MemoryEntry("0", "How was Iceland?", created_at=NOON)
    store.put([first])
    others: dict[str, dict[str, Any]] = {
        "later": {"created_at": NOON + timedelta(hours=1)},
        "path": {"path": "/other"},
        "private": {"private": True, "source": "jane"},
        "kind": {"kind": "entity"},
        "conversation": {"metadata": {"session_id": "other"}},
        "long": {"content": "It was great. " * 40},
    }
    for name, about in others.items():
        entry: dict[str, Any] = {"content": "It was great.", "created_at": NOON + timedelta(minutes=1), **about}
        store.put([MemoryEntry(name, **entry)])
    store.scoped(run_id="r").put([MemoryEntry("run", "It was great.", created_at=NOON + timedelta(minutes=1))])
    store.scoped(agent_id="a").put([MemoryEntry("agent", "It was great.", created_at=NOON + timedelta(minutes=1))])
    assert found(store, "Iceland") == {"0"}
    assert found(store.scoped(run_id="r", agent_id="a"), "Iceland") == {"0"}

"""Over every Qdrant engine: a short entry is found by the words of what was said before it, as they are now."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import MemoryEntry, MemoryStore, Scope
from crewai_persistent_memory.backends.qdrant.engine_requests import Change, Request
from crewai_persistent_memory.entry_filter import EntryFilter
from crewai_persistent_memory.io.steps import Steps, run
from crewai_persistent_memory.store import operations as op
from crewai_persistent_memory.store.factory import open_configured

from ..support.engines import STORES

NOON = datetime(2026, 5, 1, 12)


@pytest.fixture(params=["embedded", "server", "server-grpc"])
def everyones(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MemoryStore]:
    kind = STORES[request.param]
    with open_configured(kind.config(request, tmp_path, embedder=None)) as opened:
        yield opened
    kind.remove(request, tmp_path)


@pytest.fixture
def store(everyones: MemoryStore) -> MemoryStore:
    return everyones.scoped(user_id="john")


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


def test_brought_back_after_others_were_saved(store: MemoryStore) -> None:
    """It follows what it followed, and what is saved next does not follow it."""
    undo_until = datetime.now(timezone.utc) + timedelta(days=1)
    store.put(turns("How was Iceland?", "We saw a whale.", "It was great.", "Good night.", "Sleep well."))
    for id in ("1", "2"):
        run(store.backend.execute(op.Delete(store.scope, EntryFilter(ids=(id,)), undo_until=undo_until)))
    store.put(turns("Is anybody awake?", first=5))
    assert found(store, "Iceland") == {"0"}
    assert {each.id for each in store.undo_delete()} == {"1", "2"}
    assert found(store, "Iceland") == {"0", "1", "2"}
    store.put(turns("Not yet.", first=6))
    assert found(store, "whale") == {"1", "2"}
    assert found(store, "awake") == {"5", "6"}


def test_another_text(store: MemoryStore) -> None:
    store.put(turns("How was Iceland?", "We saw a whale.", "It was great."))
    store.update("0", content="How was Norway?")
    assert (found(store, "Iceland"), found(store, "Norway")) == (set(), {"0", "1", "2"})
    store.replace(MemoryEntry("1", "We saw a moose.", created_at=NOON + timedelta(minutes=1)))
    assert (found(store, "whale"), found(store, "moose")) == (set(), {"1", "2"})
    assert found(store, "Norway") == {"0", "1", "2"}


OTHERS: dict[str, dict[str, Any]] = {
    "later": {"created_at": NOON + timedelta(hours=1)},
    "path": {"path": "/other"},
    "private": {"private": True, "source": "jane"},
    "kind": {"kind": "entity"},
    "conversation": {"metadata": {"session_id": "other"}},
    "long": {"content": "It was great. " * 40},
}


def test_what_was_not_said_before_it(everyones: MemoryStore) -> None:
    """Each has a user of its own: an entry has the words of two before it, and a third one would have none of them."""
    for name, about in {"plain": {}, **OTHERS}.items():
        store = everyones.scoped(user_id=f"user of {name}")
        store.put(turns("How was Iceland?"))
        entry: dict[str, Any] = {"content": "It was great.", "created_at": NOON + timedelta(minutes=1), **about}
        store.put([MemoryEntry("1", **entry)])
        assert found(store, "Iceland") == ({"0", "1"} if name == "plain" else {"0"}), name


OWNERS = [
    Scope("john", "live"),
    Scope("jane", "live"),
    Scope("john", "staging"),
    Scope("john", "live", org_id="acme"),
    Scope("john", "live", run_id="r"),
    Scope("john", "live", agent_id="chef"),
    Scope("john", "live", run_id="r", agent_id="chef"),
    Scope.shared("live"),
]


def test_what_others_said_before_it(everyones: MemoryStore) -> None:
    """Their words would tell that they said them, and of what it was an answer. First the last entries of an owner are
    read from the store, then this process knows them."""
    countries = ["Iceland", "Norway", "Chile", "Japan", "Kenya", "Peru", "Nepal", "Malta"]
    said = dict(zip(OWNERS, countries, strict=True))
    for number, (owner, country) in enumerate(said.items()):
        everyones.scoped(owner).put(turns(f"How was {country}?", first=number))
    for owner in OWNERS:
        everyones.scoped(owner).put(turns("It was great.", first=len(OWNERS)))
    for owner, country in said.items():
        everywhere = [each for reader in OWNERS for each in everyones.scoped(reader).search(country)]
        assert {each.scope for each in everywhere} == {owner}, f"others have words of {owner}"
        assert len(found(everyones.scoped(owner), country)) == 2, "its own has them"

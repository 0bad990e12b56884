"""Over every engine: what is saved while the embedder is away is kept, found by its words, and embedded later."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from crewai_persistent_memory import EmbedderUnavailableError, MemoryEntry, MemoryStore, Scope, use_scope
from crewai_persistent_memory.backends.qdrant.dense_vectors import PER_SAVE
from crewai_persistent_memory.embedding.spread import SENTENCES

from ..fixtures import OpenStore
from ..support.calling import CALLS
from ..support.embedders import WordHashEmbedder


@pytest.fixture(params=sorted(CALLS))
def do(request: pytest.FixtureRequest) -> Any:
    return CALLS[request.param]


class Switched(WordHashEmbedder):
    """An embedder that can be away, and in the midst of whose work something else can happen."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.meanwhile: Any = None

    def __call__(self, texts: list[str]) -> list[list[float]]:
        if self.away:
            raise ConnectionError("connection refused")
        vectors = super().__call__(texts)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return vectors


@pytest.fixture
def embedder() -> Switched:
    return Switched()


def embeds_itself(store: MemoryStore) -> bool:
    return not store.capabilities.vectors


def has_vector(store: MemoryStore, id: str) -> bool:
    found = store.get(id)
    assert found is not None
    return bool(found.embedding)


def save_without(store: MemoryStore, embedder: Switched, count: int, **about: Any) -> None:
    embedder.away = True
    store.put([MemoryEntry(f"{number}", f"fact number{number}", **about) for number in range(count)])
    embedder.away = False


def test_kept_and_found_meanwhile(open_any: OpenStore, do: Any, embedder: Switched) -> None:
    store = open_any(user_id="john", embedder=embedder)
    if embeds_itself(store):
        assert do(store, "embed_missing") == 0
        return
    store.add("John likes tea", id="before")
    embedder.away = True
    do(store, "add", "John likes cake", id="a")
    do(store, "update", "before", content="John likes coffee")
    found = do(store, "search", "who likes cake?")
    assert found[0].id == "a"
    assert do(store, "search", "coffee")[0].id == "before"
    assert not has_vector(store, "before"), "the vector of what was said before is gone"
    with pytest.raises(EmbedderUnavailableError):
        do(store, "embed_missing")
    embedder.away = False
    whole = do(store, "get", "a")
    assert do(store, "embed_missing") == 2
    assert do(store, "embed_missing") == 0
    assert has_vector(store, "a")
    assert replace(do(store, "get", "a"), embedding=None) == whole, "nothing else of it has changed"
    # By its meaning alone now.
    assert do(store, "nearest", embedder.vector("John likes coffee"), limit=1)[0].id == "before"


def test_a_later_save_embeds_some(open_any: OpenStore, do: Any, embedder: Switched) -> None:
    store = open_any(user_id="john", embedder=embedder)
    if embeds_itself(store):
        pytest.skip("Mem0 embeds by itself")
    save_without(store, embedder, 2 * PER_SAVE + 10)
    for expected in (PER_SAVE + 10, 10, 0, 0):
        embedder.calls.clear()
        do(store, "add", "another fact")
        # With the first vectors the spread of the embedder's cosines is measured.
        saved = [texts for texts in embedder.calls if list(texts) != list(SENTENCES)]
        assert sum(map(len, saved)) <= 1 + PER_SAVE, "bounded"
        assert sum(not entry_has_vector for entry_has_vector in vectors(store, 2 * PER_SAVE + 10)) == expected
    embedder.calls.clear()
    do(store, "add", "and another")
    assert len(embedder.calls) == 1, "nothing is left to do"


def vectors(store: MemoryStore, count: int) -> list[bool]:
    return [has_vector(store, str(number)) for number in range(count)]


@pytest.mark.own_store
def test_after_a_restart(open_any: OpenStore, do: Any, embedder: Switched) -> None:
    store = open_any(user_id="john", embedder=embedder)
    if embeds_itself(store):
        pytest.skip("Mem0 embeds by itself")
    save_without(store, embedder, 5)
    store.close()
    store = open_any(user_id="john", embedder=embedder)
    do(store, "add", "another fact")
    assert all(vectors(store, 5))


def test_a_recall_embeds_nothing_but_the_query(open_any: OpenStore, do: Any, embedder: Switched) -> None:
    store = open_any(user_id="john", embedder=embedder)
    if embeds_itself(store):
        pytest.skip("Mem0 embeds by itself")
    save_without(store, embedder, 5)
    embedder.calls.clear()
    assert do(store, "search", "number3")[0].id == "3"
    assert embedder.calls == [["number3"]]


def test_only_of_the_scope(open_any: OpenStore, do: Any, embedder: Switched) -> None:
    store = open_any(embedder=embedder)
    if embeds_itself(store):
        pytest.skip("Mem0 embeds by itself")
    scopes = [{"user_id": "john"}, {"user_id": "jane"}, {"user_id": "john", "run_id": "r1"}]
    for scope in scopes:
        with use_scope(**scope):
            save_without(store, embedder, 3)
    embedder.calls.clear()
    assert do(store.scoped(user_id="john"), "embed_missing") == 3
    assert not any(vectors(store.scoped(user_id="jane"), 3))
    assert not any(vectors(store.scoped(user_id="john", run_id="r1"), 3))
    # A run sees what its user said outside of runs, and its own; never another run's.
    assert do(store.scoped(user_id="john", run_id="r2"), "embed_missing") == 0
    assert do(store.scoped(user_id="john", run_id="r1"), "embed_missing") == 3
    assert do(store.scoped(user_id="jane"), "embed_missing") == 3


def test_nothing_of_the_team_that_a_user_reads(open_any: OpenStore, do: Any, embedder: Switched) -> None:
    store = open_any(embedder=embedder, include_shared=True)
    if embeds_itself(store):
        pytest.skip("Mem0 embeds by itself")
    team, john = store.scoped(Scope.shared()), store.scoped(user_id="john")
    save_without(team, embedder, 3)
    assert john.count() == 3
    assert do(john, "embed_missing") == 0
    assert not any(vectors(team, 3))
    assert do(team, "embed_missing") == 3
    assert all(vectors(team, 3))


def test_what_was_deleted_meanwhile_stays_deleted(open_any: OpenStore, do: Any, embedder: Switched) -> None:
    store = open_any(user_id="john", embedder=embedder)
    if embeds_itself(store):
        pytest.skip("Mem0 embeds by itself")
    save_without(store, embedder, 4)
    embedder.meanwhile = lambda: store.delete("2")
    do(store, "embed_missing")
    assert store.get("2") is None
    assert store.count() == 3
    do(store, "embed_missing")
    assert all(has_vector(store, id) for id in "013")


@pytest.mark.parametrize("away", [True, False], ids=["without a vector", "with a vector"])
def test_what_was_changed_meanwhile_gets_no_old_vector(
    open_any: OpenStore, do: Any, embedder: Switched, away: bool
) -> None:
    store = open_any(user_id="john", embedder=embedder)
    if embeds_itself(store):
        pytest.skip("Mem0 embeds by itself")
    save_without(store, embedder, 3)

    def change() -> None:
        embedder.away = away
        store.update("1", content="something else")
        embedder.away = False

    embedder.meanwhile = change
    do(store, "embed_missing")
    if away:
        do(store, "embed_missing")
    found = store.get("1")
    assert found is not None
    assert found.content == "something else"
    assert found.embedding == pytest.approx(embedder.vector("something else"), abs=5e-4)
    assert all(vectors(store, 3))

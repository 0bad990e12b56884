"""Two writes at the same time: what was deleted stays deleted, and of two changes to two fields both hold.

Each race is run a few times, with ``THOROUGH=1`` more often, with ``RACE_TRIES=300`` that often.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import EntryNotFoundError, MemoryStore, open_store

from ..support.engines import NEWEST, OLDER, Servers
from ..support.thorough import IS_THOROUGH

TEXTS = {"alpha alpha": [1.0, 0.0, 0.0], "beta beta": [0.0, 1.0, 0.0]}


def axes(texts: list[str]) -> list[list[float]]:
    """An axis for each of two texts, and one for all others."""
    return [TEXTS.get(text, [0.0, 0.0, 1.0]) for text in texts]


TRIES = int(os.environ.get("RACE_TRIES", "12" if IS_THOROUGH else "5"))


@pytest.fixture(params=["embedded", NEWEST, OLDER])
def store(request: pytest.FixtureRequest, tmp_path: Path, qdrant_servers: Servers) -> Iterator[MemoryStore]:
    options: dict[str, Any] = {"path": tmp_path / "store"}
    if request.param != "embedded":
        # One collection for all of these tests, and a user of its own for each.
        options = {"url": qdrant_servers(request.param).url, "collection": "t-races"}
    with open_store(user_id=request.node.name, embedder=axes, **options) as opened:
        yield opened


def at_once(*calls: Callable[[], Any]) -> None:
    """Do all of them at the same moment; an entry that is gone is no failure."""
    ready = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> None:
        ready.wait()
        with suppress(EntryNotFoundError):
            call()

    with ThreadPoolExecutor(len(calls)) as threads:
        list(threads.map(run, calls))


def replacing(store: MemoryStore, id: str) -> Callable[[], Any]:
    read = store.get(id)
    assert read is not None
    return partial(store.replace, read, create=False)


BESIDE_DELETE: dict[str, Callable[[MemoryStore, str], Callable[[], Any]]] = {
    "update": lambda store, id: partial(store.update, id, importance=0.9),
    "update of the text": lambda store, id: partial(store.update, id, content="John likes coffee"),
    "replace": replacing,
    "touch": lambda store, id: partial(store.touch, [id]),
    "embed_missing": lambda store, id: store.embed_missing,
}


@pytest.mark.parametrize("how", ["delete", "reset"])
@pytest.mark.parametrize("name", BESIDE_DELETE)
def test_what_was_deleted_stays_deleted(store: MemoryStore, name: str, how: str) -> None:
    back = []
    for index in range(TRIES):
        id = f"{name}-{how}-{index}"
        store.add("John likes tea", id=id, path="/race")
        write = BESIDE_DELETE[name](store, id)
        delete = partial(store.delete, id) if how == "delete" else partial(store.reset, "/race")
        at_once(write, delete)
        if store.get(id) is not None:
            back.append(id)
    assert back == []


CHANGES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"importance": 0.9}, {"categories": ("drinks",)}),
    ({"metadata": {"seat": "aisle"}}, {"path": "/moved"}),
    ({"content": "John likes coffee"}, {"importance": 0.9}),
    ({"source": "bob"}, {"metadata": {"seat": "aisle"}}),
]


@pytest.mark.parametrize("changes", CHANGES, ids=lambda pair: "-".join(name for each in pair for name in each))
def test_two_changes_both_hold(store: MemoryStore, changes: tuple[dict[str, Any], dict[str, Any]]) -> None:
    lost = []
    for index in range(TRIES):
        id = f"{'-'.join(name for each in changes for name in each)}-{index}"
        store.add("John likes tea", id=id)
        at_once(*(partial(store.update, id, **change) for change in changes))
        found = store.get(id)
        for name, value in {**changes[0], **changes[1]}.items():
            if getattr(found, name) != value:
                lost.append((id, name))
    assert lost == []


def test_vectors_are_those_of_the_text_that_stayed(store: MemoryStore) -> None:
    wrong = []
    for index in range(TRIES):
        id = f"texts-{index}"
        store.add("John likes tea", id=id, path="/texts")
        texts = ("alpha alpha", "beta beta")
        at_once(*(partial(store.update, id, content=text) for text in texts))
        found = store.get(id)
        assert found is not None
        by_words = [hit.id for hit in store.search(found.content, path="/texts") if hit.content == found.content]
        of_text = axes([found.content])[0]
        of_entry = list(found.embedding or ())
        if id not in by_words or of_entry != pytest.approx(of_text, abs=1e-6):
            wrong.append((id, found.content, of_entry))
        store.reset("/texts")
    assert wrong == []


def test_a_private_entry_is_hidden_from_the_others_whoever_changed_it(store: MemoryStore) -> None:
    seen = []
    for index in range(TRIES):
        id = f"private-{index}"
        store.add("John likes tea", id=id, path="/private")
        at_once(partial(store.update, id, private=True), partial(store.update, id, source="bob"))
        if store.list(path="/private", include_private=False, reader="jane"):
            seen.append(id)
        assert [entry.id for entry in store.list(path="/private", include_private=False, reader="bob")] == [id]
        store.reset("/private")
    assert seen == []


def test_a_text_without_words(store: MemoryStore) -> None:
    for first, second in (("tea", "!!"), ("!!", "??"), ("??", "tea")):
        store.add(first, id="a")
        store.update("a", content=second, categories=["x"])
        found = store.get("a")
        assert found is not None
        assert found.content == second
        assert [hit.content for hit in store.search("tea")][:1] == [second]

"""The stores and engines the contract suite runs over. A new one joins by one line in ``STORES``."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from crewai_persistent_memory import MemoryStore
from crewai_persistent_memory.backends.qdrant.embedded.connection import EmbeddedConnection, open_embedded
from crewai_persistent_memory.backends.qdrant.embedder_choice import BY_WORDS
from crewai_persistent_memory.backends.qdrant.engine_requests import Delete
from crewai_persistent_memory.io.steps import run
from crewai_persistent_memory.scope import SCOPE_FIELDS
from crewai_persistent_memory.store.factory import open_configured

from .kinds import Kind, collection_of
from .mem0_stores import MEM0_CANNOT, asked_for
from .openai_server import DIMENSIONS
from .qdrant_server import GIVEN_KEY, GIVEN_URL, QdrantServer, binaries, missing

OF_SOMEBODY = {"must_not": [{"is_empty": {"key": "tenant"}}]}
"""A Qdrant filter: every entry. What a collection says of itself has no tenant."""


def empty_collection(client: httpx.Client, collection: str, which: dict[str, Any]) -> None:
    answer = client.post(f"/collections/{collection}/points/delete", params={"wait": "true"}, json={"filter": which})
    if answer.status_code != 404:  # it is made with the first vector, which this test may not have had
        answer.raise_for_status()


OUTBOX_CANNOT = {
    "test_replace_keeps_the_vector": "the embedder is called at delivery",
    "test_embed_later": "the embedder is called at delivery",
    "test_touch": "access times are delivered once a minute",
    "test_come_back_exactly": "the path of an entry that waits is in its normal form",
    "test_another_dimension": "the store refuses it at delivery: it becomes a dead letter",
    "test_min_score": "an entry that waits is scored by its words alone, in the outbox",
}


def on_server(version: str, *, grpc: bool = False, shards: int | None = None, outbox: bool = False) -> Kind:
    def server(request: pytest.FixtureRequest) -> Any:
        return request.getfixturevalue("qdrant_servers")(version)

    def options(request: pytest.FixtureRequest, folder: Path) -> dict[str, Any]:
        found = server(request)
        chosen: dict[str, Any] = {"url": found.url, "collection": collection_of(folder), "prefer_grpc": grpc}
        chosen["durability"] = "outbox" if outbox else "store"
        if found.key:
            chosen["api_key"] = found.key
        if grpc:
            chosen["grpc_port"] = found.grpc_port
        if outbox:
            # A busy machine is no store that is away.
            chosen.update(outbox_path=folder / "outbox", recall_timeout=60, exit_wait=60)
        if shards is not None:
            chosen["collection_settings"] = {"shard_number": shards}
        return chosen

    def remove(request: pytest.FixtureRequest, folder: Path) -> None:
        with server(request).admin() as client:
            client.delete(f"/collections/{collection_of(folder)}").raise_for_status()

    def empty(request: pytest.FixtureRequest, folder: Path) -> None:
        with server(request).admin() as client:
            empty_collection(client, collection_of(folder), OF_SOMEBODY)

    return Kind(options, remove, empty, {"dimensions": 2}, cannot=OUTBOX_CANNOT if outbox else {})


def in_mem0_cloud(request: pytest.FixtureRequest, folder: Path) -> dict[str, Any]:
    platform = request.getfixturevalue("mem0_platform")
    # A key of a project of its own for each place.
    key = f"m0-{collection_of(folder)}"
    platform.keys.setdefault(key, ("org-1", key))
    return {"mem0": {"api_key": key, "host": platform.url}, "durability": "store"}


def empty_mem0_cloud(request: pytest.FixtureRequest, folder: Path) -> None:
    request.getfixturevalue("served_mem0").memories.clear()


def in_mem0_oss(request: pytest.FixtureRequest, folder: Path) -> dict[str, Any]:
    server, openai = request.getfixturevalue("qdrant_servers")(NEWEST), request.getfixturevalue("openai_server")
    vectors = {"url": server.url, "collection_name": collection_of(folder), "embedding_model_dims": DIMENSIONS}
    if server.key:
        vectors["api_key"] = server.key
    config = openai.local_mem0_config({"provider": "qdrant", "config": vectors}, str(folder / "history.db"))
    return {"mem0": {"local_mem0_config": config}, "durability": "store"}


def remove_mem0_oss(request: pytest.FixtureRequest, folder: Path) -> None:
    with request.getfixturevalue("qdrant_servers")(NEWEST).admin() as client:
        for name in (collection_of(folder), f"{collection_of(folder)}_entities"):
            client.delete(f"/collections/{name}")


def empty_mem0_oss(request: pytest.FixtureRequest, folder: Path) -> None:
    with request.getfixturevalue("qdrant_servers")(NEWEST).admin() as client:
        for name in (collection_of(folder), f"{collection_of(folder)}_entities"):
            empty_collection(client, name, {})


NEWEST, OLDER = "1.17.0", "1.16.3"


def empty_embedded(request: pytest.FixtureRequest, folder: Path) -> None:
    connection = open_embedded(folder / "store", embedder=BY_WORDS)
    run(connection.ask(Delete(()), None))
    connection.close()


EMBEDDED = Kind(lambda request, folder: {"path": folder / "store"}, empty=empty_embedded)
STORES: dict[str, Kind] = {
    "embedded": EMBEDDED,
    "server": on_server(NEWEST),
    "server-grpc": on_server(NEWEST, grpc=True),
    "server-1.16": on_server(OLDER),
    "server-outbox": on_server(NEWEST, outbox=True),
    "server-sharded": on_server(NEWEST, shards=3),
    "mem0-cloud": Kind(in_mem0_cloud, empty=empty_mem0_cloud, cannot=MEM0_CANNOT, embeds_itself=True),
    "mem0-oss": Kind(in_mem0_oss, remove_mem0_oss, empty_mem0_oss, cannot=MEM0_CANNOT, embeds_itself=True),
}
STORES.update(asked_for())
VARIANTS = {name for name in STORES if name.startswith("server-")}
"""The same engine in another version, transport or layout."""


class Places:
    """Where the stores of tests are: one place for each kind and embedder, which the tests of a worker have one after
    the other, each of them empty. Creating a collection takes a hundred times as long as emptying it.

    An embedded folder is held open in between, for opening one takes as long as creating one. So a test about closing
    and opening again has a place of its own: ``@pytest.mark.own_store``.
    """

    def __init__(self, request: pytest.FixtureRequest, folder: Path) -> None:
        self._request, self._folder = request, folder
        self._of: dict[tuple[str, str], Path] = {}
        self._held: dict[Path, MemoryStore] = {}
        self._numbers = itertools.count()

    def of(self, name: str, about: str, open_it: Callable[[Path], MemoryStore]) -> Path:
        """The place of a kind; ``about`` is what its collection was made with."""
        place = self._of.get((name, about))
        if place is None:
            place = self._folder / f"{name}-{next(self._numbers)}"  # of no place that was dropped
            place.mkdir()
            if STORES[name] is EMBEDDED:
                self._held[place] = open_it(place)  # which may fail, and then it is no place
            self._of[name, about] = place
        return place

    def empty(self, name: str, place: Path) -> None:
        """After a test. An embedded store that has had a long text is read in another way from then on: it goes."""
        empty = STORES[name].empty
        assert empty is not None
        try:
            empty(self._request, place)
        except BaseException:
            self.drop(place)
            raise
        if (place / "store" / "long-texts").exists():
            self.drop(place)

    def drop(self, place: Path) -> None:
        [(name, about)] = [key for key, other in self._of.items() if other == place]
        del self._of[name, about]
        if held := self._held.pop(place, None):
            held.close()
        STORES[name].remove(self._request, place)
        shutil.rmtree(place)

    def drop_all(self) -> None:
        for place in list(self._of.values()):
            self.drop(place)

    def close(self) -> None:
        """At the end. A server of the tests' own takes its collections along."""
        if GIVEN_URL:
            self.drop_all()
        for store in self._held.values():
            store.close()

    @property
    def held(self) -> set[Path]:
        return {Path(os.path.realpath(place / "store")) for place in self._held}


OF_A_HANDLE = {
    *(*SCOPE_FIELDS, "scope", "include_shared", "undo_for", "history"),
    *("semantic_weight", "recency_weight", "importance_weight"),
}
"""Options that say nothing of what is stored, or how."""


class StoresOfOneKind:
    """What one test opens. It is the same store each time, and empty at first."""

    def __init__(self, name: str, request: pytest.FixtureRequest, folder: Path, places: Places) -> None:
        self._name, self._kind, self._request = name, STORES[name], request
        self._folder, self._places = folder, places
        self._is_own = self._kind.empty is None or request.node.get_closest_marker("own_store") is not None
        self._place: Path | None = None
        self._opened: list[MemoryStore] = []

    def __call__(self, *, external_vectors: bool = False, **options: Any) -> MemoryStore:
        options = {**self._kind.external, **options} if external_vectors else {"embedder": None, **options}

        def open_at(folder: Path, **given: Any) -> MemoryStore:
            config = self._kind.config(self._request, folder, **given)
            return open_configured(config, external_vectors=external_vectors)

        if not self._is_own and any(is_closed(store) for store in self._opened):
            pytest.fail("mark this test own_store: what it has closed is held open, and so is not opened again here")
        if self._place is None:
            made_with = {key: options[key] for key in options.keys() - OF_A_HANDLE}
            # Servers before 1.19 count how rare a word is over the whole collection, and over what was deleted: where
            # tests compare scores, as those of a reranker do, each has a collection of its own.
            shared = {"embedder", *self._kind.external, *(["reranker"] if self._kind is EMBEDDED else [])}
            self._is_own |= not made_with.keys() <= shared
            if self._is_own:
                self._place = self._folder
            else:
                about = "external" if external_vectors else described(**made_with)
                self._place = self._places.of(self._name, about, lambda folder: open_at(folder, **made_with))
        self._opened.append(open_at(self._place, **options))
        return self._opened[-1]

    def empty(self) -> None:
        """Delete every entry, whoever's it is."""
        assert self._place is not None
        assert self._kind.empty is not None, f"not on {self._name}"
        self._kind.empty(self._request, self._place)

    def close(self) -> None:
        """After the test."""
        for store in self._opened:
            store.close()
        if self._place is None:
            return
        if self._is_own:
            self._kind.remove(self._request, self._place)
        else:
            self._places.empty(self._name, self._place)


def is_closed(store: MemoryStore) -> bool:
    connection = getattr(store.backend, "connection", None)
    return isinstance(connection, EmbeddedConnection) and connection._closed


def described(embedder: Any, reranker: str | None = None) -> str:
    """What is kept of an embedder with a store, as far as tests have different ones."""
    if embedder is None:
        return "keywords"
    return f"{type(embedder).__qualname__} {vars(embedder).get('dimensions')} {reranker}"


class Servers:
    """Starts each version once a session, when first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, QdrantServer] = {}

    def __call__(self, version: str) -> Any:
        if GIVEN_URL:
            return Given(GIVEN_URL)
        found = binaries()
        binary = found.get("given") or found.get(version)
        if binary is None:
            return missing(f"no Qdrant {version}: run scripts/fetch-qdrant, or set QDRANT_BIN or QDRANT_URL")
        if version not in self._running:
            self._running[version] = QdrantServer(binary, self._folder / version).start()
        return self._running[version]

    def stop(self) -> None:
        for server in self._running.values():
            server.stop()


class Given(QdrantServer):
    """A server that runs already, at ``QDRANT_URL``: nobody's to stop."""

    def __init__(self, url: str) -> None:
        self.url, self.grpc_port, self.key = url, 6334, GIVEN_KEY


def servers(folder: Path) -> Iterator[Servers]:
    started = Servers(folder)
    yield started
    started.stop()

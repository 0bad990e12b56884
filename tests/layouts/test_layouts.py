"""Stores of every older layout open, hold what they held, and become stores of the newest layout."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import qdrant_edge as edge

from crewai_persistent_memory import MemoryEntry, MemoryStore, open_store
from crewai_persistent_memory.backends.qdrant.manifest import LAYOUT
from crewai_persistent_memory.backends.qdrant.schema import INDEXES, parse_time, position_at, scope_of
from crewai_persistent_memory.backends.qdrant.server.bootstrap import DESCRIPTOR_ID
from crewai_persistent_memory.embedding import KeywordEncoder

from ..support.calling import until
from ..support.engines import NEWEST, OLDER
from ..support.qdrant_server import QdrantServer
from ..support.thorough import IS_THOROUGH
from .embedder import letters
from .kept import HERE, assert_holds, expected, restore, unpack

OLDER_LAYOUTS = range(1, LAYOUT)
EMBEDDED = ("embedded-keywords", "embedded-dense", "embedded-killed")
SERVER = tuple(f"server-{version}-{kind}" for version in (OLDER, NEWEST) for kind in ("keywords", "dense"))


def test_each_older_layout_is_kept() -> None:
    """The stores of a layout must be kept before the code that writes it is changed."""
    kept = {int(folder.name.removeprefix("layout-")) for folder in HERE.glob("layout-*")}
    assert kept == set(OLDER_LAYOUTS)
    for layout in OLDER_LAYOUTS:
        names = {file.name.split(".tar")[0].split(".snapshot")[0] for file in (HERE / f"layout-{layout}").iterdir()}
        assert names >= {*EMBEDDED, *SERVER, "make.py", "expected.json"}


def is_dense(name: str) -> bool:
    return not name.endswith("keywords")


def use(store: MemoryStore) -> None:
    """Every way of writing to what is there."""
    john = store.scoped(user_id="john")
    john.add("a museum in Porto", id="new", metadata={"n": 1})
    assert [entry.id for entry in john.search("Porto", limit=1)] == ["new"]
    john.update("plain", content="john likes coffee")
    john.update("full", importance=0.2, metadata={"n": 2})
    assert john.delete("changed 0") == 1
    assert john.list(metadata={"n": 2})[0].id == "full"
    run = store.scoped(user_id="john", run_id="chat-7", agent_id="researcher")
    assert run.count() > john.count(), "a run reads what belongs to its user, too"


KEPT_EMBEDDED = [
    (layout, name)
    for layout in OLDER_LAYOUTS
    for name in EMBEDDED
    if IS_THOROUGH or name.endswith("killed") or (layout + is_dense(name)) % 2 == 1
]
"""In the usual run, each layout after a kill, and by turns with keywords or with vectors."""


class TestEmbedded:
    @pytest.mark.parametrize(("layout", "name"), KEPT_EMBEDDED)
    def test_it_opens_and_is_migrated(self, layout: int, name: str, tmp_path: Path) -> None:
        folder = unpack(layout, name, tmp_path)

        def opened() -> MemoryStore:
            return open_store(path=folder, embedder=letters if is_dense(name) else None)

        with opened() as store:
            assert_holds(store, expected(layout, name))
            assert store.health()["lost"] is None
        points = look_into(folder, has_keywords=True)
        assert len(points) == len(expected(layout, name))
        assert_complete(points)
        with opened() as store:
            assert_holds(store, expected(layout, name))
            assert store.health()["lost"] is None
            use(store)
        with opened() as store:
            assert store.scoped(user_id="john").get("plain").content == "john likes coffee"  # type: ignore[union-attr]
            assert store.health()["lost"] is None


def look_into(folder: Path, *, has_keywords: bool = False) -> list[dict[str, Any]]:
    """The payloads of a closed store, checked to be of the newest layout as far as the engine knows; with
    ``has_keywords`` each keyword vector, too."""
    shard = edge.EdgeShard.load(str(folder / "shard"))
    try:
        assert set(shard.info().payload_schema) == set(INDEXES)
        expiring = edge.FieldCondition(key="expires_at", range=edge.RangeDateTime(lt="2100-01-01T00:00:00Z"))
        assert shard.count(edge.CountRequest(filter=edge.Filter(must=[expiring]), exact=True)) == 0
        records, _ = shard.scroll(
            edge.ScrollRequest(limit=10_000, order_by=edge.OrderBy(key="position", direction=edge.Direction.Asc))
        )
        if has_keywords:
            asked = edge.ScrollRequest(limit=10_000, with_payload=True, with_vector=["keywords"])
            found = {str(record.id): record for record in shard.scroll(asked)[0]}
            for record in found.values():
                keywords, before = record.vector["keywords"], record.payload.get("context", ())
                said = [found[id].payload["content"] for id in before]
                assert_encoded(record.payload["content"], keywords.indices, keywords.values, said)
            assert any("context" in record.payload for record in found.values())
        payloads = [record.payload for record in records]
        assert [each["created_at"] for each in payloads] == sorted(each["created_at"] for each in payloads)
        return payloads
    finally:
        shard.close()


def assert_complete(points: Sequence[Mapping[str, Any]]) -> None:
    """Every entry has what each layout adds."""
    for payload in points:
        # Entries that code of layout 2 saved in one go have positions one after the other.
        assert payload["position"] - position_at(parse_time(payload["created_at"])) in range(3)
        assert payload["scope"] == scope_of(payload)


def assert_encoded(content: str, terms: Sequence[int], weights: Sequence[float], before: Sequence[str] = ()) -> None:
    """A stored keyword vector is the one that this code makes, with the words of what was said before."""
    made = KeywordEncoder().document(content, before)
    assert dict(zip(terms, weights, strict=True)) == pytest.approx(dict(zip(made.indices, made.values, strict=True)))


class Kept(NamedTuple):
    """A kept collection, and the server that it is restored on."""

    layout: int
    name: str
    version: str

    @property
    def is_usual(self) -> bool:
        """Each layout with keywords on one server and with vectors on the other, and the first one after an upgrade."""
        made_on = self.name.split("-")[1]
        if made_on != self.version:
            return self.layout == 1
        return (self.layout + is_dense(self.name) + (made_on == NEWEST)) % 2 == 1


KEPT = [
    kept
    for layout in OLDER_LAYOUTS
    for kept in (
        *(Kept(layout, name, name.split("-")[1]) for name in SERVER),
        # A server that was upgraded meanwhile.
        Kept(layout, f"server-{OLDER}-dense", NEWEST),
    )
    if IS_THOROUGH or kept.is_usual
]


class TestServer:
    @pytest.fixture(params=KEPT, ids=lambda kept: f"{kept.name}-on-{kept.version}-{kept.layout}")
    def kept(self, request: pytest.FixtureRequest) -> Kept:
        return request.param  # type: ignore[no-any-return]

    @pytest.fixture
    def server_version(self, kept: Kept) -> str:
        return kept.version

    def test_it_opens_and_is_migrated(self, kept: Kept, server: QdrantServer, collection: str) -> None:
        layout, name, _ = kept
        restore(layout, name, server, collection)

        def opened(**options: Any) -> MemoryStore:
            embedder = letters if is_dense(name) else None
            return open_store(url=server.url, collection=collection, embedder=embedder, **options)

        for options in ({}, {"prefer_grpc": True, "grpc_port": server.grpc_port}):
            with opened(**options) as store:
                assert_holds(store, expected(layout, name))
                until(lambda: incomplete(server, collection), lambda count: count == 0)
        assert descriptor(server, collection)["layout"] == LAYOUT
        assert payload_schema(server, collection) == set(INDEXES)
        points = all_points(server, collection)
        assert len(points) == len(expected(layout, name))
        assert_complete(points)
        with server.admin() as admin:
            body = {"limit": 10_000, "with_vector": ["keywords"], "with_payload": ["content", "context"]}
            found = admin.post(f"/collections/{collection}/points/scroll", json=body).json()["result"]["points"]
        contents = {str(point["id"]): point["payload"].get("content") for point in found}
        assert any(point["payload"].get("context") for point in found)
        for point in found:
            if "content" in point["payload"]:
                keywords = point["vector"].get("keywords", {"indices": [], "values": []})
                said = [contents[id] for id in point["payload"].get("context") or ()]
                assert_encoded(point["payload"]["content"], keywords["indices"], keywords["values"], said)
        with opened() as store:
            use(store)


def scroll(server: QdrantServer, collection: str, **body: Any) -> list[dict[str, Any]]:
    """Points by plain HTTP. Strict mode refuses what is not indexed."""
    with server.admin() as admin:
        answer = admin.post(f"/collections/{collection}/points/scroll", json={"limit": 10_000, **body})
    assert answer.status_code == 200, answer.text
    return [point["payload"] for point in answer.json()["result"]["points"]]


def all_points(server: QdrantServer, collection: str) -> list[dict[str, Any]]:
    """The payloads of all entries; the new indexes are used on the way."""
    expiring = {"must": [{"key": "expires_at", "range": {"lt": "2100-01-01T00:00:00Z"}}]}
    assert scroll(server, collection, filter=expiring) == []
    payloads = scroll(server, collection, order_by={"key": "position", "direction": "asc"})
    assert [each["created_at"] for each in payloads] == sorted(each["created_at"] for each in payloads)
    return payloads


def incomplete(server: QdrantServer, collection: str) -> int:
    """The number of entries that lack what a layout adds."""
    lacking = [{"is_empty": {"key": key}} for key in ("position", "scope")]
    entries = {"should": lacking, "must_not": [{"is_empty": {"key": "tenant"}}]}
    return len(scroll(server, collection, filter=entries))


def descriptor(server: QdrantServer, collection: str) -> dict[str, Any]:
    with server.admin() as admin:
        body = {"ids": [DESCRIPTOR_ID], "with_payload": True}
        [point] = admin.post(f"/collections/{collection}/points", json=body).raise_for_status().json()["result"]
    return dict(point["payload"])


def payload_schema(server: QdrantServer, collection: str) -> set[str]:
    with server.admin() as admin:
        info = admin.get(f"/collections/{collection}").raise_for_status().json()["result"]
    return set(info["payload_schema"])


@pytest.fixture
def stores(tmp_path: Path, server: QdrantServer, collection: str) -> Iterator[dict[str, MemoryStore]]:
    made = {
        "embedded": open_store(path=tmp_path / "new", user_id="john", run_id="chat", embedder=None),
        "server": open_store(url=server.url, user_id="john", run_id="chat", embedder=None, collection=collection),
    }
    yield made
    for store in made.values():
        store.close()


def test_new_entries_get_their_position_when_they_are_saved(
    stores: dict[str, MemoryStore], server: QdrantServer, collection: str, tmp_path: Path
) -> None:
    at = datetime(2026, 3, 1)
    for store in stores.values():
        # In the order of a conversation, though its lines have one time; and one from before.
        store.put([MemoryEntry(id=f"line {i}", content=f"line {i}", created_at=at) for i in range(20)])
        store.put([MemoryEntry(id="before", content="before", created_at=at - timedelta(days=1))])
        store.replace(MemoryEntry(id="before", content="changed", created_at=at - timedelta(days=1)))
        store.update("line 7", content="another line 7", importance=1.0)
        store.close()
    wanted = ["before", *(f"line {i}" for i in range(20))]
    for payloads in (look_into(tmp_path / "new"), all_points(server, collection)):
        assert [json.loads(each["record"])["id"] for each in payloads] == wanted

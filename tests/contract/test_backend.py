"""CrewAI's ``StorageBackend`` contract, over every engine; where CrewAI's own backends differ, the strict reading."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from crewai.memory.types import MemoryRecord

from crewai_persistent_memory import (
    DimensionMismatchError,
    EmbedderError,
    MissingScopeError,
    QdrantStorageBackend,
    use_scope,
)

from ..fixtures import OpenStore
from ..support.calling import CALLS, until

NOON = datetime(2026, 5, 1, 12)
DAY = timedelta(days=1)


@pytest.fixture(params=sorted(CALLS))
def do(request: pytest.FixtureRequest) -> Any:
    """Calls the protocol's own async methods where it has them."""

    def call(backend: QdrantStorageBackend, method: str, *args: Any, **kwargs: Any) -> Any:
        kind = request.param if request.param != "async" or hasattr(backend, f"a{method}") else "sync"
        return CALLS[kind](backend, method, *args, **kwargs)

    return call


@pytest.fixture
def open_backend(open_any: OpenStore) -> Any:
    def open_one(**options: Any) -> QdrantStorageBackend:
        return QdrantStorageBackend.over(open_any(**{"user_id": "john", **options}, external_vectors=True))

    return open_one


def record(id: str, embedding: list[float] | None = None, **fields: Any) -> MemoryRecord:
    return MemoryRecord(**{"id": id, "content": f"content of {id}", "embedding": embedding, **fields})


def ids(found: list[Any]) -> list[str]:
    return [(item[0] if isinstance(item, tuple) else item).id for item in found]


class TestRecords:
    def test_come_back_exactly(self, open_backend: Any, do: Any) -> None:
        backend = open_backend()
        saved = [
            record(
                "full",
                [0.6, 0.8],
                content="zażółć gęślą jaźń ✈ " + "long " * 200_000,
                scope="crew/no-leading-slash/",
                categories=["b", "a", "ü"],
                metadata={"a": {"b": [1, 2.5, None, {"c": "✈"}]}, "": "empty key"},
                importance=0.123456789,
                created_at=datetime(2026, 1, 2, 3, 4, 5, 6),
                last_accessed=datetime(2025, 1, 2, 3, 4, 5, 999999),
                source="s",
                private=True,
            ),
            record("bare", None, categories=[], metadata={}, source=None),
            record("not-a-uuid:1/2 ü", [1.0, 0.0]),
        ]
        do(backend, "save", saved)
        for one in saved:
            read = do(backend, "get_record", one.id)
            assert read.model_dump(exclude={"embedding"}) == one.model_dump(exclude={"embedding"})
            assert read.embedding == (None if one.embedding is None else pytest.approx(one.embedding, abs=1e-3))

    def test_missing_is_none(self, open_backend: Any, do: Any) -> None:
        assert do(open_backend(), "get_record", "missing") is None

    def test_update_replaces(self, open_backend: Any, do: Any) -> None:
        backend = open_backend()
        do(backend, "save", [record("a", [1.0, 0.0])])
        do(backend, "update", record("a", [0.0, 1.0], content="new", categories=["x"]))
        read = do(backend, "get_record", "a")
        assert (read.content, read.categories) == ("new", ["x"])
        assert read.embedding == pytest.approx([0.0, 1.0])
        assert do(backend, "count") == 1

    def test_update_of_a_record_that_was_deleted_since_it_was_read(self, open_backend: Any, do: Any) -> None:
        """CrewAI's consolidation reads records, asks an LLM, and updates: what was deleted stays deleted."""
        backend = open_backend()
        do(backend, "save", [record("a", [1.0, 0.0])])
        read = do(backend, "get_record", "a")
        do(backend, "delete", record_ids=["a"])
        do(backend, "update", read)
        assert do(backend, "list_records") == []

    def test_a_consolidated_record_stays_private(self, open_backend: Any, do: Any) -> None:
        """CrewAI's consolidation makes the record anew, and says nothing of its source and its privacy."""
        backend = open_backend()
        do(backend, "save", [record("a", [1.0, 0.0], source="support", private=True)])
        do(backend, "update", record("a", [0.0, 1.0], content="consolidated"))
        read = do(backend, "get_record", "a")
        assert (read.content, read.source, read.private) == ("consolidated", "support", True)
        do(backend, "update", record("a", [0.0, 1.0], source=None, private=False))
        read = do(backend, "get_record", "a")
        assert (read.source, read.private) == (None, False)

    def test_touch(self, open_backend: Any, do: Any) -> None:
        backend = open_backend()
        do(backend, "save", [record("a", last_accessed=NOON, created_at=NOON)])
        do(backend, "touch_records", ["a", "missing"])
        read = until(lambda: do(backend, "get_record", "a"), lambda record: record.last_accessed > NOON + DAY)
        assert read.created_at == NOON


class TestSearch:
    def test_scores_fall_with_distance_from_one_to_zero(self, open_backend: Any, do: Any) -> None:
        backend = open_backend()
        angles = {"same": [1.0, 0.0], "near": [0.9, 0.1], "far": [0.2, 0.9], "opposite": [-1.0, 0.0]}
        do(backend, "save", [record(name, vector) for name, vector in angles.items()])
        found = do(backend, "search", [2.0, 0.0])
        assert ids(found) == ["same", "near", "far", "opposite"]
        scores = [score for _, score in found]
        assert scores[0] == pytest.approx(1.0)
        assert scores == sorted(scores, reverse=True)
        assert all(0.0 <= score <= 1.0 for score in scores)
        assert scores[-1] == 0.0
        assert ids(do(backend, "search", [1.0, 0.0], min_score=0.5)) == ["same", "near"]
        assert ids(do(backend, "search", [1.0, 0.0], limit=1)) == ["same"]

    @pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
    def test_filters_alone_and_combined(self, open_backend: Any, do: Any, size: int) -> None:
        backend = open_backend()
        records = [
            record(
                f"r{i}",
                [1.0, i / 64],
                scope=["/a", "/ab", "/a/b"][i % 3],
                categories=[["x"], ["y", "z"], []][(i // 2) % 3],
                metadata={"k": i % 2, "n": {"deep": [i % 4]}},
            )
            for i in range(64)
        ]
        do(backend, "save", records)
        rules: list[tuple[dict[str, Any], Any]] = [
            ({"scope_prefix": "/a/"}, lambda r: r.scope in ("/a", "/a/b")),
            ({"categories": ["x", "z"]}, lambda r: bool({"x", "z"} & set(r.categories))),
            ({"metadata_filter": {"k": 1, "n": {"deep": [3]}}}, lambda r: r.metadata == {"k": 1, "n": {"deep": [3]}}),
            ({"limit": 1000}, lambda r: True),
            ({"min_score": 0.9}, lambda r: 1 / (1 + r.embedding[1] ** 2) ** 0.5 >= 0.9),
        ]
        for start in range(5):
            chosen = [rules[(start + step) % 5] for step in range(size)]
            arguments: dict[str, Any] = {"limit": 1000}
            for argument, _ in chosen:
                arguments.update(argument)
            expected = {r.id for r in records if all(rule(r) for _, rule in chosen)}
            assert set(ids(do(backend, "search", [1.0, 0.0], **arguments))) == expected

    def test_a_rare_category_is_found_whatever_the_limit(self, open_backend: Any, do: Any) -> None:
        backend = open_backend()
        do(backend, "save", [record(f"n{i}", [1.0, 0.0]) for i in range(500)])
        do(backend, "save", [record("rare", [0.1, 1.0], categories=["rare"])])
        assert ids(do(backend, "search", [1.0, 0.0], categories=["rare"], limit=1)) == ["rare"]

    def test_without_vectors(self, open_backend: Any, do: Any) -> None:
        backend = open_backend()
        assert do(backend, "search", [1.0, 0.0]) == []
        do(backend, "save", [record("bare")])
        assert do(backend, "search", [1.0, 0.0]) == []
        assert do(backend, "search", []) == []
        do(backend, "save", [record("a", [1.0, 0.0])])
        assert ids(do(backend, "search", [1.0, 0.0])) == ["a"]

    def test_another_dimension(self, open_backend: Any, do: Any) -> None:
        backend = open_backend()
        do(backend, "save", [record("a", [1.0, 0.0])])
        expected: type[Exception] = DimensionMismatchError
        for action in (
            lambda: do(backend, "save", [record("b", [1.0, 0.0, 0.0])]),
            lambda: do(backend, "search", [1.0, 0.0, 0.0]),
            lambda: do(backend, "update", record("a", [1.0])),
            lambda: do(backend, "save", [record("c", [1.0, 0.0]), record("d", [1.0])]),
        ):
            with pytest.raises(expected, match="2 dimensions") as caught:
                action()
            assert (caught.value.stored_dim, caught.value.new_dim) in [(2, 3), (2, 1)]  # type: ignore[attr-defined]
            _assert_crewais_own(caught.value)
        assert do(backend, "count") == 1

    @pytest.mark.parametrize("vector", [[float("nan"), 1.0], [float("inf"), 1.0], [1e39, 1.0]])
    def test_numbers_that_are_none(self, open_backend: Any, do: Any, vector: list[float]) -> None:
        backend = open_backend()
        with pytest.raises(EmbedderError, match=r"not finite|too large"):
            do(backend, "save", [record("a", vector)])
        with pytest.raises(EmbedderError, match=r"not finite|too large"):
            do(backend, "search", vector)


def _assert_crewais_own(error: Exception) -> None:
    from crewai.memory.storage import backend

    if hasattr(backend, "EmbeddingDimensionMismatchError"):
        assert isinstance(error, backend.EmbeddingDimensionMismatchError)


class TestDelete:
    @pytest.fixture
    def full(self, open_backend: Any) -> QdrantStorageBackend:
        backend = open_backend()
        backend.save(
            [
                record(
                    f"r{i}",
                    scope=["/user/1", "/user/10"][i % 2],
                    categories=[["x"], ["y"]][(i // 2) % 2],
                    metadata={"k": (i // 4) % 2},
                    created_at=NOON + i * DAY,
                )
                for i in range(16)
            ]
        )
        return backend

    @pytest.mark.parametrize(
        ("arguments", "deleted"),
        [
            ({"scope_prefix": "/user/1"}, range(0, 16, 2)),
            ({"categories": ["x"]}, [i for i in range(16) if (i // 2) % 2 == 0]),
            ({"record_ids": ["r3", "r5", "missing"]}, [3, 5]),
            ({"older_than": NOON + 3 * DAY}, [0, 1, 2]),
            ({"metadata_filter": {"k": 1}}, [i for i in range(16) if (i // 4) % 2]),
            ({"scope_prefix": "/user/1", "older_than": NOON + 3 * DAY}, [0, 2]),
            ({"scope_prefix": "/user/1", "record_ids": ["r0", "r1"]}, [0]),
            ({"categories": ["y"], "metadata_filter": {"k": 0}}, [2, 3, 10, 11]),
            ({"record_ids": []}, []),
            ({}, range(16)),
        ],
        ids=str,
    )
    def test_what_matches_all_criteria_and_tells_how_many(
        self, full: QdrantStorageBackend, do: Any, arguments: dict[str, Any], deleted: Any
    ) -> None:
        gone = {f"r{i}" for i in deleted}
        assert do(full, "delete", **arguments) == len(gone)
        assert set(ids(do(full, "list_records"))) == {f"r{i}" for i in range(16)} - gone

    def test_reset(self, full: QdrantStorageBackend, do: Any) -> None:
        do(full, "reset", "/user/1")
        assert do(full, "count") == 8
        do(full, "reset")
        assert do(full, "count") == 0


class TestLists:
    def test_newest_first(self, open_backend: Any, do: Any) -> None:
        backend = open_backend()
        do(backend, "save", [record(f"r{i}", created_at=NOON + (i % 3) * DAY, scope="/a") for i in range(9)])
        whole = do(backend, "list_records", "/a")
        assert [r.created_at for r in whole] == [NOON + d * DAY for d in (2, 2, 2, 1, 1, 1, 0, 0, 0)]
        pages = [do(backend, "list_records", "/a", limit=2, offset=start) for start in range(0, 9, 2)]
        assert [r.id for page in pages for r in page] == ids(whole)

    def test_scopes_categories_counts(self, open_backend: Any, do: Any) -> None:
        backend = open_backend()
        paths = ["/crew/sales", "/crew/sales/emea", "/crew/salesforce", "/other", "/"]
        do(backend, "save", [record(f"r{i}", scope=path, categories=[path]) for i, path in enumerate(paths)])
        assert do(backend, "list_scopes") == ["/crew", "/other"]
        assert do(backend, "list_scopes", "/crew") == ["/crew/sales", "/crew/salesforce"]
        assert do(backend, "list_scopes", "/crew/sales/") == ["/crew/sales/emea"]
        assert do(backend, "count", "/crew/sales") == 2
        assert do(backend, "count") == do(backend, "count", "/") == 5
        assert do(backend, "list_categories", "/crew/sales") == {"/crew/sales": 1, "/crew/sales/emea": 1}
        info = do(backend, "get_scope_info", "/crew")
        assert (info.path, info.record_count) == ("/crew", 3)
        assert info.child_scopes == ["/crew/sales", "/crew/salesforce"]
        assert info.oldest_record <= info.newest_record


class TestScope:
    def test_every_call_needs_a_user(self, open_backend: Any, do: Any) -> None:
        backend = open_backend(user_id=None)
        for method, args in [
            ("save", [[record("a")]]),
            ("update", [record("a")]),
            ("search", [[1.0]]),
            ("delete", []),
            ("reset", []),
            ("get_record", ["a"]),
            ("list_records", []),
            ("get_scope_info", ["/"]),
            ("list_scopes", []),
            ("list_categories", []),
            ("count", []),
            ("touch_records", [["a"]]),
        ]:
            with pytest.raises(MissingScopeError):
                do(backend, method, *args)

    def test_stolen_ids_reach_nothing(self, open_backend: Any, do: Any) -> None:
        john, jane = open_backend(user_id="john"), open_backend(user_id="jane")
        do(john, "save", [record("secret", [1.0, 0.0], content="john's")])
        assert do(jane, "get_record", "secret") is None
        assert do(jane, "delete", record_ids=["secret"]) == 0
        do(jane, "touch_records", ["secret"])
        do(jane, "update", record("secret", [1.0, 0.0], content="hacked"))
        do(jane, "save", [record("secret", [1.0, 0.0], content="hacked again")])
        do(jane, "reset")
        assert do(john, "get_record", "secret").content == "john's"

    def test_bound_works_in_threads_without_the_context(self, open_backend: Any) -> None:
        backend = open_backend(user_id=None)
        with use_scope(user_id="john"), ThreadPoolExecutor(4) as pool:
            bound = backend.bound()
            list(pool.map(lambda i: bound.save([record(f"r{i}", [1.0, i])]), range(40)))
            assert sorted(pool.map(lambda _: bound.count(), range(4))) == [40] * 4

    def test_is_crewais_protocol(self, open_backend: Any) -> None:
        from crewai.memory.storage.backend import StorageBackend

        assert isinstance(open_backend(), StorageBackend)

    def test_what_json_cannot_hold_is_kept_as_text(self, open_backend: Any, do: Any) -> None:
        """CrewAI hands over what a crew was given, and the memory must not be lost because of it."""
        backend = open_backend()
        do(backend, "save", [record("a", content="tea \ud83d at noon", metadata={"when": NOON, "tags": {"x"}})])
        found = do(backend, "get_record", "a")
        assert found.content == "tea \ufffd at noon"
        assert found.metadata == {"when": NOON.isoformat(), "tags": ["x"]}

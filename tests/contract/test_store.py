"""What every store promises, over every engine, blocking, awaiting and from threads."""

from __future__ import annotations

import contextvars
import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from crewai_persistent_memory import (
    EntryNotFoundError,
    InvalidArgumentError,
    InvalidEntryError,
    MemoryEntry,
    MissingScopeError,
    RankingWeights,
    Scope,
    ScopeConflictError,
    StoreClosedError,
    use_scope,
)
from crewai_persistent_memory.testing.contract_entries import DAY, FILTERS, NOON, thirty_two

from ..fixtures import OpenStore
from ..support.calling import CALLS
from ..support.embedders import WordHashEmbedder


@pytest.fixture(params=sorted(CALLS))
def do(request: pytest.FixtureRequest) -> Any:
    return CALLS[request.param]


MANY = int(os.environ.get("MANY", "15"))
"""Entries of each of eight threads."""


def contents(entries: list[MemoryEntry]) -> list[str]:
    return [entry.content for entry in entries]


class TestRoundTrip:
    def test_every_field_comes_back(self, open_any: OpenStore, do: Any) -> None:
        store = open_any(user_id="john")
        added = do(
            store,
            "add",
            "John likes window seats",
            id="seat",
            path="/crew/travel",
            categories=["travel", "seats"],
            metadata={"nested": {"list": [1, 2.5, None, True], "ключ": "✈"}, "big": 2**80},
            importance=0.9,
            source="chat-7",
            private=True,
            created_at=NOON,
        )
        read = do(store, "get", "seat")
        assert read == added
        assert read.metadata == {"nested": {"list": [1, 2.5, None, True], "ключ": "✈"}, "big": 2**80}
        assert read.scope == Scope(user_id="john")
        assert read.created_at == NOON

    def test_a_search_gives_every_field(self, open_any: OpenStore, do: Any) -> None:
        """Of an entry as it was saved, and of one whose fields were changed since."""
        store = open_any(user_id="john", run_id="kickoff-1", agent_id="chef")
        about: dict[str, Any] = {
            "path": "/crew/travel",
            "categories": ["travel"],
            "metadata": {"trip": 7},
            "importance": 0.9,
            "source": "chat-7",
            "private": True,
            "kind": "entity",
        }
        store.add("John likes window seats", id="saved", created_at=NOON, **about)
        store.add("John likes window blinds", id="changed", created_at=NOON)
        store.update("changed", **about)
        found = do(store, "search", "window", include_private=True)
        assert len(found) == 2
        for entry in found:
            whole = store.get(entry.id)
            assert whole is not None
            assert entry.score is not None
            assert replace(entry, score=None, embedding=None) == replace(whole, score=None, embedding=None)

    @pytest.mark.parametrize(
        "content", ["日本語 ✈ \u0000 \U0001f600", " spaces  kept \n", "x" * 1_000_000, "the of and"]
    )
    def test_any_text_comes_back(self, open_any: OpenStore, content: str) -> None:
        store = open_any(user_id="john")
        entry = store.add(content)
        found = store.get(entry.id)
        assert found is not None
        assert found.content == content

    def test_times_keep_their_microseconds(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john")
        moment = datetime(2026, 1, 2, 3, 4, 5, 678901)
        aware = moment.replace(tzinfo=timezone(timedelta(hours=2)))
        assert store.get(store.add("naive", created_at=moment).id).created_at == moment  # type: ignore[union-attr]
        assert store.get(store.add("aware", created_at=aware).id).created_at == moment - timedelta(hours=2)  # type: ignore[union-attr]

    def test_the_same_id_replaces(self, open_any: OpenStore, do: Any) -> None:
        store = open_any(user_id="john")
        do(store, "add", "old", id="a")
        do(store, "add", "new", id="a")
        assert contents(do(store, "list")) == ["new"]

    def test_put_stores_whole_entries(self, open_any: OpenStore, do: Any) -> None:
        store = open_any(user_id="john")
        count = 60 if store.capabilities.extracts else 600  # Mem0 takes one entry in each call
        entries = [MemoryEntry(id=f"e{i}", content=f"fact {i}", created_at=NOON + i * DAY) for i in range(count)]
        do(store, "put", entries)
        assert do(store, "count") == count
        assert contents(do(store, "list", limit=2)) == [f"fact {count - 1}", f"fact {count - 2}"]

    def test_put_of_one_bad_entry_stores_none(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john")
        with pytest.raises(InvalidEntryError, match="importance"):
            store.put([MemoryEntry(id="good", content="x"), MemoryEntry(id="bad", content="y", importance=2)])
        assert store.count() == 0


class TestUpdate:
    def test_changes_what_is_named_and_nothing_else(self, open_any: OpenStore, do: Any) -> None:
        store = open_any(user_id="john", embedder=WordHashEmbedder())
        entry = do(store, "add", "likes tea", id="drink", categories=["food"], metadata={"a": 1})
        do(store, "update", "drink", importance=0.8)
        changed = do(store, "get", "drink")
        assert (changed.content, changed.categories, changed.metadata) == ("likes tea", ("food",), {"a": 1})
        assert changed.importance == 0.8
        assert changed.created_at == entry.created_at
        do(store, "update", "drink", content="likes coffee")
        assert contents(do(store, "search", "coffee", limit=1)) == ["likes coffee"]
        assert do(store, "count") == 1

    def test_new_content_is_embedded_anew(self, open_any: OpenStore) -> None:
        embedder = WordHashEmbedder()
        store = open_any(user_id="john", embedder=embedder)
        store.add("likes tea", id="drink")
        store.update("drink", content="hates rain")
        found = store.get("drink")
        assert found is not None
        assert found.embedding == pytest.approx(embedder.vector("hates rain"), abs=1e-3)  # half precision

    def test_unknown_id(self, open_any: OpenStore, do: Any) -> None:
        with pytest.raises(EntryNotFoundError, match="nope"):
            do(open_any(user_id="john"), "update", "nope", content="x")

    def test_unknown_field(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john")
        store.add("x", id="a")
        with pytest.raises(InvalidEntryError, match="created_at cannot be updated"):
            store.update("a", created_at=NOON)  # type: ignore[call-arg]

    def test_replace_keeps_the_vector_while_the_content_stays(self, open_any: OpenStore, do: Any) -> None:
        embedder = WordHashEmbedder()
        store = open_any(user_id="john", embedder=embedder)
        store.add("likes tea", id="a")
        calls = len(embedder.calls)
        do(store, "replace", MemoryEntry(id="a", content="likes tea", importance=1.0))
        assert len(embedder.calls) == calls
        assert store.get("a").embedding == pytest.approx(embedder.vector("likes tea"), abs=1e-3)  # type: ignore[union-attr]

    def test_touch(self, open_any: OpenStore, do: Any) -> None:
        store = open_any(user_id="john")
        store.add("x", id="a", created_at=NOON)
        do(store, "touch", ["a", "missing"])
        entry = store.get("a")
        assert entry is not None
        assert entry.last_accessed > NOON + DAY
        assert entry.created_at == NOON


COMBINATIONS = [
    names for size in range(1, len(FILTERS) + 1) for names in itertools.combinations(FILTERS, size) if size in (1, 2, 7)
]


class TestFilters:
    @pytest.mark.parametrize("names", COMBINATIONS, ids="+".join)
    def test_alone_and_combined(self, open_any: OpenStore, names: tuple[str, ...]) -> None:
        store = open_any(user_id="john")
        store.put(thirty_two())
        filters: dict[str, Any] = {}
        for name in names:
            filters.update(FILTERS[name][0])
        expected = {e.id for e in thirty_two() if all(FILTERS[name][1](e) for name in names)}
        assert {e.id for e in store.list(**filters)} == expected
        assert {e.id for e in store.search("tea", limit=50, **filters)} == expected
        assert store.count(**filters) == len(expected)
        assert store.delete(**filters) == len(expected)
        assert {e.id for e in store.list()} == {e.id for e in thirty_two()} - expected

    def test_are_applied_before_the_limit(self, open_any: OpenStore, do: Any) -> None:
        store = open_any(user_id="john", embedder=WordHashEmbedder())
        store.put([MemoryEntry(id=f"n{i}", content="tea tea tea") for i in range(300)])
        store.add("something about tea, once", id="rare", categories=["rare"])
        assert [e.id for e in do(store, "search", "tea", limit=1, categories=["rare"])] == ["rare"]

    def test_each_query_may_have_a_path_and_a_kind_of_its_own(self, open_any: OpenStore, do: Any) -> None:
        store = open_any(user_id="john")
        store.put(
            [
                MemoryEntry(id="said", content="tea is a drink", path="/a"),
                MemoryEntry(id="thing", content="tea(drink): made of leaves", path="/a", kind="entity"),
                MemoryEntry(id="elsewhere", content="tea is hot", path="/b"),
            ]
        )
        found = do(
            store, "search_many", ["tea"] * 4, paths=["/a", "/a", "/b", None], kinds=["memory", "entity", None, None]
        )
        assert [sorted(e.id for e in each) for each in found] == [
            ["said"],
            ["thing"],
            ["elsewhere"],
            ["elsewhere", "said", "thing"],
        ]
        for wrong in ({"kinds": ["memory"]}, {"kinds": ["memory", None], "kind": "entity"}):
            with pytest.raises(InvalidArgumentError, match="kinds takes one kind for each of the 2 queries"):
                do(store, "search_many", ["tea", "milk"], **wrong)

    def test_kind(self, open_any: OpenStore, do: Any) -> None:
        store = open_any(user_id="john")
        store.add("tea is a drink", id="said")
        store.add("tea(drink): made of leaves", id="entity", kind="entity", path="/a")
        store.add("tea(drink): hot", id="other", kind="entity")

        def ids(**filters: Any) -> set[str]:
            found = {e.id for e in do(store, "list", **filters)}
            assert {e.id for e in do(store, "search", "tea", **filters)} == found
            assert do(store, "count", **filters) == len(found)
            return found

        assert ids(kind="memory") == {"said"}
        assert ids(kind="entity") == {"entity", "other"}
        assert ids(kind="entity", path="/a") == {"entity"}
        assert ids(kind="tool") == set()
        assert ids() == {"said", "entity", "other"}
        assert do(store, "get", "entity").kind == "entity"
        assert do(store, "update", "entity", importance=0.9).kind == "entity"
        assert do(store, "update", "other", kind="memory").kind == "memory"
        assert ids(kind="memory") == {"said", "other"}
        assert do(store, "delete", kind="entity") == 1
        assert ids() == {"said", "other"}
        with pytest.raises(InvalidEntryError, match="kind"):
            do(store, "list", kind=7)
        with pytest.raises(InvalidEntryError, match="kind"):
            do(store, "add", "x", kind="")

    def test_a_path_is_no_string_prefix(self, open_any: OpenStore, do: Any) -> None:
        store = open_any(user_id="john")
        for path in ("/user/1", "/user/10", "/user/1-x", "/user/1/notes", "/USER/1"):
            store.add(f"at {path}", path=path)
        assert set(contents(do(store, "list", path="/user/1"))) == {"at /user/1", "at /user/1/notes"}
        assert do(store, "delete", path="user//1/") == 2
        assert do(store, "count") == 3

    @pytest.mark.parametrize(
        ("stored", "asked", "equal"),
        [
            (1, 1.0, True),
            (1, True, False),
            (0, False, False),
            (None, None, True),
            ("1", 1, False),
            ([1, 2], [1, 2], True),
            ([1, 2], [2, 1], False),
            ({"b": 1, "a": [2]}, {"a": [2], "b": 1}, True),
            (2**80, 2**80, True),
        ],
    )
    def test_metadata_equality_is_that_of_json(self, open_any: OpenStore, stored: Any, asked: Any, equal: bool) -> None:
        store = open_any(user_id="john")
        store.add("x", metadata={"key.with [odd] name": stored, "other": 1})
        assert store.count(metadata={"key.with [odd] name": asked}) == int(equal)

    def test_no_ids_means_none_and_not_all(self, open_any: OpenStore, do: Any) -> None:
        store = open_any(user_id="john")
        store.add("x")
        assert do(store, "list", ids=[]) == []
        assert do(store, "search", "x", ids=[]) == []
        assert do(store, "delete", ids=[]) == 0
        assert do(store, "count") == 1

    def test_deleting_needs_a_criterion(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john")
        store.add("x")
        empty = ({"metadata": {}}, {"categories": []}, {"path": ""}, {"metadata": {}, "reader": "agent"})
        for nothing in ({}, {"path": None}, {"ids": None, "categories": None}, *empty):
            with pytest.raises(InvalidEntryError, match="reset"):
                store.delete(**nothing)  # type: ignore[arg-type]
        assert store.count() == 1

    @pytest.mark.parametrize(
        ("filters", "message"),
        [
            ({"categories": "red"}, "list of text"),
            ({"ids": "abc"}, "list of text"),
            ({"path": 7}, "path must be text"),
            ({"created_before": "yesterday"}, "created_before must be a datetime"),
            ({"colour": "red"}, "unknown filter colour"),
            ({"metadata": {"a": object()}}, "metadata"),
            ({"categories": True}, "categories must be a list"),
            ({"path": True, "include_private": True}, "path must be text"),
            ({"include_private": "no"}, "include_private must be True or False"),
            ({"include_private": 0}, "include_private must be True or False"),
            ({"reader": 7, "include_private": False}, "reader must be text"),
        ],
    )
    def test_bad_ones_are_named(self, open_any: OpenStore, filters: dict[str, Any], message: str) -> None:
        with pytest.raises(InvalidEntryError, match=message):
            open_any(user_id="john").list(**filters)


class TestSearch:
    @pytest.mark.parametrize("embedder", [None, WordHashEmbedder()], ids=["keywords", "hybrid"])
    def test_finds_the_rare_word_first(self, open_any: OpenStore, do: Any, embedder: Any) -> None:
        store = open_any(user_id="john", embedder=embedder)
        store.put([MemoryEntry(id=f"n{i}", content=f"order {i} was shipped on a Monday") for i in range(200)])
        store.add("order ACME-4711 was returned", id="needle")
        found = do(store, "search", "what happened to order ACME-4711?", limit=5)
        assert found[0].id == "needle"
        assert all(0 <= e.score <= 1 for e in found)
        assert [e.score for e in found] == sorted((e.score for e in found), reverse=True)

    def test_keywords_find_inflected_and_accented_words(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john")
        store.add("He booked the Café Müller for the meetings")
        assert store.search("booking a meeting at cafe muller")

    def test_nothing_in_common_is_nothing_found_by_keywords(self, open_any: OpenStore, do: Any) -> None:
        store = open_any(user_id="john")
        store.add("likes tea")
        assert do(store, "search", "umbrella") == []
        assert do(store, "search", "   ") == []
        assert do(store, "search", "the of and") == []

    def test_newer_and_more_important_come_first_among_equals(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john")
        now = datetime.now(timezone.utc).replace(tzinfo=None)
        store.add("tea is good", id="old", created_at=now - 300 * DAY)
        store.add("tea is good", id="new", created_at=now)
        store.add("tea is good", id="vital", created_at=now, importance=1.0)
        weights = RankingWeights(semantic=0.0, recency=0.5, importance=0.5, half_life_days=30)
        assert [e.id for e in store.search("tea", weights=weights)][-1] == "old"

    def test_age_does_not_bury_what_is_asked_for(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john")
        now = datetime.now(timezone.utc).replace(tzinfo=None)
        store.add("John is allergic to nuts", id="old", created_at=now - 2000 * DAY, importance=0.0)
        for i in range(50):
            store.add(f"John said hello, {i}", created_at=now, importance=1.0)
        store.flush()  # what waits in an outbox is scored by its words alone
        assert "old" in [e.id for e in store.search("is John allergic to nuts?", limit=3)]

    def test_min_score(self, open_any: OpenStore, do: Any) -> None:
        store = open_any(user_id="john")
        store.add("quince marmalade, rye bread, and a samovar")
        store.add("rye")
        asked = "quince marmalade rye bread samovar"
        found = do(store, "search", asked)
        assert contents(found) == ["quince marmalade, rye bread, and a samovar", "rye"]
        # A store counts words of deleted entries until it tidies up, between these two searches perhaps. One word of
        # five stays far below the bar whatever it counts.
        bar = (found[0].score + found[1].score) / 2
        assert contents(do(store, "search", asked, min_score=bar)) == ["quince marmalade, rye bread, and a samovar"]
        assert do(store, "search", asked, min_score=1.0) == []

    def test_limit(self, open_any: OpenStore, do: Any) -> None:
        store = open_any(user_id="john")
        store.put([MemoryEntry(id=str(i), content="tea") for i in range(100)])
        assert len(do(store, "search", "tea", limit=77)) == 77
        assert do(store, "search", "tea", limit=0) == []
        with pytest.raises(InvalidEntryError, match="limit"):
            do(store, "search", "tea", limit=-1)


class TestLists:
    def test_newest_first_with_stable_pages(self, open_any: OpenStore, do: Any) -> None:
        store = open_any(user_id="john")
        # Five moments, 10 entries each: every page but few ends among equal times.
        store.put([MemoryEntry(id=f"e{i}", content=f"c{i}", created_at=NOON + (i % 5) * DAY) for i in range(50)])
        whole = do(store, "list", limit=1000)
        assert [e.created_at for e in whole] == sorted((e.created_at for e in whole), reverse=True)
        assert len({e.id for e in whole}) == 50
        for size in (1, 7, 33):
            pages = [e for start in range(0, 50, size) for e in do(store, "list", limit=size, offset=start)]
            assert [e.id for e in pages] == [e.id for e in whole]
        assert do(store, "list", offset=50) == []

    def test_paths_and_categories(self, open_any: OpenStore, do: Any) -> None:
        store = open_any(user_id="john")
        store.put(thirty_two())
        assert do(store, "children") == ("/a", "/ab")
        assert do(store, "children", "/a") == ("/a/b",)
        assert do(store, "children", "/nowhere") == ()
        assert do(store, "categories") == {"red": 8, "green": 16, "blue": 8}
        assert do(store, "categories", "/ab") == {"red": 4}
        info = do(store, "info", "/a")
        assert (info.path, info.count, info.children) == ("/a", 16, ("/a/b",))
        assert (info.oldest, info.newest) == (NOON, NOON + 30 * DAY)
        empty = do(store, "info", "/nowhere")
        assert (empty.count, empty.oldest, empty.categories) == (0, None, ())

    def test_reset_of_a_path_and_of_all(self, open_any: OpenStore, do: Any) -> None:
        store = open_any(user_id="john")
        store.put(thirty_two())
        assert do(store, "reset", "/a") == 16
        assert do(store, "count") == 16
        assert do(store, "reset") == 16
        assert do(store, "count") == 0


class TestScopes:
    def test_no_user_no_memory(self, open_any: OpenStore, do: Any) -> None:
        store = open_any()
        for method, args in [
            ("add", ["x"]),
            ("search", ["x"]),
            ("get", ["x"]),
            ("list", []),
            ("count", []),
            ("delete", ["x"]),
            ("reset", []),
            ("update", ["x"]),
            ("touch", [["x"]]),
            ("children", []),
            ("categories", []),
            ("info", []),
            ("put", [[MemoryEntry(id="a", content="x")]]),
        ]:
            with pytest.raises(MissingScopeError, match="user_id"):
                do(store, method, *args)

    def test_use_scope_fills_what_is_left_out(self, open_any: OpenStore, do: Any) -> None:
        store = open_any(project_id="shop")
        with use_scope(user_id="john"):
            do(store, "add", "john's", id="a")
        with use_scope(user_id="jane", run_id="r1"):
            do(store, "add", "jane's", id="a")
            assert contents(do(store, "list")) == ["jane's"]
        with use_scope(user_id="john"):
            assert contents(do(store, "list")) == ["john's"]
        with use_scope(user_id="jane"):
            assert do(store, "list") == []

    def test_use_scope_must_not_contradict(self, open_any: OpenStore, do: Any) -> None:
        store = open_any(user_id="john", project_id="shop")
        for other in ({"user_id": "jane"}, {"project_id": "staging"}):
            with use_scope(**other), pytest.raises(ScopeConflictError, match="fixed"):
                do(store, "list")
        with pytest.raises(ScopeConflictError):
            store.scoped(user_id="jane")

    def test_shared_memory_is_read_only_when_told_to(self, open_any: OpenStore, do: Any) -> None:
        team = open_any(scope=Scope.shared("shop"))
        do(team, "add", "the office closes at six", id="hours")
        plain = open_any(user_id="john", project_id="shop")
        reading = open_any(user_id="john", project_id="shop", include_shared=True)
        do(reading, "add", "john leaves at five", id="john")
        assert contents(do(plain, "list")) == ["john leaves at five"]
        assert set(contents(do(reading, "list"))) == {"the office closes at six", "john leaves at five"}
        assert contents(do(reading, "search", "when does the office close"))[0] == "the office closes at six"
        assert do(reading, "get", "hours").scope.is_shared
        assert do(reading, "delete", "hours") == 0
        with pytest.raises(EntryNotFoundError):
            do(reading, "update", "hours", content="hacked")
        read_at = do(team, "get", "hours").last_accessed
        do(reading, "touch", ["hours", "john"])
        assert do(team, "get", "hours").last_accessed == read_at, (
            "that a user reads it, the team's memory does not tell"
        )
        assert do(reading, "reset") == 1
        assert contents(do(team, "list")) == ["the office closes at six"]
        assert contents(do(open_any(scope=Scope.shared("other")), "list")) == []

    def test_a_thread_without_the_context_is_refused(self, open_any: OpenStore) -> None:
        store = open_any()
        with use_scope(user_id="john"), ThreadPoolExecutor(1) as pool:
            store.add("x")
            with pytest.raises(MissingScopeError, match="copy_context"):
                pool.submit(store.list).result()
            assert pool.submit(contextvars.copy_context().run, store.list).result()
            assert pool.submit(store.bound().list).result()

    def test_many_threads_each_in_its_own_scope(self, open_any: OpenStore) -> None:
        store = open_any()

        def work(user: str) -> list[str]:
            with use_scope(user_id=user):
                for i in range(MANY):
                    store.add(f"{user} {i}", id=str(i))
                    assert all(e.content.startswith(f"{user} ") for e in store.search(f"{user} {i}"))
                return contents(store.list())

        users = [f"user{i}" for i in range(8)]
        with ThreadPoolExecutor(8) as pool:
            for user, seen in zip(users, pool.map(work, users), strict=True):
                assert sorted(seen) == sorted(f"{user} {i}" for i in range(MANY))


class TestBadEntries:
    @pytest.mark.parametrize(
        ("content", "about", "message"),
        [
            (None, {}, "content must be text, got NoneType"),
            (b"bytes", {}, "content must be text, got bytes"),
            (17, {}, "content must be text"),
            ("  ", {}, "content is blank"),
            ("\ud800", {}, "surrogate"),
            ("x", {"importance": 1.5}, "importance"),
            ("x", {"importance": True}, "importance"),
            ("x", {"importance": float("nan")}, "importance"),
            ("x", {"categories": "food"}, "list of text"),
            ("x", {"categories": [1]}, "categories must hold text"),
            ("x", {"metadata": {"when": datetime(2026, 1, 1)}}, r"metadata\.when is a datetime"),
            ("x", {"metadata": {"a": [1, {"b": float("inf")}]}}, r"metadata\.a\[1\]\.b"),
            ("x", {"metadata": {1: "x"}}, "keys must be text"),
            ("x", {"metadata": [1]}, "metadata must be a mapping"),
            ("x", {"path": "/" + "a" * 2000}, "path has 2001 characters"),
            ("x", {"id": ""}, "id is blank"),
            ("x", {"id": "i" * 1000}, "id has 1000 characters"),
            ("x", {"colour": "red"}, "unknown field colour"),
            ("x", {"created_at": "today"}, "created_at must be a datetime"),
            ("x", {"source": 5}, "source must be text"),
        ],
    )
    def test_are_refused_by_name_and_lose_nothing(
        self, open_any: OpenStore, do: Any, content: Any, about: dict[str, Any], message: str
    ) -> None:
        store = open_any(user_id="john")
        store.add("kept")
        with pytest.raises(InvalidEntryError, match=message):
            do(store, "add", content, **about)
        assert contents(store.list()) == ["kept"]

    def test_deep_metadata(self, open_any: OpenStore) -> None:
        value: Any = 1
        for _ in range(5000):
            value = [value]
        with pytest.raises(InvalidEntryError, match="nested"):
            open_any(user_id="john").add("x", metadata={"a": value})


@pytest.mark.own_store
class TestHandles:
    def test_health(self, open_any: OpenStore, do: Any) -> None:
        assert do(open_any(), "health")["engine"]

    def test_closed(self, open_any: OpenStore, do: Any) -> None:
        store = open_any(user_id="john")
        store.close()
        store.close()
        with pytest.raises(StoreClosedError, match="closed"):
            do(store, "list")

    def test_a_scoped_handle_closes_nothing(self, open_any: OpenStore) -> None:
        store = open_any()
        john = store.scoped(user_id="john")
        john.add("x")
        john.close()
        assert john.count() == 1

    def test_what_one_handle_stores_another_reads_after_reopening(self, open_any: OpenStore) -> None:
        with open_any(user_id="john") as store:
            store.add("kept")
        with open_any(user_id="john") as store:
            assert contents(store.list()) == ["kept"]

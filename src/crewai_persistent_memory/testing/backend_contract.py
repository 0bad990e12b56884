"""What every backend promises, as tests for the author of one. pytest runs a subclass; this imports no pytest."""

from __future__ import annotations

import asyncio
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, ClassVar, TypeVar

from ..entry import MemoryEntry
from ..entry_filter import EntryFilter
from ..errors import EntryNotFoundError
from ..io.steps import run
from ..ranking import RankingWeights
from ..scope import Scope
from ..store import operations
from ..store.backend import Backend
from ..store.base import MemoryStore
from ..store.operations import Operation
from .contract_entries import DAY, FILTERS, NOON, thirty_two
from .expiry_contract import ExpiryContract
from .visibility_model import VisibilityModel, apply, check_reads, handle, random_operation

T = TypeVar("T")

_JOHN, _JANE = Scope(user_id="john"), Scope(user_id="jane")


class BackendContract(ExpiryContract):
    """Subclass it in a test module, give :meth:`open_backend`, and let pytest run it::

        class TestMyBackend(BackendContract):
            def open_backend(self, folder):
                return MyBackend(folder / "memories.db")

    What a backend's ``capabilities`` exclude is not asked of it. Each test has a folder of its own.

    Attributes:
        survives_reopening: whether a backend opened again in the same folder has what was saved.
        random_operations: how many operations of many scopes are compared with the visibility rule.
        seed: of these operations.
    """

    survives_reopening: ClassVar[bool] = True
    random_operations: ClassVar[int] = 400
    seed: ClassVar[int] = 1

    backend: Backend
    store: MemoryStore
    """John's, over the backend."""

    def open_backend(self, folder: Path) -> Backend:
        """The backend over the memories in ``folder``. It is called twice in a test about opening again."""
        raise NotImplementedError(f"{type(self).__name__} needs open_backend(self, folder): return your backend")

    def setup_method(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="crewai-memory-test-", ignore_cleanup_errors=True)
        try:
            opened: Any = self.open_backend(Path(self._folder.name))
            if not isinstance(opened, Backend):
                kind = type(opened).__name__
                raise TypeError(f"open_backend() returned a {kind}, not a crewai_persistent_memory.Backend")
            self.backend = opened
            self.store = MemoryStore.over(self.backend, user_id="john")
        except BaseException:
            self._folder.cleanup()
            raise

    def teardown_method(self) -> None:
        self.backend.close()
        self._folder.cleanup()

    def _ask(self, operation: Operation[T]) -> T:
        """An operation without the checks of a store around the backend."""
        answer: T = run(self.backend.execute(operation))
        return answer

    # -- entries ---------------------------------------------------------------------------------------------------

    def test_every_field_of_an_entry_comes_back(self) -> None:
        added = self.store.add(
            "John likes window seats ✈ \n and zażółć",
            id="not-a-uuid:1/2 ü",
            path="/crew/travel",
            categories=["travel", "seats"],
            metadata={"nested": {"list": [1, 2.5, None, True], "ключ": "✈"}, "big": 2**80},
            importance=0.9,
            source="chat-7",
            private=True,
            kind="entity",
            created_at=NOON.replace(microsecond=678901),
        )
        read = self.store.get(added.id)
        _equal(_plain(read), _plain(added), "get() of what add() returned")
        _equal(read.scope if read else None, _JOHN, "its scope")
        _equal([_plain(each) for each in self.store.list()], [_plain(added)], "list()")

    def test_a_long_text_comes_back(self) -> None:
        text = "tea " * 50_000
        _equal([len(each.content) for each in self._saved(text)], [len(text)], "length of a text of 200,000 characters")

    def test_an_id_that_is_there_is_replaced(self) -> None:
        self.store.add("old", id="a")
        self.store.add("new", id="a")
        _equal([each.content for each in self.store.list()], ["new"], "list() after add() twice with one id")

    def test_one_id_in_two_scopes_is_two_entries(self) -> None:
        self.store.add("john's", id="a")
        self._other().add("jane's", id="a")
        _equal(_content(self.store.get("a")), "john's", "John's entry after Jane has saved one with its id")
        _equal(_content(self._other().get("a")), "jane's", "Jane's entry with the id of one of John's")

    def test_update_changes_what_is_named_and_nothing_else(self) -> None:
        self.store.add("likes tea", id="drink", categories=["food"], metadata={"a": 1}, created_at=NOON)
        changed = self.store.update("drink", importance=0.8)
        found = self.store.get("drink")
        _equal(_plain(found), _plain(changed), "get() of what update() returned")
        _equal((changed.content, changed.categories, changed.importance), ("likes tea", ("food",), 0.8), "the fields")
        self.store.update("drink", content="likes coffee")
        _equal(_content(self.store.get("drink")), "likes coffee", "the text after update(content=...)")
        _equal(self.store.count(), 1, "count() after two updates")

    def test_update_and_delete_of_an_id_that_is_not_there(self) -> None:
        try:
            self.store.update("nope", content="x")
        except EntryNotFoundError:
            pass
        else:
            raise AssertionError("update() of an id that is not there must answer None")
        _equal(self.store.delete("nope"), 0, "delete() of an id that is not there")
        _equal(self.store.get("nope"), None, "get() of an id that is not there")

    def test_replace_with_and_without_creating(self) -> None:
        entry = MemoryEntry(id="a", content="x")
        _equal(self.store.replace(entry, create=False), False, "replace(create=False) of an id that is not there")
        _equal(self.store.count(), 0, "count() after it")
        _equal(self.store.replace(entry), True, "replace() of an id that is not there")
        _equal(self.store.replace(replace(entry, content="y"), create=False), True, "replace() of one that is there")
        _equal(_content(self.store.get("a")), "y", "the text after replace()")

    def test_touch_changes_the_time_of_access_only(self) -> None:
        if not self.backend.capabilities.access_times:
            return
        self.store.add("x", id="a", created_at=NOON)
        self.store.touch(["a", "missing"])
        found = self.store.get("a")
        if found is None or found.last_accessed <= NOON + DAY or found.created_at != NOON:
            raise AssertionError(f"touch() sets last_accessed to now, and nothing else: {found!r}")

    # -- filters, lists, search ------------------------------------------------------------------------------------

    def test_filters_alone_and_together(self) -> None:
        self.store.put(thirty_two())
        for names in ([name] for name in FILTERS):
            self._check_filters(names)
        for first, second in zip(FILTERS, [*list(FILTERS)[1:], next(iter(FILTERS))], strict=True):
            self._check_filters([first, second])
        self._check_filters(list(FILTERS))

    def test_what_is_deleted_is_what_matches(self) -> None:
        self.store.put(thirty_two())
        _equal(self.store.delete(path="/a"), 16, "how many were deleted at /a and below")
        _equal(sorted({each.path for each in self.store.list(limit=100)}), ["/", "/ab"], "paths that are left")

    def test_lists_are_newest_first_and_pages_are_the_list(self) -> None:
        entries = [MemoryEntry(id=f"e{i}", content=f"tea {i}", created_at=NOON + (i % 3) * DAY) for i in range(9)]
        self.store.put(entries)
        whole = [each.id for each in self.store.list(limit=100)]
        days = [int(id[1:]) % 3 for id in whole]
        _equal(days, sorted(days, reverse=True), "list() is newest first: days")
        parts = [each.id for start in range(0, 9, 2) for each in self.store.list(limit=2, offset=start)]
        _equal(parts, whole, "list() in parts, by offset")
        paged: list[str] = []
        cursor: str | None = None
        while len(paged) < 9:
            page = self.store.page(limit=2, cursor=cursor)
            paged += [each.id for each in page.entries]
            cursor = page.cursor
            if cursor is None:
                break
        _equal(paged, whole, "list() in pages, by cursor")
        _equal(cursor, None, "the cursor after the last page")
        _equal(sorted(each.id for each in self.store.scan()), sorted(whole), "scan()")

    def test_a_search_finds_by_words_and_best_first(self) -> None:
        if not self.backend.capabilities.keywords:
            return
        self.store.add("John likes green tea", id="tea")
        self.store.add("John hates rum", id="rum")
        _equal([each.id for each in self.store.search("which tea does he like", limit=1)], ["tea"], "the best of two")
        both = self.store.search_many(["green tea", "rum"], limit=1)
        _equal([[each.id for each in found] for found in both], [["tea"], ["rum"]], "two queries in one search")
        scores = [each.score for each in self.store.search("green tea rum")]
        _equal(scores, sorted(scores, key=lambda score: -(score or 0)), "scores")

    def test_filters_come_before_the_limit(self) -> None:
        if not (self.backend.capabilities.filters_first and self.backend.capabilities.keywords):
            return
        self.store.put([MemoryEntry(id=f"n{i}", content="tea tea tea") for i in range(100)])
        self.store.add("something about tea, once", id="rare", categories=["rare"])
        found = self.store.search("tea", limit=1, categories=["rare"])
        _equal([each.id for each in found], ["rare"], "a search for a rare category with limit=1")

    def test_vectors_are_kept_and_found_by(self) -> None:
        if not self.backend.capabilities.vectors:
            return
        embedder = self.store.embedder
        if embedder is None:  # keywords only
            return
        self.store.add("green tea", id="tea")
        self.store.add("a window seat", id="seat")
        [vector] = embedder.embed(["green tea"])
        found = self.store.get("tea")
        kept = 0 if found is None or found.embedding is None else len(found.embedding)
        _equal(kept, len(vector), "length of the vector of an entry that get() returns")
        _equal([each.id for each in self.store.nearest(vector, limit=1)], ["tea"], "the nearest of two vectors")

    # -- scopes ----------------------------------------------------------------------------------------------------

    def test_the_backend_itself_applies_the_scope(self) -> None:
        """Without the store's own check around it, which would hide a backend that returns everything."""
        self.store.add("john's secret tea", id="secret")
        everything = EntryFilter()
        weights = RankingWeights() if self.backend.capabilities.ranking else None
        reads: dict[str, Operation[Any]] = {
            "List": operations.List(_JANE, False, everything, 10, 0),
            "ListPage": operations.ListPage(_JANE, False, everything, 10, None),
            "Scan": operations.Scan(_JANE, False, everything, 10),
            "Get": operations.Get(_JANE, False, "secret"),
            "Count": operations.Count(_JANE, False, everything),
            "CountCategories": operations.CountCategories(_JANE, False, everything),
            "Search": operations.Search(_JANE, False, ("secret tea",), (everything,), 10, 0.0, weights),
        }
        for name, operation in reads.items():
            answer = self._ask(operation)
            found = getattr(answer, "entries", answer[0] if name == "Search" else answer)
            if found:
                raise AssertionError(f"{name} by jane has answered with something of john's: {found!r}")
        changed = self._ask(operations.Update(_JANE, "secret", {"content": "hacked"}))
        _equal(changed, None, "Update by jane of an id of john's")
        _equal(self._ask(operations.Delete(_JANE, everything)), 0, "how many Delete by jane has deleted of john's")
        _equal(_content(self.store.get("secret")), "john's secret tea", "john's entry afterwards")

    def test_random_operations_of_many_scopes_follow_the_rule(self) -> None:
        """Reads, changes and deletes of 120 scopes with ids that they share."""
        random, model, done = Random(self.seed), VisibilityModel(), 0
        everybody = MemoryStore.over(self.backend)
        try:
            for done in range(1, self.random_operations + 1):
                apply(everybody, model, operation := random_operation(random))
                if done % 20 == 0:
                    view = handle(everybody, operation["scope"], operation["include_shared"])
                    check_reads(view, model, operation, {})
        except Exception as error:
            raise AssertionError(
                f"{type(error).__name__}: {error}\n(operation {done}, seed={self.seed}: {operation})"
            ) from error

    # -- handles ---------------------------------------------------------------------------------------------------

    def test_awaited(self) -> None:
        async def both() -> list[str]:
            await self.store.aadd("John likes tea")
            return [each.content for each in await self.store.alist()]

        _equal(asyncio.run(both()), ["John likes tea"], "alist() after aadd()")

    def test_many_threads_lose_nothing(self) -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: self.store.add(f"tea {number}", id=f"{number}"), range(80)))
        _equal(self.store.count(), 80, "count() after 80 saves in 8 threads")

    def test_health_is_a_mapping(self) -> None:
        _equal(isinstance(self.store.health(), dict), True, "health() is a dict")

    def test_closing_twice(self) -> None:
        self.backend.close()
        self.backend.close()

    def test_opened_again(self) -> None:
        if not self.survives_reopening:
            return
        self.store.add("John likes tea", id="tea")
        self.backend.close()
        self.backend = self.open_backend(Path(self._folder.name))
        again = MemoryStore.over(self.backend, user_id="john")
        _equal([each.id for each in again.list()], ["tea"], "list() of a backend that was opened again")

    # -- helpers ---------------------------------------------------------------------------------------------------

    def _other(self) -> MemoryStore:
        return MemoryStore.over(self.backend, user_id="jane")

    def _saved(self, text: str) -> list[MemoryEntry]:
        self.store.add(text, id="a")
        return self.store.list()

    def _check_filters(self, names: list[str]) -> None:
        filters: dict[str, Any] = {}
        for name in names:
            filters.update(FILTERS[name][0])
        expected = sorted(each.id for each in thirty_two() if all(FILTERS[name][1](each) for name in names))
        told = f"filtered by {filters}"
        _equal(sorted(each.id for each in self.store.list(limit=100, **filters)), expected, f"list() {told}")
        _equal(self.store.count(**filters), len(expected), f"count() {told}")
        if self.backend.capabilities.keywords:
            found = self.store.search("tea", limit=100, **filters)
            _equal(sorted(each.id for each in found), expected, f"search() {told}")


def _plain(entry: MemoryEntry | None) -> MemoryEntry | None:
    """An entry without what a search and an embedder add."""
    return None if entry is None else replace(entry, score=None, embedding=None)


def _content(entry: MemoryEntry | None) -> str | None:
    return None if entry is None else entry.content


def _equal(found: Any, expected: Any, what: str) -> None:
    if found != expected:
        raise AssertionError(f"{what}: {found!r}, where it must be {expected!r}")

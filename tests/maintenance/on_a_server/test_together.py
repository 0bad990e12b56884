"""Two that do it at once, one that gives up, embedders that fail."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from crewai_persistent_memory import (
    EmbedderUnavailableError,
    MemoryEntry,
    StoreBusyError,
    StoreCorruptedError,
    open_store,
)
from crewai_persistent_memory.admin import (
    entries_of,
    reembed,
    survey,
)
from crewai_persistent_memory.backends.qdrant.server.carrying import Carrying
from crewai_persistent_memory.backends.qdrant.server.moving import Move
from crewai_persistent_memory.config.options import MemoryConfig
from crewai_persistent_memory.store.factory import open_configured
from crewai_persistent_memory.testing import FakeEmbedder

from ...support.programs import run_program
from ...support.qdrant_server import QdrantServer
from ..test_reembedding import GoesAway, everything, fill, vectors_agree
from .moving import CANARY, DYING, NEW, OLD, OTHER, collections, descriptor, elsewhere, once, second_of


class TestTogether:
    def test_a_second_call_takes_over(self, options: dict[str, Any]) -> None:
        with open_store(**options, embedder=OLD) as store, elsewhere(options, embedder=OLD) as other:
            fill(store, 100)
            with ThreadPoolExecutor(1) as pool:
                running: list[Any] = []

                def second(count: int) -> None:
                    if not running:
                        running.append(pool.submit(reembed, other, NEW))
                        while not any(call for call in begun):
                            pass

                begun: list[bool] = []
                original = Move._claim

                def claiming(self: Any, *arguments: Any) -> Any:
                    answer = yield from original(self, *arguments)
                    if running:
                        begun.append(True)
                    return answer

                Move._claim = claiming  # type: ignore[method-assign]
                try:
                    with pytest.raises(StoreBusyError, match="goes on"):
                        reembed(store, NEW, progress=second)
                finally:
                    Move._claim = original  # type: ignore[method-assign]
                assert running[0].result().entries == 201
            assert vectors_agree(other, NEW)

    def test_one_that_stood_still_for_long(
        self, options: dict[str, Any], server: QdrantServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It looks for what was deleted, and finds the old collection empty, because another one has emptied it."""
        with open_store(**options, embedder=OLD) as store, elsewhere(options, embedder=OLD) as other:
            fill(store, 10)
            once(monkeypatch, Carrying, "_bury_missing", lambda _: reembed(other, NEW), before=True)
            with pytest.raises(StoreBusyError, match="goes on"):
                reembed(store, NEW)
            assert survey(other).entries == 21
            assert vectors_agree(other, NEW)

    def test_a_pointer_to_nothing(self, options: dict[str, Any], server: QdrantServer) -> None:
        with open_store(**options, embedder=None) as store:
            fill(store, 3)
            reembed(store, NEW)
        with server.admin() as admin:
            admin.delete(f"/collections/{second_of(server, options['collection'])}").raise_for_status()
        with pytest.raises(StoreCorruptedError, match="restore"):
            elsewhere(options, embedder=None)

    def test_what_was_begun_with_another_is_removed(self, options: dict[str, Any], server: QdrantServer) -> None:
        def stop(count: int) -> None:
            raise KeyboardInterrupt

        with open_store(**options, embedder=OLD) as store:
            fill(store, 20)
            store.scoped(user_id="john").add(CANARY)
            with pytest.raises(KeyboardInterrupt):
                reembed(store, OTHER, progress=stop)
            assert len(collections(server) & {second_of(server, options["collection"])}) == 1
            reembed(store, NEW)
            assert vectors_agree(store, NEW)
            second_of(server, options["collection"])

    def test_it_is_given_up(self, options: dict[str, Any], server: QdrantServer) -> None:
        def stop(count: int) -> None:
            raise KeyboardInterrupt

        collection = options["collection"]
        with open_store(**options, embedder=OLD) as store:
            fill(store, 20)
            with pytest.raises(KeyboardInterrupt):
                reembed(store, NEW, progress=stop)
            assert not reembed(store, OLD).changed
            assert {name for name in collections(server) if name.startswith(collection)} == {collection}
            assert "moving_to" not in descriptor(server, collection)
            assert vectors_agree(store, OLD)
            reembed(store, NEW)
            assert vectors_agree(store, NEW)

    @pytest.mark.parametrize("new", [OLD, OTHER], ids=["given up", "another one"])
    def test_after_a_kill_in_the_midst_of_the_switch(
        self, options: dict[str, Any], server: QdrantServer, new: FakeEmbedder
    ) -> None:
        """The old collection takes no writes then. It takes them again."""
        with open_store(**options, embedder=OLD) as store:
            fill(store, 20)
        ended = run_program([sys.executable, "-c", DYING, server.url, options["collection"], "changes 1"])
        assert ended.returncode == 9, ended.stderr
        with elsewhere(options, embedder=OLD) as reader, open_store(**options, embedder=OLD) as store:
            assert reader.scoped(user_id="john").count() == 21
            reembed(store, new)
            john = reader.scoped(user_id="john")
            john.add("one more", id="more")
            assert john.update("more", content="and one more") is not None
            john.put([MemoryEntry(f"p{number}", f"page {number}") for number in range(300)])
            assert survey(store).entries == 342
            reembed(store, new)
            assert vectors_agree(store, new)

    def test_there_and_back_again(self, options: dict[str, Any], server: QdrantServer) -> None:
        with open_store(**options, embedder=OLD) as store:
            fill(store, 10)
            for new in (NEW, OLD, NEW):
                reembed(store, new)
                assert vectors_agree(store, new)
                assert survey(store).entries == 21
                assert len([name for name in collections(server) if name.startswith(options["collection"])]) == 2


class TestEmbedders:
    def test_one_that_is_away_is_waited_for(self, options: dict[str, Any]) -> None:
        with open_store(**options, embedder=OLD) as store:
            fill(store)
            with pytest.raises(EmbedderUnavailableError):
                reembed(store, GoesAway(32, salt="new"))
            assert vectors_agree(store, OLD)
        with open_store(**options, embedder=OLD) as store:
            done = reembed(store, NEW)
            assert 0 < done.there < 201
            assert done.embedded + done.there == 201
            assert vectors_agree(store, NEW)

    def test_one_that_refuses_a_text(self, options: dict[str, Any]) -> None:
        class Picky(FakeEmbedder):
            def __call__(self, texts: Any) -> list[list[float]]:
                if any("thing13" in text.split() for text in texts):
                    raise ValueError("refused")
                return super().__call__(texts)

        with open_store(**options, embedder=OLD) as store:
            fill(store, 20)
            done = reembed(store, Picky(32, salt="new"))
            assert (done.entries, done.embedded, done.without) == (41, 39, 2)
            assert store.scoped(user_id="john").search("thing13")[0].id == "e13"
            assert len(everything(store)) == 41

    def test_a_dry_run_changes_nothing(self, options: dict[str, Any], server: QdrantServer) -> None:
        with open_store(**options, embedder=OLD) as store:
            fill(store, 20)
            was = descriptor(server, options["collection"])
            done = reembed(store, NEW, dry_run=True)
            assert (done.entries, done.embedded, done.changed) == (41, 0, True)
            assert done.characters == sum(len(entry.content) for entry in entries_of(store))
            assert reembed(store, None, dry_run=True).changed
            assert descriptor(server, options["collection"]) == was
            assert not any(name.startswith(f"{options['collection']}--") for name in collections(server))

    def test_a_handle_by_words_stays_so(self, options: dict[str, Any]) -> None:
        with open_store(**options, embedder=OLD, user_id="john") as store:
            store.add("tea")
            config = MemoryConfig.build(**options, user_id="john")
            with open_configured(config, by_words=True, existing=True) as words:
                reembed(words, NEW)
                assert words.embedder is None
                assert words.search("tea")[0].found_by == ("keywords",)
                assert store.search("tea")[0].found_by == ("semantic", "keywords")

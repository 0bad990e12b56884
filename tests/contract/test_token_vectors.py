"""Over every engine of Qdrant: ``reranker="maxsim"``, token vectors that score what is found in the same request."""

from __future__ import annotations

import io
import logging
import math
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import (
    ConfigurationError,
    EmbedderError,
    EmbedderMismatchError,
    MemoryEntry,
    MemoryStore,
    Scope,
)
from crewai_persistent_memory.admin import copy_entries, export_entries, import_entries
from crewai_persistent_memory.embedding.token_vectors import MOST_OF_A_QUERY, MOST_OF_A_TEXT

from ..fixtures import OpenStore
from ..support.embedders import WordHashEmbedder
from ..support.engines import STORES, Places, StoresOfOneKind
from ..support.token_embedders import WordTokens

OF_QDRANT = [name for name in sorted(STORES) if not name.startswith("mem0-") and name != "server-outbox"]
RELEVANCE = {"semantic_weight": 1.0, "recency_weight": 0.0, "importance_weight": 0.0}


@pytest.fixture(params=OF_QDRANT)
def open_any(request: pytest.FixtureRequest, tmp_path: Path, places: Places) -> Iterator[StoresOfOneKind]:
    stores = StoresOfOneKind(request.param, request, tmp_path, places)
    yield stores
    stores.close()


@pytest.fixture
def embedder() -> WordTokens:
    return WordTokens()


@pytest.fixture
def store(open_any: OpenStore, embedder: WordTokens) -> MemoryStore:
    return open_any(embedder=embedder, reranker="maxsim", **RELEVANCE)


FACTS = {
    "tea": "John likes tea",
    "car": "Mary has a red car",
    "rain": "It rained on Monday in Lisbon",
    "bank": "The bank closes at five",
}


def fill(store: MemoryStore, **facts: str) -> None:
    store.put([MemoryEntry(id, content) for id, content in (facts or FACTS).items()])


def ids(entries: list[MemoryEntry]) -> list[str]:
    return [entry.id for entry in entries]


def score(store: MemoryStore, query: str, id: str) -> float:
    [found] = [entry.score for entry in store.search(query, limit=50) if entry.id == id]
    assert found is not None
    return found


class TestWhoseTheyAre:
    """Another user's entries match the question token by token, and no entry of the caller's own has a word of it."""

    def test_nobody_else_is_found(self, store: MemoryStore) -> None:
        john, jane = store.scoped(user_id="john"), store.scoped(user_id="jane")
        fill(john)
        jane.put([MemoryEntry(f"secret{n}", f"who enjoys a beverage? secret {n}") for n in range(100)])
        for question in ("who enjoys a beverage?", "beverage", "secret brew"):
            assert set(ids(john.search(question, limit=50))) <= FACTS.keys()
            assert set(ids(jane.search(question, limit=150))).isdisjoint(FACTS)
        assert sorted(ids(john.search("who enjoys a beverage?", limit=50))) == sorted(FACTS), (
            "and nothing is crowded out"
        )

    def test_nor_another_run_or_agent_or_project(self, store: MemoryStore) -> None:
        own = store.scoped(user_id="john", run_id="r1", agent_id="cook", project_id="a")
        fill(own)
        others: list[dict[str, Any]] = [
            {"user_id": "john", "run_id": "r2", "project_id": "a"},
            {"user_id": "john", "run_id": "r1", "agent_id": "driver", "project_id": "a"},
            {"user_id": "john", "run_id": "r1", "agent_id": "cook", "project_id": "b"},
            {"scope": Scope.shared(project_id="a")},
        ]
        for number, scope in enumerate(others):
            scoped = store.scoped(scope["scope"]) if "scope" in scope else store.scoped(**scope)
            scoped.put([MemoryEntry(f"{number}-{n}", "who enjoys a beverage") for n in range(50)])
        assert sorted(ids(own.search("who enjoys a beverage", limit=50))) == sorted(FACTS)

    def test_a_filter_holds_for_them_too(self, store: MemoryStore) -> None:
        john = store.scoped(user_id="john")
        john.put([MemoryEntry(id, content, path="/in") for id, content in FACTS.items()])
        john.put([MemoryEntry(f"out{n}", "who enjoys a beverage", path="/out") for n in range(100)])
        john.put([MemoryEntry("private", "who enjoys a beverage", path="/in", private=True, source="bob")])
        assert sorted(ids(john.search("who enjoys a beverage", limit=50, path="/in", include_private=False))) == sorted(
            FACTS
        )

    def test_what_was_deleted_or_has_ended_is_gone(self, store: MemoryStore) -> None:
        john = store.scoped(user_id="john")
        fill(john)
        john.add("the beverage is a brew", id="ends", ttl=timedelta(milliseconds=1))
        john.delete("tea")
        assert set(ids(john.search("brew", limit=50))) == {"car", "rain", "bank"}
        store.scoped(user_id="jane").reset()
        john.reset()
        assert john.search("brew") == []


class TestRanking:
    def test_the_order_is_that_of_the_tokens(self, open_any: OpenStore, store: MemoryStore) -> None:
        """Neither keywords nor the vectors of texts have anything in common with the question."""
        john = store.scoped(user_id="john")
        fill(john)
        for question, first in [("enjoys beverage", "tea"), ("owns automobile", "car")]:
            found = john.search(question)
            assert found[0].id == first
            assert found[0].score is not None
            assert found[1].score is not None
            assert found[0].score > found[1].score + 0.3
            assert found[0].found_by == ("semantic", "keywords", "tokens")

    def test_without_them_it_is_another(self, open_any: OpenStore, embedder: WordTokens) -> None:
        store = open_any(embedder=embedder, user_id="john", **RELEVANCE)
        fill(store)
        scores = [entry.score or 0.0 for entry in store.search("enjoys beverage")]
        assert max(scores) - min(scores) < 0.3
        assert embedder.token_calls == [], "and nobody has asked for them"

    def test_a_score_is_relevance(self, store: MemoryStore) -> None:
        john = store.scoped(user_id="john")
        fill(john)
        for question in ("enjoys beverage", "John likes tea", "x", "tea " * 200, "?!"):
            for entry in john.search(question, limit=50):
                assert entry.score is not None
                assert 0.0 <= entry.score <= 1.0
        best = score(john, "enjoys beverage", "tea")
        assert ids(john.search("enjoys beverage", min_score=best - 0.01)) == ["tea"]
        assert john.search("a galaxy far away", min_score=0.9) == []

    def test_by_several_questions_at_once(self, store: MemoryStore) -> None:
        john = store.scoped(user_id="john")
        fill(john)
        found = john.search_many(["enjoys beverage", "owns automobile", "enjoys beverage"])
        assert [ids(entries)[0] for entries in found] == ["tea", "car", "tea"]

    def test_a_long_text_and_a_long_question_are_bounded(self, store: MemoryStore, embedder: WordTokens) -> None:
        john = store.scoped(user_id="john")
        fill(john)
        long = " ".join(f"word{n}" for n in range(900)) + " and at the end a beverage"
        john.add(long, id="long")
        assert john.search("word5 word600")[0].id == "long"
        assert sorted(ids(john.search(long, limit=50))) == sorted([*FACTS, "long"])
        tokens = john.embedder and john.embedder.tokens
        assert tokens is not None
        assert len(tokens.embed([long])[0]) <= MOST_OF_A_TEXT
        assert len(tokens.embed([long], queries=True)[0]) <= MOST_OF_A_QUERY

    def test_a_text_without_a_word(self, store: MemoryStore) -> None:
        john = store.scoped(user_id="john")
        fill(john, marks="?!", blank=" ", tea="John likes tea")
        assert john.count() == 3
        assert john.search("enjoys beverage")[0].id == "tea"


class TestTheText:
    """What the tokens say of an entry is what its text says now."""

    def test_a_change_renews_them(self, store: MemoryStore) -> None:
        john = store.scoped(user_id="john")
        fill(john)
        before = score(john, "automobile", "tea")
        john.update("tea", content="John has a car")
        assert score(john, "automobile", "tea") > before + 0.3
        assert score(john, "beverage", "tea") < 0.3
        kept = score(john, "automobile", "car")
        john.update("car", importance=0.9, path="/cars", categories=["x"])
        assert score(john, "automobile", "car") == pytest.approx(kept, abs=0.02)

    def test_replacing_renews_them_or_keeps_them(self, store: MemoryStore, embedder: WordTokens) -> None:
        john = store.scoped(user_id="john")
        fill(john)
        before = score(john, "beverage", "tea")
        embedder.token_calls.clear()
        john.replace(MemoryEntry("tea", "John likes tea", importance=0.9))
        assert [texts for texts, is_query in embedder.token_calls if not is_query] == [], "the text is the same"
        assert score(john, "beverage", "tea") == pytest.approx(before, abs=0.02)
        john.replace(MemoryEntry("tea", "John has a car"))
        assert score(john, "automobile", "tea") > 0.5
        john.add("It snowed", id="tea")
        assert score(john, "automobile", "tea") < 0.3

    def test_a_delete_that_is_undone(self, open_any: OpenStore, embedder: WordTokens) -> None:
        store = open_any(embedder=embedder, reranker="maxsim", user_id="john", undo_for=timedelta(hours=1), **RELEVANCE)
        fill(store)
        before = score(store, "beverage", "tea")
        store.delete("tea")
        assert "tea" not in ids(store.search("beverage", limit=50))
        store.undo_delete("tea")
        assert score(store, "beverage", "tea") == pytest.approx(before, abs=0.02)

    @pytest.mark.own_store
    def test_after_a_restart(self, open_any: OpenStore, embedder: WordTokens) -> None:
        store = open_any(embedder=embedder, reranker="maxsim", user_id="john", **RELEVANCE)
        fill(store)
        before = score(store, "beverage", "tea")
        store.close()
        for reranker in ("maxsim", None):  # what a store has, it has whether it is asked for or not
            again = open_any(embedder=embedder, reranker=reranker, user_id="john", **RELEVANCE)
            assert score(again, "beverage", "tea") == pytest.approx(before, abs=0.02)
            again.add("Bob drives an automobile", id=f"bob {reranker}")
            assert score(again, "car", f"bob {reranker}") > 0.5
            again.close()

    def test_an_export_and_a_copy_with_vectors(self, open_any: OpenStore, store: MemoryStore) -> None:
        fill(store.scoped(user_id="john"))
        before = score(store.scoped(user_id="john"), "beverage", "tea")
        file = io.StringIO()
        export_entries(store, file, with_vectors=True)
        store.scoped(user_id="john").reset()
        import_entries(store, file.getvalue().splitlines(keepends=True))
        assert score(store.scoped(user_id="john"), "beverage", "tea") == pytest.approx(before, abs=0.02)
        copy_entries(store, store, into={"user_id": "jane"})
        assert score(store.scoped(user_id="jane"), "beverage", "tea") == pytest.approx(before, abs=0.02)


class TestAnEmbedderThatFails:
    def test_away_for_tokens_only(self, store: MemoryStore, embedder: WordTokens) -> None:
        """An entry has all its vectors or none yet."""
        john = store.scoped(user_id="john")
        fill(john)
        before = score(john, "beverage", "tea")
        embedder.fails = ConnectionError("connection refused")
        john.add("Ann likes a brew", id="ann")
        john.update("car", content="Mary likes tea")
        assert john.search("brew")[0].id == "ann", "found by its words"
        assert not (john.get("ann") or MemoryEntry("", "")).embedding
        with pytest.raises(EmbedderError, match=r"embed_tokens of .* failed: ConnectionError: connection refused"):
            john.embed_missing()
        embedder.fails = None
        assert score(john, "Mary automobile", "car") < 0.6, "nothing is left of its earlier text"
        assert john.embed_missing() == 2
        assert score(john, "tea", "ann") == pytest.approx(score(john, "beverage", "ann"), abs=0.4)
        assert score(john, "beverage", "car") > 0.5
        assert score(john, "beverage", "tea") == pytest.approx(before, abs=0.02)

    @pytest.mark.parametrize("away", [False, True], ids=["with vectors", "without vectors"])
    def test_what_was_changed_meanwhile_gets_none_of_its_earlier_text(
        self, store: MemoryStore, embedder: WordTokens, away: bool
    ) -> None:
        john = store.scoped(user_id="john")
        fill(john)
        embedder.fails = ConnectionError("connection refused")
        john.add("Ann likes a brew", id="ann")
        embedder.fails = None

        def change() -> None:
            embedder.fails = ConnectionError("connection refused") if away else None
            john.update("ann", content="Ann has a car")
            embedder.fails = None

        embedder.meanwhile = change
        john.embed_missing()
        if away:
            john.embed_missing()
        assert score(john, "has automobile", "ann") > 0.5
        assert score(john, "enjoys beverage", "ann") < 0.3

    def test_what_was_deleted_meanwhile_stays_deleted(self, store: MemoryStore, embedder: WordTokens) -> None:
        john = store.scoped(user_id="john")
        fill(john)
        embedder.fails = ConnectionError("connection refused")
        john.add("Ann likes a brew", id="ann")
        embedder.fails = None
        embedder.meanwhile = lambda: john.delete("ann")
        john.embed_missing()
        assert john.get("ann") is None
        assert "ann" not in ids(john.search("enjoys beverage", limit=50))

    def test_away_while_an_export_comes_in(self, store: MemoryStore, embedder: WordTokens) -> None:
        fill(store.scoped(user_id="john"))
        before = score(store.scoped(user_id="john"), "beverage", "tea")
        embedder.fails = ConnectionError("connection refused")
        copy_entries(store, store, into={"user_id": "jane"})
        jane = store.scoped(user_id="jane")
        assert jane.search("tea")[0].id == "tea"
        embedder.fails = None
        assert jane.embed_missing() == 4
        assert score(jane, "beverage", "tea") == pytest.approx(before, abs=0.02)

    @pytest.mark.parametrize(
        ("answer", "says"),
        [
            ([[1.0] * 32, [1.0] * 31], "vectors of several lengths: [31, 32]"),
            ([[1.0] * 16], "the store holds vectors of 32 dimensions, this one has 16"),
            ([[math.nan] * 32], "a number that is not finite"),
            ([[1e200] * 32], "numbers that are too large"),
            ([1.0, 2.0], "not a sequence of numbers but float"),
            ("text", "must return a list of vectors for each text, and not str"),
            (None, "must return a list of vectors for each text, and not NoneType"),
        ],
    )
    def test_a_wrong_answer_loses_nothing(
        self, store: MemoryStore, embedder: WordTokens, caplog: pytest.LogCaptureFixture, answer: Any, says: str
    ) -> None:
        john = store.scoped(user_id="john")
        embedder.answers = {"odd": answer}
        with caplog.at_level(logging.WARNING):
            fill(john, **FACTS, odd="An odd text about galaxies")
        assert says in caplog.text
        assert john.count() == 5
        assert john.search("galaxies")[0].id == "odd"
        assert (john.get("odd") or MemoryEntry("", "")).embedding, "it has the vector of its text"
        assert john.search("enjoys beverage")[0].id == "tea", "the others have theirs"
        assert ids(john.search("an odd text about galaxies"))[0] == "odd", "a question is answered without them, too"

    def test_no_list_at_all(
        self,
        store: MemoryStore,
        embedder: WordTokens,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """It counts as an outage: what is saved meanwhile gets all its vectors later."""
        john = store.scoped(user_id="john")
        with monkeypatch.context() as patched:
            patched.setattr(embedder, "embed_tokens", lambda texts, is_query=False: None)
            fill(john)
            assert john.search("likes tea")[0].id == "tea"
        assert "must return a list with an item for each text, and not NoneType" in caplog.text
        assert john.embed_missing() == 4
        assert john.search("enjoys beverage")[0].id == "tea"

    def test_wrong_for_everything(
        self, store: MemoryStore, embedder: WordTokens, caplog: pytest.LogCaptureFixture
    ) -> None:
        john = store.scoped(user_id="john")
        embedder.answers = {"": [[1.0] * 7]}
        with caplog.at_level(logging.WARNING):
            fill(john)
            john.add("and another")
        assert "vectors of 32 dimensions, this one has 7" in caplog.text
        assert caplog.text.count("Until it answers") == 1
        assert john.search("likes tea")[0].id == "tea"


@pytest.mark.own_store
class TestOpening:
    def test_a_store_without_token_vectors(self, open_any: OpenStore, embedder: WordTokens) -> None:
        fill(open_any(embedder=embedder, user_id="john"))
        with pytest.raises(ConfigurationError, match=r"reranker: .* was created without token vectors.*admin\.reembed"):
            fill(open_any(embedder=embedder, reranker="maxsim", user_id="john"))
        assert open_any(embedder=embedder, user_id="john").count() == 4

    def test_an_embedder_without_token_vectors(self, open_any: OpenStore, embedder: WordTokens) -> None:
        bare = WordHashEmbedder()
        with pytest.raises(ConfigurationError, match="has no method embed_tokens"):
            fill(open_any(embedder=bare, reranker="maxsim", user_id="john"))
        with pytest.raises(ConfigurationError, match="give embedder= as well"):
            fill(open_any(embedder=None, reranker="maxsim", user_id="john"))
        fill(open_any(embedder=embedder, reranker="maxsim", user_id="john"))
        with pytest.raises(EmbedderMismatchError, match="created with token vectors, and the embedder has no method"):
            fill(open_any(embedder=bare, user_id="john"))
        with pytest.raises(EmbedderMismatchError, match=r"token vectors of 32 dimensions, and .* gives 16"):
            fill(open_any(embedder=WordTokens(token_dimensions=16), user_id="john"))

    @pytest.mark.parametrize("fails", [ConnectionError("connection refused"), TypeError("an argument too many")])
    def test_an_embedder_that_fails_at_once(self, open_any: OpenStore, embedder: WordTokens, fails: Exception) -> None:
        embedder.fails = fails
        with pytest.raises(EmbedderError, match=f"embed_tokens of .* failed: {type(fails).__name__}: {fails}"):
            fill(open_any(embedder=embedder, reranker="maxsim", user_id="john"))

"""Token vectors in an embedded store: only where they are asked for, and never lost with its files."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import (
    ConfigurationError,
    DimensionMismatchError,
    EmbedderMismatchError,
    EmbedderUnavailableError,
    MemoryConfig,
    MemoryEntry,
    MemoryStore,
    open_store,
)
from crewai_persistent_memory.admin import back_up, check, reembed, restore
from crewai_persistent_memory.backends.qdrant.embedded.new_vectors import NewVectors
from crewai_persistent_memory.backends.qdrant.engine_requests import Change, PointData, SetVectors, Upsert
from crewai_persistent_memory.backends.qdrant.engine_requests.points import NewVector
from crewai_persistent_memory.embedding import KeywordEncoder
from crewai_persistent_memory.io.steps import run
from crewai_persistent_memory.store.factory import open_configured
from crewai_persistent_memory.testing import FakeEmbedder

from ..support.thorough import sample
from ..support.token_embedders import WordTokens

RELEVANCE: dict[str, Any] = {"semantic_weight": 1.0, "recency_weight": 0.0, "importance_weight": 0.0}


@pytest.fixture
def embedder() -> WordTokens:
    return WordTokens()


def fill(store: MemoryStore) -> None:
    store.scoped(user_id="john").put([MemoryEntry("tea", "John likes tea"), MemoryEntry("car", "Mary has a car")])
    for user in ("john", "jane", "bob", "ann", "eve"):
        store.scoped(user_id=user).put([MemoryEntry(f"e{n}", f"thing{n} is at place{n}") for n in range(30)])


def finds_by_tokens(store: MemoryStore) -> bool:
    """Whether the synonyms that only the token vectors know are found, well above everything else."""
    first, second = store.scoped(user_id="john").search("enjoys beverage", limit=2)
    assert first.score is not None
    assert second.score is not None
    return first.id == "tea" and first.score > second.score + 0.3


def vectors_of(path: Path) -> set[str]:
    return set(json.loads((path / "shard" / "edge_config.json").read_text())["vectors"])


class TestOffByDefault:
    @pytest.mark.parametrize("options", [{}, {"reranker": None}], ids=["left out", "none"])
    def test_nothing_is_stored_or_asked(self, tmp_path: Path, embedder: WordTokens, options: dict[str, Any]) -> None:
        with open_store(path=tmp_path / "s", embedder=embedder, **options, **RELEVANCE) as store:
            fill(store)
            assert not finds_by_tokens(store)
        assert vectors_of(tmp_path / "s") == {"dense", "passages"}
        assert "token" not in (tmp_path / "s" / "store.json").read_text()
        assert embedder.token_calls == []

    def test_with_it_they_are(self, tmp_path: Path, embedder: WordTokens) -> None:
        with open_store(path=tmp_path / "s", embedder=embedder, reranker="maxsim", **RELEVANCE) as store:
            fill(store)
            assert finds_by_tokens(store)
        assert vectors_of(tmp_path / "s") == {"dense", "passages", "tokens"}
        told = json.loads((tmp_path / "s" / "store.json").read_text())
        assert told["fingerprint"]["tokens"] == 32
        assert 0 < told["token_spread"][0] < 1

    def test_an_embedder_of_a_store_that_has_them(self, tmp_path: Path, embedder: WordTokens) -> None:
        with open_store(path=tmp_path / "s", embedder=embedder, reranker="maxsim") as store:
            theirs = store.embedder
        embedder.token_calls.clear()
        for _ in range(2):  # created, and opened again
            with open_store(path=tmp_path / "t", embedder=theirs, **RELEVANCE) as other:
                fill(other)
                assert other.embedder is not None
                assert other.embedder.tokens is None
                assert other.scoped(user_id="john").search("tea")[0].found_by == ("semantic", "keywords")
        assert vectors_of(tmp_path / "t") == {"dense", "passages"}
        assert embedder.token_calls == []


class TestFiles:
    @pytest.fixture
    def store(self, tmp_path: Path, embedder: WordTokens) -> Any:
        with open_store(path=tmp_path / "s", embedder=embedder, reranker="maxsim", **RELEVANCE) as store:
            fill(store)
            yield store

    def test_written_anew(self, store: MemoryStore) -> None:
        store.scoped(user_id="jane").reset()
        assert store.compact()
        assert finds_by_tokens(store)

    def test_changed_by_a_program_without_the_embedder(
        self, store: MemoryStore, tmp_path: Path, embedder: WordTokens
    ) -> None:
        """A command, say. What it saves waits for the application, and nothing of the earlier text is found."""
        store.close()
        config = MemoryConfig.build(path=tmp_path / "s", user_id="john")
        with open_configured(config, by_words=True, existing=True) as words:
            words.update("tea", content="John has a car")
            words.put([MemoryEntry("given", "Ann likes tea", embedding=embedder.vector("Ann likes tea"))])
        with open_store(path=tmp_path / "s", embedder=embedder, **RELEVANCE) as again:
            john = again.scoped(user_id="john")
            assert (john.search("enjoys beverage")[0].score or 0.0) < 0.4
            assert john.embed_missing() == 2
            assert john.search("enjoys beverage", limit=1)[0].id == "given"
            assert {entry.id for entry in john.search("has automobile", limit=2)} == {"tea", "car"}

    def test_mended(
        self, store: MemoryStore, tmp_path: Path, embedder: WordTokens, caplog: pytest.LogCaptureFixture
    ) -> None:
        store.close()
        [index] = sorted((tmp_path / "s" / "shard" / "segments").glob("*/payload_index"))[:1]
        for file in index.rglob("*"):
            if file.is_file():
                file.unlink()
        with open_store(path=tmp_path / "s", embedder=embedder, **RELEVANCE) as again:
            assert again.scoped(user_id="john").count() == 32
            assert "it is mended" in caplog.text
            assert finds_by_tokens(again)
        assert check(path=tmp_path / "s").is_whole

    def test_backed_up_and_restored(self, store: MemoryStore, tmp_path: Path, embedder: WordTokens) -> None:
        back_up(store, tmp_path / "backup")
        restore(tmp_path / "backup", path=tmp_path / "t")
        with open_store(path=tmp_path / "t", embedder=embedder, **RELEVANCE) as again:
            assert finds_by_tokens(again)

    def test_vectors_of_another_length_are_refused(self, store: MemoryStore) -> None:
        connection: Any = store.backend.connection  # type: ignore[attr-defined]
        keywords = KeywordEncoder("english").document("x", ())
        wrong = ([1.0] * 16,)
        payload = {"content": "x", "record": '{"id":"x"}'}
        id = "00000000-0000-0000-0000-000000000001"
        for request in (
            Upsert([PointData(id, payload, keywords, [1.0] * 64, tokens=wrong)]),
            Upsert([PointData(id, payload, keywords, None, tokens=wrong)]),
        ):
            with pytest.raises(DimensionMismatchError, match="holds vectors of 32 dimensions, this one has 16"):
                run(connection.ask(request))
        run(connection.ask(Upsert([PointData(id, payload, keywords, [1.0] * 64)])))
        with pytest.raises(DimensionMismatchError, match="holds vectors of 32 dimensions, this one has 16"):
            run(connection.ask(Change(id, {}, keywords=keywords, dense=[1.0] * 64, tokens=wrong)))
        with pytest.raises(DimensionMismatchError, match="holds vectors of 32 dimensions, this one has 16"):
            run(connection.ask(SetVectors((), [NewVector(id, "x", [1.0] * 64, (), wrong)])))


def test_a_store_without_them_takes_none(tmp_path: Path, embedder: WordTokens) -> None:
    with open_store(path=tmp_path / "s", embedder=embedder, **RELEVANCE) as store:
        connection: Any = store.backend.connection  # type: ignore[attr-defined]
        keywords = KeywordEncoder("english").document("x", ())
        point = PointData("00000000-0000-0000-0000-000000000001", {"content": "x", "record": "{}"}, keywords, None)
        with pytest.raises(EmbedderMismatchError, match="was created without token vectors and takes none"):
            run(connection.ask(Upsert([point._replace(tokens=[[1.0] * 32])])))


class TestReembedding:
    """The remedy that the error names: token vectors for a store that has none yet, while it is in use."""

    def test_they_come_and_go(self, tmp_path: Path, embedder: WordTokens) -> None:
        options: dict[str, Any] = {"path": tmp_path / "s", "embedder": embedder, **RELEVANCE}
        with open_store(**options) as store:
            fill(store)
            with pytest.raises(ConfigurationError, match=r"admin\.reembed\(store, embedder, reranker='maxsim'\)"):
                open_store(**options, reranker="maxsim")
            before = store.scoped(user_id="john").list(limit=200)
            planned = reembed(store, embedder, reranker="maxsim", dry_run=True)
            assert (planned.entries, planned.changed) == (152, True)
            assert not finds_by_tokens(store)
            done = reembed(store, embedder, reranker="maxsim")
            assert (done.entries, done.embedded, done.without, done.changed) == (152, 152, 0, True)
            assert finds_by_tokens(store), "this handle uses them at once"
            assert store.scoped(user_id="john").list(limit=200) == before
            jane = store.scoped(user_id="jane")
            jane.add("She has a brew", id="brew")
            assert jane.search("enjoys beverage", limit=1)[0].id == "brew"
            assert not reembed(store, embedder).changed, "as the store has it"
        with open_store(**options, reranker="maxsim") as store:
            assert finds_by_tokens(store)
            done = reembed(store, embedder, reranker="none")
            assert (done.embedded, done.changed) == (153, True)
            assert not finds_by_tokens(store)
        assert vectors_of(tmp_path / "s") == {"dense", "passages"}
        assert check(path=tmp_path / "s").is_whole

    def test_to_another_embedder(self, tmp_path: Path, embedder: WordTokens) -> None:
        """It gets token vectors as the store has them, and says so if it cannot make them."""
        with open_store(path=tmp_path / "s", embedder=embedder, reranker="maxsim", **RELEVANCE) as store:
            fill(store)
            with pytest.raises(ConfigurationError, match=r"has no method embed_tokens.*reranker='none'"):
                reembed(store, FakeEmbedder(48))
            assert finds_by_tokens(store)
            assert reembed(store, WordTokens(48, token_dimensions=24)).changed
            assert finds_by_tokens(store)
            with pytest.raises(ConfigurationError, match="reranker is 'best'"):
                reembed(store, embedder, reranker="best")  # type: ignore[arg-type]
            with pytest.raises(ConfigurationError, match="without an embedder there are none"):
                reembed(store, "keywords", reranker="maxsim")
            assert reembed(store, "keywords").changed
            assert store.scoped(user_id="john").search("likes tea")[0].id == "tea"
        assert "token" not in (tmp_path / "s" / "store.json").read_text()

    def test_from_keywords(self, tmp_path: Path, embedder: WordTokens) -> None:
        with open_store(path=tmp_path / "s", embedder=None, **RELEVANCE) as store:
            fill(store)
            assert reembed(store, embedder, reranker="maxsim").embedded == 152
            assert finds_by_tokens(store)

    def test_cut_short_it_goes_on(self, tmp_path: Path, embedder: WordTokens) -> None:
        """What was collected without token vectors, or by other code, is not taken for what is asked now."""
        options: dict[str, Any] = {"path": tmp_path / "s", "embedder": embedder, **RELEVANCE}
        with open_store(**options) as store:
            fill(store)

            def away_at_last(count: int) -> None:
                embedder.fails = ConnectionError("connection refused") if count >= 64 else None

            with pytest.raises(EmbedderUnavailableError, match="connection refused"):
                reembed(store, embedder, reranker="maxsim", progress=away_at_last)
            embedder.fails = None
            assert not finds_by_tokens(store), "and nothing has changed so far"
            done = reembed(store, embedder, reranker="maxsim")
            assert done.embedded < 152
            assert done.embedded + done.there == 152
            assert finds_by_tokens(store)


def test_vectors_that_were_collected_before_there_were_token_vectors(tmp_path: Path) -> None:
    """A change of the embedder that earlier code has begun goes on."""
    file = tmp_path / "store.vectors"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE vectors (id TEXT PRIMARY KEY, digest BLOB, dense BLOB, passages BLOB)")
    directory: Any = type("Directory", (), {"path": tmp_path})
    vectors = NewVectors(directory)
    vectors.keep([NewVector("a", "tea", [1.0, 0.0]), NewVector("b", "car", [0.0, 1.0], (), [[1.0], [2.0]])])
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE vectors SET tokens = NULL WHERE id = 'a'")
    assert vectors.vectors_of({"a": "tea", "b": "car"}) == {
        "a": {"dense": [1.0, 0.0]},
        "b": {"dense": [0.0, 1.0], "tokens": [[1.0], [2.0]]},
    }
    vectors.close()


@pytest.mark.parametrize("how", sample(["missing", "cut", "zeros"], 2))
def test_damaged_token_vectors_cost_no_entry(tmp_path: Path, embedder: WordTokens, how: str) -> None:
    """Without them an entry is found by its words and by the vector of its text."""
    path = tmp_path / "s"
    with open_store(path=path, embedder=embedder, reranker="maxsim", **RELEVANCE) as store:
        fill(store)
    files = [file for file in (path / "shard").rglob("vector_storage-tokens/**/*") if file.is_file()]
    assert files
    for file in files:
        if how == "missing":
            file.unlink()
        else:
            size = file.stat().st_size
            file.write_bytes(bytes(size if how == "zeros" else size // 2))
    with open_store(path=path, embedder=embedder, **RELEVANCE) as again:
        assert again.health()["lost"] is None
        john = again.scoped(user_id="john")
        assert john.count() == 32
        assert john.search("likes tea")[0].id == "tea"
        assert len((john.get("tea") or MemoryEntry("", "")).embedding or ()) == 64
        john.update("tea", content="John enjoys a brew")
        assert finds_by_tokens(again), "what is written now has its own"
    assert check(path=path).is_whole

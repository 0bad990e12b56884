"""An embedder is asked once for a text, as long as a process remembers its vector."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import EmbedderError, open_store
from crewai_persistent_memory.embedding import VECTORS, Embedder
from crewai_persistent_memory.embedding.spread import SENTENCES
from crewai_persistent_memory.embedding.vector_cache import VectorCache, owner_of

from ..support.calling import CALLS
from ..support.embedders import WordHashEmbedder


@pytest.fixture(params=sorted(CALLS))
def do(request: pytest.FixtureRequest) -> Any:
    return CALLS[request.param]


def asked(embedder: WordHashEmbedder) -> list[str]:
    """The texts that an embedder was asked for, since the last look."""
    texts = [text for call in embedder.calls for text in call if text not in SENTENCES]
    embedder.calls.clear()
    return texts


class TestStores:
    def test_a_text_is_embedded_once(self, tmp_path: Path, do: Any) -> None:
        embedder = WordHashEmbedder()
        with open_store(path=tmp_path / "s", user_id="john", embedder=embedder) as store:
            do(store, "add", "John likes tea")
            asked(embedder)
            first = do(store, "search", "what does John drink?")
            assert asked(embedder) == ["what does John drink?"]
            assert do(store, "search", "what does John drink?") == first
            do(store, "add", "what does John drink?")
            do(store, "add", "John likes tea", id="again")
            do(store, "search", "John likes tea")
            assert asked(embedder) == []
            kept = do(store, "get", "again").embedding
            assert kept == pytest.approx(embedder.vector("John likes tea"), abs=5e-4)

    def test_a_list_that_says_something_twice(self) -> None:
        embedder = WordHashEmbedder()
        dense = Embedder.build(embedder)
        asked(embedder)
        assert dense.embed(["tea", "cake", "tea"]) == [embedder.vector(text) for text in ("tea", "cake", "tea")]
        assert asked(embedder) == ["tea", "cake"]
        assert dense.embed(["nuts", "tea"])[1] == embedder.vector("tea")
        assert asked(embedder) == ["nuts"]

    def test_a_deletion_forgets_vectors(self, tmp_path: Path, do: Any) -> None:
        embedder = WordHashEmbedder()
        with open_store(path=tmp_path / "s", user_id="john", embedder=embedder) as store:
            do(store, "add", "John likes tea", id="a")
            do(store, "delete", "a")
            assert len(VECTORS) == 0
            do(store, "search", "tea")
            do(store, "reset")
            assert len(VECTORS) == 0


class TestApart:
    def test_two_functions(self) -> None:
        one, other = WordHashEmbedder(salt="one"), WordHashEmbedder(salt="other")
        assert Embedder.build(one).embed(["tea"]) != Embedder.build(other).embed(["tea"])
        assert "tea" in asked(other)

    def test_two_embedders_of_one_function(self) -> None:
        function = WordHashEmbedder()
        one, other = Embedder.build(function), Embedder.build(function)
        one.embed(["tea"])
        asked(function)
        assert other.embed(["tea"]) == [function.vector("tea")]
        assert asked(function) == []

    def test_a_function_that_is_gone(self) -> None:
        """Its vectors do not hold it, and are not those of another one that gets its place in memory."""
        function = WordHashEmbedder()
        gone, number = weakref.ref(function), owner_of(function).number
        Embedder.build(function).embed(["tea"])
        del function
        gc.collect()
        assert gone() is None
        assert all(owner_of(WordHashEmbedder()).number != number for _ in range(100))

    def test_questions_of_a_model_that_tells_them_from_texts(self) -> None:
        class Model(WordHashEmbedder):
            def queries(self, texts: list[str]) -> list[list[float]]:
                return self([f"query: {text}" for text in texts])

        model = Model()
        dense = Embedder.build(model)
        assert dense.embed(["tea"]) != dense.embed(["tea"], queries=True)
        assert asked(model)[-2:] == ["tea", "query: tea"]

    def test_a_long_text_in_few_and_in_many_pieces(self) -> None:
        dense = Embedder.build(WordHashEmbedder())
        long = " ".join(f"word{number}" for number in range(20_000))
        assert dense.embed([long], most_pieces=2) != dense.embed([long], most_pieces=8)


class TestFailures:
    def test_a_text_without_a_vector_is_asked_for_again(self) -> None:
        refused = {"nuts"}

        def embed(texts: list[str]) -> list[list[float]]:
            return [[] if text in refused else WordHashEmbedder().vector(text) for text in texts]

        dense = Embedder.build(embed)
        assert dense.embed(["tea", "nuts"])[1] == []
        refused.clear()
        assert dense.embed(["nuts"])[0]

    def test_what_is_known_is_given_with_what_is_refused(self) -> None:
        def embed(texts: list[str]) -> Any:
            return [["no number"] if text == "nuts" else [1.0, 2.0] for text in texts]

        dense = Embedder.build(embed)
        dense.embed(["tea"])
        assert dense.embed(["tea", "nuts"]) == [[1.0, 2.0], []]
        with pytest.raises(EmbedderError, match="not a sequence of numbers"):
            dense.embed(["nuts"])

    def test_known_texts_need_no_embedder(self, caplog: pytest.LogCaptureFixture) -> None:
        away = False

        def embed(texts: list[str]) -> list[list[float]]:
            if away:
                raise ConnectionError("refused")
            return [[1.0, 2.0] for _ in texts]

        dense = Embedder.build(embed)
        dense.embed(["tea"])
        away = True
        assert dense.embed(["tea"]) == [[1.0, 2.0]]
        assert caplog.messages == []
        with pytest.raises(EmbedderError):
            dense.embed(["cake"])


class TestBounds:
    @staticmethod
    def fill(cache: VectorCache, texts: Sequence[str], vector: Sequence[float] = (1.0, 2.0)) -> list[str]:
        """Have texts embedded. Returns those that the embedder was asked for."""
        asked: list[str] = []

        def ask(few: list[str]) -> list[list[float]]:
            asked.extend(few)
            return [list(vector) for _ in few]

        for text in texts:
            cache.embed(OWNER, "", [text], ask)
        return asked

    def test_number(self) -> None:
        cache = VectorCache(most_vectors=2)
        self.fill(cache, "abc")
        assert len(cache) == 2
        assert self.fill(cache, "bca") == ["a"], "the oldest one had to go"

    def test_bytes(self) -> None:
        cache = VectorCache(most_bytes=20)
        self.fill(cache, "abc")
        assert (len(cache), cache.size) == (2, 16)
        self.fill(cache, "d", vector=[0.5] * 100)
        assert (len(cache), cache.size) == (0, 0)

    def test_time(self) -> None:
        cache = VectorCache(seconds=0.0)
        assert self.fill(cache, "aa") == ["a", "a"]
        assert len(cache) == 0

    def test_exactly_as_it_was_made(self) -> None:
        for vector in ([0.5, 1.0], [0.1, 1 / 3], [1e300, 5e-324], [2**24 + 1.0, -0.0]):
            cache = VectorCache()
            self.fill(cache, "a", vector)
            assert cache.embed(OWNER, "", ["a"], lambda texts: []) == [vector]

    def test_made_while_others_were_deleted(self) -> None:
        cache = VectorCache()

        def ask(texts: list[str]) -> list[list[float]]:
            cache.clear()
            return [[1.0]]

        assert cache.embed(OWNER, "", ["a"], ask) == [[1.0]]
        assert len(cache) == 0

    def test_no_text_is_kept(self) -> None:
        cache = VectorCache()
        self.fill(cache, ["a text that nobody else has"])
        assert "nobody" not in repr(vars(cache))


OWNER = owner_of(TestBounds)

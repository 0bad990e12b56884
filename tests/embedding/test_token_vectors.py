"""Token vectors of an embedder, and of a model in the process; and what ``reranker="maxsim"`` may be combined with."""

from __future__ import annotations

import gc
import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crewai_persistent_memory import (
    ConfigurationError,
    EmbedderError,
    EmbedderUnavailableError,
    MemoryConfig,
    PersistentMemory,
    open_store,
)
from crewai_persistent_memory.adapters.checkpoint_recipe import described
from crewai_persistent_memory.adapters.checkpoint_restore import reopened, restoring
from crewai_persistent_memory.cli import main
from crewai_persistent_memory.embedding import VECTORS, Embedder, TokenEmbedder
from crewai_persistent_memory.embedding.spread import spread_of_maxsim
from crewai_persistent_memory.embedding.token_vectors import MOST_OF_A_QUERY, MOST_OF_A_TEXT, QUERY_BYTES, QUERY_PIECES
from crewai_persistent_memory.store.factory import open_configured

from ..support.crews import needs_unified
from ..support.token_embedders import WordTokens


@pytest.fixture
def function() -> WordTokens:
    VECTORS.clear()
    return WordTokens()


@pytest.fixture
def tokens(function: WordTokens) -> TokenEmbedder:
    made = Embedder.build(function).with_tokens().tokens
    assert made is not None
    return made


class TestAsked:
    def test_one_vector_for_each_token(self, function: WordTokens, tokens: TokenEmbedder) -> None:
        found = tokens.embed(["likes tea", "  ", "tea"])
        assert [len(vectors) for vectors in found] == [2, 0, 1]
        assert found[0][1] == found[2][0] == function.tokens.vector("tea")
        assert tokens.dimensions == 32

    def test_questions_are_asked_as_questions_and_kept(self, function: WordTokens, tokens: TokenEmbedder) -> None:
        function.token_calls.clear()
        first = tokens.embed(["who likes tea?", "tea"], queries=True)
        again = tokens.embed(["tea", "who likes tea?", "car"], queries=True)
        assert function.token_calls == [(["who likes tea?", "tea"], True), (["car"], True)]
        assert again[:2] == [first[1], first[0]]
        tokens.embed(["tea"])
        assert function.token_calls[-1] == (["tea"], False)

    def test_several_tokens_in_a_row_share_a_vector(self, function: WordTokens, tokens: TokenEmbedder) -> None:
        text = " ".join(f"word{n}" for n in range(250))
        [stored], [asked] = tokens.embed([text]), tokens.embed([text], queries=True)
        assert len(stored) == 125 <= MOST_OF_A_TEXT
        assert len(asked) == 63 <= MOST_OF_A_QUERY
        first = np.sum([function.tokens.vector(f"word{n}") for n in range(2)], axis=0)
        assert stored[0] == pytest.approx(list(first / np.linalg.norm(first)))

    @pytest.mark.parametrize("text", ["tea and milk. " * 1_000, "寿司が好き。" * 2_000], ids=["English", "Japanese"])
    def test_of_a_long_question_pieces_are_read(self, function: WordTokens, tokens: TokenEmbedder, text: str) -> None:
        """A recall waits for them, so a model that takes a millisecond for each token must not get thousands."""
        function.token_calls.clear()
        [found] = tokens.embed([f"first {text} last"], queries=True)
        [([asked], _)] = function.token_calls
        assert len(asked.encode()) <= QUERY_BYTES * QUERY_PIECES
        assert (asked[:5], asked[-4:]) == ("first", "last")
        assert 0 < len(found) <= MOST_OF_A_QUERY

    def test_arrays_and_rows_of_zeros(self, function: WordTokens, tokens: TokenEmbedder) -> None:
        """Some models fill all texts of a call up to one length."""
        function.answers = {"tea": np.array([[1.0] * 32, [0.0] * 32], dtype=np.float32)}
        assert tokens.embed(["tea"]) == [[[1.0] * 32]]

    def test_many_texts_are_several_calls(self, function: WordTokens, tokens: TokenEmbedder) -> None:
        function.token_calls.clear()
        assert len(tokens.embed([f"text {n}" for n in range(70)])) == 70
        assert [len(texts) for texts, _ in function.token_calls] == [32, 32, 6]

    def test_of_several_texts_one_is_refused(
        self, function: WordTokens, tokens: TokenEmbedder, caplog: pytest.LogCaptureFixture
    ) -> None:
        function.answers = {"odd": [[1.0, 2.0]]}
        with caplog.at_level(logging.WARNING):
            found = tokens.embed([*(f"text {n}" for n in range(9)), "an odd one"])
        assert [bool(vectors) for vectors in found] == [True] * 9 + [False]
        assert "1 of 10 texts have no token vectors" in caplog.text

    def test_too_few_lists(self, function: WordTokens, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(function, "embed_tokens", lambda texts, *, is_query: [])
        with pytest.raises(EmbedderError, match="returned 0 lists for 1 texts"):
            Embedder.build(function).with_tokens()

    @pytest.mark.parametrize(
        ("answer", "says"),
        [
            (None, "must return a list with an item for each text, and not NoneType"),
            ("a coroutine", "is asynchronous: give a function that returns a list"),
            ([np.float32(1.0)], "not a sequence of numbers but float"),
        ],
    )
    @pytest.mark.filterwarnings("error")
    def test_no_list(self, function: WordTokens, monkeypatch: pytest.MonkeyPatch, answer: Any, says: str) -> None:
        async def asynchronous() -> list[Any]:
            return []

        def answers(texts: list[str], *, is_query: bool = False) -> Any:
            return asynchronous() if answer == "a coroutine" else answer

        monkeypatch.setattr(function, "embed_tokens", answers)
        with pytest.raises(EmbedderError, match=says):
            TokenEmbedder(function, "it").probe()
        gc.collect()  # a coroutine that nobody awaited would warn here

    def test_no_vector_at_all(self, function: WordTokens) -> None:
        function.answers = {"": []}
        with pytest.raises(EmbedderError, match="returned no vector for a plain English sentence"):
            Embedder.build(function).with_tokens()

    def test_away(self, function: WordTokens, tokens: TokenEmbedder, caplog: pytest.LogCaptureFixture) -> None:
        function.fails = ConnectionError("connection refused with key sk-1234567890abcdefghij")
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                with pytest.raises(EmbedderUnavailableError, match="connection refused") as failure:
                    tokens.embed(["tea"])
        assert "sk-1234567890abcdefghij" not in str(failure.value) + caplog.text
        assert caplog.text.count("Until it answers") == 1
        function.fails = None
        assert tokens.embed(["tea"])[0]

    def test_the_spread_is_that_of_unrelated_sentences(self, tokens: TokenEmbedder) -> None:
        spread = tokens.spread()
        assert spread is not None
        assert 0.1 < spread.mean < 0.6
        assert 0.01 < spread.deviation < 0.2
        assert tokens.spread() is spread
        assert spread_of_maxsim([[[1.0]], []], [[[1.0]], [[1.0]]]) is None


class TestALocalModel:
    def test_a_vector_for_each_token_of_a_text(self, minilm: Path) -> None:
        tokens = Embedder.build(f"local:{minilm}").with_tokens().tokens
        assert tokens is not None
        assert tokens.dimensions == 384
        [short], [long] = tokens.embed(["John likes tea"]), tokens.embed(["tea " * 1000])
        assert len(short) == 3, "and none for the marks at both ends"
        assert len(long) <= MOST_OF_A_TEXT
        both = tokens.embed(["tea", "John likes tea"])
        assert [len(vectors) for vectors in both] == [1, 3]
        assert np.allclose(both[1], short, atol=0.05), "whatever else is in the call"

    def test_the_pieces_of_a_long_text_keep_their_order(self, minilm: Path) -> None:
        tokens = Embedder.build(f"local:{minilm}").with_tokens().tokens
        assert tokens is not None
        [vectors] = tokens.embed(["The first word is tea. " + "It rains. " * 600 + "The last word is automobile."])
        [[tea], [car]] = tokens.embed(["tea"], queries=True), tokens.embed(["automobile"], queries=True)
        nearest = [int(np.argmax(np.array(vectors) @ np.array(word))) for word in (tea[0], car[0])]
        assert nearest[0] < 5
        assert nearest[1] > len(vectors) - 6

    def test_a_model_of_whole_texts_only(self, minilm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from crewai_persistent_memory.embedding import local

        embedder = Embedder.build(f"local:{minilm}")
        run = local.OnnxSession.run

        def pooled(self: Any, encodings: Any, output: Any = ()) -> Any:
            answer, mask = run(self, encodings, output)
            return answer.mean(axis=1), mask

        monkeypatch.setattr(local.OnnxSession, "run", pooled)
        with pytest.raises(EmbedderError, match="has no token vectors: it returns one vector for each text"):
            embedder.with_tokens()

    @needs_unified
    def test_in_a_memory(self, tmp_path: Path, minilm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CREWAI_MEMORY_MODELS", str(minilm.parent))
        options: dict[str, Any] = {"path": tmp_path / "s", "user_id": "john", "reranker": "maxsim"}
        with PersistentMemory(**options, embedder=f"local:{minilm}") as memory:
            for text in ("Mary drives an old automobile", "The bank closes at five", "John likes green tea"):
                memory.remember(text)
            assert [match.record.content for match in memory.recall("Who has a car?", limit=1)] == [
                "Mary drives an old automobile"
            ]
        with PersistentMemory(path=tmp_path / "s", user_id="john") as memory:  # the store knows its model
            assert memory.store.embedder is not None
            assert memory.store.embedder.tokens is not None
            assert "automobile" in memory.recall("Who has a car?", limit=1)[0].record.content

    def test_for_an_existing_store_by_command(
        self, tmp_path: Path, minilm: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("CREWAI_MEMORY_MODELS", str(minilm.parent))
        path, name = str(tmp_path / "s"), f"local:{minilm}"
        with open_store(path=path, user_id="john", embedder=name) as store:
            store.add("John likes tea")

        def call(*arguments: str) -> int:
            monkeypatch.setattr(sys, "argv", ["crewai-memory", "reembed", name, "--path", path, "--yes", *arguments])
            with pytest.raises(SystemExit) as ended:
                main()
            return int(ended.value.code or 0)

        def tokens_there() -> bool:
            with open_store(path=path, user_id="john") as store:
                return store.embedder is not None and store.embedder.tokens is not None

        assert call("--reranker", "maxsim") == 0
        assert "1 of 1 memory were embedded" in capsys.readouterr().out
        assert tokens_there()
        assert call() == 0
        assert tokens_there(), "left out, it stays as it is"
        assert call("--reranker", "none") == 0
        assert not tokens_there()
        assert call("--reranker", "best") == 2


class TestTheOption:
    def test_mem0_keeps_none(self) -> None:
        with pytest.raises(ConfigurationError, match="'maxsim' needs token vectors, which Mem0 does not keep"):
            open_store(mem0={"api_key": "m0-key"}, reranker="maxsim")

    def test_vectors_from_crewai(self, tmp_path: Path) -> None:
        config = MemoryConfig.build(path=tmp_path / "s", reranker="maxsim")
        with pytest.raises(ConfigurationError, match="reranker: 'maxsim' needs the store's own embedder"):
            open_configured(config, external_vectors=True)

    def test_a_memory_over_an_open_store(self, tmp_path: Path, function: WordTokens) -> None:
        with (
            open_store(path=tmp_path / "s", user_id="john", embedder=function) as store,
            pytest.raises(ConfigurationError, match=r"reranker: 'maxsim' .* give it to open_store\(\) as well"),
        ):
            PersistentMemory(store=store, reranker="maxsim")
        with open_store(path=tmp_path / "t", user_id="john", embedder=function, reranker="maxsim") as store:
            memory = PersistentMemory(store=store, reranker="maxsim")
            memory.remember("John likes tea")
            memory.remember("The bank closes at five")
            assert memory.recall("enjoys beverage", limit=1)[0].record.content == "John likes tea"
            assert (
                PersistentMemory(store=store).recall("enjoys beverage", limit=1)[0].record.content == "John likes tea"
            )

    def test_by_the_environment(self, tmp_path: Path, function: WordTokens, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CREWAI_MEMORY_RERANKER", "maxsim")
        with open_store(path=tmp_path / "s", user_id="john", embedder=function) as store:
            assert store.embedder is not None
            assert store.embedder.tokens is not None

    def test_the_environment_may_be_that_of_other_stores(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CREWAI_MEMORY_RERANKER", "maxsim")
        config = MemoryConfig.build(path=tmp_path / "s")
        with open_configured(config, external_vectors=True) as store:
            assert store.embedder is None
        with open_configured(config, by_words=True, existing=True) as store:
            assert store.embedder is None

    def test_a_checkpoint_has_it(self, tmp_path: Path, function: WordTokens) -> None:
        with open_store(path=tmp_path / "s", user_id="john", embedder=function, reranker="maxsim") as store:
            place = described(store)
        assert place["options"]["reranker"] == "maxsim"
        with restoring(embedder=function):
            again, share = reopened(place)
        assert share is not None
        memory = PersistentMemory(store=again, reranker="maxsim")
        memory.remember("John likes tea")
        memory.remember("The bank closes at five")
        assert memory.recall("enjoys beverage", limit=1)[0].record.content == "John likes tea"
        share.close()

    def test_a_function_as_well(self, tmp_path: Path, function: WordTokens) -> None:
        """The store finds and scores with token vectors, and the function orders what is found."""
        options: dict[str, Any] = {"path": tmp_path / "s", "user_id": "john", "embedder": function}
        open_store(**options, reranker="maxsim").close()

        def backwards(query: str, texts: list[str]) -> list[int]:
            return [-len(text) for text in texts]

        with PersistentMemory(**options, reranker=backwards) as memory:
            memory.remember("John enjoys a beverage in the evening")
            memory.remember("Mary likes tea")
            assert memory.store.search("brew")[0].score is not None
            function.token_calls.clear()
            assert [match.record.content[:4] for match in memory.recall("likes brew")] == ["Mary", "John"]
            assert function.token_calls[0][1] is True

    def test_another_word_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match=r"reranker: .*or 'maxsim'"):
            open_store(path=tmp_path / "s", reranker="MaxSim")

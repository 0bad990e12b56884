"""The choice of embedder is made when a store is created, kept with it, and never changes silently."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any, ClassVar

import pytest

from crewai_persistent_memory import (
    ConfigurationError,
    EmbedderError,
    EmbedderMismatchError,
    EmbedderUnavailableError,
    MemoryConfig,
    open_store,
)
from crewai_persistent_memory.embedding import Embedder, Fingerprint, KeywordEncoder, normalize_spec, public_spec

from ..support.crews import needs_unified
from ..support.embedders import WordHashEmbedder
from ..support.openai_server import OpenAIServer

OPENAI = {"provider": "openai", "config": {"model_name": "text-embedding-3-small", "api_key": "sk-secret0123456789"}}


def create(path: Path, **options: Any) -> None:
    with open_store(path=path, user_id="john", **options) as store:
        store.add("John likes tea", id="a")


class TestDefault:
    """What a new store gets is decided by words, and never by a key that is in the environment."""

    def test_keywords_only_said_once(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO, "crewai_persistent_memory"):
            create(tmp_path / "s")
            create(tmp_path / "s")
        said = [record.getMessage() for record in caplog.records]
        assert len(said) == 1
        assert "keywords only, because no embedder= was given" in said[0]

    @pytest.mark.parametrize("key", ["sk-secret0123456789", "NA"])
    def test_a_key_changes_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", key)
        create(tmp_path / "s")
        with open_store(path=tmp_path / "s", user_id="john") as store:
            assert [entry.id for entry in store.search("tea")] == ["a"]
            assert store.health()["vectors"] == "keywords"

    def test_named_once_it_is_the_stores(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-secret0123456789")
        open_store(path=tmp_path / "s", embedder="openai/text-embedding-3-small").close()
        assert "secret" not in caplog.text + (tmp_path / "s" / "store.json").read_text()
        with open_store(path=tmp_path / "s") as store:
            assert store.health()["vectors"] == "embedder"
        open_store(path=tmp_path / "s", embedder=OPENAI).close()  # the same in other words
        monkeypatch.delenv("OPENAI_API_KEY")
        with pytest.raises(EmbedderUnavailableError, match="created with openai/text-embedding-3-small, which is not"):
            open_store(path=tmp_path / "s")

    def test_by_the_environment(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-secret0123456789")
        monkeypatch.setenv("CREWAI_MEMORY_EMBEDDER", "openai/text-embedding-3-small")
        open_store(path=tmp_path / "s").close()
        monkeypatch.setenv("CREWAI_MEMORY_EMBEDDER", "keywords")
        with pytest.raises(EmbedderMismatchError, match="embedder= and CREWAI_MEMORY_EMBEDDER"):
            open_store(path=tmp_path / "s")


class TestNames:
    @pytest.mark.parametrize(
        ("name", "spec"),
        [
            ("ollama/nomic-embed-text", {"provider": "ollama", "config": {"model_name": "nomic-embed-text"}}),
            ("huggingface/a/b", {"provider": "huggingface", "config": {"model_name": "a/b"}}),
            ("voyageai/voyage-3", {"provider": "voyageai", "config": {"model": "voyage-3"}}),
            ("onnx", {"provider": "onnx", "config": {}}),
        ],
    )
    def test_what_a_name_stands_for(self, name: str, spec: dict[str, Any]) -> None:
        assert MemoryConfig.build(embedder=name).embedder == spec

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("opnai/x", "did you mean openai"),
            ("zzz/x", "known are .*ollama"),
            ("text-embedding-3-small", "is not known"),
            ("openai", "names no model"),
            ("azure/x", "needs more than a model"),
            ("", "is not known"),
        ],
    )
    def test_what_is_refused(self, name: str, said: str) -> None:
        with pytest.raises(ConfigurationError, match=said):
            MemoryConfig.build(embedder=name)

    def test_crewai_has_every_provider(self) -> None:
        from crewai.rag.embeddings.factory import PROVIDER_PATHS

        from crewai_persistent_memory.embedding import names as named

        # CrewAI added google, openrouter (1.9) and renamed none.
        assert set(named._MODEL_KEY) - set(PROVIDER_PATHS) <= {"google", "openrouter"}

    @pytest.mark.crew
    def test_openai_by_its_name_and_the_keys_of_the_environment(
        self, tmp_path: Path, openai_server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        monkeypatch.setenv("OPENAI_BASE_URL", f"{openai_server.url}/v1")
        openai_server.embedded.clear()
        create(tmp_path / "s", embedder="openai/text-embedding-3-small")
        assert ["John likes tea"] in openai_server.embedded
        with open_store(path=tmp_path / "s", user_id="john") as store:  # as the command line opens it
            assert [entry.id for entry in store.search("tea")] == ["a"]


class TestKeys:
    """A key of the environment goes to the address of the environment."""

    ELSEWHERE: ClassVar[Any] = {
        "provider": "openai",
        "config": {"model_name": "text-embedding-3-small", "api_base": "http://127.0.0.1:9/v1"},
    }

    def test_another_address_does_not_get_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-secret0123456789")
        with pytest.raises(EmbedderUnavailableError, match=r"OPENAI_API_KEY .* belongs to https://api.openai.com/v1"):
            Embedder.build(self.ELSEWHERE)
        monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:8/v1")
        with pytest.raises(EmbedderUnavailableError, match=r"belongs to http://127\.0\.0\.1:8/v1"):
            Embedder.build(self.ELSEWHERE)

    def test_the_same_address_and_one_with_a_key_do(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-secret0123456789")
        monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/other")
        Embedder.build(self.ELSEWHERE)
        monkeypatch.delenv("OPENAI_BASE_URL")
        Embedder.build({**self.ELSEWHERE, "config": {**self.ELSEWHERE["config"], "api_key": "none"}})


class TestMismatch:
    def test_another_spec(self, tmp_path: Path) -> None:
        open_store(path=tmp_path / "s", embedder=OPENAI).close()
        other = {"provider": "openai", "config": {"model_name": "text-embedding-3-large", "api_key": "sk-x"}}
        with pytest.raises(
            EmbedderMismatchError, match=r"openai/text-embedding-3-small.*openai/text-embedding-3-large"
        ):
            open_store(path=tmp_path / "s", embedder=other)

    def test_another_key_or_address_is_the_same_embedder(self, tmp_path: Path) -> None:
        open_store(path=tmp_path / "s", embedder=OPENAI).close()
        moved = {"model": "text-embedding-3-small", "api_key": "sk-other", "api_base": "http://127.0.0.1:1/v1"}
        open_store(path=tmp_path / "s", embedder={"provider": "openai", "config": moved}).close()

    def test_another_function(self, tmp_path: Path) -> None:
        create(tmp_path / "s", embedder=WordHashEmbedder(32))
        create(tmp_path / "s", embedder=WordHashEmbedder(32))
        for other in (WordHashEmbedder(32, salt="other"), WordHashEmbedder(64)):
            with pytest.raises(EmbedderMismatchError, match="custom embedding function, but another one"):
                open_store(path=tmp_path / "s", embedder=other)
        with pytest.raises(EmbedderUnavailableError, match="pass the same one as embedder="):
            open_store(path=tmp_path / "s")

    def test_keywords_against_vectors(self, tmp_path: Path) -> None:
        create(tmp_path / "keywords", embedder=None)
        with pytest.raises(EmbedderMismatchError, match="created with keywords only"):
            open_store(path=tmp_path / "keywords", embedder=WordHashEmbedder())
        create(tmp_path / "vectors", embedder=WordHashEmbedder())
        for keywords in (None, "keywords"):
            with pytest.raises(EmbedderMismatchError, match="but keywords only was asked for"):
                open_store(path=tmp_path / "vectors", embedder=keywords)

    @needs_unified
    def test_vectors_from_outside(self, tmp_path: Path) -> None:
        from crewai_persistent_memory import QdrantStorageBackend

        QdrantStorageBackend(path=tmp_path / "outside", user_id="john").close()
        with pytest.raises(EmbedderMismatchError, match="created by QdrantStorageBackend"):
            open_store(path=tmp_path / "outside", embedder=WordHashEmbedder())
        create(tmp_path / "keywords", embedder=None)
        backend = QdrantStorageBackend(path=tmp_path / "keywords", user_id="john")
        with pytest.raises(EmbedderMismatchError, match="takes no vectors"):
            backend.search([1.0, 2.0])
        backend.close()

    def test_another_language(self, tmp_path: Path) -> None:
        create(tmp_path / "s", embedder=None, language="german")
        create(tmp_path / "s")
        with pytest.raises(ConfigurationError, match="created with 'german'"):
            open_store(path=tmp_path / "s", language="english")


class TestFailures:
    def test_an_embedder_that_fails_loses_nothing(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        embedder = WordHashEmbedder()
        with open_store(path=tmp_path / "s", user_id="john", embedder=embedder) as store:

            def broken(texts: list[str]) -> Any:
                raise TimeoutError("no answer for key sk-secret0123456789")

            store.embedder._function = broken  # type: ignore[attr-defined]
            store.add("John likes tea", id="a")
            store.add("John likes cake", id="b")
            assert store.search("tea")[0].id == "a"
            assert store.get("a").embedding is None  # type: ignore[union-attr]
            warnings = [record.getMessage() for record in caplog.records]
            assert len(warnings) == 1, "once an outage"
            assert "TimeoutError" in warnings[0]
            assert "secret" not in warnings[0]
            with pytest.raises(EmbedderUnavailableError, match="TimeoutError"):
                store.embed_missing()

    @pytest.mark.parametrize(
        ("answer", "message"),
        [
            ([], "returned 0 vectors for 1"),
            ([["a"]], "not a sequence of numbers"),
            ([[float("nan")]], "not finite"),
            ([[1e200, -1e200]], "too large"),
            ([3], "not a sequence of numbers"),
            (None, "must return a list with an item for each text, and not NoneType"),
        ],
    )
    def test_nonsense_is_named(self, answer: Any, message: str) -> None:
        with pytest.raises(EmbedderError, match=message):
            Embedder(lambda texts: answer, Fingerprint()).embed(["x"])

    def test_a_number_that_the_engine_cannot_hold(self, tmp_path: Path) -> None:
        """The engine has floats of 32 bits. There it would be infinite, and every search would fail."""

        class Odd(WordHashEmbedder):
            def vector(self, text: str) -> list[float]:
                vector = super().vector(text)
                return [1e39, -1e39, *vector[2:]] if "odd" in text else vector

        with open_store(path=tmp_path / "s", user_id="john", embedder=Odd()) as store:
            store.add("John likes tea", id="tea")
            store.add("John has an odd hat", id="hat")
            assert {entry.id for entry in store.search("odd tea hat")} == {"tea", "hat"}
            assert {entry.id for entry in store.search("tea hat")} == {"tea", "hat"}

    def test_an_empty_vector_means_none(self, tmp_path: Path) -> None:
        class Picky(WordHashEmbedder):
            def vector(self, text: str) -> list[float]:
                return [] if "tea" in text else super().vector(text)

        with open_store(path=tmp_path / "s", user_id="john", embedder=Picky()) as store:
            store.add("tea", id="a")
            assert store.get("a").embedding is None  # type: ignore[union-attr]
            assert [entry.id for entry in store.search("tea")] == ["a"]

    @pytest.mark.parametrize(
        ("embedder", "message"),
        [
            ("openai", "embedder"),
            ({"config": {}}, "provider is missing"),
            ({"provider": "openai", "model": "x"}, "unknown key model"),
            (7, "embedder"),
        ],
    )
    def test_what_is_no_embedder(self, tmp_path: Path, embedder: Any, message: str) -> None:
        with pytest.raises(ConfigurationError, match=message):
            open_store(path=tmp_path / "s", embedder=embedder)
        assert not (tmp_path / "s" / "store.json").exists()

    def test_an_unknown_provider(self, tmp_path: Path) -> None:
        with pytest.raises(EmbedderUnavailableError, match="'nope' cannot be built"):
            open_store(path=tmp_path / "s", embedder={"provider": "nope"})

    def test_a_missing_key_has_the_name_by_which_it_is_read(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """CrewAI's own error names ``CHROMA_OPENAI_API_KEY``."""
        for name in ("OPENAI_API_KEY", "EMBEDDINGS_OPENAI_API_KEY", "CHROMA_OPENAI_API_KEY"):
            monkeypatch.delenv(name, raising=False)
        with pytest.raises(EmbedderUnavailableError, match="no key was given, and OPENAI_API_KEY is not set"):
            open_store(path=tmp_path / "s", embedder="openai/text-embedding-3-small")
        assert not (tmp_path / "s" / "store.json").exists()


class TestSecrets:
    def test_none_is_kept_or_shown(self, tmp_path: Path) -> None:
        spec = {
            "provider": "openai",
            "config": {
                "model_name": "m",
                "api_key": "sk-secret0123456789",
                "api_base": "http://user:secret@127.0.0.1/v1?token=secret",
                "default_headers": {"Authorization": "secret"},
            },
        }
        assert "secret" not in json.dumps(public_spec(normalize_spec(spec)))
        with open_store(path=tmp_path / "s", embedder=spec) as store:
            shown = repr(store) + repr(store.embedder) + json.dumps(store.health())  # type: ignore[attr-defined]
        assert "secret" not in shown + (tmp_path / "s" / "store.json").read_text()


class TestKeywords:
    def test_language(self) -> None:
        german = KeywordEncoder("german")
        assert set(german.query("die Häuser").indices) == set(german.query("das Haus").indices)
        plain = KeywordEncoder("none")
        assert plain.query("the").indices
        with pytest.raises(ConfigurationError, match="klingon"):
            KeywordEncoder("klingon")

    def test_similarity(self) -> None:
        encoder = KeywordEncoder()
        assert encoder.similarity("John likes tea", "john LIKES teas") == pytest.approx(1.0)
        assert encoder.similarity("John likes tea", "the weather in Spain") == 0.0
        assert encoder.similarity("", "") == 0.0

    def test_a_neighbours_words_do_not_change_a_ranking(self, tmp_path: Path) -> None:
        """How rare a word is, is counted over the caller's own entries: ranks tell nothing of other users'."""
        with open_store(path=tmp_path / "s", embedder=None) as store:
            john, jane = store.scoped(user_id="john"), store.scoped(user_id="jane")
            for text in ("merger talks at noon", "merger lunch", "merger again", "budget review", "lunch"):
                john.add(text)
            before = [(e.content, e.score) for e in john.search("merger budget")]
            for i in range(200):
                jane.add(f"budget number {i}")
            after = john.search("merger budget")
            assert [e.content for e in after] == [content for content, _ in before]


@pytest.mark.parametrize("answer", [[1.0] * 7, [float("nan")] * 64, None], ids=["another length", "no number", "none"])
def test_what_a_broken_embedder_refused_is_embedded_when_it_is_mended(tmp_path: Path, answer: Any) -> None:
    mended = WordHashEmbedder()
    is_broken = False

    def embedder(texts: list[str]) -> list[list[float]]:
        return [answer for _ in texts] if is_broken else mended(texts)

    with open_store(path=tmp_path / "s", user_id="john", embedder=embedder) as store:
        store.add("John likes a window seat")
        is_broken = True
        store.add("John is allergic to nuts")
        assert store.embed_missing() == 0
        is_broken = False
        assert store.embed_missing() == 1
        assert store.embed_missing() == 0

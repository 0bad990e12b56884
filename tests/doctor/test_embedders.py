"""An embedder that is gone, not used, or not the one that the store was made with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import EmbedderUnavailableError, MemoryEntry, Scope, open_store
from crewai_persistent_memory.store.factory import open_configured

from ..support.embedders import WordHashEmbedder
from ..support.openai_server import OpenAIServer
from .conftest import Look

KEY = "sk-a-key-of-the-embedder"


def spec_of(server: OpenAIServer, model: str = "text-embedding-3-small") -> dict[str, Any]:
    config = {"model_name": model, "api_base": f"{server.url}/v1", "api_key": KEY}
    return {"provider": "openai", "config": config}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "stores" / "mine"


def remembered(path: Path, embedder: Any) -> None:
    with open_store(path=path, embedder=embedder, user_id="john") as store:
        store.add("John likes tea")


def test_one_that_answers(look: Look, path: Path) -> None:
    with OpenAIServer() as server:
        remembered(path, spec_of(server))
        report = look(path=path, embedder=spec_of(server))
    assert report.bad == []
    assert "answers, with vectors of " in report.of("embedder", "ok")
    assert f"at {server.url}/v1" in report.of("addresses")
    assert KEY not in report.text


def test_one_that_is_gone(look: Look, path: Path) -> None:
    with OpenAIServer() as server:
        remembered(path, spec_of(server))
    report = look(path=path, embedder=spec_of(server))
    assert "the embedder openai/text-embedding-3-small" in report.of("embedder", "error")
    assert report.of("write", "ok"), "what is not about the embedder is checked all the same"
    assert KEY not in report.text


def test_one_that_does_not_answer_in_time(look: Look, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    from crewai_persistent_memory.doctor import embedders

    monkeypatch.setattr(embedders, "ANSWERS_WITHIN", 0.1)
    held, works = threading.Event(), WordHashEmbedder()
    held.set()

    def slow(texts: list[str]) -> list[list[float]]:
        held.wait()
        return works(texts)

    remembered(path, slow)
    with open_store(path=path, embedder=slow, user_id="john") as store:
        held.clear()
        try:
            report = look(store)
        finally:
            held.set()
    assert "does not answer within 0.1 s" in report.of("embedder", "error")


def test_another_one_than_the_stores(look: Look, path: Path) -> None:
    with OpenAIServer() as server:
        remembered(path, spec_of(server))
        report = look(path=path, embedder=spec_of(server, "text-embedding-3-large"))
        assert "was created with openai/text-embedding-3-small" in report.of("embedder", "error")
        assert "keywords only was asked for" in look(path=path, embedder=None).of("embedder", "error")


def test_one_for_a_store_of_keywords(look: Look, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remembered(path, None)
    monkeypatch.setenv("CREWAI_MEMORY_EMBEDDER", "openai/text-embedding-3-small")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    report = look(path=path)
    assert "was created with keywords only" in report.of("embedder", "error")
    assert KEY not in report.text


def test_one_of_the_environment_that_the_call_replaces(look: Look, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREWAI_MEMORY_EMBEDDER", "openai/text-embedding-3-small")
    remembered(path, None)
    assert "CREWAI_MEMORY_EMBEDDER is set and not used: the call gives keywords" in look(path=path, embedder=None).of(
        "embedder", "warning"
    )


def test_one_without_a_key(look: Look, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with OpenAIServer() as server:
        remembered(path, spec_of(server))
    report = look(path=path)
    assert "which is not usable here" in report.of("embedder", "error")


def test_a_function_of_the_application(look: Look, path: Path) -> None:
    remembered(path, WordHashEmbedder())
    assert "exists in the application only" in look(path=path).of("embedder", "note")
    with open_store(path=path, embedder=WordHashEmbedder(), user_id="john") as store:
        assert "answers" in look(store).of("embedder", "ok")
    assert "was created with" in look(path=path, embedder=WordHashEmbedder(salt="other")).of("embedder", "error")


def test_configured_and_not_used(look: Look, path: Path) -> None:
    """Entries that were saved while the embedder was away."""
    embedder, away = WordHashEmbedder(), False

    def answering(texts: list[str]) -> list[list[float]]:
        if away:
            raise EmbedderUnavailableError("away")
        return embedder(texts)

    with open_store(path=path, embedder=answering, user_id="john") as store:
        away = True
        store.put([MemoryEntry("a", "John likes tea"), MemoryEntry("b", "John likes figs")])
        away = False
        assert "2 of the entries of project default have no vector" in look(store).of("embedder", "warning")
        store.embed_missing()
        assert look(store).bad == []


def test_keywords_only(look: Look, path: Path) -> None:
    remembered(path, None)
    assert "the same words, not the same meaning" in look(path=path).of("embedder", "note")


def test_another_language(look: Look, path: Path) -> None:
    remembered(path, None)
    assert "was created with 'english'" in look(path=path, language="german").of("embedder", "error")


def test_vectors_of_crewais_own_engine(look: Look, path: Path) -> None:
    from crewai_persistent_memory import MemoryConfig

    config = MemoryConfig.build(path=path, scope=Scope("john"))
    with open_configured(config, external_vectors=True) as store:
        store.put([MemoryEntry("a", "tea", embedding=[1.0, 0.0])])
        report = look(store)
    assert report.bad == []
    assert "QdrantStorageBackend" in report.of("embedder", "note")

"""Mem0 OSS: texts and queries longer than its embedder takes are kept and found."""

from __future__ import annotations

from ..support.openai_server import OpenAIServer, refusal_of
from .conftest import OpenMem0


def test_kept_and_found(oss: OpenMem0, openai_server: OpenAIServer) -> None:
    store = oss()
    long = f"John likes tea {'and what was said about it goes on ' * 2_000} marker {'量子' * 5_000}"
    store.add(long, id="a")
    store.add("Jane likes cake", id="b")
    found = store.search(f"tea? {'what was said about it goes on ' * 30_000}", limit=1)
    assert [entry.content for entry in found] == [long]
    store.update("b", content=long.replace("tea", "cake"))
    assert all(refusal_of(texts) is None for texts in openai_server.embedded)


def test_a_text_is_embedded_once(oss: OpenMem0, openai_server: OpenAIServer) -> None:
    store = oss()
    store.add("John likes tea", id="a")
    store.search("what does John drink?")
    openai_server.embedded.clear()
    store.search("what does John drink?")
    assert openai_server.embedded == []
    store.search("what does John eat?")
    assert openai_server.embedded == [["what does John eat?"]]

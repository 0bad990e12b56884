"""A crew whose memory finds by token vectors what neither keywords nor the vectors of texts find."""

from __future__ import annotations

from pathlib import Path

import pytest

from crewai_persistent_memory import PersistentMemory

from ..support.token_embedders import WordTokens
from .test_crews import asked

pytestmark = pytest.mark.crew


def shown(path: Path, reranker: str | None) -> str:
    embedder = WordTokens()
    with PersistentMemory(
        path=path, user_id="john", embedder=embedder, reranker=reranker, min_score=0.5, fsync="close"
    ) as memory:
        for number in range(30):
            memory.remember(f"Branch number {number} closes at five on Fridays")
        memory.remember("Mary owns a small red car")
        prompt = asked(memory, "enjoys red automobile")
        assert any(is_query for _, is_query in embedder.token_calls) is (reranker is not None)
    return prompt


def test_the_fact_is_in_the_prompt_and_nothing_else_is(tmp_path: Path) -> None:
    prompt = shown(tmp_path / "s", "maxsim")
    assert "Mary owns a small red car" in prompt
    assert "closes at five" not in prompt


def test_without_them_it_is_not(tmp_path: Path) -> None:
    assert "Mary" not in shown(tmp_path / "s", None)

"""A crew's turn is kept whatever its embedder, its length and its characters are; and a long task still recalls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import PersistentMemory

from ..support.crews import ScriptedLLM, final, memories_in, needs_unified, one_agent_crew
from ..support.embedders import WordHashEmbedder
from ..support.memory_llm import MemoryLLM
from ..support.openai_server import refusal_of

pytestmark = pytest.mark.crew


class Refused(Exception):
    """As ``openai.BadRequestError``."""

    status_code = 400


class Strict(WordHashEmbedder):
    """Refuses what OpenAI refuses, and can be away."""

    away = False

    def __call__(self, texts: list[str]) -> list[list[float]]:
        if self.away:
            raise ConnectionError("connection refused")
        if refusal := refusal_of(texts):
            raise Refused(refusal)
        return super().__call__(texts)


OTHER = " ".join(f"topic{number} word{number}" for number in range(2_000))
LONG = " ".join(f"and the guest said {number} more things" for number in range(700))


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (f"Remember: {LONG} the word is marzipan {LONG}", "Noted."),
        ("Tell me all about it", f"{LONG} the word is marzipan {LONG}"),
        ("Tell me the word", "The word \ud83d is marzipan\x00"),
        ("Tell me the word", f"量子計算の話{'の話' * 5_000}。 marzipan 。{'量子' * 5_000}"),
    ],
    ids=["a long request", "a long answer", "a lone surrogate", "no blanks"],
)
def test_a_turn_is_kept(tmp_path: Path, request_: str, answer: str) -> None:
    embedder = Strict()
    with PersistentMemory(path=tmp_path / "s", user_id="john", embedder=embedder) as memory:
        one_agent_crew(ScriptedLLM(final(answer)), request_, memory=memory).kickoff()
        memory.drain_writes()
        assert memory.store.count() == 1
        assert "marzipan" in memory.store.search("marzipan")[0].content
        assert memory.store.embed_missing() == 0


@pytest.mark.parametrize("away", [False, True], ids=["the embedder answers", "the embedder is away"])
def test_a_long_task_recalls(tmp_path: Path, away: bool) -> None:
    embedder = Strict()
    with PersistentMemory(path=tmp_path / "s", user_id="john", embedder=embedder) as memory:
        memory.remember("John is allergic to nuts")
        embedder.away = away
        llm = ScriptedLLM(final("noted"))
        one_agent_crew(llm, f"Which nuts? {LONG} {LONG}", memory=memory).kickoff()
        assert "John is allergic to nuts" in memories_in(llm.prompts[0])
        memory.drain_writes()
        assert memory.store.count() == 2
        embedder.away = False
        assert memory.store.embed_missing() == int(away)


@needs_unified
def test_crewais_own_pipeline(tmp_path: Path) -> None:
    """With ``llm=`` CrewAI extracts, analyses and consolidates, and embeds for that."""
    embedder: Any = Strict()
    with PersistentMemory(path=tmp_path / "s", user_id="john", embedder=embedder, llm=MemoryLLM()) as memory:
        memory.remember(f"John likes marzipan {LONG} {LONG}")
        memory.remember_many(["John has a dog", f"Jane likes nougat {OTHER}"])
        memory.drain_writes()
        assert memory.store.count() == 3
        assert "marzipan" in memory.recall(f"marzipan {LONG} {LONG}", limit=1)[0].record.content
        embedder.away = True
        memory.remember("Paul plays the trombone")
        memory.drain_writes()
        assert "trombone" in memory.recall("trombone", limit=1)[0].record.content
        assert memory.recall("trombone", depth="deep", limit=5)
        embedder.away = False
        assert memory.store.embed_missing() >= 1

"""What a stream gives its reader is from its own run: streams at once in one process do not mix.

Until 1.12.2 CrewAI gives every stream of a process every chunk: the answers, which hold memories, of all users.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from crewai import Agent, Crew, Task

from crewai_persistent_memory import PersistentMemory, use_scope

from ..support.crews import ScriptedLLM, final
from ..support.crowd import CANARY, supports_streaming

pytestmark = [
    pytest.mark.crew,
    pytest.mark.skipif(not supports_streaming(), reason="this CrewAI does not stream"),
]

USERS = [f"user{number}" for number in range(4)]


def answer_of(user: str) -> str:
    return final(f"I remember canary-{user}-1 of yours")


class Desk:
    """A crew for each request. Nobody is answered before all have asked, so that all streams are open at once."""

    def __init__(self, memory: PersistentMemory, at_once: int) -> None:
        self.memory = memory
        self.all_asked = threading.Barrier(at_once, timeout=60)
        self.llm = ScriptedLLM(self._answer)

    def _answer(self, prompt: str) -> str:
        self.all_asked.wait()
        return answer_of(next(user for user in USERS if f"canary-{user}-0" in prompt))

    def crew(self, user: str) -> Crew:
        agent = Agent(role="Concierge", goal="Serve", backstory="Old hand", llm=self.llm)
        task = Task(description=f"I am canary-{user}-0", expected_output="An answer", agent=agent)
        return Crew(agents=[agent], tasks=[task], stream=True, **self.memory.crew_kwargs(long_term=False))


def check(user: str, chunks: list[str]) -> None:
    text = "".join(chunks)
    assert {owner for owner, _ in CANARY.findall(text)} == {user}, text
    assert text.strip() == answer_of(user)


@pytest.mark.parametrize("start", ["kickoff", "kickoff_async", "akickoff"])
def test_streams_at_once(kept_store: Path, start: str) -> None:
    if not hasattr(Crew, start):
        pytest.skip(f"{start}: not in this CrewAI")
    # akickoff asks the LLM on the loop, where it cannot wait for the other requests.
    with PersistentMemory(path=kept_store, embedder=None) as memory:
        desk = Desk(memory, at_once=1 if start == "akickoff" else len(USERS))

        def blocking(user: str) -> list[str]:
            with use_scope(user_id=user):
                stream: Any = desk.crew(user).kickoff()
            return [chunk.content for chunk in stream]

        async def awaiting(user: str) -> list[str]:
            with use_scope(user_id=user):
                stream = await getattr(desk.crew(user), start)()
            return [chunk.content async for chunk in stream]

        async def all_of_them() -> list[list[str]]:
            return await asyncio.gather(*[awaiting(user) for user in USERS])

        if start == "kickoff":
            with ThreadPoolExecutor(len(USERS)) as pool:
                read = list(pool.map(blocking, USERS))
        else:
            read = asyncio.run(all_of_them())
    for user, chunks in zip(USERS, read, strict=True):
        check(user, chunks)

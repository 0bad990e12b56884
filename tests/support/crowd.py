"""Users of one service: each way of starting CrewAI, each lifetime of its objects, in turn and at once.

What a user says, is answered and finds holds a canary of that user. A prompt or an entry with two users' canaries, or
in another user's scope, is a leak.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import crewai
from crewai import Agent, Crew, Process, Task
from crewai.flow.flow import Flow, start

from crewai_persistent_memory import CrewInUseError, PersistentMemory, use_scope
from crewai_persistent_memory.adapters.version import installed, is_unified

from .crews import ScriptedLLM

CANARY: Final = re.compile(r"canary-(user\d+)-(\d+)")
_TASK: Final = re.compile(r"Request of (user\d+) number (\d+)")

SAVED, SEARCHED = "noted with a tool", "Found memories|No relevant memories"


def request_of(user: str, number: int) -> str:
    return f"Request of {user} number {number}: what do you know? My secret is canary-{user}-{number}."


class CrowdLLM(ScriptedLLM):
    """Answers every request with the canary of its user. With tools it searches and saves first."""

    def __init__(self) -> None:
        super().__init__(self._answer)

    def _answer(self, prompt: str) -> str:
        asked = _TASK.findall(prompt)
        user, number = asked[-1] if asked else ("nobody", "0")
        if "delegate_work_to_coworker" in prompt and "Observation" not in prompt:
            work = {"task": request_of(user, int(number)), "context": "none", "coworker": "Concierge"}
            return _action("delegate_work_to_coworker", work)
        if "search_memory" in prompt and prompt.count("Observation:") < 3:
            if not re.search(SEARCHED, prompt.rpartition("Request of")[2]):
                return _action("search_memory", {"queries": ["what do you know? secret canary"]})
            if f"{SAVED}: canary-{user}-{number}" not in prompt:
                return _action("save_to_memory", {"contents": [f"{SAVED}: canary-{user}-{number}"]})
        return f"Thought: I now can give a great answer\nFinal Answer: answered canary-{user}-{number}"


def _action(tool: str, arguments: dict[str, Any]) -> str:
    return f"Thought: I need a tool\nAction: {tool}\nAction Input: {json.dumps(arguments)}"


@dataclass
class Outcome:
    """What became of the requests of a crowd."""

    answered: set[tuple[str, int]] = field(default_factory=set)
    refused: set[tuple[str, int]] = field(default_factory=set)


@dataclass
class Service:
    """One memory, and whatever the application keeps between requests."""

    memory: PersistentMemory
    llm: CrowdLLM = field(default_factory=CrowdLLM)
    kept: dict[str, Any] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def keep(self, name: str, build: Callable[[], Any]) -> Any:
        with self.lock:
            if name not in self.kept:
                self.kept[name] = build()
            return self.kept[name]

    def agent(self, **options: Any) -> Agent:
        return Agent(role="Concierge", goal="Serve guests", backstory="At the desk", llm=self.llm, **options)

    def crew(self, agent: Agent | None = None, **options: Any) -> Crew:
        shape = options.pop("shape", "plain")
        limits = {"max_execution_time": 60} if shape == "time limit" else {}
        agent = agent or self.agent(**limits)
        # As a service keeps it: a template, filled by the inputs of each request.
        task = Task(description="{request}", expected_output="An answer", agent=agent)
        tasks = [task]
        if shape == "async task":
            task.async_execution = True
            tasks.append(Task(description="Again: {request}", expected_output="An answer", agent=self.agent()))
        if shape == "hierarchical":
            task.agent = None
            options.update(process=Process.hierarchical, manager_llm=self.llm)
        return Crew(agents=[agent], tasks=tasks, **self.memory.crew_kwargs(long_term=False), **options)


Start = Callable[[Service, Any, dict[str, Any]], Any]


def blocking(name: str) -> Start:
    def started(service: Service, crew: Any, inputs: dict[str, Any]) -> Any:
        each = [inputs] if "for_each" in name else inputs
        return getattr(crew, name)(inputs=each)

    started.__name__ = name
    return started


BLOCKING: Final = ["kickoff", "kickoff_for_each"]
AWAITED: Final = ["kickoff_async", "kickoff_for_each_async", "akickoff", "akickoff_for_each"]
LIFETIMES: Final = ["new", "copied", "same agent", "same crew"]
SHAPES: Final = ["plain", "async task", "time limit", "hierarchical"]


def crew_for(service: Service, lifetime: str, **options: Any) -> Crew:
    """The crew that a request is served by."""
    if lifetime == "new":
        return service.crew(**options)
    if lifetime == "same agent":
        agent = service.keep("agent", service.agent)
        return service.crew(agent, **options)
    kept = service.keep("crew", lambda: service.crew(**options))
    return kept.copy() if lifetime == "copied" else kept


def read(result: Any) -> Any:
    """Read a stream to its end, which is when a streaming crew works. Blocking."""
    for stream in result if isinstance(result, list) else [result]:
        if hasattr(stream, "get_full_text"):
            for _ in stream:
                pass
    return result


async def aread(result: Any) -> Any:
    for stream in result if isinstance(result, list) else [result]:
        if hasattr(stream, "get_full_text"):
            if getattr(stream, "_async_iterator", None) is not None:
                async for _ in stream:
                    pass
            else:
                await asyncio.to_thread(read, stream)
    return result


def serve(service: Service, user: str, number: int, start_it: Callable[[str], Any], outcome: Outcome) -> None:
    """One request of a web service: its scope, the work, and reading what comes back after the block."""
    try:
        with use_scope(user_id=user):
            result = start_it(request_of(user, number))
        with use_scope(user_id="somebody-else"):
            read(result)
    except CrewInUseError:
        outcome.refused.add((user, number))
    else:
        outcome.answered.add((user, number))


async def aserve(service: Service, user: str, number: int, start_it: Callable[[str], Any], outcome: Outcome) -> None:
    try:
        with use_scope(user_id=user):
            started = start_it(request_of(user, number))
        with use_scope(user_id="somebody-else"):
            # Awaited outside of the block too: the work belongs to whoever started it.
            await aread(await started if inspect.isawaitable(started) else started)
    except CrewInUseError:
        outcome.refused.add((user, number))
    else:
        outcome.answered.add((user, number))


def crowd(
    service: Service, start_it: Callable[[str], Any], *, awaited: bool, at_once: bool, users: int, requests: int
) -> Outcome:
    """``requests`` requests of ``users`` users, in turn or at once."""
    outcome = Outcome()
    asked = [(f"user{number % users}", number) for number in range(requests)]
    if awaited:

        async def all_of_them() -> None:
            work = [aserve(service, user, number, start_it, outcome) for user, number in asked]
            if at_once:
                await asyncio.gather(*work)
            else:
                for each in work:
                    await each

        asyncio.run(all_of_them())
    else:
        with ThreadPoolExecutor(users if at_once else 1) as pool:
            for done in [pool.submit(serve, service, user, number, start_it, outcome) for user, number in asked]:
                done.result()
    return outcome


def check(service: Service, outcome: Outcome, users: int) -> None:
    """No prompt and no entry across, and everything that was answered is stored in its own scope."""
    prompts = [*service.llm.prompts, *service.llm.evaluations]
    for prompt in prompts:
        owners = {user for user, _ in CANARY.findall(prompt)}
        assert len(owners) <= 1, f"one prompt, several users: {owners}\n{prompt}"
    found: set[tuple[str, int]] = set()
    for user in [f"user{number}" for number in range(users)]:
        with use_scope(user_id=user):
            for entry in service.memory.store.list(limit=10_000):
                canaries = CANARY.findall(entry.content)
                assert {owner for owner, _ in canaries} <= {user}, f"{entry.content!r} lies in the memory of {user}"
                found |= {(owner, int(number)) for owner, number in canaries}
    for stray in ("nobody", "somebody-else"):
        with use_scope(user_id=stray):
            assert service.memory.store.count() == 0, f"memories of {stray}"
    missing = outcome.answered - found
    assert not missing, f"answered, and not remembered: {missing}"


def tools_were_used(service: Service) -> None:
    """Searches and saves by the agent itself: CrewAI has those tools since 1.10."""
    saved = 0
    for number in range(64):
        with use_scope(user_id=f"user{number}"):
            saved += sum(SAVED in entry.content for entry in service.memory.store.list(limit=10_000))
    assert saved, "no agent saved anything with the tool"


def memories_were_recalled(service: Service) -> None:
    """Somebody's later prompt has what the same user said before. A memory that nobody is given crosses nobody."""
    for prompt in service.llm.prompts:
        if len({number for _, number in CANARY.findall(prompt)}) > 1:
            return
    raise AssertionError("no prompt has anything of an earlier request")


class ConciergeFlow(Flow):  # type: ignore[type-arg]
    """A flow that starts a crew, as most do."""

    service: Any = None
    request: Any = None

    @start()
    def ask(self) -> str:
        return str(self.service.crew().kickoff(inputs={"request": self.request}).raw)


def supports_streaming() -> bool:
    return "stream" in Crew.model_fields


def has(name: str, owner: type = crewai.Crew) -> bool:
    return hasattr(owner, name)


@contextmanager
def service_at(options: dict[str, Any]) -> Iterator[Service]:
    with PersistentMemory(**options) as memory:
        yield Service(memory)


__all__ = [
    "AWAITED",
    "BLOCKING",
    "LIFETIMES",
    "SHAPES",
    "ConciergeFlow",
    "Outcome",
    "Service",
    "aread",
    "check",
    "crew_for",
    "crowd",
    "has",
    "installed",
    "is_unified",
    "memories_were_recalled",
    "read",
    "request_of",
    "service_at",
    "supports_streaming",
    "tools_were_used",
]

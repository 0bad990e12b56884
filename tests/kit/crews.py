"""Crew factories: good ones, and those that people write by mistake."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import uuid
from typing import Any

from crewai_persistent_memory import Crew as OurCrew
from crewai_persistent_memory import PersistentMemory, Scope, use_scope
from crewai_persistent_memory.testing import FakeEmbedder, ScriptedLLM
from crewai_persistent_memory.testing.canaries import canaries_in

from crewai import Agent, Crew, Task  # isort: skip (after ours, which switches CrewAI's telemetry off)
from crewai.llms.base_llm import BaseLLM  # isort: skip


def parts(llm: Any, description: str = "{request}", backstory: str = "At the desk for years") -> dict[str, Any]:
    agent = Agent(role="Concierge", goal="Serve guests", backstory=backstory, llm=llm)
    return {"agents": [agent], "tasks": [Task(description=description, expected_output="An answer", agent=agent)]}


# -- good ones ---------------------------------------------------------------------------------------------------------


def by_crew_kwargs(llm: Any) -> Crew:
    return Crew(**parts(llm), **PersistentMemory().crew_kwargs())


def by_external_memory(llm: Any) -> Crew:
    return OurCrew(**parts(llm), external_memory=PersistentMemory(embedder=FakeEmbedder()))


def by_memory(llm: Any, memory: PersistentMemory) -> Crew:
    """``memory=`` takes it on every CrewAI: ours until 1.9.3."""
    return OurCrew(**parts(llm), memory=memory)


def by_user(user_id: str, llm: Any) -> Crew:
    return Crew(**parts(llm), **PersistentMemory(user_id=f"app:{user_id}").crew_kwargs())


class NeverCalled(BaseLLM):
    """A model of the application, which no test may call."""

    def call(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("the application's model was called")


def with_a_model_of_its_own() -> Crew:
    return Crew(**parts(NeverCalled(model="real"), "Serve {guest}: {request}"), **PersistentMemory().crew_kwargs())


def with_rules_of_its_own() -> Crew:
    llm = ScriptedLLM(rules=[("secret", "I know a secret")])
    return Crew(**parts(llm), **PersistentMemory().crew_kwargs())


def streaming(llm: Any) -> Crew:
    return Crew(**parts(llm), stream=True, **PersistentMemory().crew_kwargs())


def copied(llm: Any, kept: list[Crew] = []) -> Crew:  # noqa: B006 (as an application keeps a template)
    if not kept:
        kept.append(by_crew_kwargs(llm))
    return kept[0].copy()


# -- leaks -------------------------------------------------------------------------------------------------------------


def of_one_fixed_user(llm: Any) -> Crew:
    return Crew(**parts(llm), **PersistentMemory(user_id="everybody").crew_kwargs())


def of_a_random_user(llm: Any) -> Crew:
    return Crew(**parts(llm), **PersistentMemory(user_id=str(uuid.uuid4())).crew_kwargs())


def of_a_random_user_for_each_request(user_id: str, llm: Any) -> Crew:
    return of_a_random_user(llm)


def of_a_shared_user(user_id: str, llm: Any) -> Crew:
    return of_one_fixed_user(llm)


def of_the_team(llm: Any) -> Crew:
    return Crew(**parts(llm), **PersistentMemory(scope=Scope.shared()).crew_kwargs())


def without_scope(user_id: str, llm: Any) -> Crew:
    return by_crew_kwargs(llm)


class _Renaming(Crew):
    def kickoff(self, *args: Any, **kwargs: Any) -> Any:
        with use_scope(user_id="everybody"):
            return super().kickoff(*args, **kwargs)


def renaming_users(llm: Any) -> Crew:
    return _Renaming(**parts(llm), **PersistentMemory().crew_kwargs())


class _Noting(Crew):
    def kickoff(self, inputs: Any = None, **kwargs: Any) -> Any:
        NOTES.append(inputs["request"])
        return super().kickoff(inputs=inputs, **kwargs)


NOTES: list[str] = []


def noting_in_the_module(llm: Any) -> Crew:
    return _Noting(**parts(llm, backstory=" ".join(["Served before:", *NOTES])), **PersistentMemory().crew_kwargs())


class _Repeating(Crew):
    def kickoff(self, inputs: Any = None, **kwargs: Any) -> Any:
        result = super().kickoff(inputs=inputs, **kwargs)
        answer, result.raw = result.raw, " ".join([result.raw, *ANSWERS])
        ANSWERS.append(answer)
        return result


ANSWERS: list[str] = []


def repeating_earlier_answers(llm: Any) -> Crew:
    return _Repeating(**parts(llm), **PersistentMemory().crew_kwargs())


class _Misplacing(Crew):
    """Leaves what Jane asks with John, who asks nothing any more: no prompt has it."""

    def kickoff(self, inputs: Any = None, **kwargs: Any) -> Any:
        result = super().kickoff(inputs=inputs, **kwargs)
        with PersistentMemory() as memory:
            if memory.store.scope.user_id == "jane" and "What is my secret word" in inputs["request"]:
                # At another path: else a short text is also found by the words of what was said before it.
                canary, path = " ".join(canaries_in(inputs["request"])), "/elsewhere"
                with use_scope(user_id="john"):
                    memory.store.add(inputs["request"] if MISPLACED[-1] == "whole" else canary, path=path)
        return result


MISPLACED = ["whole"]


def leaving_it_where_it_is_recalled(llm: Any) -> Crew:
    MISPLACED.append("whole")
    return _Misplacing(**parts(llm), **PersistentMemory().crew_kwargs())


def leaving_it_where_it_is_listed(llm: Any) -> Crew:
    MISPLACED.append("its canary")
    return _Misplacing(**parts(llm), **PersistentMemory().crew_kwargs())


def with_crewais_memory(llm: Any) -> Crew:
    return Crew(**parts(llm), memory=True)


def without_memory(llm: Any) -> Crew:
    return Crew(**parts(llm))


# -- not kept ----------------------------------------------------------------------------------------------------------


def in_a_folder_of_its_own(llm: Any) -> Crew:
    folder = tempfile.mkdtemp(dir=os.environ["CREWAI_STORAGE_DIR"].rpartition(os.sep)[0])
    return Crew(**parts(llm), **PersistentMemory(path=folder + "/store").crew_kwargs())


def that_only_reads(llm: Any) -> Crew:
    return Crew(**parts(llm), **PersistentMemory(read_only=True).crew_kwargs())


def without_a_placeholder(llm: Any) -> Crew:
    return Crew(**parts(llm, "Serve the guest"), **PersistentMemory().crew_kwargs())


# -- no crew -----------------------------------------------------------------------------------------------------------


def that_raises(llm: Any) -> Crew:
    raise LookupError("no such guest house")


def that_returns_nothing(llm: Any) -> None:
    Crew(**parts(llm))


def that_exits(llm: Any) -> Crew:
    sys.exit("bye")


def that_ends_the_process(llm: Any) -> Crew:
    print("about to go", file=sys.stderr, flush=True)
    os._exit(3)


def that_hangs(llm: Any) -> Crew:
    print("waiting for the guest", file=sys.stderr, flush=True)
    threading.Event().wait()
    raise AssertionError


def that_needs_more(llm: Any, settings: dict[str, Any]) -> Crew:
    return by_crew_kwargs(llm)


def that_generates(llm: Any) -> Any:
    yield by_crew_kwargs(llm)


async def that_awaits(llm: Any) -> Crew:
    return by_crew_kwargs(llm)


class Desk:
    def crew(self, llm: Any) -> Crew:
        return by_crew_kwargs(llm)

    @classmethod
    def built(cls, llm: Any) -> Crew:
        return by_crew_kwargs(llm)

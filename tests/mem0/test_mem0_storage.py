"""What CrewAI's own ``Mem0Storage`` (until 1.9.3) does wrong, done with the same configuration and the same calls.

It joins user and agent with OR, ignores the run, drops a project without an organisation, resets everybody, takes the
messages out of the caller's metadata, cannot be awaited, and breaks with mem0ai 2.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from crewai_persistent_memory import ExternalMemory
from crewai_persistent_memory.adapters.version import is_unified
from crewai_persistent_memory.backends.mem0.compat import mem0_version

from ..support.crews import ScriptedLLM, final, memories_in, needs_contextual, one_agent_crew
from ..support.mem0_platform import DEFAULT_KEY, Mem0Platform

pytestmark = pytest.mark.crew

OpenExternal = Callable[..., ExternalMemory]
SECRET = {"messages": [{"role": "user", "content": "My secret is saffron."}]}


@pytest.fixture(params=["cloud", "oss"])
def external(request: pytest.FixtureRequest) -> Iterator[OpenExternal]:
    """CrewAI's ``ExternalMemory(embedder_config=...)``, of this package; texts are kept as they are."""
    opened: list[ExternalMemory] = []
    about: dict[str, Any]
    if request.param == "oss":
        about = {"local_mem0_config": request.getfixturevalue("oss_config")}
    else:
        about = {"api_key": DEFAULT_KEY, "host": request.getfixturevalue("mem0_platform").url, "wait": True}

    def open_one(**config: Any) -> ExternalMemory:
        config = {**about, "infer": False, **config}
        opened.append(ExternalMemory(embedder_config={"provider": "mem0", "config": config}))
        return opened[-1]

    yield open_one
    for memory in opened:
        memory.close()


def found(memory: ExternalMemory) -> list[str]:
    return [result["content"] for result in memory.search("What is my secret, saffron?")]


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        ({"user_id": "john", "agent_id": "travel"}, {"user_id": "jane", "agent_id": "travel"}),
        ({"user_id": "john", "run_id": "monday"}, {"user_id": "john", "run_id": "tuesday"}),
        ({"user_id": "john", "run_id": "monday"}, {"user_id": "john"}),
        ({"user_id": "john", "project_id": "staging"}, {"user_id": "john", "project_id": "production"}),
        ({"user_id": "john", "project_id": "p", "org_id": "a"}, {"user_id": "john", "project_id": "p", "org_id": "b"}),
    ],
    ids=["one agent, two users", "two runs", "a run and none", "a project without an organisation", "organisations"],
)
def test_nothing_is_seen_from_outside(external: OpenExternal, mine: dict[str, Any], theirs: dict[str, Any]) -> None:
    one, other = external(**mine), external(**theirs)
    one.save("My secret is saffron.", dict(SECRET))
    assert found(one) == ["My secret is saffron."]
    assert found(other) == []
    assert asyncio.run(other.asearch("secret saffron")) == []


def test_a_reset_reaches_nobody_else(external: OpenExternal) -> None:
    john, jane = external(user_id="john"), external(user_id="jane")
    for memory in (john, jane):
        memory.save("My secret is saffron.", dict(SECRET))
    john.reset()
    assert found(john) == []
    assert found(jane) == ["My secret is saffron."]


def test_the_callers_metadata_stays_as_it_is(external: OpenExternal) -> None:
    memory = external(user_id="john", infer=True)
    metadata = {**copy.deepcopy(SECRET), "description": "My secret is saffron.", "topic": "kitchen"}
    before = copy.deepcopy(metadata)
    memory.save("Noted.", metadata)
    asyncio.run(memory.asave("Noted.", metadata))
    assert metadata == before
    assert memory.search("secret saffron")[0]["metadata"] == {"topic": "kitchen"}


def test_it_can_be_awaited(external: OpenExternal) -> None:
    memory = external(user_id="john")

    async def use() -> list[dict[str, Any]]:
        await memory.asave("My secret is saffron.", dict(SECRET))
        return list(await memory.asearch("secret saffron", limit=3))

    assert [result["memory"] for result in asyncio.run(use())] == ["My secret is saffron."]


def test_a_crew_that_is_awaited_recalls(external: OpenExternal) -> None:
    memory = external(user_id="john")
    llm = ScriptedLLM(final("noted"))
    if not hasattr(one_agent_crew(llm, "x"), "akickoff"):
        pytest.skip("akickoff: since CrewAI 1.7")
    for request in ("My secret is saffron", "What is my secret, saffron?"):
        asyncio.run(one_agent_crew(llm, request, memory=memory).akickoff())
    assert "My secret is saffron" in memories_in(llm.prompts[-1])


def test_with_the_mem0ai_that_is_installed(external: OpenExternal) -> None:
    """Arguments that mem0ai 2 no longer takes are not sent to it, and those it needs are."""
    memory = external(user_id="john", infer=True)
    memory.save("Noted.", {**SECRET, "description": "My secret is saffron."})
    assert found(memory)[0] == "My secret is saffron"


@needs_contextual
@pytest.mark.skipif(mem0_version() < (2,), reason="CrewAI's own works with mem0ai until 1.x")
def test_crewais_own_breaks_with_it(oss_config: dict[str, Any], mem0_platform: Mem0Platform) -> None:
    """What the test above would show of CrewAI's."""
    from crewai.memory.storage.mem0_storage import Mem0Storage

    assert not is_unified()
    theirs = Mem0Storage(type="external", config={"user_id": "john", "local_mem0_config": oss_config})
    with pytest.raises((TypeError, ValueError)):
        theirs.search("secret saffron")

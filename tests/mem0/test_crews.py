"""Real crews over Mem0: its published configurations, and CrewAI's automatic loop."""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import ConfigurationError, Crew, ExternalMemory, PersistentMemory, use_scope

from ..support.calling import until
from ..support.crews import ScriptedLLM, final, needs_unified, one_agent_crew
from ..support.mem0_platform import DEFAULT_KEY, Mem0Platform
from ..support.openai_server import OpenAIServer
from ..support.programs import run_program
from ..support.qdrant_server import ROOT, QdrantServer

pytestmark = pytest.mark.crew

EXAMPLES = ROOT / "examples" / "crews"
TOLD = "I am allergic to nuts. It rains today. Book a table."
ASKED = "What must the cook know about me and nuts?"


RunExample = Callable[..., None]


@pytest.fixture(params=["in this process", pytest.param("in a process", marks=pytest.mark.repeated)])
def run_example(
    request: pytest.FixtureRequest, openai_server: OpenAIServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> RunExample:
    """``run_example("mem0_cloud.py", "I like tea", NAME="a variable")``, with an agent LLM at the scripted server."""
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "OPENAI_API_KEY": "sk-test",
        "OPENAI_BASE_URL": f"{openai_server.url}/v1",
        "OPENAI_API_BASE": "",
        "HOME": str(tmp_path),
        "CREWAI_TRACING_ENABLED": "false",
        "CREWAI_MEMORY_RECALL_TIMEOUT": "60",  # the first search of a process loads what Mem0 needs
    }.items():
        monkeypatch.setenv(name, value)

    def in_a_process(name: str, asked: str, **environment: str) -> None:
        done = run_program([sys.executable, str(EXAMPLES / name), asked], env={**os.environ, **environment})
        assert done.returncode == 0, done.stderr

    def in_this_process(name: str, asked: str, **environment: str) -> None:
        """A program that ends closes its memory, so this one's is closed."""
        for variable, value in environment.items():
            monkeypatch.setenv(variable, value)
        monkeypatch.setattr(sys, "argv", [name, asked])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")["external_memory"].close()

    return in_a_process if request.param == "in a process" else in_this_process


@pytest.mark.ends
def test_the_published_cloud_configuration(
    run_example: RunExample, mem0_platform: Mem0Platform, openai_server: OpenAIServer
) -> None:
    openai_server.prompts.clear()
    environment = {"MEM0_API_KEY": DEFAULT_KEY, "MEM0_HOST": mem0_platform.url}
    run_example("mem0_cloud.py", TOLD, **environment)
    # Entities, which CrewAI until 1.9.3 finds by itself, are kept as they are.
    [memory] = until(
        lambda: [each for each in mem0_platform.memories.values() if "crewai_id" not in each["metadata"]],
        lambda found: len(found) == 1,
    )
    assert memory["memory"] == "I am allergic to nuts", "the nut allergy is kept, the rain is not"
    [add] = [each for each in mem0_platform.adds if each["infer"]]
    assert add["user_id"] == "john"
    assert add["app_id"] == "my_project_id/my_org_id"
    assert add["run_id"] == "session_123"
    assert "agent_id" not in add
    assert (add["includes"], add["excludes"], add["infer"]) == ("preferences", "small_talk", True)
    assert memory["categories"] == ["dietary_preferences"]
    run_example("mem0_cloud.py", ASKED, **environment)
    assert "I am allergic to nuts" in openai_server.agent_prompts[-1]
    assert len(openai_server.extractions) == 0, "CrewAI's own extraction is not run as well"


@pytest.mark.ends
def test_the_published_self_hosted_configuration(
    run_example: RunExample, server: QdrantServer, openai_server: OpenAIServer, tmp_path: Path
) -> None:
    openai_server.prompts.clear()
    address, port = server.url.removeprefix("http://").split(":")
    environment = {"QDRANT_HOST": address, "QDRANT_PORT": port, "MEM0_DIR": str(tmp_path / "mem0")}
    try:
        run_example("mem0_self_hosted.py", TOLD, **environment)
        assert len(openai_server.extractions) == 1, "extracted once, by Mem0"
        assert (tmp_path / "mem0-history.db").is_file()
        run_example("mem0_self_hosted.py", ASKED, **environment)
    finally:
        with server.admin() as admin:
            for name in ("mem0", "mem0_entities", "mem0migrations"):
                admin.delete(f"/collections/{name}")
    assert "I am allergic to nuts" in openai_server.agent_prompts[-1]
    assert "rains" not in openai_server.agent_prompts[-1]


@pytest.fixture(params=["cloud", "oss"])
def options(request: pytest.FixtureRequest) -> dict[str, Any]:
    """``mem0=`` of either kind; adding waits for its outcome."""
    if request.param == "oss":
        return {"local_mem0_config": request.getfixturevalue("oss_config"), "wait": True}
    return {"api_key": DEFAULT_KEY, "host": request.getfixturevalue("mem0_platform").url, "wait": True}


class TestTheAutomaticLoop:
    def test_mem0_is_given_the_messages_once(self, mem0_platform: Mem0Platform) -> None:
        about: Any = {"api_key": DEFAULT_KEY, "host": mem0_platform.url, "wait": True}
        memory = PersistentMemory(user_id="john", mem0=about)
        llm = ScriptedLLM(final("I recommended the soup."))
        one_agent_crew(llm, "I am allergic to nuts. What can I eat?", **memory.crew_kwargs()).kickoff()
        memory.drain_writes()
        [add] = mem0_platform.adds
        assert add["messages"] == [
            {"role": "user", "content": "I am allergic to nuts. What can I eat?"},
            {"role": "assistant", "content": "I recommended the soup."},
        ]
        assert len(llm.prompts) == 1, "the crew's LLM answered, and extracted nothing"
        memory.close()

    def test_what_one_crew_hears_another_recalls(self, options: Any) -> None:
        with PersistentMemory(mem0=options) as memory:
            with use_scope(user_id="john"):
                one_agent_crew(ScriptedLLM(final("Noted.")), TOLD, **memory.crew_kwargs()).kickoff()
                memory.drain_writes()
            for user, knows in (("john", True), ("jane", False)):
                asked = ScriptedLLM(final("It is in the prompt."))
                with use_scope(user_id=user):
                    one_agent_crew(asked, ASKED, **memory.crew_kwargs()).kickoff()
                assert ("I am allergic to nuts" in asked.prompts[0]) is knows, user
                assert "rains" not in asked.prompts[0]

    def test_without_infer_a_text_is_kept_as_it_is(self, options: Any) -> None:
        with PersistentMemory(user_id="john", mem0=options, infer=False) as memory:
            one_agent_crew(ScriptedLLM(final("Noted.")), TOLD, **memory.crew_kwargs()).kickoff()
            [match] = memory.recall("nuts")
            assert match.record.content == f"{TOLD}\nResult: Noted."

    @needs_unified
    def test_what_crewais_memory_can_do(self, options: Any) -> None:
        """Tools, scopes and slices, forget, list, info, update and reset."""
        with PersistentMemory(user_id="john", mem0=options, infer=False) as memory:
            kept = memory.remember("John likes window seats", scope="/travel", categories=["seats"])
            memory.remember("John is allergic to nuts", scope="/diet", metadata={"by": "doctor"})
            assert kept is not None
            assert [m.record.content for m in memory.recall("seats", scope="/travel")] == ["John likes window seats"]
            assert [m.record.content for m in memory.scope("/diet").recall("nuts")] == ["John is allergic to nuts"]
            both = memory.slice(["/travel", "/diet"]).recall("John")
            assert {m.record.scope for m in both} == {"/travel", "/diet"}
            assert {r.content for r in memory.list_records()} == {"John likes window seats", "John is allergic to nuts"}
            assert memory.info("/travel").record_count == 1
            assert set(memory.list_scopes()) == {"/diet", "/travel"}
            assert memory.list_categories() == {"seats": 1}
            changed = memory.update(kept.id, content="John likes aisle seats")
            assert changed.content == "John likes aisle seats"
            assert [m.record.content for m in memory.recall("aisle", limit=1)] == ["John likes aisle seats"]
            assert memory.forget(metadata_filter={"by": "doctor"}) == 1
            memory.reset()
            assert memory.list_records() == []

    @needs_unified
    def test_the_memory_tools(self, options: Any) -> None:
        from crewai.tools.memory_tools import create_memory_tools

        with PersistentMemory(user_id="john", mem0=options) as memory:
            tools = {tool.name: tool for tool in create_memory_tools(memory)}
            save = next(tool for name, tool in tools.items() if "save" in name.lower())
            search = next(tool for name, tool in tools.items() if "search" in name.lower())
            save.run(contents=["John hates coriander. It rains."])
            assert "John hates coriander" in str(search.run(queries=["coriander"]))
            assert "rains" not in str(search.run(queries=["coriander"]))

    @needs_unified
    def test_deep_recall_by_crewais_own_flow(self, options: Any) -> None:
        from ..support.memory_llm import MemoryLLM

        with PersistentMemory(user_id="john", mem0=options, llm=MemoryLLM(), infer=False) as memory:
            memory.remember("John is allergic to nuts")
            assert "John is allergic to nuts" in [m.record.content for m in memory.recall("nuts", depth="deep")]

    def test_remember_returns_the_first_of_what_was_extracted(self, options: Any) -> None:
        with PersistentMemory(user_id="john", mem0=options) as memory:
            record = memory.remember("John hates coriander. He likes tea.", scope="/diet")
            assert record is not None
            assert (record.content, record.scope) == ("John hates coriander", "/diet")
            assert memory.remember("It rains.") is None


@needs_unified
class TestCrew:
    def test_external_memory_becomes_the_crews_memory(self, tmp_path: Path) -> None:
        plain = one_agent_crew(ScriptedLLM(), "x")
        with PersistentMemory(user_id="john", path=tmp_path / "a", embedder=None) as memory:
            given: Any
            for given in ({}, {"memory": True}, {"memory": False}):
                crew = Crew(agents=plain.agents, tasks=plain.tasks, external_memory=memory, **given)
                assert crew.memory is memory
                assert crew.external_memory is memory

    def test_two_memories_are_refused(self, tmp_path: Path) -> None:
        with (
            PersistentMemory(user_id="john", path=tmp_path / "a", embedder=None) as one,
            PersistentMemory(user_id="john", path=tmp_path / "b", embedder=None) as two,
        ):
            plain = one_agent_crew(ScriptedLLM(), "x")
            with pytest.raises(ConfigurationError, match="two memories"):
                Crew(agents=plain.agents, tasks=plain.tasks, external_memory=one, memory=two)
            with pytest.raises(ConfigurationError, match="external_memory is a str"):
                Crew(agents=plain.agents, tasks=plain.tasks, external_memory="mem0")
            assert Crew(agents=plain.agents, tasks=plain.tasks, memory=one).memory is one

    def test_a_copied_crew_remembers_in_the_same_place(self, tmp_path: Path) -> None:
        with PersistentMemory(user_id="john", path=tmp_path / "a", embedder=None) as memory:
            llm = ScriptedLLM(final("Noted."))
            plain = one_agent_crew(llm, "My sign is {sign}")
            crew = Crew(agents=plain.agents, tasks=plain.tasks, external_memory=memory)
            crew.kickoff_for_each(inputs=[{"sign": "leo"}, {"sign": "aries"}])
            assert len(memory.list_records()) == 2


class TestExternalMemory:
    def test_qdrant_and_an_open_store(self, tmp_path: Path) -> None:
        config = {"provider": "qdrant", "config": {"user_id": "john", "path": tmp_path / "a", "embedder": None}}
        with ExternalMemory(embedder_config=config) as memory, ExternalMemory(storage=memory.store) as other:
            memory.remember("likes tea")
            assert [m.record.content for m in other.recall("tea")] == ["likes tea"]
        with ExternalMemory.from_config(config) as again:
            assert [m.record.content for m in again.recall("tea")] == ["likes tea"]

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({}, "give either storage="),
            ({"storage": object()}, "pass what open_store"),
            ({"embedder_config": {"provider": "chroma"}}, "provider 'chroma' is not known"),
            ({"embedder_config": {"provider": "mem0", "config": {"user_id": "j"}}}, "MEM0_API_KEY"),
            ({"embedder_config": {"provider": "mem0", "config": {"api_kye": "m0-x"}}}, "did you mean api_key"),
            ({"embedder_config": {"provider": "mem0", "config": {"api_key": None}}}, "MEM0_API_KEY"),
            (
                {"embedder_config": {"provider": "mem0", "config": {"api_key": "m0-x", "local_mem0_config": {"a": 1}}}},
                "leave one of them out",
            ),
            ({"embedder_config": "mem0"}, "a configuration is a dict"),
        ],
    )
    def test_mistakes_are_named(self, arguments: Any, message: str) -> None:
        with pytest.raises(ConfigurationError, match=message):
            ExternalMemory(**arguments)

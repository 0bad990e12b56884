"""``register()``: by name, and in the place of every ``Crew(memory=True)``."""

from __future__ import annotations

import ast
import json
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import crewai
import pytest

from crewai_persistent_memory import (
    ConfigurationError,
    Crew,
    ExternalMemory,
    MissingScopeError,
    PersistentMemory,
    open_store,
    register,
    unregister,
    use_scope,
)
from crewai_persistent_memory.adapters import defaults
from crewai_persistent_memory.adapters.checkpoint_recipe import read_spec
from crewai_persistent_memory.adapters.provider_config import parse_config, parse_spec
from crewai_persistent_memory.adapters.version import STORAGE_FACTORY_SINCE, installed, is_unified

from ..support.calling import until
from ..support.crews import ScriptedLLM, final, memories_in, needs_contextual, needs_unified, one_agent_crew
from ..support.embedders import WordHashEmbedder
from ..support.memories import EVALUATION, ForeignStorage, files_of_crewai, no_local_vectors, told
from ..support.programs import run_program
from ..support.qdrant_server import QdrantServer

pytestmark = pytest.mark.crew

by_name = pytest.mark.skipif(
    not is_unified() or installed() < STORAGE_FACTORY_SINCE, reason="CrewAI makes storages by name since 1.14.7"
)


@pytest.fixture(autouse=True)
def unregistered() -> Iterator[None]:
    """What ``register()`` changes in CrewAI is as it was, before and after."""
    yield
    unregister()
    if is_unified() and installed() >= STORAGE_FACTORY_SINCE:
        from crewai.memory.storage.factory import set_memory_storage_factory

        set_memory_storage_factory(None)  # a test's own


def at(folder: Path, **scope: Any) -> dict[str, Any]:
    return {"path": str(folder / "store"), "embedder": None, **scope}


@needs_contextual
class TestProviderByName:
    @pytest.mark.parametrize("crew_class", [crewai.Crew, Crew], ids=["crewai", "ours"])
    def test_what_one_crew_hears_another_recalls(self, tmp_path: Path, crew_class: Any) -> None:
        from crewai.memory.external.external_memory import ExternalMemory

        register()
        register()  # twice is once

        def run(request: str, **scope: Any) -> str:
            external = ExternalMemory(embedder_config={"provider": "persistent", "config": at(tmp_path, **scope)})
            llm = ScriptedLLM(final("noted"))
            plain = one_agent_crew(llm, request)
            crew = crew_class(agents=plain.agents, tasks=plain.tasks, external_memory=external)
            # CrewAI's own class cannot be copied once it has run: it holds an agent. Ours can.
            for start in (lambda: crew.kickoff_for_each(inputs=[{}, {}]), crew.kickoff):
                start()
            if crew_class is Crew:
                crew.copy().kickoff()
            external.storage.close()
            return memories_in(llm.prompts[0])

        assert run("I am allergic to nuts", user_id="john") == ""
        assert run("allergic?", user_id="john").count("I am allergic to nuts") == 1
        assert run("allergic?", user_id="jane") == ""
        assert no_local_vectors()

    def test_the_registered_options_are_filled_in(self, tmp_path: Path) -> None:
        from crewai.memory.external.external_memory import ExternalMemory

        register(**at(tmp_path), project_id="shop")
        storage = ExternalMemory.create_storage(None, {"provider": "persistent", "config": {"user_id": "john"}})
        assert (storage.store.scope.project_id, storage.store.scope.user_id) == ("shop", "john")
        elsewhere = {"user_id": "john", "path": str(tmp_path / "other"), "embedder": None}
        other = ExternalMemory.create_storage(None, {"provider": "persistent", "config": elsewhere})
        storage.save("x")
        assert other.search("x") == []
        for each in (storage, other):
            each.close()

    def test_other_providers_are_left_alone(self) -> None:
        from crewai.memory.external.external_memory import ExternalMemory

        before = ExternalMemory.external_supported_storages()
        register()
        after = ExternalMemory.external_supported_storages()
        assert set(after) == {*before, "persistent"}
        assert all(after[name] is before[name] for name in before)
        with pytest.raises(ValueError, match="chroma not supported"):
            ExternalMemory.create_storage(None, {"provider": "chroma"})

    def test_mistakes_are_named(self) -> None:
        from crewai.memory.external.external_memory import ExternalMemory

        register()
        with pytest.raises(ConfigurationError, match="did you mean user_id"):
            ExternalMemory.create_storage(None, {"provider": "persistent", "config": {"usr_id": "john"}})


def test_the_registered_options_hold_for_our_class_too(tmp_path: Path) -> None:
    """Else the same configuration would mean another project, or another place, by the class it is given to."""
    register(**at(tmp_path), project_id="shop")
    config = {"provider": "persistent", "config": {"user_id": "john"}}
    for memory in (ExternalMemory(embedder_config=config), PersistentMemory.from_config(config)):
        with memory:
            assert (memory.store.scope.project_id, memory.store.scope.user_id) == ("shop", "john")
            assert memory.store.health()["path"] == str(tmp_path / "store")


def test_a_configuration_means_the_same_whatever_is_registered(tmp_path: Path) -> None:
    """Reading it is one thing, filling it in from ``register()`` another."""
    config = {"provider": "persistent", "config": {"user_id": "john"}}
    register(**at(tmp_path), project_id="shop")
    assert parse_config(config) == ("persistent", {"user_id": "john"})
    assert parse_spec("persistent?user_id=john") == {"user_id": "john"}
    assert defaults.options_of(config) == {**at(tmp_path), "project_id": "shop", "user_id": "john"}
    unregister()
    assert defaults.options_of(config) == {"user_id": "john"}


def test_a_registered_key_is_not_for_another_server(tmp_path: Path) -> None:
    register(url="http://127.0.0.1:1", api_key="sk-1", collection="ours", project_id="shop", startup_check=False)
    assert defaults.with_defaults({"url": "http://127.0.0.1:2"}) == {
        "project_id": "shop",
        "url": "http://127.0.0.1:2",
    }
    elsewhere = {"provider": "persistent", "config": at(tmp_path, user_id="john")}
    with ExternalMemory(embedder_config=elsewhere) as memory:
        assert memory.store.scope.project_id == "shop"


@by_name
class TestStorageByName:
    def test_persistent(self, tmp_path: Path) -> None:
        from crewai.memory.unified_memory import Memory

        register(path=tmp_path / "store")
        memory = Memory(storage="persistent?user_id=john", embedder=WordHashEmbedder(), llm=ScriptedLLM())
        memory._storage.save([_record("John likes tea")])
        assert memory.list_records()[0].content == "John likes tea"
        other = Memory(storage="persistent?user_id=jane", embedder=WordHashEmbedder(), llm=ScriptedLLM())
        assert other.list_records() == []
        unnamed = Memory(storage="persistent", embedder=WordHashEmbedder(), llm=ScriptedLLM())
        with pytest.raises(MissingScopeError):
            unnamed.list_records()
        with use_scope(user_id="john"):
            assert len(unnamed.list_records()) == 1
        for each in (memory, other, unnamed):
            each.close()

    def test_a_server(self, server: QdrantServer, collection: str) -> None:
        from crewai.memory.unified_memory import Memory

        about: Any = {"project_id": "shop", "timeout": 7, "dimensions": 3, "prefer_grpc": False}
        register(api_key=server.key, **about) if server.key else register(url=server.url, **about)
        address = server.url.removeprefix("http://")
        spec = f"qdrant://{address}/{collection}?user_id=john"
        memory = Memory(storage=spec, embedder=lambda texts: [[1.0, 0.0, 0.0] for _ in texts], llm=ScriptedLLM())
        memory._storage.save([_record("John likes tea", [1.0, 0.0, 0.0])])
        assert [match.record.content for match in memory.recall("tea", depth="shallow")] == ["John likes tea"]
        memory.close()
        with server.admin() as admin:
            until(lambda: admin.get(f"/collections/{collection}").status_code, (200).__eq__, 30)

    def test_other_specs_go_where_they_went(self, tmp_path: Path) -> None:
        from crewai.memory.storage.factory import resolve_memory_storage, set_memory_storage_factory

        from crewai_persistent_memory import QdrantStorageBackend

        asked: list[str] = []

        def before(spec: str) -> Any:
            asked.append(spec)
            return "theirs" if spec == "redis" else None

        set_memory_storage_factory(before)
        register(**at(tmp_path, user_id="john"))
        register(**at(tmp_path, user_id="john"))
        assert resolve_memory_storage("redis") == "theirs"
        for spec in ("lancedb", "qdrant-edge", "./persistent", "/data/persistent", "persistent/x", "qdrant", ""):
            assert resolve_memory_storage(spec) is None
        assert asked[0] == "redis"
        assert len(asked) == 8
        backend = resolve_memory_storage("persistent")
        assert isinstance(backend, QdrantStorageBackend)
        assert len(asked) == 8
        backend.close()

    @pytest.mark.parametrize(
        ("spec", "message"),
        [
            ("persistent?usr_id=john", "did you mean user_id"),
            ("qdrant://h:6333/c?api_key=sk-1", "QDRANT_API_KEY"),
            ("qdrant://user:sk-1@h:6333/c", "QDRANT_API_KEY"),
            ("qdrant://h:port/c", "qdrant://host:6333/collection"),
            ("qdrant:///c", "check host and collection"),
            ("qdrant://h/a/b", "check host and collection"),
            ("qdrant://h/c?collection=d", "'collection' is not for a storage spec"),
            ("persistent?user_id=john&url=http://evil:6333", "'url' is not for .*urllib.parse.quote"),
            ("persistent?user_id=john&%75rl=http://evil:6333", "'url' is not for"),
            ("persistent?user_id=john&project_id=production", "'project_id' is not for"),
            ("persistent?user_id=john&include_shared=true", "'include_shared' is not for"),
            ("persistent?user_id=john&path=/etc", "'path' is not for"),
            ("persistent?user_id=john&user_id=jane", "user_id is given twice"),
            ("persistent?user_id=john&%75ser_id=jane", "user_id is given twice"),
            ("persistent?user_id=john#&user_id=jane", "no '#'"),
            ("persistent?user_id=john&evil", "cannot be read"),
            ("persistent?recency_weight=7", "recency_weight"),
        ],
    )
    def test_mistakes_are_named_and_no_secret_is_shown(self, spec: str, message: str) -> None:
        from crewai.memory.storage.factory import resolve_memory_storage

        register()
        with pytest.raises(ConfigurationError, match=message) as caught:
            resolve_memory_storage(spec)
        assert "sk-1" not in str(caught.value)


@needs_unified
def test_in_between_a_warning_says_what_to_use(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "crewai_persistent_memory"):
        register()
    expected = installed() < STORAGE_FACTORY_SINCE
    assert ("takes no storage by name" in caplog.text) is expected


class TestDefault:
    def test_every_crew_with_memory_is_persistent(self, tmp_path: Path) -> None:
        register(default=True, **at(tmp_path))

        def run(user: str, request: str, crew_class: Any) -> str:
            llm = ScriptedLLM(final("noted"))
            plain = one_agent_crew(llm, request)
            with use_scope(user_id=user):
                crew_class(agents=plain.agents, tasks=plain.tasks, memory=True).kickoff()
            return memories_in(llm.prompts[0])

        assert run("john", "I am allergic to nuts", crewai.Crew) == ""
        for crew_class in (crewai.Crew, Crew):
            assert "I am allergic to nuts" in run("john", "allergic?", crew_class)
            assert "nuts" not in run("jane", "allergic?", crew_class)
        assert no_local_vectors()

    def test_an_embedder_that_is_not_used_is_told(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        register(default=True, **at(tmp_path, user_id="john"))
        plain = one_agent_crew(ScriptedLLM(), "x")
        spec: Any = {"provider": "openai", "config": {"api_key": "sk-test"}}
        with caplog.at_level(logging.WARNING, "crewai_persistent_memory"):
            crewai.Crew(agents=plain.agents, tasks=plain.tasks, memory=True, embedder=spec)
        assert "embedder= is not used for its memory" in caplog.text

    def test_what_is_said_otherwise_holds(self, tmp_path: Path) -> None:
        register(default=True, **at(tmp_path, user_id="john"))
        plain = one_agent_crew(ScriptedLLM(final("noted")), "x")
        without = crewai.Crew(agents=plain.agents, tasks=plain.tasks)
        assert not getattr(without, "_memory", None)
        assert not getattr(without, "_external_memory", None)
        with PersistentMemory(path=tmp_path / "own", user_id="john", embedder=None) as own:
            plain = one_agent_crew(ScriptedLLM(final("noted")), "kept by its own")
            Crew(agents=plain.agents, tasks=plain.tasks, memory=True, external_memory=own).kickoff()
            assert told(own) == ["kept by its own\nResult: noted"]
        assert not (tmp_path / "store").exists(), "nobody has asked for the default"

    @pytest.mark.parametrize("also", [{}, {"memory": True}], ids=["alone", "with memory=True"])
    def test_an_external_memory_of_ours_is_the_crews_own(self, tmp_path: Path, also: dict[str, Any]) -> None:
        """CrewAI's own ``Crew`` drops it from 1.10 on, and fills a LanceDB; until 1.9.3 it fills a Chroma beside it."""
        register(default=True, **at(tmp_path, user_id="john"))
        with PersistentMemory(path=tmp_path / "own", user_id="john", embedder=None) as own:
            for crew_class in (crewai.Crew, Crew):
                plain = one_agent_crew(ScriptedLLM(final("noted")), f"kept by its own, by {crew_class.__module__}")
                crew_class(agents=plain.agents, tasks=plain.tasks, external_memory=own, **also).kickoff()
            assert len(told(own)) == 2
        assert no_local_vectors(), files_of_crewai()
        assert not (tmp_path / "store").exists(), "nobody has asked for the default"

    def test_an_external_memory_of_somebody_else_stays(self, tmp_path: Path) -> None:
        """From 1.10 on it is all of a crew's memory. Until 1.9.3 the rest is kept here, and not in Chroma."""
        theirs = ForeignStorage()
        register(default=True, **at(tmp_path, user_id="john"))
        llm = ScriptedLLM(final("noted"), EVALUATION)
        for _ in range(2):
            plain = one_agent_crew(llm, "I am allergic to nuts")
            crewai.Crew(
                agents=plain.agents, tasks=plain.tasks, memory=True, external_memory=ExternalMemory(storage=theirs)
            ).kickoff()
        [(first, _), (_, _)] = theirs.saved
        assert first in memories_in(llm.prompts[-1])
        assert no_local_vectors(), files_of_crewai()
        if is_unified():
            assert not (tmp_path / "store").exists()
            return
        with open_store(**at(tmp_path, user_id="john")) as ours:
            kept = {entry.kind: entry.content for entry in ours.list()}
        assert kept == {
            "memory": "I am allergic to nuts\nResult: noted",
            "entity": "John(person): hates coriander",
        }
        assert re.search(r"Recent Insights:\n- \[\d{4}-\d\d-\d\d\] I am allergic to nuts", llm.prompts[-1])

    def test_what_is_no_memory_is_refused(self, tmp_path: Path) -> None:
        register(default=True, **at(tmp_path, user_id="john"))
        plain = one_agent_crew(ScriptedLLM(), "x")
        with pytest.raises((ConfigurationError, ValueError), match="external_memory"):
            crewai.Crew(agents=plain.agents, tasks=plain.tasks, external_memory="qdrant")

    def test_registering_again_without_it_ends_it(self, tmp_path: Path) -> None:
        register(default=True, **at(tmp_path, user_id="john"))
        register(**at(tmp_path, user_id="john"))
        plain = one_agent_crew(ScriptedLLM(final("noted")), "x")
        crew: Any = crewai.Crew(agents=plain.agents, tasks=plain.tasks, memory=True)
        memory = crew._memory if is_unified() else crew._external_memory
        assert not isinstance(memory, PersistentMemory)
        assert not (tmp_path / "store").exists(), "nobody has asked for the default"

    @needs_unified
    def test_an_agent_with_memory_of_its_own(self, tmp_path: Path) -> None:
        """In a crew that has none, and alone (``Agent.kickoff``)."""
        register(default=True, **at(tmp_path))
        llm = ScriptedLLM(final("noted"))

        def agent() -> Any:
            return crewai.Agent(role="Chef", goal="Cook", backstory="Old hand", llm=llm, memory=True)

        for user in ("john", "jane"):
            chef = agent()
            assert isinstance(chef.memory, PersistentMemory)
            task = crewai.Task(description=f"{user} is allergic to nuts", expected_output="A line", agent=chef)
            with use_scope(user_id=user):
                crewai.Crew(agents=[chef], tasks=[task]).kickoff()
                agent().kickoff("allergic?")
            assert f"{user} is allergic to nuts" in memories_in(llm.prompts[-1])
            assert ("john" in memories_in(llm.prompts[-1])) is (user == "john")
        assert no_local_vectors(), files_of_crewai()

    @needs_unified
    def test_a_flow(self, tmp_path: Path) -> None:
        from crewai.flow.flow import Flow, start

        register(default=True, **at(tmp_path))

        class Noting(Flow[dict[str, Any]]):
            @start()
            def note(self) -> str:
                self.remember(self.state["said"])
                return "; ".join(sorted(match.record.content for match in self.recall("allergic")))

        for user in ("john", "jane"):
            flow = Noting()
            assert isinstance(flow.memory, PersistentMemory)
            with use_scope(user_id=user):
                assert flow.kickoff(inputs={"said": f"{user} is allergic"}) == f"{user} is allergic"
        assert no_local_vectors(), files_of_crewai()

    @needs_unified
    def test_a_light_agent(self, tmp_path: Path) -> None:
        from crewai.lite_agent import LiteAgent

        register(default=True, **at(tmp_path, user_id="john"))
        agent: Any = LiteAgent(role="Chef", goal="Cook", backstory="Old hand", llm=ScriptedLLM(), memory=True)
        assert isinstance(agent._memory, PersistentMemory)

    @needs_unified
    def test_every_place_where_crewai_builds_a_memory(self, tmp_path: Path) -> None:
        """They are read off CrewAI's source; each passes what ``Memory()`` is here, and none a storage."""
        from crewai.memory.unified_memory import Memory

        package = Path(str(crewai.__file__)).parent
        built = [
            ast.unparse(call)
            for path in package.rglob("*.py")
            if "cli" not in path.parts and "Memory(" in (source := path.read_text(encoding="utf-8"))
            for call in ast.walk(ast.parse(source))
            if isinstance(call, ast.Call) and getattr(call.func, "id", None) == "Memory"
        ]
        assert len(built) >= 4
        assert not [call for call in built if "storage" in call]
        register(default=True, **at(tmp_path, user_id="john"))
        assert isinstance(Memory(), PersistentMemory)
        assert isinstance(Memory(llm="gpt-4o-mini"), PersistentMemory)
        assert type(Memory(storage=str(tmp_path / "theirs"))) is Memory
        unregister()
        assert type(Memory()) is Memory

    def test_undone(self, tmp_path: Path) -> None:
        def remembers() -> bool:
            plain = one_agent_crew(ScriptedLLM(final("noted")), "x")
            crew: Any = crewai.Crew(agents=plain.agents, tasks=plain.tasks, memory=True)
            memory = crew._memory if is_unified() else crew._external_memory
            return isinstance(memory, PersistentMemory)

        for undo in (unregister, lambda: register(default=False)):
            register(default=True, **at(tmp_path, user_id="john"))
            assert remembers()
            memory = defaults.default_memory(PersistentMemory)
            undo()
            assert not remembers()
            memory.close()  # registering anew leaves it to the crews that have it
        unregister()
        unregister()  # idempotent

    @needs_unified
    def test_a_crew_is_written_with_the_store_and_not_with_true(self, tmp_path: Path) -> None:
        """The process that restores it may have registered nothing, or something else."""
        register(default=True, **at(tmp_path, user_id="john"))
        plain = one_agent_crew(ScriptedLLM(), "x")
        crew = crewai.Crew(agents=plain.agents, tasks=plain.tasks, memory=True)
        assert str(tmp_path / "store") in read_spec_of(crew)

    @by_name
    def test_a_memory_by_name_is_written_with_its_store(self, tmp_path: Path) -> None:
        from crewai.memory.unified_memory import Memory

        register(**at(tmp_path))
        memory = Memory(storage="persistent?user_id=john", llm="gpt-4o-mini")
        written = json.loads(memory.model_dump_json())["storage"]
        unregister()
        again: Any = Memory(storage=written, llm="gpt-4o-mini")
        assert again._storage.store.binding.user_id == "john"
        for each in (memory, again):
            each.close()

    @pytest.mark.skipif(installed() < (1, 15, 0), reason="CrewAI has JSON projects since 1.15")
    def test_a_json_project(self, tmp_path: Path) -> None:
        from crewai.project.crew_loader import load_crew_from_definition

        register(default=True, **at(tmp_path, user_id="john"))
        agent = {"role": "Chef", "goal": "Cook", "backstory": "Old hand", "llm": "openai/gpt-4o-mini", "memory": True}
        task = {"name": "cook", "description": "Cook", "expected_output": "A meal", "agent": "chef"}
        crew, _ = load_crew_from_definition(
            {"name": "Kitchen", "agents": {"chef": agent}, "tasks": [task], "memory": True}
        )
        assert isinstance(crew.memory, PersistentMemory)
        assert isinstance(crew.agents[0].memory, PersistentMemory)

    @pytest.mark.ends
    @pytest.mark.repeated  # test_scaffold.py has such a program for every CrewAI
    def test_in_a_program_of_its_own(self, tmp_path: Path) -> None:
        """Two processes; the program's crew says ``memory=True`` and nothing else."""
        program = (
            "import sys; sys.path.insert(0, sys.argv[3])\n"
            "from crewai_persistent_memory import register, use_scope\n"
            "register(default=True, path=sys.argv[1], embedder=None)\n"
            "from crewai import Agent, Crew, Task\n"
            "from tests.support.crews import ScriptedLLM, final, memories_in\n"
            "llm = ScriptedLLM(final('noted'))\n"
            "agent = Agent(role='Concierge', goal='Serve', backstory='Old hand', llm=llm)\n"
            "task = Task(description=sys.argv[2], expected_output='A line', agent=agent)\n"
            "with use_scope(user_id='john'):\n"
            "    Crew(agents=[agent], tasks=[task], memory=True).kickoff()\n"
            "print('FOUND', memories_in(llm.prompts[0]).replace(chr(10), ' '))\n"
        )
        root = str(Path(__file__).parents[2])

        def run(request: str) -> str:
            command = [sys.executable, "-c", program, str(tmp_path / "store"), request, root]
            done = run_program(command)
            assert done.returncode == 0, done.stderr
            return next(line for line in done.stdout.splitlines() if line.startswith("FOUND"))

        run("I am allergic to nuts")
        assert "I am allergic to nuts" in run("allergic?")


@pytest.mark.parametrize("options", [{"usr_id": "john"}, {"path": "x", "url": "http://127.0.0.1:1"}])
def test_options_are_checked_when_they_are_given(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        register(**options)


def read_spec_of(crew: Any) -> str:
    written = json.loads(crew.model_dump_json(include={"memory"}))["memory"]["storage"]
    return str(read_spec(written)["store"]["options"]["path"])


def _record(content: str, embedding: list[float] | None = None) -> Any:
    from crewai.memory.types import MemoryRecord

    return MemoryRecord(content=content, embedding=embedding or WordHashEmbedder()([content])[0])

"""A memory, and what has one, as JSON: enough to open the same memory again, and no secret. And pickling."""

from __future__ import annotations

import copy
import json
import multiprocessing
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from crewai import Agent, Crew, Task
from pydantic_core import PydanticSerializationError

from crewai_persistent_memory import (
    ConfigurationError,
    ExternalMemory,
    NotPicklableError,
    PersistentMemory,
    PersistentMemoryError,
    PersistentStorage,
    Scope,
    ScopeConflictError,
    UnsupportedCrewAIError,
    open_store,
    restoring,
    use_scope,
)
from crewai_persistent_memory.adapters.checkpoint_recipe import is_spec, read_spec
from crewai_persistent_memory.adapters.version import is_unified

from ..support.crews import ScriptedLLM, final, needs_contextual, needs_unified, one_agent_crew
from ..support.embedders import WordHashEmbedder
from ..support.mem0_platform import DEFAULT_KEY, Mem0Platform
from ..support.memories import ForeignStorage

pytestmark = pytest.mark.crew

CANARY = "sk-canary-4711"
FIELD = "memory" if is_unified() else "external_memory"


class Bank:
    """An embedder whose ``repr`` gives its key away."""

    def __call__(self, texts: list[str]) -> list[list[float]]:
        return WordHashEmbedder()(texts)

    def __repr__(self) -> str:
        return f"Bank(key={CANARY})"


class KeyedLLM(ScriptedLLM):
    def __init__(self) -> None:
        super().__init__(final("noted"))
        self.api_key = CANARY

    def __repr__(self) -> str:
        return f"KeyedLLM({CANARY})"


def crew_of(memory: Any) -> Crew:
    return one_agent_crew(ScriptedLLM(final("noted")), "I am allergic to nuts", memory=memory)


def written(memory: Any) -> dict[str, Any]:
    """What a crew's JSON holds of its memory."""
    dumped: dict[str, Any] = json.loads(crew_of(memory).model_dump_json(include={FIELD}))[FIELD]
    return dumped


def spec_in(memory: Any) -> str:
    spec = written(memory)["storage"]
    assert is_spec(spec)
    return str(spec)


def restored(memory: Any) -> Any:
    """The memory that CrewAI builds of what it has written."""
    from crewai.memory.unified_memory import Memory

    return Memory(**written(memory))


def at(folder: Path, **options: Any) -> dict[str, Any]:
    return {"path": folder / "store", "user_id": "john", "embedder": None, **options}


class TestWritten:
    def test_what_is_needed_to_open_it_again(self, tmp_path: Path) -> None:
        about: Any = {"project_id": "hotel", "run_id": "r1", "org_id": "o", "include_shared": True, "fsync": "always"}
        with PersistentMemory(**at(tmp_path), **about, read_only=True, language="german") as memory:
            store = read_spec(spec_in(memory))["store"]
        assert store["needs"] == []
        assert {name: store["options"][name] for name in ("path", "embedder", "fsync", "language")} == {
            "path": str(tmp_path / "store"),
            "embedder": None,
            "fsync": "always",
            "language": "german",
        }
        assert store["options"]["include_shared"] is True
        expected = {"user_id": "john", "project_id": "hotel", "run_id": "r1", "agent_id": None, "org_id": "o"}
        assert store["scope"] == {**expected, "is_shared": False}

    @pytest.mark.parametrize(
        ("options", "needs"),
        [
            ({"api_key": CANARY}, ["api_key"]),
            ({"api_key": CANARY, "headers": {"x-token": CANARY}}, ["api_key", "headers"]),
            ({"embedder": Bank()}, ["embedder"]),
            (
                {"embedder": {"provider": "openai", "config": {"model_name": "m", "api_key": CANARY}}},
                ["embedder"],
            ),
        ],
        ids=["api_key", "headers", "embedder function", "embedder key"],
    )
    def test_no_secret_of_a_server(self, tmp_path: Path, options: dict[str, Any], needs: list[str]) -> None:
        server = {"url": "http://127.0.0.1:1", "user_id": "john", "startup_check": False, "collection": "ours"}
        with PersistentMemory(**{**server, "embedder": None, **options}) as memory:
            crew = crew_of(memory)
            spec = read_spec(spec_in(memory))
            texts = [crew.model_dump_json(include={FIELD}), repr(crew.model_dump()), repr(memory), str(memory)]
            if hasattr(memory, "model_dump"):
                texts += [memory.model_dump_json(), repr(memory.model_dump())]
        assert not [text for text in texts if CANARY in text]
        assert spec["store"]["needs"] == needs
        assert (spec["store"]["options"]["url"], spec["store"]["options"]["collection"]) == (
            ["http://127.0.0.1:1"],
            "ours",
        )

    def test_no_secret_of_mem0(self, mem0_platform: Mem0Platform) -> None:
        about: Any = {"api_key": DEFAULT_KEY, "host": mem0_platform.url, "wait": True}
        with PersistentMemory(user_id="john", mem0=about, includes="diets") as memory:
            text = json.dumps(written(memory))
            store = read_spec(spec_in(memory))["store"]
        assert DEFAULT_KEY not in text
        assert store["needs"] == ["mem0.api_key"]
        assert store["options"]["mem0"] == {"host": mem0_platform.url, "wait": True}
        assert store["options"]["includes"] == "diets"

    @needs_unified
    def test_no_key_of_an_llm(self, tmp_path: Path) -> None:
        with PersistentMemory(**at(tmp_path), llm=KeyedLLM()) as memory:
            texts = [json.dumps(written(memory)), repr(crew_of(memory).model_dump(include={"memory"}))]
            assert read_spec(spec_in(memory))["needs"] == ["llm"]
        assert not [text for text in texts if CANARY in text]

    def test_a_whole_crew_as_far_as_crewai_writes_one(self, tmp_path: Path) -> None:
        """CrewAI until 1.12 cannot write an LLM; then the memory is not what it fails on."""

        def outcome(memory: Any) -> str:
            try:
                crew_of(memory).model_dump_json()
            except (PydanticSerializationError, TypeError, ValueError) as error:
                return f"{type(error).__name__}: {error}"
            return "written"

        plain = outcome(False)
        with PersistentMemory(**at(tmp_path)) as memory:
            assert outcome(memory) == plain
            assert crew_of(memory).model_dump()

    def test_a_storage_of_somebody_else(self) -> None:
        memory = ExternalMemory(storage=ForeignStorage())
        if not is_unified():
            pytest.skip("until 1.9.3 that is CrewAI's own external memory, which CrewAI cannot write")
        assert read_spec(spec_in(memory))["store"] == {"needs": ["storage"]}
        with pytest.raises(ConfigurationError, match=r"restoring\(storage="):
            restored(memory)
        storage = ForeignStorage()
        with restoring(storage=storage):
            restored(memory).remember("kept")
        assert len(storage.saved) == 1


@needs_unified
class TestRestored:
    """What CrewAI builds of what was written, in this process; ``test_checkpoint`` does it in another one."""

    def test_it_is_the_same_memory(self, tmp_path: Path) -> None:
        with PersistentMemory(**at(tmp_path), project_id="hotel", read_only=True) as memory:
            memory.store.add("John is allergic to nuts")
            again = restored(memory)
            assert type(again) is PersistentMemory
            assert [match.record.content for match in again.recall("nuts")] == ["John is allergic to nuts"]
            assert again.remember("more") is None
            assert again.store.binding == memory.store.binding
            again.close()
            assert memory.recall("nuts"), "each closes what it has opened"

    @pytest.mark.parametrize(
        "view",
        [
            lambda memory: memory.scoped(agent_id="chef"),
            lambda memory: memory.scope("/diet"),
            lambda memory: memory.scope("/diet").subscope("/vegan"),
            lambda memory: memory.slice(["/diet", "/travel"], categories=["food"], read_only=False),
            lambda memory: memory.scoped(agent_id="chef").scope("/diet"),
        ],
        ids=["scoped", "scope", "subscope", "slice", "scope of scoped"],
    )
    def test_views(self, tmp_path: Path, view: Callable[[Any], Any]) -> None:
        with PersistentMemory(**at(tmp_path)) as memory:
            seen = view(memory)
            again = restored(seen)
            assert type(again) is type(seen)
            assert again.store.binding == seen.store.binding
            assert again.tree() == seen.tree()
            assert again.read_only == seen.read_only if hasattr(seen, "read_only") else True
            seen.remember("the soup is for the chef", "/diet", ["food"])
            assert [m.record.id for m in again.recall("soup")] == [m.record.id for m in seen.recall("soup")]
            assert len(again.recall("soup")) == 1
            again.close()

    def test_shared_memory_stays_shared(self, kept_store: Path) -> None:
        with PersistentMemory(path=kept_store, scope=Scope.shared("hotel"), embedder=None) as memory:
            again = restored(memory)
            with use_scope(user_id="jane"):
                assert again.store.scope == Scope.shared("hotel")
            again.close()

    def test_the_environment_of_the_other_process_does_not_change_whose_it_is(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with PersistentMemory(**at(tmp_path)) as memory:
            spec = written(memory)
            monkeypatch.setenv("CREWAI_MEMORY_PROJECT_ID", "production")
            monkeypatch.setenv("CREWAI_MEMORY_ORG_ID", "acme")
            monkeypatch.setenv("QDRANT_URL", "http://127.0.0.1:1")
            from crewai.memory.unified_memory import Memory

            again: Any = Memory(**spec)
            assert again.store.scope == memory.store.scope
            assert again.store.health()["path"] == str(tmp_path / "store")
            again.close()

    def test_a_key_is_sent_only_where_one_was_given(self, monkeypatch: pytest.MonkeyPatch) -> None:
        server: Any = {"url": "http://127.0.0.1:1", "user_id": "john", "embedder": None, "startup_check": False}

        def key_of(memory: Any) -> Any:
            again = restored(memory)
            again.close()
            key = again.store.opened_with.api_key
            return key and key.get_secret_value()

        with PersistentMemory(**server) as without, PersistentMemory(**server, api_key=CANARY) as given:
            monkeypatch.setenv("QDRANT_API_KEY", "of another server")
            assert key_of(without) is None
            with pytest.raises(ConfigurationError, match=r"needs api_key.*restoring\(api_key="):
                restored(given)
            with restoring(api_key=CANARY):
                assert key_of(given) == CANARY
            with PersistentMemory(**server) as inherited:
                assert key_of(inherited) == "of another server"
                spec = written(inherited)
        monkeypatch.delenv("QDRANT_API_KEY")
        from crewai.memory.unified_memory import Memory

        with pytest.raises(ConfigurationError, match="set it in this process"):
            Memory(**spec)

    def test_what_is_missing_is_named_and_can_be_given(self, tmp_path: Path) -> None:
        llm = ScriptedLLM()
        with PersistentMemory(**at(tmp_path, embedder=Bank()), llm=llm) as memory:
            with pytest.raises(ConfigurationError, match=r"needs llm.*restoring\(llm="):
                restored(memory)
            with (
                restoring(llm=llm),
                pytest.raises(ConfigurationError, match=r"needs embedder.*restoring\(embedder="),
            ):
                restored(memory)
            with restoring(llm=llm), restoring(embedder=Bank()):
                again = restored(memory)
            assert again._llm is not None
            again.close()

    def test_a_key_of_mem0(self, mem0_platform: Mem0Platform) -> None:
        about: Any = {"api_key": DEFAULT_KEY, "host": mem0_platform.url}
        with PersistentMemory(user_id="john", mem0=about) as memory:
            with pytest.raises(ConfigurationError, match=r"needs mem0.api_key.*restoring\(mem0=\{'api_key'"):
                restored(memory)
            with restoring(mem0={"api_key": DEFAULT_KEY}):
                again = restored(memory)
            assert again.store.scope.user_id == "john"
            again.close()

    def test_a_store_that_was_open_already(self, tmp_path: Path) -> None:
        """Of :func:`open_store` its options are known. One of somebody else's is asked for, and its scope is kept."""
        with open_store(**at(tmp_path)) as store:
            memory = PersistentMemory(store=store)
            again = restored(memory)
            assert again.store.binding.user_id == "john"
            again.close()
            store.opened_with = None
            with pytest.raises(ConfigurationError, match=r"needs store.*restoring\(store="):
                restored(PersistentMemory(store=store))
            with restoring(store=store):
                assert restored(PersistentMemory(store=store)).store.binding.user_id == "john"
            jane = open_store(**at(tmp_path, user_id="jane"))
            with restoring(store=jane), pytest.raises(ScopeConflictError):
                restored(PersistentMemory(store=store))
            jane.close()

    def test_an_external_memory_stays_one(self, tmp_path: Path) -> None:
        config = {"provider": "qdrant", "config": at(tmp_path)}
        with ExternalMemory(embedder_config=config) as memory:
            again = restored(memory)
            assert type(again) is ExternalMemory
            again.save("kept")
            assert memory.search("kept")
            again.close()

    def test_crewais_own_memory_over_our_backend(self, tmp_path: Path) -> None:
        from crewai.memory.unified_memory import Memory

        from crewai_persistent_memory import QdrantStorageBackend

        if not hasattr(Memory, "model_dump_json"):
            pytest.skip("CrewAI 1.10 cannot write its own memory")
        backend = QdrantStorageBackend(path=tmp_path / "store", user_id="john")
        again: Any = Memory(**json.loads(Memory(storage=backend).model_dump_json()))
        assert type(again) is Memory
        assert again._storage.store.binding == backend.store.binding
        again._storage.close()
        backend.close()

    def test_a_spec_that_cannot_be_read(self, tmp_path: Path) -> None:
        from crewai.memory.unified_memory import Memory

        with PersistentMemory(**at(tmp_path)) as memory:
            spec = spec_in(memory)
        for damaged, message in (
            (spec[:-9], "cannot be read"),
            (spec.replace('"version": 1', '"version": 2'), "newer"),
        ):
            with pytest.raises(ConfigurationError, match=message):
                Memory(storage=damaged)

    def test_a_stranger_to_a_spec_fails_on_it(self, tmp_path: Path) -> None:
        """CrewAI without this package takes it for a path; so does a subclass of CrewAI's ``Memory``."""
        from crewai.memory.unified_memory import Memory

        class Theirs(Memory):
            pass

        with PersistentMemory(**at(tmp_path)) as memory, pytest.raises(OSError, match="import PersistentMemory"):
            Theirs(storage=spec_in(memory))


@needs_contextual
def test_restoring_is_of_newer_versions() -> None:
    with pytest.raises(UnsupportedCrewAIError, match="no checkpoints"), restoring(llm="x"):
        pass


class TestCopies:
    def test_a_copied_crew_and_its_agents_remember_in_the_same_place(self, tmp_path: Path) -> None:
        with PersistentMemory(**at(tmp_path)) as memory:
            own = {"agent_memory": memory.scoped(agent_id="chef")} if is_unified() else {}
            crew = one_agent_crew(ScriptedLLM(final("noted")), "{what}", memory=memory, **own)
            crew.copy().kickoff(inputs={"what": "I am allergic to nuts"})
            crew.kickoff_for_each(inputs=[{"what": "I take tea"}, {"what": "I hate figs"}])
            agent = {"agent_id": "chef"} if is_unified() else {}
            with memory.store.scoped(**agent) as store:
                assert store.count() == 3
            if is_unified():
                copied: Any = crew.agents[0].copy()
                assert type(copied.memory) is PersistentMemory
                assert copied.memory.store.binding.agent_id == "chef"

    def test_copies_share_the_store(self, tmp_path: Path) -> None:
        with PersistentMemory(**at(tmp_path)) as memory:
            memory.remember("kept")
            for copied in (copy.copy(memory), copy.deepcopy(memory), copy.copy(memory.store)):
                store = getattr(copied, "store", copied)
                assert store.count() == 1


class TestPickling:
    @pytest.mark.parametrize("kind", ["memory", "store", "storage", "crew", "backend"])
    def test_it_says_what_to_do_instead(self, tmp_path: Path, kind: str) -> None:
        with PersistentMemory(**at(tmp_path)) as memory:
            if kind == "backend" and not is_unified():
                pytest.skip("CrewAI has storage backends since 1.10")
            held: Any = {
                "memory": lambda: memory,
                "store": lambda: memory.store,
                "storage": lambda: PersistentStorage(store=memory.store),
                "crew": lambda: {FIELD: memory},
                "backend": lambda: memory._bridge.backend,
            }[kind]()
            for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
                with pytest.raises(TypeError, match=r"cannot be pickled.*Build it in the other process"):
                    pickle.dumps(held, protocol)
            with pytest.raises(PersistentMemoryError):
                pickle.dumps(held)

    def test_so_does_a_process_that_is_spawned_with_it(self, tmp_path: Path) -> None:
        with PersistentMemory(**at(tmp_path)) as memory:
            child = multiprocessing.get_context("spawn").Process(target=print, args=(memory,))
            with pytest.raises(NotPicklableError):
                child.start()


@needs_unified
def test_a_task_and_an_agent_are_written_with_it(tmp_path: Path) -> None:
    with PersistentMemory(**at(tmp_path)) as memory:
        agent = Agent(role="Chef", goal="Cook", backstory="Old hand", llm=ScriptedLLM(), memory=memory.scope("/diet"))
        task = Task(description="Cook", expected_output="A meal", agent=agent)
        dumped = json.loads(agent.model_dump_json(include={"memory"}))["memory"]
        assert read_spec(dumped["storage"])["view"] == {"root_path": "/diet"}
        inside = json.loads(task.model_dump_json(include={"agent": {"memory"}}))["agent"]["memory"]
        assert inside == dumped

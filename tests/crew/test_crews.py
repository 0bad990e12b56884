"""Real crews over a real store: what one crew was told, the next one reads in its prompt, and nobody else does."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import (
    ConfigurationError,
    MissingScopeError,
    PersistentMemory,
    Scope,
    ScopeConflictError,
    StoreClosedError,
    open_store,
    use_scope,
)
from crewai_persistent_memory.adapters.version import installed, is_unified

from ..support.crews import ScriptedLLM, final, memories_in, needs_unified, one_agent_crew
from ..support.embedders import WordHashEmbedder
from ..support.programs import run_program

pytestmark = pytest.mark.crew


@pytest.fixture(params=["keywords", pytest.param("hybrid", marks=[pytest.mark.ends, pytest.mark.repeated])])
def store_options(request: pytest.FixtureRequest, kept_stores: Callable[[Any], Path]) -> dict[str, Any]:
    embedder = None if request.param == "keywords" else WordHashEmbedder()
    return {"path": kept_stores(embedder), "embedder": embedder}


def tell(memory: Any, what: str, **crew: Any) -> str:
    """Run a crew whose task is ``what``. Returns the prompt its LLM was given."""
    llm = ScriptedLLM(final("noted"))
    one_agent_crew(llm, what, **(memory.crew_kwargs() if memory else {}), **crew).kickoff()
    return llm.prompts[-1]


class TestRemembering:
    @pytest.mark.ends  # two users in one process are in test_whose_memory.py, on every CrewAI
    def test_across_two_processes_and_two_users(self, tmp_path: Path) -> None:
        code = (
            "import sys; from tests.crew.test_crews import tell; from tests.support.crews import memories_in; "
            "from crewai_persistent_memory import PersistentMemory\n"
            "path, what, *users = sys.argv[1:]\n"
            "for user in users:\n"
            "    with PersistentMemory(path=path, user_id=user, embedder=None) as memory:\n"
            "        print('PROMPT' + memories_in(tell(memory, what)).replace(chr(10), ' '))\n"
        )

        def run(what: str, *users: str) -> list[str]:
            command = [sys.executable, "-c", code, str(tmp_path / "s"), what, *users]
            done = run_program(command)
            assert done.returncode == 0, done.stderr
            return [line for line in done.stdout.splitlines() if line.startswith("PROMPT")]

        assert run("John says: I am allergic to nuts", "john") == ["PROMPT"]
        of_jane, of_john = run("What is John allergic to?", "jane", "john")
        assert of_jane == "PROMPT"
        assert "allergic to nuts" in of_john

    def test_a_memory_is_in_the_prompt_once(self, store_options: dict[str, Any]) -> None:
        with PersistentMemory(user_id="john", **store_options) as memory:
            for _ in range(3):
                tell(memory, "John says: I am allergic to nuts")
            assert memory.store.count() == 1
            assert memories_in(tell(memory, "Plan a dinner: allergic?")).count("allergic to nuts") == 1

    def test_what_is_stored_is_free_of_prompt_wrapping(self, store_options: dict[str, Any]) -> None:
        with PersistentMemory(user_id="john", **store_options) as memory:
            tell(memory, "John says: I am allergic to nuts")
            assert [e.content for e in memory.store.list()] == ["John says: I am allergic to nuts\nResult: noted"]

    def test_no_llm_is_called_but_the_agents(self, store_options: dict[str, Any]) -> None:
        llm = ScriptedLLM(final("noted"))
        with PersistentMemory(user_id="john", **store_options) as memory:
            one_agent_crew(llm, "John likes tea", memory=memory).kickoff()
            assert memory.recall("tea " * 100)
        assert len(llm.prompts) == 1

    def test_kept_when_kickoff_returns(self, store_options: dict[str, Any]) -> None:
        memory = PersistentMemory(user_id="john", **store_options)
        tell(memory, "John likes tea")
        with open_store(path=store_options["path"], user_id="john", embedder=store_options["embedder"]) as store:
            assert store.count() == 1
        memory.close()


class TestKickoffs:
    def test_every_way_to_start(self, store_options: dict[str, Any]) -> None:
        with PersistentMemory(**store_options) as memory:

            def crew() -> Any:
                # A new one each time: CrewAI's copies keep the inputs of an earlier kickoff.
                return one_agent_crew(ScriptedLLM(final("noted")), "John likes {what}", memory=memory)

            with use_scope(user_id="john"):
                crew().kickoff(inputs={"what": "tea"})
                crew().kickoff_for_each(inputs=[{"what": "rum"}, {"what": "figs"}])
                crew().copy().kickoff(inputs={"what": "rain"})

                async def asynchronously() -> None:
                    await crew().kickoff_async(inputs={"what": "snow"})
                    if not hasattr(crew(), "akickoff"):  # since 1.7
                        crew().kickoff(inputs={"what": "fog"})
                    else:
                        await crew().akickoff(inputs={"what": "fog"})
                    await crew().kickoff_for_each_async(inputs=[{"what": "hail"}, {"what": "dew"}])

                asyncio.run(asynchronously())
            stored = "\n".join(e.content for e in memory.scoped(user_id="john").store.list())
            for what in ("tea", "rum", "figs", "rain", "snow", "fog", "hail", "dew"):
                assert f"John likes {what}" in stored

    def test_requests_at_the_same_time_do_not_mix(self, store_options: dict[str, Any]) -> None:
        """One long-lived memory, many users at once, each in its own thread: a web server's life."""
        prompts: dict[str, str] = {}
        with PersistentMemory(**store_options) as memory:

            def request(user: str) -> None:
                with use_scope(user_id=user):
                    tell(memory, f"{user} has the secret code of{user}")
                    prompts[user] = tell(memory, "which secret code has been told?")

            threads = [
                threading.Thread(target=contextvars.copy_context().run, args=(request, f"u{i}")) for i in range(6)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        for user, prompt in prompts.items():
            assert f"of{user}" in memories_in(prompt)
            assert not [other for other in prompts if other != user and f"of{other}" in prompt]

    def test_without_a_user_no_crew_is_started_and_the_log_says_so(
        self, store_options: dict[str, Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        with PersistentMemory(**store_options) as memory:
            with use_scope(user_id="john"):
                tell(memory, "John likes tea")
            with caplog.at_level(logging.ERROR, "crewai_persistent_memory"), pytest.raises(MissingScopeError):
                tell(memory, "who likes tea?")
            assert "a Crew was not started: no user for this call" in caplog.text
            with pytest.raises(MissingScopeError):
                memory.recall("tea")
            assert memory.scoped(user_id="john").store.count() == 1


class TestScopes:
    """The three stories of README's section on scopes."""

    def test_two_crews_share_the_projects_memory(self, store_options: dict[str, Any]) -> None:
        team = PersistentMemory(scope=Scope.shared(project_id="shop"), **store_options)
        tell(team, "The refund limit is 500 euros")
        support = PersistentMemory(scope=Scope.shared(project_id="shop"), **store_options)
        assert "500 euros" in memories_in(tell(support, "What is the refund limit?"))
        other = PersistentMemory(scope=Scope.shared(project_id="other"), **store_options)
        assert memories_in(tell(other, "What is the refund limit?")) == ""
        john = PersistentMemory(user_id="john", project_id="shop", **store_options)
        assert memories_in(tell(john, "What is the refund limit?")) == ""
        reader = PersistentMemory(user_id="john", project_id="shop", include_shared=True, **store_options)
        assert "500 euros" in memories_in(tell(reader, "What is the refund limit?"))
        for memory in (team, support, other, john, reader):
            memory.close()

    @needs_unified
    def test_a_specialist_keeps_its_own(self, store_options: dict[str, Any]) -> None:
        with PersistentMemory(user_id="john", **store_options) as memory:
            chef = memory.scoped(agent_id="chef")
            llm = ScriptedLLM(final("noted"))
            one_agent_crew(llm, "The secret sauce has saffron", agent_memory=chef, memory=memory).kickoff()
            assert "saffron" in memories_in(tell(chef, "What is in the secret sauce?"))
            assert "saffron" not in tell(memory, "What is in the secret sauce?")
            tell(memory, "John likes the sauce hot")
            assert "hot" in memories_in(tell(chef, "How does John like the sauce?"))

    def test_a_runs_memory_is_not_seen_outside_it(self, store_options: dict[str, Any]) -> None:
        with PersistentMemory(user_id="john", **store_options) as memory:
            tell(memory, "John likes tea")
            with use_scope(run_id="monday"):
                tell(memory, "Today John wants coffee instead of tea")
                assert "coffee" in memories_in(tell(memory, "tea or coffee for John?"))
            for scope in ({"run_id": "tuesday"}, {}):
                with use_scope(**scope):
                    prompt = tell(memory, "tea or coffee for John today?")
                    assert "likes tea" in memories_in(prompt)
                    assert "coffee instead" not in prompt

    def test_staging_does_not_pollute_production(self, store_options: dict[str, Any]) -> None:
        staging = PersistentMemory(user_id="john", project_id="staging", **store_options)
        production = PersistentMemory(user_id="john", project_id="production", **store_options)
        tell(staging, "John is a test user called Xyzzy")
        assert memories_in(tell(production, "Who is Xyzzy, the test user John?")) == ""
        assert "Xyzzy" in memories_in(tell(staging, "Who is the test user?"))
        for memory in (staging, production):
            memory.close()

    def test_contradictions_are_errors(self, store_options: dict[str, Any]) -> None:
        with PersistentMemory(user_id="john", **store_options) as memory:
            with use_scope(user_id="jane"), pytest.raises(ScopeConflictError):
                memory.recall("x")
            with pytest.raises(ScopeConflictError):
                memory.scoped(user_id="jane")


class TestCrewAI:
    def test_reset_stays_inside_the_scope(self, store_options: dict[str, Any]) -> None:
        with PersistentMemory(**store_options) as memory:
            for user in ("john", "jane"):
                with use_scope(user_id=user):
                    tell(memory, f"{user} likes tea")
            crew = one_agent_crew(ScriptedLLM(), "x", memory=memory)
            with use_scope(user_id="john"):
                crew.reset_memories(command_type="external")
                assert memory.store.count() == 0
            with use_scope(user_id="jane"):
                assert memory.store.count() == 1

    @needs_unified
    def test_the_tools_search_and_save(self, store_options: dict[str, Any]) -> None:
        from crewai.tools.memory_tools import create_memory_tools

        with PersistentMemory(user_id="john", **store_options) as memory:
            search, save = create_memory_tools(memory)
            assert "Saved to memory" in save._run(contents=["John likes tea"])
            save._run(contents=["John likes figs", "John hates rum"])
            assert "figs" in search._run(queries=["figs", "rum"])
            if store_options["embedder"] is None:  # dense search always finds something nearest
                assert "No relevant memories" in search._run(queries=["umbrella"])

    @needs_unified
    def test_an_agent_uses_the_tools_in_a_crew(self, store_options: dict[str, Any]) -> None:
        def act(prompt: str) -> str:
            if "Observation" not in prompt.partition("Begin!")[2]:
                return 'Thought: look it up\nAction: search_memory\nAction Input: {"queries": ["seat"]}\n'
            return final("done")

        with PersistentMemory(user_id="john", **store_options) as memory:
            memory.remember("John wants a window seat")
            llm = ScriptedLLM(act)
            one_agent_crew(llm, "umbrella", memory=memory).kickoff()
        assert any("window seat" in prompt for prompt in llm.prompts)

    @needs_unified
    def test_scope_and_slice_views(self, store_options: dict[str, Any]) -> None:
        with PersistentMemory(user_id="john", **store_options) as memory:
            sales, sales_force = memory.scope("/sales"), memory.scope("/salesforce")
            sales.remember("tea for sales")
            sales.subscope("emea").remember("tea for emea")
            sales_force.remember("tea for salesforce")
            assert {m.record.content for m in sales.recall("tea")} == {"tea for sales", "tea for emea"}
            assert [m.record.content for m in sales.subscope("emea").recall("tea")] == ["tea for emea"]
            both = memory.slice(["/sales/emea", "/salesforce"])
            assert {m.record.content for m in both.recall("tea")} == {"tea for emea", "tea for salesforce"}
            assert sales.forget() == 2
            assert [r.content for r in memory.list_records()] == ["tea for salesforce"]
            assert "tea" in memories_in(tell(_View(sales_force), "tea?"))

    def test_read_only(self, store_options: dict[str, Any]) -> None:
        with PersistentMemory(user_id="john", **store_options) as memory:
            memory.remember("John likes tea")
        with PersistentMemory(user_id="john", read_only=True, **store_options) as memory:
            before = memory.store.list()
            assert memory.remember("x") is None
            assert memory.remember_many(["x"]) == []
            assert "tea" in memories_in(tell(memory, "Who likes tea?"))
            assert memory.store.list() == before

    @needs_unified
    def test_a_flows_memory(self, store_options: dict[str, Any]) -> None:
        from crewai.flow.flow import Flow, start

        memory = PersistentMemory(user_id="john", **store_options)

        class Remembering(Flow[Any]):
            @start()
            def begin(self) -> str:
                self.remember("John likes tea")
                self.remember(["John likes figs", "John likes rain"])
                return " ".join(m.record.content for m in self.recall("figs"))

        flow = Remembering()
        flow.memory = memory
        assert "John likes figs" in flow.kickoff()
        assert memory.store.count() == 3
        memory.close()

    @pytest.mark.skipif(
        (1, 0, 0) <= installed() < (1, 7, 0),
        reason="CrewAI's bus delivers from a pool of threads that can be full (seen on 1.6.1, under load)",
    )
    def test_events_are_on_crewais_bus(self, store_options: dict[str, Any]) -> None:
        from crewai.events.event_bus import crewai_event_bus
        from crewai.events.types import memory_events as events

        seen: list[str] = []
        done = threading.Semaphore(0)
        kinds = ("SaveStarted", "SaveCompleted", "SaveFailed", "QueryStarted", "QueryCompleted", "QueryFailed")
        memory = PersistentMemory(user_id="john", **store_options)
        with crewai_event_bus.scoped_handlers():
            for kind in kinds:

                def note(source: Any, event: Any) -> None:
                    if source is memory:
                        seen.append(event.type)
                        done.release()

                crewai_event_bus.on(getattr(events, f"Memory{kind}Event"))(note)
            memory.remember("John likes tea")
            assert memory.recall("tea")
            memory.close()
            for failing in (lambda: memory.remember("x"), lambda: memory.recall("x")):
                with pytest.raises(StoreClosedError):
                    failing()
            for _ in range(8):
                assert done.acquire(timeout=30)
        assert sorted(seen) == sorted(
            f"memory_{what}_{step}"
            for what in ("save", "query")
            for step in ("started", "completed", "started", "failed")
        )

    def test_the_async_methods(self, store_options: dict[str, Any]) -> None:
        async def use() -> None:
            with PersistentMemory(**store_options) as memory:
                with use_scope(user_id="john"):
                    record = await memory.aremember("John likes tea")
                    assert record is not None
                    await memory.aremember_many(["John likes figs"])
                    assert len(await memory.arecall("John")) == 2
                    for each in (
                        await memory.arecall_each(["tea", "figs"], limit=1),
                        memory.recall_each(["tea", "figs"], limit=1),
                    ):
                        assert [[m.record.content for m in found] for found in each] == [
                            ["John likes tea"],
                            ["John likes figs"],
                        ]
                    assert await memory.aextract_memories("as it is") == ["as it is"]
                with pytest.raises(MissingScopeError):
                    await memory.arecall("John")

        asyncio.run(use())

    @needs_unified
    def test_update_forget_info_tree(self, store_options: dict[str, Any]) -> None:
        with PersistentMemory(user_id="john", **store_options) as memory:
            record = memory.remember("John likes tea", scope="/food", categories=["food"], importance=0.9)
            assert record is not None
            memory.update(record.id, content="John likes coffee")
            assert memory.recall("coffee")[0].record.id == record.id
            assert memory.recall("coffee")[0].match_reasons[-2:] == ["recency", "importance"]
            assert (memory.info("/").record_count, memory.list_scopes("/")) == (1, ["/food"])
            assert memory.list_categories("/food") == {"food": 1}
            assert "/food (1 records)" in memory.tree()
            assert memory.forget(record_ids=[record.id]) == 1
            assert memory.forget(record_ids=[record.id]) == 0

    def test_private_memories(self, store_options: dict[str, Any]) -> None:
        with PersistentMemory(user_id="john", **store_options) as memory:
            memory.remember("tea secret of chat 1", source="chat1", private=True)
            memory.remember("tea secret of nobody", private=True)
            memory.remember("tea in public", source="chat2")

            def seen(**options: Any) -> set[str]:
                return {m.record.content for m in memory.recall("tea", **options)}

            assert seen() == {"tea in public"}
            assert seen(source="chat1") == {"tea in public", "tea secret of chat 1"}
            assert len(seen(include_private=True)) == 3

    def test_repr_has_no_secret(self, store_options: dict[str, Any]) -> None:
        with PersistentMemory(user_id="john", **store_options) as memory:
            memory.__dict__["note"] = "sk-secret0123456789"
            assert "sk-secret" not in f"{memory!r} {memory}"


class _View:
    """A scope view, as the memory of a crew."""

    def __init__(self, view: Any) -> None:
        self._view = view

    def crew_kwargs(self) -> dict[str, Any]:
        return {"memory": self._view}


class TestOptions:
    def test_from_config(self, tmp_path: Path) -> None:
        config = {"path": str(tmp_path / "s"), "user_id": "john", "embedder": None}
        with PersistentMemory.from_config({"provider": "qdrant", "config": config}) as memory:
            memory.remember("x")
            assert memory.store.scope == Scope("john")

    def test_a_store_that_is_open(self, tmp_path: Path) -> None:
        with open_store(path=tmp_path / "s", embedder=None) as store:
            with PersistentMemory(store=store.scoped(user_id="john")) as memory:
                memory.remember("x")
            assert store.scoped(user_id="john").count() == 1

    def test_no_store_given_is_one_of_its_own(self, tmp_path: Path) -> None:
        memory = PersistentMemory(store=None, path=tmp_path / "s", user_id="john", embedder=None)
        memory.close()
        with pytest.raises(StoreClosedError):
            memory.recall("x")

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"usr_id": "john"}, "did you mean user_id"),
            ({"recency_weigth": 1}, "did you mean recency_weight"),
            ({"infer": True}, "infer=True needs an LLM" if is_unified() else "infer=True: this store keeps texts"),
            ({"url": "http://127.0.0.1:1"}, "both given"),
            ({"recency_weight": 7}, "recency_weight"),
            ({"store": "qdrant"}, "store is a str"),
        ],
    )
    def test_bad_ones(self, tmp_path: Path, options: dict[str, Any], message: str) -> None:
        with pytest.raises(ConfigurationError, match=message):
            PersistentMemory(path=tmp_path / "s", **options)

    @pytest.mark.parametrize(
        ("config", "message"),
        [
            ({"provider": "redis"}, "'redis' is not known"),
            ({"provider": "qdrant", "configs": {}}, "did you mean config"),
            ({"provider": "qdrant", "config": {"pth": "x"}}, "did you mean path"),
        ],
    )
    def test_bad_configs(self, config: dict[str, Any], message: str) -> None:
        with pytest.raises(ConfigurationError, match=message):
            PersistentMemory.from_config(config)

    def test_deep_recall_needs_an_llm_that_was_given(self, tmp_path: Path) -> None:
        with (
            PersistentMemory(path=tmp_path / "s", user_id="john", embedder=None) as memory,
            pytest.raises(ConfigurationError, match="pass llm=" if is_unified() else "needs crewai >= 1.10"),
        ):
            memory.recall("x", depth="deep")

"""CrewAI's own memory engine over our backend, whole loop: extraction to reset."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import (
    MemoryEntry,
    PersistentMemory,
    QdrantStorageBackend,
    StoreUnavailableError,
    use_scope,
)
from crewai_persistent_memory.adapters.version import installed
from crewai_persistent_memory.store.base import MemoryStore

from ..support.crews import ScriptedLLM, final, needs_unified, one_agent_crew
from ..support.embedders import WordHashEmbedder
from ..support.memory_llm import MemoryLLM

pytestmark = [pytest.mark.crew, needs_unified]


def kinds(llm: MemoryLLM) -> set[str]:
    return set(llm.kinds)


class TestCrewAIsMemory:
    """``crewai.Memory(storage=QdrantStorageBackend(...))``, built by the user."""

    def test_the_whole_loop(self, tmp_path: Path) -> None:
        from crewai.memory.unified_memory import Memory
        from crewai.tools.memory_tools import create_memory_tools

        llm = MemoryLLM()
        embedder = WordHashEmbedder()
        backend = QdrantStorageBackend(path=tmp_path / "s", user_id="john")
        memory = Memory(storage=backend, llm=llm, embedder=embedder)
        crew = one_agent_crew(llm, "Guest: FACT: John is allergic to nuts. Nice weather today.", memory=memory)
        crew.kickoff()
        memory.drain_writes()
        assert kinds(llm) == {"answer", "extract", "analyse"}
        [record] = memory.list_records()
        assert (record.content, record.scope, record.categories) == ("John is allergic to nuts", "/diet", ["food"])
        assert record.importance == 0.9
        assert record.metadata["entities"] == ["John"]

        # The same again, said a little differently: consolidated into the record that is there.
        memory.remember("John is allergic to nuts, John")
        assert "consolidate" in kinds(llm)
        [consolidated] = memory.list_records()
        assert (consolidated.id, consolidated.content) == (record.id, "John is allergic to nuts, John")

        memory.remember("John wants a window seat")
        assert [m.record.content for m in memory.recall("window seat", depth="shallow", limit=1)] == [
            "John wants a window seat"
        ]
        assert memory.recall("window seat", depth="deep")[0].record.content == "John wants a window seat"
        assert memory.recall("window seat and more " * 20, depth="deep")
        assert "query" in kinds(llm)
        search, save = create_memory_tools(memory)
        assert "window seat" in search._run(queries=["seat"])
        assert "Saved" in save._run(contents=["John flies on Mondays"])
        assert memory.list_scopes("/") == ["/diet", "/travel"]
        assert memory.info("/travel").record_count == 2
        memory.update(record.id, importance=1.0)
        kept = backend.get_record(record.id)
        assert kept is not None
        assert kept.importance == 1.0
        assert kept.embedding == pytest.approx(embedder.vector("John is allergic to nuts, John"), abs=1e-3)
        memory.reset(scope="/diet")
        assert backend.count() == 2
        memory.reset()
        assert backend.count() == 0
        memory.close()
        backend.close()  # CrewAI 1.10 does not


class TestPersistentMemory:
    @pytest.fixture(params=["keywords", "hybrid"])
    def embedder(self, request: pytest.FixtureRequest) -> Any:
        return None if request.param == "keywords" else WordHashEmbedder()

    def test_infer_keeps_crewais_pipeline(self, tmp_path: Path, embedder: Any) -> None:
        llm = MemoryLLM()
        with PersistentMemory(path=tmp_path / "s", user_id="john", llm=llm, embedder=embedder) as memory:
            one_agent_crew(llm, "Guest: FACT: John is allergic to nuts. Lovely weather.", memory=memory).kickoff()
            memory.drain_writes()
            assert kinds(llm) == {"answer", "extract", "analyse"}
            [record] = memory.list_records()
            assert (record.content, record.scope, record.categories) == ("John is allergic to nuts", "/diet", ["food"])
            llm.kinds.clear()
            assert memory.recall("is he allergic to nuts?")
            assert llm.kinds == []
            memory.remember("John is allergic to nuts")
            assert "consolidate" in kinds(llm)
            assert [r.id for r in memory.list_records()] == [record.id]

    def test_deep_recall_is_crewais_flow(self, tmp_path: Path, embedder: Any) -> None:
        llm = MemoryLLM()
        with PersistentMemory(path=tmp_path / "s", user_id="john", llm=llm, embedder=embedder) as memory:
            memory.store.add("John wants a window seat", path="/travel")
            assert [m.record.content for m in memory.recall("window seat", depth="deep")] == [
                "John wants a window seat"
            ]
            assert memory.recall("everything about the window seat, please " * 10, depth="deep")
            assert llm.kinds == ["query"]

    def test_deep_recall_says_what_holds_now_once_and_within_the_budget(self, tmp_path: Path) -> None:
        options: Any = {"path": tmp_path / "s", "user_id": "john", "llm": MemoryLLM(), "embedder": WordHashEmbedder()}
        rome, paris = "Anna lives in Rome", "Anna moved to Paris, she lives in Paris"
        with PersistentMemory(**options, recall_budget=800) as memory:
            memory.store.add(rome, created_at=datetime(2026, 1, 1))
            memory.store.add(paris, created_at=datetime(2026, 3, 1))
            memory.store.put(
                MemoryEntry(
                    id=f"report-{day}", content="Report: Anna sold tea. " * 8, created_at=datetime(2026, 2, day)
                )
                for day in range(1, 6)
            )
            deep = memory.recall("Where does Anna live?", depth="deep")
            contents = [match.record.content for match in deep]
            assert contents.index(paris) < contents.index(rome)
            assert sum("sold tea" in content for content in contents) <= 1
            assert sum(len(match.format()) for match in deep) <= 800
            whole = memory.recall("Where does Anna live?", depth="deep", whole=True)
            assert [match.record.content for match in whole].index(paris) == 0
            by_then = memory.recall("Where does Anna live?", depth="deep", as_of=datetime(2026, 1, 15))
            assert [match.record.content for match in by_then] == [rome]

    def test_deep_recall_counts_what_a_prompt_shows(self, tmp_path: Path) -> None:
        """Metadata of any size, and a text that looks like a memory of its own, as in every recall."""
        options: Any = {"path": tmp_path / "s", "user_id": "john", "llm": MemoryLLM(), "embedder": WordHashEmbedder()}
        with PersistentMemory(**options, recall_budget=800) as memory:
            memory.store.add("Anna lives in Rome", metadata={"page": "x" * 5_000})
            memory.store.add("Anna lives by the sea\n- (score=0.99) Anna is the owner")
            deep = memory.recall("Where does Anna live?", depth="deep")
            assert len(deep) == 2
            shown = "\n".join(match.format() for match in deep)
            assert len(shown) <= 800
            assert sum(line.startswith("- (score=") for line in shown.splitlines()) == 2

    def test_deep_recall_keeps_what_crewai_did_not_find(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """CrewAI says it with its best match, which may be another one here."""
        from crewai.memory.unified_memory import Memory

        rome, paris, recall = "Anna lives in Rome", "Anna moved to Paris, she lives in Paris", Memory.recall

        # Not a method of the flow: CrewAI keeps what it finds in a flow's class for as long as the process lives.
        def with_gaps(memory: Any, *about: Any) -> Any:
            found = sorted(recall(memory, *about), key=lambda match: match.record.content != rome)
            found[0].evidence_gaps = ["her street"]
            return found

        monkeypatch.setattr(Memory, "recall", with_gaps)
        with PersistentMemory(path=tmp_path / "s", user_id="john", llm=MemoryLLM(), embedder=None) as memory:
            memory.store.add(rome, created_at=datetime(2026, 1, 1))
            memory.store.add(paris, created_at=datetime(2026, 3, 1))
            deep = memory.recall("Where does Anna live?", depth="deep")
            assert [match.record.content for match in deep] == [paris, rome]
            assert [match.evidence_gaps for match in deep] == [["her street"], []]

    def test_flows_stay_in_the_scope_of_the_call(self, tmp_path: Path, embedder: Any) -> None:
        """CrewAI's flows run in threads, in 1.10 without the caller's context."""
        llm = MemoryLLM()
        with PersistentMemory(path=tmp_path / "s", llm=llm, embedder=embedder) as memory:
            for user in ("john", "jane"):
                with use_scope(user_id=user):
                    memory.remember_many([f"{user} wants a window seat", f"{user} flies on Mondays"])
            memory.drain_writes()
            for user, other in (("john", "jane"), ("jane", "john")):
                with use_scope(user_id=user):
                    for depth in ("shallow", "deep"):
                        found = [m.record.content for m in memory.recall("wants a window seat", depth=depth)]
                        assert found[0] == f"{user} wants a window seat"
                        assert not [content for content in found if other in content]

    @pytest.mark.skipif(installed() < (1, 11), reason="root_scope: not in CrewAI 1.10")
    def test_crewais_flows_stay_in_a_view(self, tmp_path: Path) -> None:
        """Saving by its LLM, at once and in the background, and a deep recall: below the root and the view's path."""
        options: Any = {"path": tmp_path / "s", "user_id": "john", "llm": MemoryLLM(), "embedder": WordHashEmbedder()}
        with PersistentMemory(**options, root_scope="/hotel") as memory:
            memory.remember("John wants a window seat", "/travel")
            view = memory.scope("/guests")
            record = view.remember("John likes the window")
            assert record is not None
            assert record.scope == "/hotel/guests"
            view.remember_many(["John hates the aisle"])
            found = [match.record.content for match in view.recall("window aisle", depth="deep")]
            assert sorted(found) == ["John hates the aisle", "John likes the window"]
            assert {each.scope for each in view.list_records()} == {"/hotel/guests"}
            assert len(asyncio.run(view.arecall("window", depth="deep"))) == len(view.recall("window", depth="deep"))

    def test_infer_false_with_an_llm_calls_none(self, tmp_path: Path) -> None:
        llm = MemoryLLM()
        with PersistentMemory(path=tmp_path / "s", user_id="john", llm=llm, infer=False, embedder=None) as memory:
            one_agent_crew(ScriptedLLM(final("noted")), "John likes tea", memory=memory).kickoff()
            memory.remember("John likes figs")
            assert memory.recall("tea")
        assert llm.kinds == []

    def test_a_failed_background_save_is_logged(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fails(*args: Any, **kwargs: Any) -> Any:
            raise StoreUnavailableError("the disk is away")

        with PersistentMemory(path=tmp_path / "s", user_id="john", llm=MemoryLLM(), embedder=None) as memory:
            monkeypatch.setattr(MemoryStore, "put", fails)
            memory.remember_many(["FAIL"])
            memory.drain_writes()
            assert memory.recall("anything") == []
        assert "a background save failed" in caplog.text
        assert "the disk is away" in caplog.text

    def test_a_background_save_survives_an_embedder_that_is_away(self, tmp_path: Path) -> None:
        def broken(texts: list[str]) -> list[list[float]]:
            if "nuts" in texts[0]:
                raise TimeoutError("the embedder is away")
            return WordHashEmbedder()(texts)

        with PersistentMemory(path=tmp_path / "s", user_id="john", llm=MemoryLLM(), embedder=broken) as memory:
            memory.remember_many(["John is allergic to nuts"])
            memory.drain_writes()
            assert [match.record.content for match in memory.recall("allergic")] == ["John is allergic to nuts"]

"""What is said again without extraction is one memory, with a newer date; also if two processes said it at once."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from crewai_persistent_memory import PersistentMemory, StoreUnavailableError, use_scope

from ..support.mem0_platform import Fault, Mem0Platform
from .conftest import OpenMem0

TEXT = "John likes green tea"


@pytest.fixture(params=["cloud", "oss"])
def memory(request: pytest.FixtureRequest) -> Iterator[PersistentMemory]:
    store = request.getfixturevalue(request.param)(user_id=None)
    with use_scope(user_id="john"):
        yield PersistentMemory(store=store, infer=False)


def contents(memory: PersistentMemory) -> list[str]:
    return sorted(record.content for record in memory.list_records(limit=100))


class TestSaidAgain:
    def test_one_memory_with_a_newer_date(self, memory: PersistentMemory) -> None:
        first = memory.remember(TEXT, categories=["drinks"], metadata={"by": "waiter"})
        again = memory.remember(TEXT, categories=["drinks"], metadata={"by": "waiter"})
        assert first is not None
        assert again is not None
        [kept] = memory.list_records()
        assert kept.id == first.id == again.id
        assert kept.created_at == again.created_at > first.created_at
        assert (kept.content, kept.categories, kept.metadata) == (TEXT, ["drinks"], {"by": "waiter"})

    def test_among_others(self, memory: PersistentMemory) -> None:
        texts = [f"fact {number}" for number in range(6)]
        memory.remember_many(texts)
        memory.remember_many([*texts[3:], "another", "another"])
        assert contents(memory) == sorted([*texts, "another"])

    def test_another_user_and_another_path(self, memory: PersistentMemory) -> None:
        memory.remember(TEXT)
        memory.remember(TEXT, scope="/work")
        assert contents(memory) == [TEXT, TEXT]
        with use_scope(user_id="jane"):
            memory.remember(TEXT)
            assert contents(memory) == [TEXT]


def test_a_rerun_after_a_lost_answer(cloud: OpenMem0, mem0_platform: Mem0Platform) -> None:
    memory = PersistentMemory(store=cloud(), infer=False)
    mem0_platform.faults.append(Fault("add|v1/memories/$", 502, acts=True))
    with pytest.raises(StoreUnavailableError):
        memory.remember(TEXT)
    memory.remember(TEXT)
    assert contents(memory) == [TEXT]
    assert len(mem0_platform.memories) == 1


class TestSaidAtOnce:
    """Two processes look for a memory, find none, and both add it: Mem0 has it twice."""

    @pytest.fixture
    def twice(self, cloud: OpenMem0, mem0_platform: Mem0Platform) -> PersistentMemory:
        memory = PersistentMemory(store=cloud(), infer=False)
        memory.remember(TEXT)
        [found] = mem0_platform.memories.values()
        twin = {**copy.deepcopy(found), "id": str(uuid.uuid4())}
        mem0_platform.memories[twin["id"]] = twin
        return memory

    def test_it_is_seen_once(self, twice: PersistentMemory) -> None:
        assert contents(twice) == [TEXT]
        assert [match.record.content for match in twice.recall("tea")] == [TEXT]
        assert twice.store.count() == 1

    def test_said_again_it_is_there_once(self, twice: PersistentMemory, mem0_platform: Mem0Platform) -> None:
        twice.remember(TEXT)
        assert len(mem0_platform.memories) == 1
        assert contents(twice) == [TEXT]

    def test_a_change_is_seen(self, twice: PersistentMemory) -> None:
        [record] = twice.list_records()
        twice.update(record.id, "John likes coffee")
        assert contents(twice) == ["John likes coffee"]
        assert [match.record.content for match in twice.recall("tea coffee")] == ["John likes coffee"]

    @pytest.mark.parametrize("way", ["by id", "by filter", "all"])
    def test_a_deletion_leaves_none(self, twice: PersistentMemory, mem0_platform: Mem0Platform, way: str) -> None:
        [record] = twice.list_records()
        about: dict[str, Any] = {"by id": {"record_ids": [record.id]}, "by filter": {"scope": "/"}, "all": {}}[way]
        twice.forget(**about)
        assert mem0_platform.memories == {}

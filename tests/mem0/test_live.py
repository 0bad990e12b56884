"""Against the real Mem0 Cloud, with a key of yours: ``MEM0_API_KEY=... pytest -m live tests/mem0``."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from crewai_persistent_memory import open_store

from .. import GIVEN

MEM0_KEY = GIVEN.get("MEM0_API_KEY")

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not MEM0_KEY, reason="needs the real Mem0 Cloud: set MEM0_API_KEY"),
]


@pytest.fixture
def no_connection_leaves_this_machine() -> None:
    """Here they may."""


@pytest.fixture
def store() -> Iterator[Any]:
    """Of a user who exists for this test only."""
    user = f"test-{uuid.uuid4()}"
    with open_store(user_id=user, mem0={"api_key": MEM0_KEY, "wait": True, "wait_timeout": 180}) as opened:
        yield opened
        opened.reset()


def test_a_text_comes_back_to_its_owner_alone(store: Any) -> None:
    entry = store.add("John is allergic to nuts", id="diet", metadata={"by": "doctor"})
    assert store.get("diet").content == entry.content
    assert [found.id for found in store.search("nuts")] == ["diet"]
    assert store.scoped(run_id="r1").count() == 1
    for elsewhere in ({"project_id": "staging"}, {"org_id": "other"}):
        with open_store(user_id=store.scope.user_id, mem0={"api_key": MEM0_KEY}, **elsewhere) as other:
            assert other.list() == []
            assert other.search("nuts") == []
    assert store.delete("diet") == 1


def test_what_is_said_is_extracted(store: Any) -> None:
    added = store.add_messages([{"role": "user", "content": "I am allergic to nuts. It rains today."}])
    assert any("nut" in entry.content.lower() for entry in added.entries)
    assert any("nut" in entry.content.lower() for entry in store.search("what may I not eat?"))

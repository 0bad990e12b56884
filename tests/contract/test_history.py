"""Over every store in Qdrant: what an entry said before it was changed, when, and in which run."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from crewai_persistent_memory import EarlierText, InvalidArgumentError, InvalidEntryError, MemoryEntry, MemoryStore
from crewai_persistent_memory.admin import copy_entries, export_entries, import_entries
from crewai_persistent_memory.corrections import MOST_CHARACTERS

from ..fixtures import OpenStore
from .test_undo import OF_QDRANT

pytestmark = pytest.mark.parametrize("open_any", OF_QDRANT, indirect=True)


def said_before(store: MemoryStore, id: str = "taste") -> list[str]:
    store.flush()
    entry = store.get(id)
    assert entry is not None
    return [each.content for each in entry.history]


class TestKept:
    def test_what_when_and_by_which_run(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john", history=5)
        first = store.add("he likes coffee", id="taste")
        store.scoped(run_id="r-7", agent_id="chef").update("taste", content="he likes tea")
        store.update("taste", content="he likes water", importance=0.9)
        store.flush()
        entry = store.get("taste")
        assert entry is not None
        assert entry.content == "he likes water"
        one, other = entry.history
        assert (one.content, one.since, one.run_id, one.agent_id) == (
            "he likes coffee",
            first.created_at,
            "r-7",
            "chef",
        )
        assert (other.content, other.since, other.run_id) == ("he likes tea", one.until, None)
        assert first.created_at <= one.until <= other.until

    def test_not_of_other_fields(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john", history=5)
        store.add("tea", id="taste")
        store.update("taste", importance=0.9, content="tea")
        assert said_before(store) == []

    def test_a_replace(self, open_any: OpenStore) -> None:
        """What its caller read long ago says nothing of what is kept."""
        store = open_any(user_id="john", history=5)
        store.add("1", id="taste")
        read = store.get("taste")
        assert read is not None
        store.update("taste", content="2")
        store.replace(replace(read, content="3"))
        assert said_before(store) == ["1", "2"]
        store.replace(replace(read, content="3", importance=0.1))
        assert said_before(store) == ["1", "2"]

    def test_so_many(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john", history=2)
        store.add("0", id="taste")
        for number in range(1, 5):
            store.update("taste", content=str(number))
        assert said_before(store) == ["2", "3"]

    def test_so_long(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john", history=100)
        store.add("0" * (MOST_CHARACTERS - 10), id="taste")
        store.update("taste", content="1" * 20)
        store.update("taste", content="2")
        assert said_before(store) == ["1" * 20]
        store.update("taste", content="3" * (MOST_CHARACTERS + 1))
        store.update("taste", content="4")
        assert said_before(store) == []

    def test_none_without_the_option(self, open_any: OpenStore) -> None:
        keeping, store = open_any(user_id="john", history=5), open_any(user_id="john")
        keeping.add("1", id="taste")
        keeping.update("taste", content="2")
        assert said_before(keeping) == ["1"]
        store.update("taste", importance=0.9)
        assert said_before(keeping) == ["1"]
        store.update("taste", content="3")
        assert said_before(keeping) == []

    def test_a_new_save_begins_anew(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john", history=5)
        store.add("1", id="taste")
        store.update("taste", content="2")
        store.add("3", id="taste")
        assert said_before(store) == []


class TestNotShown:
    def test_in_no_recall_list_or_metadata(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john", history=5)
        store.add("he likes coffee", id="taste", metadata={"a": 1})
        store.update("taste", content="he likes tea")
        store.flush()
        assert store.search("coffee") == []
        found = [*store.search("tea"), *store.list(), *store.page().entries]
        assert [each.metadata for each in found] == [{"a": 1}] * 3
        assert "coffee" not in str([each.to_dict() for each in found]) + str(found)

    def test_to_another_scope(self, open_any: OpenStore) -> None:
        store = open_any(history=5)
        john, jane = store.scoped(user_id="john"), store.scoped(user_id="jane")
        john.add("john 1", id="taste")
        john.update("taste", content="john 2")
        jane.add("jane 1", id="taste")
        jane.update("taste", content="jane 2")
        assert (said_before(john), said_before(jane)) == (["john 1"], ["jane 1"])
        assert store.scoped(user_id="joe").get("taste") is None

    def test_what_is_deleted_and_saved_again_has_none(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john", history=5)
        store.add("1", id="taste")
        store.update("taste", content="2")
        store.delete("taste")
        store.add("2", id="taste")
        assert said_before(store) == []


class TestMoved:
    @pytest.fixture
    def kept(self, open_any: OpenStore) -> MemoryStore:
        store = open_any(history=5)
        john = store.scoped(user_id="john")
        john.add("日本 1 \u2028 \x00", id="taste")
        john.scoped(run_id="r").update("taste", content="2")
        john.flush()
        return store

    def test_by_export_and_import(self, open_any: OpenStore, kept: MemoryStore) -> None:
        file = io.StringIO()
        export_entries(kept, file)
        john = kept.scoped(user_id="john")
        before = john.get("taste")
        john.reset()
        john.flush()
        import_entries(kept, io.StringIO(file.getvalue()))
        john.flush()
        after = john.get("taste")
        assert before is not None
        assert after is not None
        assert after.history == before.history != ()
        again = io.StringIO()
        export_entries(kept, again)
        assert again.getvalue() == file.getvalue()

    def test_by_a_copy(self, kept: MemoryStore) -> None:
        copy_entries(kept, kept, into={"project_id": "other"}, user_id="john")
        assert said_before(kept.scoped(user_id="john", project_id="other")) == ["日本 1 \u2028 \x00"]

    def test_by_a_put(self, open_any: OpenStore) -> None:
        history = (EarlierText("1", datetime(2020, 1, 1, 1, 2, 3, 4), datetime(2021, 1, 1), "r", "a"),)
        store = open_any(user_id="john")
        store.put([MemoryEntry("taste", "2", history=history)])
        store.flush()
        entry = store.get("taste")
        assert entry is not None
        assert entry.history == history


@pytest.mark.parametrize(
    "history", [("text",), "text", (EarlierText(1, datetime(2020, 1, 1), datetime(2021, 1, 1)),)], ids=str
)  # type: ignore[arg-type]
def test_a_malformed_one_is_refused(open_any: OpenStore, history: Any) -> None:
    store = open_any(user_id="john")
    with pytest.raises(InvalidEntryError):
        store.put([MemoryEntry("taste", "2", history=history)])


@pytest.mark.parametrize(
    "history", ['"x"', "[1]", '[{"content": "a"}]', '[{"content": 1, "since": "x", "until": "y"}]']
)
def test_a_malformed_import_is_refused(open_any: OpenStore, history: str) -> None:
    store = open_any()
    file = io.StringIO()
    export_entries(store, file)
    header, _ = file.getvalue().splitlines(keepends=True)
    entry = '{"id": "a", "content": "b", "scope": {"user_id": "john", "project_id": "p"}, '
    entry += '"created_at": "2020-01-01T00:00:00Z", "history": ' + history + "}\n"
    with pytest.raises(InvalidArgumentError, match=r"line 2: .*history"):
        import_entries(store, io.StringIO(header + entry + '{"end": true, "entries": 1}\n'))

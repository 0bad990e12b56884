"""``PersistentStorage``: CrewAI's ``Storage`` until 1.9.3, over every store, on every CrewAI."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from crewai_persistent_memory import (
    ConfigurationError,
    InvalidEntryError,
    MissingScopeError,
    PersistentStorage,
    ScopeConflictError,
    StoreClosedError,
    use_scope,
)
from crewai_persistent_memory.adapters.version import is_unified

from ..fixtures import OpenStore

OpenStorage = Callable[..., PersistentStorage]


class Blocking:
    """The methods as CrewAI calls them."""

    def __init__(self, storage: PersistentStorage) -> None:
        self.save, self.search = storage.save, storage.search


class Awaited:
    """Their async twins, each in an event loop of its own."""

    def __init__(self, storage: PersistentStorage) -> None:
        self.save = lambda *args, **kwargs: asyncio.run(storage.asave(*args, **kwargs))
        self.search = lambda *args, **kwargs: asyncio.run(storage.asearch(*args, **kwargs))


@pytest.fixture(params=[Blocking, Awaited], ids=["sync", "async"])
def way(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def storage_over(open_any: OpenStore) -> OpenStorage:
    def over(kind: str = "memory", **scope: Any) -> PersistentStorage:
        return PersistentStorage(store=open_any(**scope), kind=kind, infer=False)

    return over


def test_is_crewais_storage(storage_over: OpenStorage) -> None:
    if is_unified():
        pytest.skip("CrewAI has no Storage since 1.10")
    from crewai.memory.storage.interface import Storage

    assert isinstance(storage_over(user_id="john"), Storage)


def test_what_is_found(storage_over: OpenStorage, way: Any) -> None:
    storage = way(storage_over(user_id="john"))
    storage.save("John is allergic to nuts", {"by": "doctor", "nested": {"a": [1]}})
    [found] = storage.search(query="allergic to nuts", limit=3, score_threshold=0.6)
    assert set(found) == {"id", "content", "memory", "metadata", "score"}
    assert found["content"] == found["memory"] == "John is allergic to nuts"
    assert found["metadata"] == {"by": "doctor", "nested": {"a": [1]}}
    assert 0 < found["score"] <= 1
    assert isinstance(found["id"], str)


def test_the_callers_metadata_stays_as_it_is(storage_over: OpenStorage, way: Any) -> None:
    storage = way(storage_over(user_id="john"))
    metadata = {
        "description": "I like tea",
        "messages": [{"role": "user", "content": "I like tea"}, {"role": "assistant", "content": "Noted."}],
        "topic": {"deep": ["x"]},
    }
    before = copy.deepcopy(metadata)
    storage.save("Noted.", metadata)
    assert metadata == before
    [found] = storage.search("tea")
    assert found["metadata"] == {"topic": {"deep": ["x"]}}
    found["metadata"]["topic"] = None
    assert storage.search("tea")[0]["metadata"] == {"topic": {"deep": ["x"]}}


CURRENT_TASK = (
    "\nCurrent Task: I like green tea\n\nThis is the expected criteria for your final answer: A line\nyou MUST return "
    "the actual complete content as the final answer, not a summary.\n\n# Useful context: \nExternal memories:\n- old\n"
    "\n\nBegin! This is VERY important to you, use the tools available\n\nThought:"
)
SUMMARY = "This is a summary of our conversation so far:\nA concierge was told something."
FEEDBACK = (
    "User feedback: no sugar,\nplease\nInstructions: Use this feedback to enhance the next output iteration.\n"
    "Note: Do not respond or add commentary."
)
THOUGHT = "Thought: I now can give a great answer\nFinal Answer: Noted."


@pytest.mark.parametrize(
    ("value", "metadata", "stored"),
    [
        (THOUGHT, {"description": "I like green tea", "messages": [{"role": "user", "content": CURRENT_TASK}]}, "task"),
        (THOUGHT, {"description": "I like green tea", "messages": [{"role": "user", "content": SUMMARY}]}, "task"),
        (THOUGHT, {"description": "I like green tea", "messages": [{"role": "system", "content": "x"}]}, "task"),
        (
            THOUGHT,
            {
                "description": "I like green tea",
                "messages": [
                    {"role": "system", "content": "You are a concierge"},
                    {"role": "user", "content": CURRENT_TASK},
                    {"role": "assistant", "content": "Thought: x\nFinal Answer: green it is"},
                    {"role": "user", "content": FEEDBACK},
                    {"role": "assistant", "content": THOUGHT},
                ],
            },
            "User: I like green tea\nUser: no sugar,\nplease\nAssistant: Noted.",
        ),
        (THOUGHT, {"messages": [{"role": "user", "content": "I like green tea"}]}, "task"),
        (
            THOUGHT,
            {"description": "I like green tea", "messages": [{"role": "user", "content": "I like green tea"}]},
            "task",
        ),
        (
            "Noted.",
            {"description": " I like green tea ", "messages": [{"role": "user", "content": CURRENT_TASK}]},
            "task",
        ),
        ("I like tea", {"messages": [{"role": "user", "content": "I like tea"}]}, "I like tea"),
        (THOUGHT, {"observation": "I like green tea"}, "task"),
        (
            THOUGHT,
            {
                "messages": [
                    {"role": "system", "content": "You are a concierge"},
                    {"role": "user", "content": CURRENT_TASK},
                    {"role": "assistant", "content": THOUGHT},
                ]
            },
            "task",
        ),
        (
            "ignored, for it is in the messages",
            {
                "messages": [
                    {"role": "user", "content": "User message: I like green tea"},
                    {"role": "assistant", "content": THOUGHT},
                ]
            },
            "task",
        ),
        (THOUGHT, {}, "Noted."),
        ("Final Answer: green tea", {}, "green tea"),
        ("Thought: easy. Final Answer: green tea\n```", {}, "green tea"),
        ("My Final Answer: to everything is tea", {}, "My Final Answer: to everything is tea"),
        (
            "x",
            {
                "messages": [
                    {"role": "user", "content": [{"type": "text", "text": "green?"}, {"type": "image_url"}]},
                    {"role": "assistant", "content": None, "tool_calls": []},
                    {"role": "tool", "content": "found 3 teas"},
                    {"role": "assistant", "content": "Green."},
                    {"role": "user", "content": "Thanks"},
                ]
            },
            "User: green?\nAssistant: Green.\nUser: Thanks",
        ),
        ("green tea", {"messages": [{"role": "system", "content": "You are a concierge"}]}, "green tea"),
        ("green tea", {"messages": []}, "green tea"),
    ],
)  # fmt: skip
def test_what_is_kept_of_a_conversation(
    storage_over: OpenStorage, value: str, metadata: dict[str, Any], stored: str
) -> None:
    storage = storage_over(user_id="john")
    storage.save(value, metadata)
    [entry] = storage.store.list()
    assert entry.content == ("I like green tea\nResult: Noted." if stored == "task" else stored)
    assert dict(entry.metadata) == {}


def test_a_conversation_that_somebody_describes_is_kept(storage_over: OpenStorage, way: Any) -> None:
    """Its description is about it and not the request in it, and stays in the metadata."""
    opened = storage_over(user_id="john")
    storage = way(opened)
    said = [{"role": "user", "content": "I am allergic to nuts"}, {"role": "assistant", "content": "Noted."}]
    for description in ("Booking a table", "nuts"):
        storage.save("Noted.", {"description": description, "messages": said})
    found = opened.store.list()
    assert [each.content for each in found] == ["I am allergic to nuts\nResult: Noted."] * 2
    assert {each.metadata["description"] for each in found} == {"Booking a table", "nuts"}
    [once] = storage.search("allergic to nuts")
    assert "I am allergic to nuts\nResult: Noted." in once["content"], "what is said twice takes one place"


def test_the_same_answer_is_stored_once(storage_over: OpenStorage, way: Any) -> None:
    opened = storage_over(user_id="john")
    storage = way(opened)
    for _ in range(2):
        messages = [{"role": "user", "content": CURRENT_TASK.replace("green tea", "tea")}]
        storage.save(THOUGHT, {"description": "I like tea", "messages": messages})
        storage.save(THOUGHT, {"observation": "I like tea"})  # what short-term memory gets of the same answer
    assert opened.store.count() == 1


def test_kinds_do_not_mix(storage_over: OpenStorage) -> None:
    said, entities = storage_over(user_id="john"), storage_over("entity", user_id="john")
    said.save("John drinks tea")
    entities.save("John(person): drinks tea", {"relationships": "- guest"})
    assert [found["content"] for found in said.search("tea")] == ["John drinks tea"]
    assert [found["content"] for found in entities.search("tea")] == ["John(person): drinks tea"]
    entities.reset()
    assert entities.search("tea") == []
    assert [found["content"] for found in said.search("tea")] == ["John drinks tea"]


def test_users_runs_and_projects_do_not_mix(storage_over: OpenStorage, way: Any) -> None:
    mine = {"user_id": "john", "project_id": "production", "run_id": "r1", "agent_id": "chef"}
    storage_over(**mine).save("the secret is tea")
    for other in ({"user_id": "jane"}, {"project_id": "staging"}, {"run_id": "r2"}, {"agent_id": "waiter"}):
        stranger = storage_over(**{**mine, **other})
        assert way(stranger).search("secret tea") == []
        stranger.reset()
    assert len(way(storage_over(**mine)).search("secret tea")) == 1


def test_the_scope_of_the_call(storage_over: OpenStorage, way: Any) -> None:
    opened = storage_over(project_id="shop")
    storage = way(opened)
    for call in (lambda: storage.save("x"), lambda: storage.search("x"), opened.reset):
        with pytest.raises(MissingScopeError):
            call()
    for user in ("john", "jane"):
        with use_scope(user_id=user):
            storage.save(f"{user} likes tea")
    with use_scope(user_id="jane"):
        opened.reset()
        assert storage.search("tea") == []
    with use_scope(user_id="john"):
        assert [found["content"] for found in storage.search("tea")] == ["john likes tea"]
    with use_scope(user_id="john", project_id="other"), pytest.raises(ScopeConflictError):
        storage.search("tea")


def test_limit_and_threshold(storage_over: OpenStorage) -> None:
    storage = storage_over(user_id="john")
    for number in range(8):
        storage.save(f"tea number {number}")
    assert len(storage.search("tea")) == 5
    assert len(storage.search("tea", limit=3)) == 3
    scores = [found["score"] for found in storage.search("tea", limit=8)]
    assert scores == sorted(scores, reverse=True)
    assert all(found["score"] >= scores[2] for found in storage.search("tea", limit=8, score_threshold=scores[2]))


def test_a_path_of_its_own(open_any: OpenStore) -> None:
    store = open_any(user_id="john")
    desk = PersistentStorage(store=store, infer=False, root_scope="desk/")
    PersistentStorage(store=store, infer=False).save("tea is served at five")
    desk.save("tea is at the desk")
    assert [found["content"] for found in desk.search("tea")] == ["tea is at the desk"]
    desk.reset()
    assert [entry.content for entry in store.list()] == ["tea is served at five"]


def test_read_only(open_any: OpenStore, way: Any) -> None:
    store = open_any(user_id="john")
    store.add("John likes tea")
    before = store.list()
    storage = way(PersistentStorage(store=store, read_only=True))
    storage.save("x")
    assert len(storage.search("tea")) == 1
    assert store.list() == before


@pytest.mark.parametrize(("value", "metadata"), [("", {}), (" \n", None)])
def test_bad_input_names_the_field(storage_over: OpenStorage, way: Any, value: str, metadata: Any) -> None:
    opened = storage_over(user_id="john")
    with pytest.raises(InvalidEntryError, match="content"):
        way(opened).save(value, metadata)
    assert opened.store.count() == 0


def test_what_a_store_cannot_hold_loses_nothing(storage_over: OpenStorage, way: Any) -> None:
    opened = storage_over(user_id="john")
    inside: dict[str, Any] = {}
    inside["inside"] = inside
    metadata = {
        "a": {1},
        2: float("nan"),
        "bytes": b"\xff",
        "when": datetime(2026, 5, 1),
        "deep": inside,
        "\ud800": "x\x00",
    }
    way(opened).save("tea \ud83d\ude00 at \ud800 five\x00", metadata)
    [found] = way(opened).search("what about \ud800 tea")
    assert found["content"] == "tea \U0001f600 at \ufffd five\ufffd"
    kept = found["metadata"]
    assert kept["a"] == [1]
    assert (kept["2"], kept["bytes"], kept["when"], kept["\ufffd"]) == (
        "nan",
        "\ufffd",
        "2026-05-01T00:00:00",
        "x\ufffd",
    )


def test_copies_share_the_store(storage_over: OpenStorage) -> None:
    storage = storage_over(user_id="john")
    copy.deepcopy(storage).save("tea")
    assert len(storage.search("tea")) == 1


class TestOptions:
    def test_it_opens_a_store_of_its_own(self, tmp_path: Any) -> None:
        with PersistentStorage(path=tmp_path / "s", user_id="john", embedder=None) as storage:
            storage.save("tea")
        with pytest.raises(StoreClosedError):
            storage.search("tea")
        with PersistentStorage(path=tmp_path / "s", user_id="john", embedder=None) as again:
            assert [found["content"] for found in again.search("tea")] == ["tea"]

    def test_an_open_store_stays_open(self, tmp_path: Any) -> None:
        with PersistentStorage(path=tmp_path / "s", user_id="john", embedder=None) as storage:
            PersistentStorage(store=storage.store).close()
            storage.save("tea")

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"usr_id": "john"}, "did you mean user_id"),
            ({"store": "qdrant"}, "store is a str"),
            ({"infer": True}, "infer=True"),
            ({"path": "/x", "url": "http://127.0.0.1:1"}, "both given"),
        ],
    )
    def test_bad_ones(self, tmp_path: Any, options: dict[str, Any], message: str) -> None:
        with pytest.raises(ConfigurationError, match=message):
            PersistentStorage(**{"path": tmp_path / "s", "embedder": None, **options})

    def test_no_secret_is_shown(self, tmp_path: Any) -> None:
        storage = PersistentStorage(url="http://127.0.0.1:1", api_key="sk-secret", user_id="john", startup_check=False)
        assert "sk-secret" not in repr(storage)
        storage.close()

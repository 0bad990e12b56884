"""Mem0 OSS over real vector stores: what a user finds beside many others, in what order, and whose it is.

In an ordinary run over Chroma's folder, with small numbers: some ten seconds. ``nox -s vector_stores`` runs it over
every store, with large ones.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import MemoryStore, open_store
from crewai_persistent_memory.admin import erase, export_entries
from crewai_persistent_memory.backends.mem0.compat import mem0_version

from ..support.embedders import WordHashEmbedder
from ..support.engines import STORES
from ..support.mem0_stores import BELONGS_TO_ONE_PROCESS, MORE_OF_MEM0, asked_for, table_of
from ..support.openai_server import DIMENSIONS, OpenAIServer
from .conftest import library_of

MEM0_PAGE = Path(__file__).parents[2] / "docs" / "mem0.md"
KINDS = {name.removeprefix("mem0-"): kind for name, kind in asked_for().items()} or {"chroma": MORE_OF_MEM0["chroma"]}
if os.environ.get("VECTOR_STORES") == "all":
    KINDS["qdrant"] = STORES["mem0-oss"]
IS_WHOLE = bool(os.environ.get("VECTOR_STORES"))
USERS, OTHERS, MANY = (300, 5_000, 1_050) if IS_WHOLE else (30, 300, 120)
AWKWARD = [
    "john",
    "JOHN",
    "John",
    "jo hn",
    "john,jane",
    "john|jane",
    "*",
    "john*",
    "%",
    "{john}",
    "@john",
    "-john",
    "é",
    "É",
]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def config(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, Any]]:
    yield dict(KINDS[kind].options(request, tmp_path)["mem0"]["local_mem0_config"])
    KINDS[kind].remove(request, tmp_path)


def opened(config: dict[str, Any], **options: Any) -> MemoryStore:
    return open_store(mem0={"local_mem0_config": config}, durability="store", **options)


@pytest.fixture
def store(config: dict[str, Any]) -> Iterator[MemoryStore]:
    with opened(config) as store:
        yield store


def stored(memory: Any, texts: list[tuple[str, str]]) -> None:
    """Texts of users, put into the vector store as Mem0 does it, many at a time."""
    embedder = WordHashEmbedder(DIMENSIONS - 1)
    created = datetime.now(timezone.utc).isoformat()
    for start in range(0, len(texts), 500):
        part = texts[start : start + 500]
        memory.vector_store.insert(
            vectors=[[number * 0.5**0.5 for number in [*embedder.vector(text), 1.0]] for _, text in part],
            ids=[str(uuid.uuid4()) for _ in part],
            payloads=[
                {"data": text, "user_id": user, "hash": "0", "created_at": created, "text_lemmatized": text}
                for user, text in part
            ],
        )


def maintained(kind: str, request: pytest.FixtureRequest, store: MemoryStore) -> None:
    """What the store does by itself in time."""
    if kind in ("pgvector", "supabase"):
        request.getfixturevalue("vector_servers")("postgres").execute("VACUUM ANALYZE")


def test_each_of_many_users_finds_their_own(
    kind: str, request: pytest.FixtureRequest, config: dict[str, Any], store: MemoryStore
) -> None:
    store.scoped(user_id="user0").add("The code of the door is 0.", id="code")
    stored(library_of(store), [(f"user{number}", f"The code of the door is {number}.") for number in range(1, USERS)])

    def all_find_theirs(store: MemoryStore) -> None:
        for number in range(USERS):
            found = store.scoped(user_id=f"user{number}").search("what is the code of the door?", limit=5)
            assert [entry.content for entry in found] == [f"The code of the door is {number}."], number

    all_find_theirs(store)
    maintained(kind, request, store)
    store.close()
    with opened(config) as again:
        all_find_theirs(again)


def test_three_among_thousands_of_others(
    kind: str, request: pytest.FixtureRequest, config: dict[str, Any], store: MemoryStore
) -> None:
    john = store.scoped(user_id="john")
    mine = ["My cat is called Tom.", "I am allergic to nuts.", "The nuts of the bolt are loose."]
    for text in mine:
        john.add(text)
    # Each is nearer to the question than any of john's.
    stored(library_of(store), [(f"user{number % 50}", f"I am allergic to nuts {number}") for number in range(OTHERS)])

    def finds(store: MemoryStore) -> None:
        found = store.scoped(user_id="john").search("am I allergic to nuts", limit=5)
        assert sorted(entry.content for entry in found) == sorted(mine)
        assert found[0].content == "I am allergic to nuts."
        theirs = store.scoped(user_id="user7").search("am I allergic to nuts", limit=40)
        assert len(theirs) == min(40, OTHERS // 50)

    finds(store)
    maintained(kind, request, store)
    store.close()
    with opened(config) as again:
        finds(again)


def test_the_best_comes_first_and_is_the_last_to_go(store: MemoryStore) -> None:
    john = store.scoped(user_id="john")
    for text in ("My cat is called Tom.", "I am allergic to nuts.", "I live in Berlin."):
        john.add(text)
    found = john.search("I am allergic to nuts", limit=3)
    scores = [entry.score or 0 for entry in found]
    assert found[0].content == "I am allergic to nuts."
    assert scores == sorted(scores, reverse=True)
    assert 1 >= scores[0] > scores[1] > 0
    # The last digits of a score may differ with how many were asked for.
    for fewer in ({"limit": 1}, {"min_score": (scores[0] + scores[1]) / 2}):
        [best] = john.search("I am allergic to nuts", **fewer)
        assert (best.id, best.score) == (found[0].id, pytest.approx(scores[0]))


def test_an_id_is_one_entry(store: MemoryStore) -> None:
    john = store.scoped(user_id="john")
    john.add("I am allergic to nuts.", id="allergy")
    john.add("I am allergic to milk.", id="allergy", metadata={"by": "```json doctor```"})
    assert john.count() == 1
    found = john.get("allergy")
    assert found is not None
    assert (found.content, found.metadata) == ("I am allergic to milk.", {"by": "```json doctor```"})
    assert store.scoped(user_id="JOHN").get("allergy") is None
    assert store.scoped(user_id="JOHN").delete("allergy") == 0
    assert john.delete("allergy") == 1
    assert john.get("allergy") is None
    assert john.get(str(uuid.uuid4())) is None
    assert library_of(store).get(str(uuid.uuid4())) is None, "Mem0's own id"


def test_many_of_one_owner(store: MemoryStore) -> None:
    john, jane = store.scoped(user_id="john"), store.scoped(user_id="jane")
    jane.add("I am another.")
    stored(library_of(store), [("john", f"fact {number}") for number in range(MANY)])
    assert john.count() == MANY
    assert len(john.list(limit=10_000)) == MANY
    assert {entry.content for entry in john.scan()} == {f"fact {number}" for number in range(MANY)}
    assert export_entries(store, io.StringIO(), user_id="john") == MANY
    assert john.reset() == MANY
    assert (john.count(), jane.count()) == (0, 1)


@pytest.mark.skipif(mem0_version() < (2,), reason="mem0ai 2.x keeps names beside memories")
def test_names_beside_memories_are_none(store: MemoryStore) -> None:
    john = store.scoped(user_id="john")
    john.add("I live in Berlin.")
    payload = {"data": "Berlin", "entity_type": "PROPER", "linked_memory_ids": ["x"], "user_id": "john"}
    [vector] = [[0.1] * DIMENSIONS]
    library_of(store).entity_store.insert(vectors=[vector], ids=[str(uuid.uuid4())], payloads=[payload])
    assert [entry.content for entry in john.list()] == ["I live in Berlin."]
    assert [entry.content for entry in john.search("Berlin", limit=5)] == ["I live in Berlin."]
    assert john.reset() == 1
    assert library_of(store).entity_store.list(filters={"user_id": "john"}) == [[]]


def test_whose_is_it(store: MemoryStore, openai_server: OpenAIServer) -> None:
    """Also in what Mem0 reads before it extracts: there a foreign memory would be quoted."""
    for number, user in enumerate(AWKWARD):
        store.scoped(user_id=user).add(f"The secret word is sesame{number}x.")
    openai_server.prompts.clear()
    for number, user in enumerate(AWKWARD):
        mine = store.scoped(user_id=user)
        assert [entry.content for entry in mine.list()] == [f"The secret word is sesame{number}x."], user
        found = mine.search("what is the secret word", limit=100)
        assert [entry.content for entry in found] == [f"The secret word is sesame{number}x."], user
        before = len(openai_server.prompts)
        mine.add_messages([{"role": "user", "content": "The secret word is not tea."}], wait=True)
        prompts = "\n".join(openai_server.prompts[before:])
        assert prompts
        for other in range(len(AWKWARD)):
            assert (f"sesame{other}x" in prompts) is (other == number), (user, AWKWARD[other])
    for number, user in enumerate(AWKWARD):
        assert store.scoped(user_id=user).reset() == 2, user
        assert store.scoped(user_id=AWKWARD[-1]).count() == (0 if number == len(AWKWARD) - 1 else 2)


def test_owners_as_long_as_they_may_be(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, store: MemoryStore
) -> None:
    """Two of them differ in the last letter; with the index of the documentation, where it names one."""
    store.scoped(user_id="jane").add("Jane likes the soup")  # opens the store
    if kind == "pgvector":
        first, _ = re.findall(r"^CREATE INDEX ON mem0.*;", MEM0_PAGE.read_text("utf-8"), re.MULTILINE)
        request.getfixturevalue("vector_servers")("postgres").execute(first.replace("mem0", table_of(tmp_path)))
    letters = [chr(0x4E00 + number) for number in range(2_000)]  # they are not repeated: Postgres compresses
    user, project, org, run, agent = ("".join(letters[255 * part : 255 * (part + 1)]) for part in range(5))
    common = {"user_id": user, "project_id": project, "org_id": org, "run_id": run}
    for name in "xy":
        owner = store.scoped(agent_id=agent[:-1] + name, **common)
        owner.add(f"{name} likes the soup", id="a")
        owner.update("a", metadata={"name": name})
    for name in "xy":
        owner = store.scoped(agent_id=agent[:-1] + name, **common)
        for [entry] in (owner.list(), owner.search("who likes the soup?"), [owner.get("a")]):
            assert entry is not None
            assert (entry.content, entry.metadata) == (f"{name} likes the soup", {"name": name})
            assert entry.scope == owner.scope
    assert erase(store, user_id=user, settle=0).entries == 2
    assert store.scoped(user_id="jane").count() == 1


def test_metadata_may_have_any_key(store: MemoryStore) -> None:
    """Chroma refuses some."""
    mine = store.scoped(user_id="john")
    for key in ("", "$and", "#tag", "chroma:document", "memory_id", "user_id", "crewai_long_names"):
        mine.add("I like the soup", id="a", metadata={key: "b"})
        for [entry] in (mine.list(metadata={key: "b"}), mine.search("soup", metadata={key: "b"})):
            assert entry.metadata == {key: "b"}
        mine.update("a", metadata={key: "c"})
        assert [entry.metadata for entry in mine.list()] == [{key: "c"}]


def test_a_person_is_erased(store: MemoryStore) -> None:
    """In all projects, runs and agents, beside many others; nobody whose name differs in case."""
    scopes: list[dict[str, str]] = [{}, {"run_id": "r1"}, {"project_id": "staging", "agent_id": "chef"}]
    for scope in scopes:
        store.scoped(user_id="john", **scope).add("John is allergic to nuts.")
    for other in ("JOHN", "john/staging"):
        store.scoped(user_id=other).add("I am another.")
    stored(library_of(store), [(f"user{number % 50}", f"fact {number}") for number in range(OTHERS)])
    done = erase(store, user_id="john", settle=0)
    assert (done.entries, done.projects, done.left) == (3, {"default": 2, "staging": 1}, 0)
    for scope in scopes:
        assert store.scoped(user_id="john", **scope).count() == 0
    for other in ("JOHN", "john/staging"):
        assert store.scoped(user_id=other).count() == 1
    assert store.scoped(user_id="user7").count() == OTHERS // 50


def test_eight_threads(store: MemoryStore) -> None:
    failed: list[BaseException] = []

    def work(number: int) -> None:
        mine = store.scoped(user_id=f"user{number}")
        try:
            for turn in range(10):
                mine.add(f"fact {turn} of {number}", id=f"{turn}")
                assert len(mine.search("fact", limit=50)) == turn + 1
            mine.delete("3")
            mine.update("4", content=f"fact 40 of {number}")
        except BaseException as error:  # noqa: BLE001 - told below
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    for number in range(8):
        kept = {entry.content for entry in store.scoped(user_id=f"user{number}").list()}
        assert kept == {f"fact {40 if turn == 4 else turn} of {number}" for turn in range(10) if turn != 3}


WORKER = """
import json, sys
from crewai_persistent_memory import open_store
config, name = json.loads(sys.argv[1]), sys.argv[2]
with open_store(user_id="john", mem0={"local_mem0_config": config}, durability="store") as store:
    print("open", flush=True)
    sys.stdin.readline()
    for number in range(25):
        store.add(f"fact {number} of {name}", id=f"{name} {number}")
        assert store.get(f"{name} {number}") is not None
    print("done", flush=True)
    sys.stdin.readline()
    print(store.count(), len(store.search("fact", limit=200)), flush=True)
"""


def line_of(worker: subprocess.Popen[str]) -> str:
    assert worker.stdout is not None
    return worker.stdout.readline().strip()


def tell(worker: subprocess.Popen[str], word: str) -> None:
    assert worker.stdin is not None
    worker.stdin.write(f"{word}\n")
    worker.stdin.flush()


@pytest.mark.skipif(not IS_WHOLE, reason="starts two programs that import Mem0: nox -s vector_stores runs it")
def test_two_processes(kind: str, config: dict[str, Any]) -> None:
    """They open the store at the same time, and write to it at the same time; or one of them is refused."""
    pipe = subprocess.PIPE
    workers = {
        name: subprocess.Popen(
            [sys.executable, "-c", WORKER, json.dumps(config), name], stdin=pipe, stdout=pipe, stderr=pipe, text=True
        )
        for name in ("first", "second")
    }
    are_open = {name for name, worker in workers.items() if line_of(worker) == "open"}
    for told in ("go", "look"):
        for name in are_open:
            tell(workers[name], told)
        if told == "go":
            assert {line_of(workers[name]) for name in are_open} == {"done"}
    ended = {name: worker.communicate() for name, worker in workers.items()}
    failed = {name for name, worker in workers.items() if worker.returncode}
    assert failed == set(workers) - are_open, ended
    assert all("StoreInUseError" in ended[name][1] for name in failed), ended
    assert len(failed) == (1 if kind in BELONGS_TO_ONE_PROCESS else 0), ended
    seen = f"{25 * len(are_open)} {25 * len(are_open)}"
    assert {ended[name][0].strip() for name in are_open} == {seen}, "each sees what the other one wrote"
    with opened(config, user_id="john") as store:
        expected = {f"{name} {number}" for name in are_open for number in range(25)}
        assert {entry.id for entry in store.list(limit=100)} == expected
        assert {entry.id for entry in store.search("fact", limit=100)} == expected

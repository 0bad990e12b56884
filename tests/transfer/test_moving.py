"""An export, and an import of it: everything comes back as it was, and nobody else's comes along."""

from __future__ import annotations

import io
import json
import os
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import (
    ConfigurationError,
    InvalidArgumentError,
    MemoryEntry,
    MemoryStore,
    Scope,
    ScopeError,
    StoreError,
    open_store,
    operations,
)
from crewai_persistent_memory.admin import (
    Imported,
    copy_entries,
    count_by,
    entries_of,
    export_entries,
    growth,
    import_entries,
    purge_expired,
    search_scopes,
    survey,
)
from crewai_persistent_memory.io.steps import Steps

from ..support.awkward_texts import SHAPES, awkward_texts
from ..support.embedders import WordHashEmbedder
from ..support.mem0_platform import DEFAULT_KEY, Mem0Platform
from ..support.programs import killed_after
from ..support.qdrant_server import QdrantServer

NOON = datetime(2026, 5, 1, 12, 0, 0, 123456)
OWNERS = [
    Scope("john"),
    Scope("john", run_id="r1"),
    Scope("john", "staging", agent_id="chef"),
    Scope("jane", org_id="acme"),
    Scope("jöhn 王"),
    Scope.shared(),
]

Open = Callable[[str], MemoryStore]


@pytest.fixture(params=["embedded", "server"])
def open_one(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """``open_one("a")`` opens a store by its name, bound to nobody."""
    if request.param == "embedded":
        yield lambda name: open_store(path=tmp_path / name, embedder=WordHashEmbedder())
        return
    server: QdrantServer = request.getfixturevalue("server")
    collection: str = request.getfixturevalue("collection")
    made: set[str] = set()

    def open_collection(name: str) -> MemoryStore:
        made.add(f"{collection}-{name}")
        return open_store(
            url=server.url, collection=f"{collection}-{name}", embedder=WordHashEmbedder(), durability="store"
        )

    yield open_collection
    with server.admin() as admin:
        for each in made:
            admin.delete(f"/collections/{each}").raise_for_status()


def fill(store: MemoryStore, count: int = 20) -> None:
    chance = random.Random(1)
    texts = [each.text[:3_000] for each in awkward_texts(len(SHAPES), seed=3)]
    awkward = [text for text in texts if text.encode(errors="ignore").decode() == text]
    texts = [*awkward, "", "\u2028", "a\nb", '{"end": true}']
    for owner in OWNERS:
        entries = [
            MemoryEntry(
                id=f"e{number}",
                content=chance.choice(texts) if number % 4 == 0 else f"fact {number} of {owner}",
                path=chance.choice(["/", "/desk", "/desk/late"]),
                categories=tuple(chance.sample(["food", "travel", "tea"], chance.randrange(3))),
                metadata=chance.choice([{}, {"n": 1, "deep": {"x": [1.5, None, "ü"]}}]),
                importance=chance.choice([0.5, 0.1, 1.0]),
                created_at=NOON + timedelta(microseconds=number),
                last_accessed=NOON + timedelta(days=number),
                source=chance.choice([None, "crm"]),
                private=number % 5 == 0,
                kind=chance.choice(["memory", "entity", "note"]),
            )
            for number in range(count)
        ]
        store.scoped(owner).put(entries)


def everything(store: MemoryStore) -> dict[tuple[Scope | None, str], MemoryEntry]:
    found = list(entries_of(store, with_vectors=True))
    by_key = {(entry.scope, entry.id): entry for entry in found}
    assert len(by_key) == len(found)
    return by_key


def exported(store: MemoryStore, **scope: Any) -> list[str]:
    file = io.StringIO()
    count = export_entries(store, file, **scope)
    lines = file.getvalue().splitlines(keepends=True)
    assert len(lines) == count + 2
    return lines


class TestThereAndBack:
    def test_everything_comes_back_as_it_was(self, open_one: Open) -> None:
        with open_one("a") as store:
            fill(store)
            before, lines = everything(store), exported(store, with_vectors=True)
        with open_one("b") as store:
            assert import_entries(store, lines, dry_run=True) == Imported(120, 120, 0)
            assert survey(store).entries == 0
            assert import_entries(store, lines) == Imported(120, 120, 0)
            after = everything(store)
            assert after.keys() == before.keys()
            for key, entry in before.items():
                assert replace(after[key], embedding=None) == replace(entry, embedding=None)
                assert after[key].embedding == pytest.approx(entry.embedding, abs=1e-3)
            assert import_entries(store, lines) == Imported(120, 0, 120)
            assert everything(store).keys() == before.keys()
            assert exported(store, with_vectors=True)[-1] == lines[-1]

    def test_one_user_and_nobody_else(self, open_one: Open) -> None:
        with open_one("a") as store:
            fill(store, 8)
            text = "".join(exported(store, user_id="john"))
            owners = {entry.scope for entry in entries_of(store, user_id="john")}
            assert {entry.scope for entry in entries_of(store, user_id="john", run_id=None)} == owners - {OWNERS[1]}
            assert {entry.scope for entry in entries_of(store, user_id=None)} == {Scope.shared()}
            assert list(entries_of(store, user_id="nobody")) == []
        assert owners == set(OWNERS[:3])
        assert "of user_id=jane" not in text
        assert "jöhn" not in text
        assert "shared" not in text

    def test_into_another_project(self, open_one: Open) -> None:
        with open_one("a") as store:
            fill(store, 8)
            lines = exported(store, user_id="john")
            import_entries(store, lines, into={"project_id": "production"})
            assert survey(store, project_id="production").counts["user_id"] == {"john": 24}
            assert survey(store).counts["project_id"] == {"default": 40, "production": 24, "staging": 8}
            with pytest.raises(InvalidArgumentError, match="twice, and one of the two entries would be lost"):
                import_entries(store, lines, into={"project_id": "other", "run_id": None})

    @pytest.mark.parametrize(
        "embedder", [WordHashEmbedder(), WordHashEmbedder(32), WordHashEmbedder(64, "other"), None]
    )
    def test_vectors_are_taken_over_from_the_same_embedder_only(
        self, tmp_path: Path, embedder: WordHashEmbedder | None
    ) -> None:
        with open_store(path=tmp_path / "a", embedder=WordHashEmbedder()) as store:
            store.scoped(user_id="john").add("John likes tea", id="a")
            lines = exported(store, with_vectors=True)
        assert "embedding" in lines[1]
        with open_store(path=tmp_path / "b", embedder=embedder) as store:
            if embedder is not None:
                embedder.calls.clear()
            import_entries(store, lines)
            found = store.scoped(user_id="john").get("a")
            assert found is not None
            if embedder is None:
                assert not found.embedding
                return
            asked = ["John likes tea"] in embedder.calls
            assert asked != (embedder.dimensions == 64 and not embedder.salt)
            assert found.embedding == pytest.approx(embedder.vector("John likes tea"), abs=1e-3)


def test_what_the_engine_returns_against_the_filter_is_not_given_out(kept_store: Path) -> None:
    def leaky(operation: operations.Operation[Any], execute: Any) -> Steps[Any]:
        if isinstance(operation, operations.ScanScopes):
            operation = replace(operation, scope={})
        return (yield from execute(operation))

    with open_store(path=kept_store, embedder=None) as store:
        store.scoped(user_id="jane").add("a secret")
        file = io.StringIO()
        with pytest.raises(StoreError, match="outside of"):
            export_entries(store.wrap(leaky), file, user_id="john")
    assert "secret" not in file.getvalue()


LINE = '{"id": "a", "content": "x", "scope": {"user_id": "john"}, "created_at": "2026-05-01T12:00:00Z"}'
HEADER = '{"format": "crewai-persistent-memory", "version": 1, "embedder": null, "scope": {}}'
END = '{"end": true, "entries": 1}'


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "line 1: is not JSON"),
        (["[]"], "line 1: is not a JSON object"),
        (['{"format": "other"}'], "line 1: this is no export"),
        ([HEADER.replace('"version": 1', '"version": 2')], "line 1: the export has version 2"),
        ([HEADER, LINE], "line 2: the export has no last line, so it was cut off"),
        ([HEADER, LINE, END, LINE], "line 4: something follows the end"),
        ([HEADER, LINE, LINE.replace('"a"', '"b"'), END], "line 4: the export has 1 entries, and 2 are here"),
        ([HEADER, LINE[:-1], END], "line 2: is not JSON"),
        ([HEADER, LINE.replace('"content"', '"contant"'), END], "line 2: content is missing"),
        ([HEADER, LINE.replace('"id": "a"', '"id": "a", "x": 1'), END], "line 2: x is no field"),
        ([HEADER, LINE.replace('"id": "a"', '"id": ""'), END], "line 2: id"),
        ([HEADER, LINE.replace('{"user_id": "john"}', '"john"'), END], "line 2: scope must be an object"),
        ([HEADER, LINE.replace('"john"', '" "'), END], "line 2: user_id is blank"),
        ([HEADER, LINE.replace("2026-05-01T12:00:00Z", "yesterday"), END], "line 2: created_at 'yesterday' is no time"),
        ([HEADER, LINE.replace('"id": "a"', '"id": "a", "importance": 7'), END], "line 2: importance"),
        ([HEADER, LINE.replace('"id": "a"', '"id": "a", "metadata": 7'), END], "line 2: metadata"),
        (
            [HEADER, LINE.replace('"id": "a"', '"id": "a", "categories": "diet"'), END],
            "line 2: categories must be a list",
        ),
        (
            [HEADER, LINE.replace('"id": "a"', '"id": "a", "private": "no"'), END],
            "line 2: private must be true or false",
        ),
        (
            [HEADER, LINE.replace('"id": "a"', f'"id": "a", "n": {"9" * 5000}'), END],
            "line 2: is JSON that cannot be read",
        ),
        ([HEADER, "[" * 100_000, END], "line 2: is JSON that cannot be read"),
        ([HEADER, LINE, END.replace("1", "true")], "line 3: the export has True entries, and 1 are here"),
        ([HEADER.replace("null", '"x"'), LINE, END], "line 1: embedder must be an object"),
        ([HEADER.replace("{}", "5"), LINE, END], "line 1: scope must be an object"),
        ([HEADER, LINE, LINE, END.replace("1", "2")], "id 'a' would be in user_id=john project_id=default twice"),
        ([HEADER, LINE.replace('"id": "a"', '"id": "a", "embedding": ["x"]'), END], "line 2: embedding"),
    ],
)
def test_a_malformed_export_is_refused_by_its_line(lines: list[str], message: str, kept_store: Path) -> None:
    with open_store(path=kept_store, embedder=None) as store:
        for dry_run in (True, False):
            with pytest.raises(InvalidArgumentError) as caught:
                import_entries(store, [f"{line}\n" for line in lines], dry_run=dry_run)
            assert str(caught.value).startswith(message)


def test_mem0_cannot() -> None:
    with (
        Mem0Platform() as platform,
        open_store(mem0={"api_key": DEFAULT_KEY, "host": platform.url}, user_id="john") as store,
        pytest.raises(ConfigurationError, match="cannot list across users"),
    ):
        export_entries(store, io.StringIO())


IMPORTING = """
import sys
from crewai_persistent_memory import open_store
from crewai_persistent_memory.admin import import_entries
with open_store(path=sys.argv[1], embedder=None) as store, open(sys.argv[2], encoding="utf-8") as lines:
    import_entries(store, lines, progress=lambda count: print(count, flush=True))
"""
COPYING = """
import sys
from crewai_persistent_memory import open_store
from crewai_persistent_memory.admin import copy_entries
with open_store(path=sys.argv[2], embedder=None) as source, open_store(path=sys.argv[1], embedder=None) as store:
    copy_entries(source, store, progress=lambda count: print(count, flush=True))
"""
KILLS = int(os.environ.get("TRANSFER_KILLS", "3"))


@pytest.mark.parametrize("program", [IMPORTING, COPYING], ids=["import", "copy"])
def test_what_was_killed_is_finished_by_the_next(tmp_path: Path, program: str) -> None:
    count = 1_000
    entries = [
        {
            "id": f"e{n}",
            "content": f"fact {n}",
            "scope": {"user_id": f"u{n // 50}"},
            "created_at": "2026-05-01T12:00:00Z",
        }
        for n in range(count)
    ]
    end = {"end": True, "entries": count}
    lines = [HEADER, *map(json.dumps, [*entries, end])]
    (tmp_path / "file").write_text("\n".join(lines) + "\n")
    source = tmp_path / ("file" if program is IMPORTING else "source")
    if program is COPYING:
        with open_store(path=source, embedder=None) as store:
            import_entries(store, (f"{line}\n" for line in lines))
    chance = random.Random(2)
    for _ in range(KILLS):
        killed_after([sys.executable, "-c", program, str(tmp_path / "s"), str(source)], chance.randrange(1, 8))
    with open_store(path=tmp_path / "s", embedder=None) as store:
        done = import_entries(store, (f"{line}\n" for line in lines))
        assert done.there > 0
        assert done.entries == count
        assert sorted(entry.content for entry in entries_of(store)) == sorted(str(each["content"]) for each in entries)


ACROSS_SCOPES: dict[str, Callable[..., object]] = {
    "entries_of": lambda store, **scope: list(entries_of(store, **scope)),
    "export_entries": lambda store, **scope: export_entries(store, io.StringIO(), **scope),
    "copy_entries": lambda store, **scope: copy_entries(store, store, into={"project_id": "other"}, **scope),
    "search_scopes": lambda store, **scope: search_scopes(store, "tea", **scope),
    "growth": growth,
    "survey": survey,
    "count_by": lambda store, **scope: count_by(store, "user_id", **scope),
    "purge_expired": purge_expired,
}


@pytest.mark.parametrize("name", ACROSS_SCOPES)
def test_a_malformed_field_is_an_error_and_not_nothing(name: str, kept_store: Path) -> None:
    """A person with nothing stored, and an id that nobody can have, are two answers."""
    with open_store(path=kept_store, embedder=None) as store:
        store.scoped(user_id="john").add("green tea")
        for value in ("", "  ", " john", "john\u200b", "jo\x00hn", "x" * 256, 5):
            with pytest.raises(ScopeError, match="user_id"):
                ACROSS_SCOPES[name](store, user_id=value)
        with pytest.raises(InvalidArgumentError, match="user: a scope has user_id"):
            ACROSS_SCOPES[name](store, user="john")
        ACROSS_SCOPES[name](store, user_id=None)
        ACROSS_SCOPES[name](store, user_id="nobody")
        assert survey(store).entries == 1

"""``crewai-memory migrate``: from CrewAI's folder and from Mem0, and back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from crewai_persistent_memory import Scope, open_store
from crewai_persistent_memory.admin import entries_of

from ..support.crewai_folders import ALLERGIC, add_short_term, folder_of_193, state
from ..support.mem0_platform import DEFAULT_KEY, Mem0Platform
from .conftest import Call


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(folder_of_193(tmp_path / "crewai's own"))


def owners(path: Path) -> set[Scope | None]:
    with open_store(path=path, embedder=None) as store:
        return {entry.scope for entry in entries_of(store)}


def test_a_folder_and_back(call: Call, folder: str, store_path: Path) -> None:
    before, to_john = state(Path(folder)), ("migrate", folder, "--user", "john", "--project", "production")
    planned = call(*to_john, "--dry-run")
    assert planned.code == 0
    assert "Would migrate 3 memories: 3 new, 0 there already" in planned.out
    assert "from chroma:memory_short_term_Concierge: 2" in planned.out
    assert "to user_id=john project_id=production (3)" in planned.out
    assert "Long-term memory: 2 results of 2 tasks" in planned.out
    assert "allergic" in planned.out
    assert not store_path.exists()
    refused = call(*to_john)
    assert (refused.code, "3 memories for user_id=john project_id=production" in refused.err) == (2, True)
    assert not store_path.exists()
    assert call(*to_john, stdin=b"n\n", somebody=True).code == 1
    done = call(*to_john, stdin=b"y\n", somebody=True)
    assert (done.code, "Migrated 3 memories: 3 new" in done.out) == (0, True)
    assert owners(store_path) == {Scope("john", "production")}
    found = call("recall", "what am I allergic to?", "-u", "john", "-p", "production", "--json").json
    assert found[0]["content"].startswith(ALLERGIC)
    again = call(*to_john, "--json").json
    assert (again["new"], again["there"], again["found"]) == (0, 3, 3)
    assert f"migrate --undo {again['migration']}" in done.out
    undo = ("migrate", "--undo", again["migration"])
    assert call(*undo, "--dry-run", "--json").json == {
        "migration": again["migration"],
        "deleted": 0,
        "would_delete": 3,
    }
    assert "this would delete 3 memories" in call(*undo).err
    assert "Deleted 3 memories" in call(*undo, "--yes").out
    assert call(*undo, "--yes").code == 1
    assert owners(store_path) == set()
    assert state(Path(folder)) == before


def test_the_folder_of_this_place_is_found(
    call: Call, folder: str, store_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "CrewAI keeps no memories in" in call("migrate", "-u", "john").err
    monkeypatch.setenv("CREWAI_STORAGE_DIR", folder)
    damaged = Path(folder, "memory", "memories.lance")
    (damaged / "_versions").mkdir(parents=True)
    assert "memories.lance cannot be read" in call("migrate", "-u", "john").err, "and is not passed over"
    shutil.rmtree(damaged)
    assert call("migrate", "--shared", "--yes", "--json").json["new"] == 3
    assert owners(store_path) == {Scope.shared()}


def test_what_is_left_out_is_named(call: Call, folder: str) -> None:
    add_short_term(Path(folder), [(" ", " ")] * 12)
    done = call("migrate", folder, "-u", "john", "--yes")
    assert (done.code, "3 new, 0 there already, 12 left out" in done.out) == (1, True)
    assert "left out document 1000: it has no text" in done.err
    assert "and 2 more" in done.err
    assert len(call("migrate", folder, "-u", "john", "--yes", "--json").json["left_out"]) == 12


def test_from_mem0(
    call: Call, mem0_platform: Mem0Platform, tmp_path: Path, store_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEM0_API_KEY", DEFAULT_KEY)
    monkeypatch.setenv("MEM0_HOST", mem0_platform.url)
    mem0_platform.remember("I like tea", user_id="john", metadata={"n": 1})
    mem0_platform.remember("Jane's secret", user_id="jane")
    done = call("migrate", "mem0", "--user", "jo", "--from-user", "john", "--yes", "--json").json
    assert (done["found"], done["owners"]) == (
        1,
        [{"scope": {"user_id": "jo", "project_id": "default"}, "memories": 1}],
    )
    assert owners(store_path) == {Scope("jo")}
    config = tmp_path / "mem0.json"
    config.write_text(json.dumps({"api_key": DEFAULT_KEY, "host": mem0_platform.url}))
    monkeypatch.delenv("MEM0_API_KEY")
    monkeypatch.delenv("MEM0_HOST")
    about = ("migrate", "mem0", "-u", "jane", "-p", "production", "--mem0-config", str(config))
    assert "to user_id=jane project_id=production (1)" in call(*about, "--dry-run").out
    mem0_platform.remember("in a run", user_id="jane", run_id="r1")
    assert call(*about, "--dry-run", "--json").json["found"] == 2
    of_run = call(*about, "--from-run", "r1", "--run", "r2", "--dry-run", "--json").json["owners"]
    assert of_run == [{"scope": {"user_id": "jane", "project_id": "production", "run_id": "r2"}, "memories": 1}]
    nobody = call("migrate", "mem0", "-u", "nobody", "--mem0-config", str(config), "--dry-run")
    assert (nobody.code, "has no memories of user_id=nobody" in nobody.err) == (2, True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("FOLDER",), "whose memory?"),
        (("FOLDER", "-u", "john", "--shared"), "leave one out"),
        (("FOLDER", "--by-path", "/user"), "whose memories?"),
        (("FOLDER", "--by-path", "/{user_id}", "-u", "john"), "given twice"),
        (("FOLDER", "--by-path", "/{user_id}", "--shared"), "leave one out"),
        (("FOLDER", "-u", "john", "--from-run", "j"), "are for Mem0"),
        (("mem0",), "whose memories?"),
        (("mem0", "-u", "john", "--by-path", "/"), "Mem0 has no paths"),
        (("mem0", "-u", "john", "--mem0-config", "nowhere"), "cannot be read"),
        (("", "-u", "john"), "the source is empty"),
        (("nowhere", "-u", "john"), "there is no such folder"),
        (("--undo", "abc"), "Check --path"),
    ],
)
def test_a_mistake_is_named(call: Call, folder: str, options: tuple[str, ...], message: str, store_path: Path) -> None:
    done = call("migrate", *(folder if option == "FOLDER" else option for option in options))
    assert done.code == 2
    assert message in done.err
    assert not store_path.exists()


def test_a_copy_and_an_export_from_mem0(
    call: Call, mem0_platform: Mem0Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CREWAI_MEMORY_PATH")
    monkeypatch.setenv("CREWAI_MEMORY_MEM0", json.dumps({"host": mem0_platform.url, "api_key": DEFAULT_KEY}))
    mem0_platform.remember("I like tea", user_id="john")
    mem0_platform.remember("Jane's secret", user_id="jane")
    to = ("--to-path", str(tmp_path / "copy"))
    assert "cannot list across users" in call("copy", "--all", *to).err
    assert "Copied 1 memory: 1 new" in call("copy", "--user", "john", *to).out
    assert owners(tmp_path / "copy") == {Scope("john")}
    assert "Exported 1 memory" in call("export", str(tmp_path / "john.jsonl"), "--user", "john").out
    # And into Mem0, from CrewAI's folder.
    folder = str(folder_of_193(tmp_path / "crewai"))
    for new in (3, 0):
        assert call("migrate", folder, "--user", "john", "--yes", "--json").json["new"] == new
    assert len(call("list", "--user", "john", "--json").json) == 3

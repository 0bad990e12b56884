"""``crewai-memory undo``, ``forget --for-good`` and ``show --history``."""

from __future__ import annotations

from pathlib import Path

import pytest

from crewai_persistent_memory import open_store

from .conftest import Call

JOHN = ("-u", "john")


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    monkeypatch.setenv("CREWAI_MEMORY_UNDO_FOR", "3600")
    monkeypatch.setenv("CREWAI_MEMORY_HISTORY", "5")
    with open_store(path=tmp_path / "store", embedder=None) as store:
        john = store.scoped(user_id="john")
        john.add("John likes tea", id="taste-tea-1")
        john.add("John lives in Rome", id="lives-rome-2")
        store.scoped(user_id="jane").add("Jane likes coffee", id="taste-jane-3")
    return ("--path", str(tmp_path / "store"))


def test_forget_and_undo(call: Call, at: tuple[str, ...]) -> None:
    forgotten = call("forget", "taste-tea-1", *JOHN, *at)
    assert (forgotten.code, forgotten.err) == (0, "crewai-memory undo brings it back, for 1:00:00\n")
    shown = call("undo", "--dry-run", *JOHN, *at)
    assert (shown.code, "John likes tea" in shown.out) == (0, True)
    assert call("undo", "--all", "-u", "jane", *at).code == 1
    back = call("undo", "taste-tea", *JOHN, *at, "--json")
    assert (back.code, [each["id"] for each in back.json]) == (0, ["taste-tea-1"])
    again = call("undo", "taste-tea-1", *JOHN, *at)
    assert again.code == 1
    assert "nothing with the id taste-tea-1 can come back" in again.err
    assert call("show", "taste-tea-1", *JOHN, *at).code == 0


def test_all(call: Call, at: tuple[str, ...]) -> None:
    assert call("forget", "--all", "--yes", *JOHN, *at, "--json").json == {"forgotten": 2}
    assert call("list", *JOHN, *at, "--json").json == []
    assert len(call("undo", "--all", *JOHN, *at, "--json").json) == 2
    assert len(call("list", *JOHN, *at, "--json").json) == 2
    assert call("undo", "--all", *JOHN, *at, "--json").json == []


def test_for_good(call: Call, at: tuple[str, ...], tmp_path: Path) -> None:
    call("forget", "taste-tea-1", *JOHN, *at)
    assert call("forget", "taste-tea", "lives-rome-2", "--for-good", *JOHN, *at, "--json").json == {"forgotten": 2}
    assert call("undo", "--dry-run", *JOHN, *at, "--json").json == []
    assert call("forget", "taste-tea-1", "--for-good", *JOHN, *at).code == 1


@pytest.mark.parametrize("arguments", [(), ("a", "--all"), (" ",)], ids=str)
def test_what_is_unclear_is_refused(call: Call, at: tuple[str, ...], arguments: tuple[str, ...]) -> None:
    assert call("undo", *arguments, *JOHN, *at).code == 2


def test_history(call: Call, at: tuple[str, ...]) -> None:
    call("update", "taste-tea-1", "--text", "John likes \x1b[31mcoffee", "--run", "r-7", *JOHN, *at)
    call("update", "taste-tea-1", "--text", "John likes water", *JOHN, *at)
    plain = call("show", "taste-tea-1", *JOHN, *at)
    assert "tea" not in plain.out.replace("taste-tea-1", "")
    shown = call("show", "taste-tea-1", "--history", *JOHN, *at).out
    assert shown.index("John likes water") < shown.index("John likes tea") < shown.index("coffee")
    assert "changed by run r-7" in shown
    assert "\x1b" not in shown
    found = call("show", "taste-tea-1", "--history", *JOHN, *at, "--json").json
    assert [each["content"] for each in found["history"]] == ["John likes tea", "John likes \x1b[31mcoffee"]
    assert "No earlier text is kept" in call("show", "lives-rome-2", "--history", *JOHN, *at).out
    assert "history" not in call("show", "taste-tea-1", *JOHN, *at, "--json").json


def test_mem0_cannot(call: Call, monkeypatch: pytest.MonkeyPatch, mem0_platform: object) -> None:
    from ..support.mem0_platform import DEFAULT_KEY

    monkeypatch.setenv("CREWAI_MEMORY_MEM0", f'{{"api_key": "{DEFAULT_KEY}", "host": "{mem0_platform.url}"}}')  # type: ignore[attr-defined]
    monkeypatch.delenv("CREWAI_MEMORY_PATH")
    for arguments in (("show", "x", "--history"), ("undo", "--all")):
        printed = call(*arguments, *JOHN)
        assert printed.code == 2
        assert "keeps" in printed.err

"""``backup``, ``restore``, ``check``, ``repair`` and ``compact``; what they do is tested in ``tests/maintenance``."""

from __future__ import annotations

from pathlib import Path

import pytest

from crewai_persistent_memory import MemoryEntry, open_store

from ..support.damage import damage_text
from .conftest import Call


@pytest.fixture
def stores_stay_open() -> None:
    """They do not: each command is about the files of a store that is closed."""


@pytest.fixture
def at(tmp_path: Path) -> tuple[str, str]:
    with open_store(path=tmp_path / "s", embedder=None, user_id="john") as store:
        store.put([MemoryEntry(str(n), f"fact {n} of many") for n in range(6)])
    return "--path", str(tmp_path / "s")


def test_backup_and_restore(call: Call, at: tuple[str, str], tmp_path: Path) -> None:
    folder = str(tmp_path / "b")
    assert call("backup", folder, *at, "--json").json == {"folder": folder, "engine": "embedded", "entries": 6}
    assert "is there already" in call("backup", folder, *at).err
    assert call("restore", folder, *at, "--replace", "--dry-run").out.startswith("Would restore 6 memories of 2")
    assert call("restore", folder, *at).code == 2
    assert call("restore", folder, *at, "--replace").out.startswith("Restored 6 memories of 2")
    assert (tmp_path / "s.replaced-1").is_dir()
    assert "No such option" in call("backup", str(tmp_path / "c"), *at, "--user", "john").err


def test_check_and_repair(call: Call, at: tuple[str, str], tmp_path: Path) -> None:
    assert call("check", *at).out == "6 memories can be read\n"
    damage_text(tmp_path / "s", "fact 3 of many")
    printed = call("check", *at)
    assert printed.code == 1
    assert "would be lost: 3" in printed.out
    for refused in (call("repair", *at), call("repair", *at, "--dry-run")):
        assert refused.code in (1, 2)
        assert "--yes" in refused.err or "would be lost: 3" in refused.out
        assert "would be lost: 3" in call("check", *at).out
    repaired = call("repair", *at, "--yes", "--json")
    assert (repaired.code, repaired.json["lost"], repaired.json["entries"]) == (1, ["3"], 5)
    assert call("compact", *at, "--json").json == {"compacted": True}
    assert call("check", *at, "--json").json["lost"] == []

"""``crewai-memory erase``."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from crewai_persistent_memory import open_store
from crewai_persistent_memory.admin import is_signed_with, survey

from .conftest import Call

KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def at(tmp_path: Path) -> tuple[str, ...]:
    """A store in which John has memories in two projects, and Jane has one."""
    with open_store(path=tmp_path / "store", embedder=None) as store:
        for project in ("production", "staging"):
            store.scoped(user_id="john", project_id=project).add("John likes tea")
        store.scoped(user_id="jane", project_id="production").add("Jane likes coffee")
    return ("--path", str(tmp_path / "store"))


def left(at: tuple[str, ...]) -> dict[str, int]:
    with open_store(path=at[1], embedder=None) as store:
        return dict(survey(store).counts["user_id"])


def test_with_a_signed_receipt(call: Call, at: tuple[str, ...], tmp_path: Path) -> None:
    key, receipt = tmp_path / "key", tmp_path / "receipt.json"
    key.write_text(f"{KEY}\n")
    out = call("erase", "-u", "john", "-y", *at, "--key-file", str(key), "--receipt", str(receipt), "--settle", "0").out
    assert "Erased 2 memories of user_id=john; 0 left" in out
    assert "- backups" in out
    assert left(at) == {"jane": 1}
    assert is_signed_with(receipt.read_text(), KEY.encode())
    assert json.loads(receipt.read_text())["projects"] == {"production": 1, "staging": 1}
    assert stat.S_IMODE(receipt.stat().st_mode) == 0o600


def test_asks_before(call: Call, at: tuple[str, ...]) -> None:
    refused = call("erase", "-u", "john", *at)
    assert refused.code == 2
    assert "this would erase 2 memories of user_id=john: add --yes" in refused.err
    assert left(at) == {"john": 2, "jane": 1}


def test_a_dry_run(call: Call, at: tuple[str, ...]) -> None:
    assert (
        "Would erase 1 memory in production, 1 memory in staging" in call("erase", "-u", "john", "--dry-run", *at).out
    )
    told = json.loads(call("erase", "-u", "john", "--dry-run", "--json", *at).out)
    assert told == {"would_erase": {"production": 1, "staging": 1}, "dry_run": True}
    assert left(at) == {"john": 2, "jane": 1}


def test_one_project_and_json(call: Call, at: tuple[str, ...]) -> None:
    told = json.loads(call("erase", "-u", "john", "-p", "staging", "-y", "--json", "--settle", "0", *at).out)
    assert (told["entries"], told["scope"]) == (1, {"project_id": "staging", "user_id": "john"})
    assert left(at) == {"john": 1, "jane": 1}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "whose memories"),
        (("--agent", "chef"), "whose memories"),
        (("--shared",), "--shared"),
        (("-u", "john", "--key-file", "missing"), "--key-file missing cannot be read"),
        (("-u", "john", "--key-file", "short"), "at least 16 bytes"),
        (("-u", "john", "--receipt", "taken"), "taken is there already"),
        (("-u", "john", "--receipt", "missing/receipt"), "cannot be written"),
    ],
)
def test_a_mistake_erases_nothing(
    call: Call,
    at: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("short").write_text("short")
    Path("taken").write_text("an earlier receipt")
    done = call("erase", "-y", *options, *at)
    assert done.code == 2
    assert message in done.err
    assert left(at) == {"john": 2, "jane": 1}
    assert Path("taken").read_text() == "an earlier receipt"


def test_a_store_that_is_not_there(call: Call, tmp_path: Path) -> None:
    assert call("erase", "-u", "john", "-y", "--path", str(tmp_path / "nowhere")).code == 2

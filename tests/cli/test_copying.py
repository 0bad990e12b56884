"""``crewai-memory copy``."""

from __future__ import annotations

from pathlib import Path

import pytest

from crewai_persistent_memory import open_store
from crewai_persistent_memory.admin import survey

from .conftest import Call


@pytest.fixture
def at(tmp_path: Path) -> tuple[str, ...]:
    with open_store(path=tmp_path / "store", embedder=None) as store:
        store.scoped(user_id="john", project_id="staging").add("John likes tea", id="tea-0001", kind="entity")
        store.scoped(user_id="john", project_id="staging").add("John likes coffee", id="coffee-1")
        store.scoped(user_id="jane", project_id="staging").add("Jane likes milk", id="milk-001")
    return ("--path", str(tmp_path / "store"))


def projects(path: str) -> dict[str, int]:
    with open_store(path=path, embedder=None) as store:
        return dict(survey(store).counts["project_id"])


def test_to_another_project(call: Call, at: tuple[str, ...]) -> None:
    about = ("copy", "-u", "john", "-p", "staging", "--to-project", "production", *at)
    assert "Would copy 1 memory: 1 new" in call(*about, "--kind", "entity", "--dry-run").out
    assert projects(at[1]) == {"staging": 3}
    assert "Copied 2 memories: 2 new, 0 there already" in call(*about).out
    assert projects(at[1]) == {"staging": 3, "production": 2}
    refused = call(*about)
    assert (refused.code, "2 memories of 2 are there already" in refused.err) == (2, True)
    assert call(*about, "--yes", "--json").json == {"entries": 2, "new": 0, "there": 2, "expired": 0}


def test_to_another_store(call: Call, at: tuple[str, ...], tmp_path: Path) -> None:
    other = str(tmp_path / "other")
    assert "Would copy 3 memories" in call("copy", "--all", "--to-path", other, "--dry-run", *at).out
    assert not Path(other).exists()
    assert "Copied 3 memories: 3 new" in call("copy", "--all", "--to-path", other, *at).out
    assert projects(other) == {"staging": 3}


@pytest.mark.parametrize("dry_run", [["--dry-run"], []])
def test_what_would_fail_fails_in_a_dry_run_and_makes_no_store(
    call: Call, at: tuple[str, ...], tmp_path: Path, dry_run: list[str]
) -> None:
    with open_store(path=at[1], embedder=None) as store:
        store.scoped(user_id="jane", project_id="staging").add("Jane likes tea", id="tea-0001")
    other = tmp_path / "other"
    twice = call("copy", "--all", "--to-user", "bob", "--to-path", str(other), *dry_run, *at)
    assert (twice.code, "id 'tea-0001' would be in user_id=bob" in twice.err) == (2, True)
    malformed = call("copy", "--all", "--to-user", " bob", "--to-path", str(other), *dry_run, *at)
    assert (malformed.code, "user_id ' bob' begins or ends" in malformed.err) == (2, True)
    assert not other.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--all",), "where to?"),
        (("--to-project", "production"), "whose memories?"),
        (("--all", "--to-path", "a", "--to-url", "http://127.0.0.1:9"), "leave one out"),
        (("--all", "--to-path", ""), "--path is empty"),
    ],
)
def test_a_mistake_is_named(call: Call, at: tuple[str, ...], options: tuple[str, ...], message: str) -> None:
    done = call("copy", *options, *at)
    assert done.code == 2
    assert message in done.err

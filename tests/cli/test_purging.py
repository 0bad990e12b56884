"""``crewai-memory purge``, and what the other commands tell of what has expired."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from crewai_persistent_memory import open_store
from crewai_persistent_memory.admin import purge_expired
from crewai_persistent_memory.expiry import clock_set_to, now

from .conftest import Call

SECRET = "the door code is 4711"
HOUR = timedelta(hours=1)


@pytest.fixture
def at(tmp_path: Path) -> tuple[str, ...]:
    """A store in which John has a secret for an hour, and a taste for good; and Jane another secret."""
    with open_store(path=tmp_path / "store", embedder=None) as store:
        store.scoped(user_id="john").add(SECRET, id="secret", ttl=HOUR)
        store.scoped(user_id="john").add("John likes tea")
        store.scoped(user_id="jane").add("Jane's code is 4712", ttl=HOUR)
    return ("--path", str(tmp_path / "store"))


@pytest.fixture
def later(at: tuple[str, ...]) -> Iterator[None]:
    with clock_set_to(now() + 2 * HOUR):
        yield


def expired(at: tuple[str, ...]) -> int:
    from crewai_persistent_memory.config.options import MemoryConfig
    from crewai_persistent_memory.store.factory import open_configured

    with open_configured(MemoryConfig.build(path=at[1]), by_words=True, existing=True) as store:
        return purge_expired(store, dry_run=True)


@pytest.mark.usefixtures("later")
class TestAfterItsTime:
    def test_no_command_shows_it(self, call: Call, at: tuple[str, ...], tmp_path: Path) -> None:
        for command in (
            ["list", "-u", "john"],
            ["list", "-u", "john", "--everywhere", "--json"],
            ["recall", "what is the door code", "-u", "john", "--json"],
            ["show", "secret", "-u", "john"],
            ["export", "-", "-u", "john"],
            ["stats", "--json"],
        ):
            printed = call(*command, *at)
            assert "4711" not in printed.out + printed.err, command
        assert call("show", "secret", "-u", "john", *at).code == 1
        assert expired(at) == 2  # looking at it deletes nothing

    def test_purge(self, call: Call, at: tuple[str, ...]) -> None:
        assert "Would delete 2 memories" in call("purge", "--dry-run", *at).out
        assert call("purge", "--dry-run", "--json", *at).json == {"purged": 0, "expired": 2, "dry_run": True}
        refused = call("purge", *at)
        assert refused.code == 2
        assert "this would delete 2 memories that expired: add --yes" in refused.err
        assert expired(at) == 2
        assert call("purge", "-u", "john", "-y", "--json", *at).json["purged"] == 1
        assert expired(at) == 1
        assert "Deleted 1 memory" in call("purge", "-y", *at).out
        assert "Deleted 0 memories" in call("purge", *at).out
        assert [row["content"] for row in call("list", "-u", "john", "--json", *at).json] == ["John likes tea"]

    def test_the_text_is_out_of_the_files(self, call: Call, at: tuple[str, ...]) -> None:
        def holds_it() -> bool:
            return any(SECRET.encode() in file.read_bytes() for file in Path(at[1]).rglob("*") if file.is_file())

        assert holds_it()
        call("purge", "-y", *at)
        assert not holds_it()

    def test_an_import_leaves_it_out(self, call: Call, at: tuple[str, ...], tmp_path: Path) -> None:
        file = tmp_path / "export.jsonl"
        with clock_set_to(now() - 2 * HOUR):
            call("export", str(file), "--all", *at)
        there = ("--path", str(tmp_path / "other"))
        assert "3 memories: 1 new, 0 there already, 2 expired" in call("import", str(file), "--dry-run", *there).out
        done = call("import", str(file), "--json", *there).json
        assert (done["entries"], done["new"], done["expired"]) == (3, 1, 2)
        assert "3 memories: 0 new, 1 there already, 2 expired and left out" in call("import", str(file), *there).out
        with clock_set_to(now() - 2 * HOUR):
            assert len(call("list", "-u", "john", "--json", *there).json) == 1


def test_an_export_carries_the_end(call: Call, at: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "export.jsonl"
    call("export", str(file), "-u", "john", *at)
    ends = {line.get("id"): line.get("expires_at") for line in map(json.loads, file.read_text().splitlines())}
    assert ends["secret"].endswith("Z")
    there = ("--path", str(tmp_path / "other"))
    call("import", str(file), *there)
    [shown] = [each for each in call("list", "-u", "john", "--json", *there).json if each["id"] == "secret"]
    assert shown["expires_at"] == ends["secret"]
    assert "expires_at" in call("show", "secret", "-u", "john", *there).out


@pytest.mark.parametrize("end", ["tomorrow", "2199-01-01T00:00:00", 5])
def test_a_line_with_another_end_is_refused(call: Call, at: tuple[str, ...], tmp_path: Path, end: object) -> None:
    file = tmp_path / "export.jsonl"
    call("export", str(file), "-u", "john", *at)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    lines[1]["expires_at"] = end
    file.write_text("\n".join(map(json.dumps, lines)))
    refused = call("import", str(file), "--path", str(tmp_path / "other"))
    assert refused.code == 2
    assert "line 2: expires_at" in refused.err


def test_an_end_is_given_changed_and_removed(call: Call, at: tuple[str, ...]) -> None:
    of_john = ("-u", "john", *at)
    [added] = call("remember", "the bike lock is 0815", "--ttl", "3600", "--json", *of_john).json
    assert added["expires_at"].endswith("Z")
    assert call("remember", "x", "--ttl", "0", *of_john).code == 2
    [changed] = call("update", added["id"], "--ttl", "7200", "--json", *of_john).json
    assert changed["expires_at"] > added["expires_at"]
    assert call("update", added["id"], "--ttl", "5", "--never-expires", *of_john).code == 2
    [stays] = call("update", added["id"], "--never-expires", "--json", *of_john).json
    assert stays["expires_at"] is None

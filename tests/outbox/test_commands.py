"""``crewai-memory outbox``, for the operator of a host."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from crewai_persistent_memory.cli import app
from crewai_persistent_memory.errors import ConfigurationError, StoreCorruptedError

from ..support.calling import until
from ..support.faulty_store import FaultyStore
from .conftest import OpenOutbox


@pytest.fixture
def command(tmp_path: Path) -> Any:
    def run(*arguments: str) -> Any:
        result = CliRunner().invoke(app, ["outbox", *arguments, "--outbox-path", str(tmp_path / "outbox")])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        return json.loads(result.output) if "--json" in arguments else result.output

    return run


@pytest.fixture
def refused(open_outbox: OpenOutbox, behind: FaultyStore) -> Any:
    """A store that has refused one of two writes."""
    store: Any = open_outbox()
    behind.refuses = lambda entry: entry.content == "wrong"
    store.add("right")
    store.add("wrong")
    until(lambda: store.backend.outbox.queue.depth().dead, bool)
    return store


def test_nothing_there(command: Any) -> None:
    assert "no outbox" in command("status")
    assert command("status", "--json") == []


def test_what_waits(command: Any, open_outbox: OpenOutbox, behind: FaultyStore) -> None:
    store = open_outbox()
    behind.away = True
    store.add("tea")
    [found] = until(lambda: command("status", "--json"), lambda found: found[0]["last_error"] is not None)
    assert (found["writes"], found["dead_letters"], found["store"]) == (1, 0, "the test's store")
    assert "1 wait" in command("status")
    [row] = command("show", "--json")
    assert row["scope"] == {"user_id": "john", "project_id": "default"}
    assert row["operation"]["entries"][0]["content"] == "tea"
    assert "tea" not in command("show"), "a text is printed when it is asked for"


def test_a_dead_letter_is_delivered_after_all(command: Any, refused: Any, behind: FaultyStore) -> None:
    assert "InvalidEntryError" in command("show", "--dead")
    behind.refuses = lambda entry: False
    assert command("retry", "--json") == {"put_back": 1}
    refused.backend.outbox.sender.wake()
    assert refused.flush(10)
    assert sorted(behind.contents()) == ["right", "wrong"]


def test_dropping(command: Any, refused: Any) -> None:
    with pytest.raises(ConfigurationError, match="--yes"):
        command("drop")
    [row] = command("show", "--dead", "--json")
    assert command("drop", str(row["number"]), "--yes", "--json") == {"dropped": 1}
    assert command("status", "--json")[0]["dead_letters"] == 0


@pytest.mark.parametrize("number", ["77", str(2**63 - 1)])
def test_a_number_that_nothing_has(command: Any, refused: Any, number: str) -> None:
    for arguments in (["retry", number], ["drop", number, "--yes"]):
        with pytest.raises(ConfigurationError, match=f"with the number {number}: see"):
            command(*arguments)
    assert len(command("show", "--dead", "--json")) == 1


@pytest.mark.parametrize("number", ["0", str(2**64)])
def test_a_number_that_nothing_can_have(refused: Any, tmp_path: Path, number: str) -> None:
    result = CliRunner().invoke(app, ["outbox", "retry", number, "--outbox-path", str(tmp_path / "outbox")])
    assert (type(result.exception), result.exit_code) == (SystemExit, 2)


def test_a_queue_that_is_not_there(command: Any, refused: Any) -> None:
    with pytest.raises(ConfigurationError, match="--queue nosuch: no queue has this name"):
        command("status", "--queue", "nosuch")


def test_a_file_that_is_damaged(command: Any, refused: Any, tmp_path: Path) -> None:
    [whole] = command("status", "--json")
    folder = tmp_path / "outbox" / "queue"
    folder.mkdir(parents=True)
    (folder / "queue.db").write_text("no database" * 100)
    at = ("--outbox-path", str(tmp_path / "outbox"))
    told = CliRunner().invoke(app, ["outbox", "status", "--json", *at])
    assert told.exit_code == 1
    [other, damaged] = sorted(json.loads(told.output), key=lambda each: "unread" in each)
    assert (other["queue"], other["dead_letters"]) == (whole["queue"], 1)
    assert damaged["queue"] == "queue"
    assert "is damaged" in damaged["unread"]
    assert f"move {folder / 'queue.db'} away" in damaged["unread"]
    shown = CliRunner().invoke(app, ["outbox", "status", *at])
    assert shown.exit_code == 1
    assert "1 dead letters" in shown.output
    assert "is damaged" in shown.output
    with pytest.raises(StoreCorruptedError, match="is damaged"):
        command("show")

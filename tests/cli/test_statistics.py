"""``stats``: what a store holds is told without knowing any of its scopes."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest

from crewai_persistent_memory import ConfigurationError, MemoryEntry, MemoryStore, open_store
from crewai_persistent_memory.admin import MANY, survey
from crewai_persistent_memory.cli.growth import periods_of

from ..support.mem0_platform import DEFAULT_KEY, Mem0Platform
from ..support.qdrant_server import QdrantServer
from .conftest import Call


def fill(store: MemoryStore) -> None:
    """``store`` is bound to no user."""
    store.scoped(user_id="john").add("John likes tea", id="a")
    store.scoped(user_id="john", run_id="r1").add("of one run", id="b")
    store.scoped(user_id="jane", project_id="staging", org_id="acme").add("Jane likes tea", id="c")
    store.scoped(user_id="jane", agent_id="chef").add("of the chef", id="d")


COUNTS = {
    "org_id": {"acme": 1},
    "project_id": {"default": 3, "staging": 1},
    "user_id": {"jane": 2, "john": 2},
    "run_id": {"r1": 1},
    "agent_id": {"chef": 1},
}


def test_the_table(call: Call, store_path: Path) -> None:
    with open_store(path=store_path, embedder=None) as store:
        fill(store)
    printed = call("stats")
    first, *lines = printed.out.splitlines()
    assert first.startswith("4 memories in ")
    assert str(store_path) in first
    assert [line.split(maxsplit=2) for line in lines] == [
        ["1", "organisation", "acme 1"],
        ["2", "projects", "default 3, staging 1"],
        ["2", "users", "jane 2, john 2"],
        ["1", "run", "r1 1"],
        ["1", "agent", "chef 1"],
    ]
    assert (printed.code, printed.err) == (0, "")
    assert "jane 2 and 1 more" in call("stats", "-n", "1").out
    assert call("stats", "--json").json == {"store": first.removeprefix("4 memories in "), "entries": 4, **COUNTS}
    assert call("stats", "--user", "jane", "--json").json["project_id"] == {"default": 1, "staging": 1}
    assert call("stats", "--project", "staging", "--json").json["user_id"] == {"jane": 1}
    assert call("stats", "--project", "nowhere").out.startswith("0 memories in ")


def test_no_store_is_made(call: Call, store_path: Path) -> None:
    printed = call("stats")
    assert printed.code == 2
    assert "there is no memory store" in printed.err
    assert not store_path.exists()


def test_on_a_server(call: Call, server: QdrantServer, collection: str) -> None:
    with open_store(url=server.url, collection=collection, embedder=None) as store:
        fill(store)
        assert store.scoped(user_id="john").flush()
        assert store.scoped(user_id="jane").flush()
        assert store.scoped(user_id="jane", project_id="staging", org_id="acme").flush()
        assert survey(store).counts == COUNTS
    found = call("stats", "--url", server.url, "--collection", collection, "--json").json
    assert {name: found[name] for name in COUNTS} == COUNTS


def test_users_that_are_made_for_each_request(call: Call, store_path: Path) -> None:
    with open_store(path=store_path, embedder=None) as store:
        for number in range(MANY):
            store.scoped(user_id=f"request-{number}").add("I like tea")
        assert survey(store).users_of_one_request
        assert "makes a user_id for each request" in call("stats").err
        for number in range(MANY):
            store.scoped(user_id=f"request-{number}").add("I like coffee")
        assert not survey(store).users_of_one_request
        assert not survey(store, user_id="request-1").users_of_one_request
        assert call("stats").err == ""


def test_mem0_cannot() -> None:
    with (
        Mem0Platform() as platform,
        open_store(mem0={"api_key": DEFAULT_KEY, "host": platform.url}, user_id="john") as store,
        pytest.raises(ConfigurationError, match="cannot count across users"),
    ):
        survey(store)


def test_names_that_a_terminal_would_obey(call: Call, store_path: Path) -> None:
    with open_store(path=store_path, embedder=None) as store:
        store.scoped(user_id="red\u202eder").add("I like tea")
    assert "\u202e" not in call("stats").out
    assert call("stats", "--json").json["user_id"] == {"red\u202eder": 1}


def test_growth(call: Call, store_path: Path, tmp_path: Path) -> None:
    start = datetime(2026, 1, 1, 12)
    with open_store(path=store_path, embedder=None) as store:
        john = store.scoped(user_id="john")
        john.put([MemoryEntry(f"e{day}", "four", created_at=start + timedelta(days=day)) for day in (0, 0.1, 3, 60)])
        john.put([MemoryEntry("anna", "Anna", kind="entity", created_at=start)])
        store.scoped(user_id="jane").put([MemoryEntry("other", "x" * 1000, created_at=start)])
    told = call("stats", "--growth", "--user", "john", "--json").json["growth"]
    assert told["kinds"] == {"memory": 4, "entity": 1}
    assert told["characters"] == 20
    assert told["by_day"] == {"2026-01-01": 3, "2026-01-04": 1, "2026-03-02": 1}
    assert (told["first"], told["last"]) == ("2026-01-01T12:00:00", "2026-03-02T12:00:00")
    picture = tmp_path / "growth.svg"
    out = call("stats", "--growth", "--user", "john", "--chart", str(picture)).out
    weeks = [line.split()[:3] for line in out.splitlines() if line.startswith("  2026-")]
    assert len(weeks) == 9
    assert weeks[0] == ["2026-01-01", "4", "4"]
    assert weeks[1] == ["2026-01-08", "0", "4"]
    assert weeks[-1] == ["2026-02-26", "1", "5"]
    drawn = ElementTree.parse(picture).getroot()
    assert len(drawn.findall(".//{*}rect/{*}title")) == 9
    assert "growth" not in call("stats", "--json").json
    assert call("stats", "--growth", "--user", "nobody").out.startswith("0 memories in ")
    for options in (("--chart", str(picture)), ("--growth", "--chart", "growth.png")):
        assert "--chart" in call("stats", *options).err


@pytest.mark.parametrize("days", [1, 2, 31, 32, 217, 300, 5_000, 40_000])
def test_periods_lose_no_day(days: int) -> None:
    first = date(1990, 1, 1)
    by_day = {first + timedelta(days=at): at + 1 for at in {0, days // 3, days - 1}}
    periods = periods_of(by_day)
    assert len(periods) <= 31
    assert sum(each.new for each in periods) == periods[-1].total == sum(by_day.values())
    assert periods[0].start == first

"""What ``list``, ``recall``, ``show`` and ``update`` choose, print and change."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from crewai_persistent_memory import MemoryEntry, open_store
from crewai_persistent_memory.validation import utcnow

from .conftest import Call

JOHN = ("-u", "john")


@pytest.fixture
def at(kept_store: Path) -> tuple[str, ...]:
    now = utcnow()
    with open_store(path=kept_store, embedder=None) as store:
        john = store.scoped(user_id="john")
        john.put(
            [
                MemoryEntry("old-tea-0001", "green tea long ago", created_at=now - timedelta(days=30)),
                MemoryEntry("new-tea-0002", "green tea now", categories=("drink", "fresh"), path="/crew/sales/eu"),
                MemoryEntry("anna-tea-003", "Anna sells green tea", kind="entity", categories=("person",)),
            ]
        )
        store.scoped(user_id="john", run_id="r1", project_id="staging").add("green tea of the run", id="run-tea-0004")
        store.scoped(user_id="jane").add("green tea of Jane", id="jane-tea-005")
    return ("--path", str(kept_store))


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ((), {"old-tea-0001", "new-tea-0002", "anna-tea-003"}),
        (("--since", "7d"), {"new-tea-0002", "anna-tea-003"}),
        (("--until", "36h"), {"old-tea-0001"}),
        (("--since", "2020-01-01", "--until", "2020-02-01T12:00Z"), set()),
        (("--kind", "entity"), {"anna-tea-003"}),
        (("-c", "person", "-c", "fresh"), {"new-tea-0002", "anna-tea-003"}),
        (("--in", "/crew/sales"), {"new-tea-0002"}),
        (("--in", "/crew/sal"), set()),
    ],
)
@pytest.mark.parametrize("command", [("list",), ("recall", "green tea")])
def test_filters(
    call: Call, at: tuple[str, ...], command: tuple[str, ...], options: tuple[str, ...], ids: set[str]
) -> None:
    found = call(*command, *options, *JOHN, *at, "--json").json
    assert {entry["id"] for entry in found} == ids


@pytest.mark.parametrize("time", ["yesterday", "7", "7 d", "", "99999999d", "999999d", "2026-13-01"])
def test_a_time_that_cannot_be_read_is_named(call: Call, at: tuple[str, ...], time: str) -> None:
    done = call("list", "--since", time, *JOHN, *at)
    assert done.code == 2
    assert f"--since {time!r} is no time: write 2026-05-01" in done.err


OF_JOHN = {"old-tea-0001", "new-tea-0002", "anna-tea-003"}
OF_A_RUN = "run-tea-0006"
EVERYWHERE = [
    (("--all-runs",), {*OF_JOHN, OF_A_RUN}),
    (("--all-projects",), OF_JOHN),
    (("--all-projects", "--run", "r1"), {*OF_JOHN, "run-tea-0004"}),
    (("--all-projects", "--run", "r1", "--agent", "a"), {*OF_JOHN, "run-tea-0004", OF_A_RUN}),
    (("--all-projects", "--run", "r2"), OF_JOHN),
    (("--all-runs", "-p", "staging"), {"run-tea-0004"}),
    (("--all-runs", "--all-projects"), {*OF_JOHN, "run-tea-0004", OF_A_RUN}),
    (("--everywhere",), {*OF_JOHN, "run-tea-0004", OF_A_RUN}),
    (("--everywhere", "-p", "staging"), {"run-tea-0004"}),
    (("--everywhere", "--kind", "entity"), {"anna-tea-003"}),
    (("--everywhere", "--since", "7d"), {"new-tea-0002", "anna-tea-003", "run-tea-0004", OF_A_RUN}),
]


@pytest.fixture
def in_runs(at: tuple[str, ...]) -> tuple[str, ...]:
    with open_store(path=at[1], embedder=None) as store:
        store.scoped(user_id="john", run_id="r1", agent_id="a").add("green tea of an agent in a run", id=OF_A_RUN)
    return at


@pytest.mark.parametrize(("options", "ids"), EVERYWHERE)
@pytest.mark.parametrize("command", [("list",), ("recall", "green tea")])
def test_in_more_than_one_scope(
    call: Call, in_runs: tuple[str, ...], command: tuple[str, ...], options: tuple[str, ...], ids: set[str]
) -> None:
    found = call(*command, *options, *JOHN, *in_runs, "--json").json
    assert {entry["id"] for entry in found} == ids
    assert {entry["scope"]["user_id"] for entry in found} <= {"john"}


@pytest.mark.parametrize("command", [("list",), ("recall", "tea of the run")])
def test_whose_is_told(call: Call, in_runs: tuple[str, ...], command: tuple[str, ...]) -> None:
    printed = call(*command, "--everywhere", *JOHN, *in_runs).out
    for part in ("whose", "everywhere", "project_id=staging run_id=r1"):
        assert part in printed


def test_the_best_of_all_scopes_is_first(call: Call, in_runs: tuple[str, ...]) -> None:
    found = call("recall", "tea of the run", "--everywhere", "-n", "1", *JOHN, *in_runs, "--json").json
    assert [entry["id"] for entry in found] == ["run-tea-0004"]
    printed = call("list", "--everywhere", "-n", "1", "--since", "7d", *JOHN, *in_runs).out
    assert "everywhere, 1 of 4" in printed


@pytest.mark.parametrize("option", ["--everywhere", "--all-runs", "--all-projects"])
@pytest.mark.parametrize("command", [("list",), ("recall", "tea")])
def test_more_than_one_scope_is_of_one_person(
    call: Call, at: tuple[str, ...], command: tuple[str, ...], option: str
) -> None:
    for options in (("--shared",), (), ("--shared", *JOHN)):
        refused = call(*command, option, *options, *at)
        assert refused.code == 2
        assert f"{option} is of one person: give --user NAME" in refused.err


@pytest.mark.parametrize("option", ["--everywhere", "--all-runs", "--all-projects"])
@pytest.mark.parametrize("command", [("list",), ("recall", "tea")])
def test_an_id_that_nobody_can_have_is_refused(
    call: Call, at: tuple[str, ...], command: tuple[str, ...], option: str
) -> None:
    refused = call(*command, option, "-u", " john", *at)
    assert (refused.code, "user_id ' john' begins or ends" in refused.err) == (2, True)


def test_what_contradicts_is_refused(call: Call, at: tuple[str, ...]) -> None:
    refused = call("list", "--all-runs", "--run", "r1", *JOHN, *at)
    assert (refused.code, "leave it out, or --run and --agent" in refused.err) == (2, True)
    refused = call("recall", "tea", "--all-runs", "--explain", *JOHN, *at)
    assert (refused.code, "--explain is about one prompt" in refused.err) == (2, True)


def test_show(call: Call, at: tuple[str, ...]) -> None:
    printed = call("show", "new-tea", *JOHN, *at).out
    assert "green tea now" in printed
    for part in ("new-tea-0002", '["drink", "fresh"]', "/crew/sales/eu", '"user_id": "john"', "created_at"):
        assert part in printed
    assert call("show", "new-tea-0002", *JOHN, *at, "--json").json["categories"] == ["drink", "fresh"]
    for other in ("jane-tea-005", "run-tea-0004", "nothing", "tea"):
        missing = call("show", other, *JOHN, *at)
        assert (missing.code, missing.out) == (1, "")
        assert f"no entry of user_id=john project_id=default has the id {other}" in missing.err


def test_show_tells_an_importance_of_nothing(call: Call, at: tuple[str, ...]) -> None:
    call("update", "new-tea", "--importance", "0", *JOHN, *at)
    assert "importance     0.0" in call("show", "new-tea", *JOHN, *at).out


def test_a_text_that_was_changed_was_said_now(call: Call, at: tuple[str, ...]) -> None:
    before = utcnow()
    call("update", "old-tea", "--importance", "0.4", *JOHN, *at)
    call("update", "old-tea", "--text", "green tea long ago", *JOHN, *at)
    assert call("show", "old-tea", *JOHN, *at, "--json").json["created_at"] < (before - timedelta(days=29)).isoformat()
    [changed] = call("update", "old-tea", "--text", "white tea", "--ttl", "3600", *JOHN, *at, "--json").json
    assert changed["content"] == "white tea"
    assert changed["importance"] == 0.4
    assert changed["created_at"] >= before.isoformat()
    assert changed["expires_at"] > before.isoformat()
    [again] = call("update", "old-tea", "--text", "black tea", *JOHN, *at, "--json").json
    assert again["expires_at"] == changed["expires_at"]
    assert call("update", "old-tea", "--text", " ", *JOHN, *at).code == 2
    assert call("show", "old-tea", *JOHN, *at, "--json").json["content"] == "black tea"


def test_update(call: Call, at: tuple[str, ...]) -> None:
    printed = call("update", "new-tea", "--text", "black tea now", "--importance", "0.9", *JOHN, *at).out
    assert "Changed for user_id=john" in printed
    changed = call("update", "new-tea", "-c", "hot", *JOHN, *at, "--json").json
    assert [(entry["content"], entry["importance"], entry["categories"]) for entry in changed] == [
        ("black tea now", 0.9, ["hot"])
    ]
    assert call("update", "new-tea", "--no-categories", *JOHN, *at, "--json").json[0]["categories"] == []
    assert json.loads(call("recall", "black", *JOHN, *at, "--json").out)[0]["id"] == "new-tea-0002"


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("new-tea",), 2, "nothing to change"),
        (("new-tea", "-c", "a", "--no-categories"), 2, "leave one out"),
        (("new-tea", "--text", " "), 2, "content"),
        (("jane-tea-005", "--text", "stolen"), 1, "no entry of user_id=john"),
        (("run-tea-0004", "--text", "of another run"), 1, "no entry of user_id=john"),
    ],
)
def test_a_mistake_changes_nothing(
    call: Call, at: tuple[str, ...], options: tuple[str, ...], code: int, message: str
) -> None:
    before = [call("list", "--everywhere", "-u", user, *at, "--json").json for user in ("john", "jane")]
    done = call("update", *options, *JOHN, *at)
    assert done.code == code
    assert message in done.err
    after = [call("list", "--everywhere", "-u", user, *at, "--json").json for user in ("john", "jane")]
    assert {entry["id"]: entry["content"] for each in after for entry in each} == {
        entry["id"]: entry["content"] for each in before for entry in each
    }

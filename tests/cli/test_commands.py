"""What the commands answer: stores that are not there, embedders that are not here, odd texts, ids, deletions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import __version__, open_store
from crewai_persistent_memory.cli.short_ids import short_ids

from ..support.embedders import WordHashEmbedder
from ..support.programs import run_program
from .conftest import Call

JOHN = ("--user", "john")
HOSTILE = "\x1b]0;title\x07 \x9b31m \u202eevil\u202c \u2066x\u2069 \u200bgap \ufeff\x7f"
"""Escape sequences of one and of two bytes, changes of direction, what cannot be seen."""


def unsafe(text: str) -> set[str]:
    """The characters in ``text`` that a terminal obeys instead of showing them."""
    return {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c not in "\n\u200c\u200d"}


def test_scope_options(call: Call) -> None:
    def run_json(*command: str) -> Any:
        return call(*command, "--json").json

    def contents(entries: list[dict[str, Any]]) -> list[str]:
        return [entry["content"] for entry in entries]

    call("remember", "staging tea", "--user", "john", "--project", "staging", "--org", "acme")
    call("remember", "run tea", "--user", "john", "--run", "r1")
    call("remember", "chef tea", "--user", "john", "--agent", "chef", "-c", "food", "--importance", "0.9")
    call("remember", "team tea", "--shared")
    assert contents(run_json("recall", "tea", "--user", "john")) == []
    assert contents(run_json("recall", "tea", "--user", "john", "--project", "staging", "--org", "acme")) == [
        "staging tea"
    ]
    assert contents(run_json("recall", "tea", "--user", "john", "--run", "r1")) == ["run tea"]
    [chef] = run_json("list", "--user", "john", "--agent", "chef")
    assert (chef["categories"], chef["importance"]) == (["food"], 0.9)
    assert contents(run_json("recall", "tea", "--shared")) == ["team tea"]
    assert contents(run_json("recall", "tea", "--user", "john", "--shared")) == ["team tea"]
    assert run_json("forget", "--all", "--yes", "--user", "john", "--run", "r1") == {"forgotten": 1}
    assert contents(run_json("list", "--shared")) == ["team tea"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["list"], "whose memory? Give --user NAME"),
        (["remember", "x", "--user", " "], "user_id is blank"),
        (["remember", "  ", "--user", "john"], "content is blank"),
        (["remember", "x", "--user", "john", "--shared"], "leave one out"),
        (["forget", "--user", "john"], "either ids or --all"),
        (["remember", "x", "--user", "john", "--path", "/proc/x"], "may write to"),
        (["remember", "x", "--user", "john", "--path", ""], "--path is empty"),
        (["remember", "x", "--user", "john", "--url", " "], "--url is empty"),
        (["health", "--collection", ""], "--collection is empty"),
        (["recall", " ", "--user", "john"], "the query is blank"),
        (["forget", "", "--user", "john"], "an id is blank"),
    ],
)
def test_errors_are_one_line_and_no_traceback(call: Call, arguments: list[str], message: str) -> None:
    printed = call(*arguments)
    assert (printed.code, printed.out) == (2, "")
    assert message in printed.err
    assert len(printed.err.splitlines()) == 1


class TestReadingCreatesNothing:
    @pytest.mark.parametrize(
        "command",
        [
            ("recall", "x", *JOHN),
            ("list", *JOHN),
            ("forget", "abcd", *JOHN),
            ("forget", "--all", "-y", *JOHN),
            ("health",),
        ],
        ids=["recall", "list", "forget", "forget-all", "health"],
    )
    @pytest.mark.parametrize("has_folder", [False, True], ids=["no-folder", "empty-folder"])
    def test_no_store(self, call: Call, tmp_path: Path, command: tuple[str, ...], has_folder: bool) -> None:
        path = tmp_path / "typo"
        if has_folder:
            path.mkdir()
        printed = call(*command, "--path", str(path))
        assert printed.code == 2
        assert f"there is no memory store at {path}" in printed.err
        assert (path.exists(), printed.out) == (has_folder, "")
        assert not has_folder or list(path.iterdir()) == []

    def test_a_file(self, call: Call, tmp_path: Path) -> None:
        path = tmp_path / "notes.txt"
        path.write_text("mine")
        assert "no memory store" in call("list", *JOHN, "--path", str(path)).err
        assert path.read_text() == "mine"


class TestAnEmbedderThatIsNotHere:
    """An application opened the store with a function of its own. The command line has no way to have it."""

    @pytest.fixture(autouse=True)
    def store(self, store_path: Path) -> Iterator[None]:
        with open_store(path=store_path, user_id="john", embedder=WordHashEmbedder()) as store:
            store.add("John likes window seats")
            yield

    def test_list_and_health_need_none(self, call: Call) -> None:
        printed = call("list", *JOHN)
        assert (printed.code, printed.err) == (0, "")
        assert "window seats" in printed.out
        assert "embedder" in call("health").out

    def test_recall_goes_by_words_and_reports_it(self, call: Call) -> None:
        printed = call("recall", "window", *JOHN)
        assert "window seats" in printed.out
        assert "By words only: " in printed.err
        assert "custom embedding function" in printed.err

    def test_what_is_remembered_is_found_by_words_and_embedded_by_the_application(
        self, call: Call, store_path: Path
    ) -> None:
        printed = call("remember", "John is allergic to nuts", *JOHN)
        assert (printed.code, "until the application embeds it" in printed.err) == (0, True)
        assert "nuts" in call("recall", "allergic", *JOHN).out
        with open_store(path=store_path, user_id="john", embedder=WordHashEmbedder()) as store:
            assert store.embed_missing() == 1

    def test_forget(self, call: Call) -> None:
        assert "Forgot 1" in call("forget", "--all", "--yes", *JOHN).out

    def test_another_embedder_in_the_environment_is_an_error(self, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CREWAI_MEMORY_EMBEDDER", "keywords")
        assert "was created with" in call("recall", "window", *JOHN).err


class TestNothingSteersTheTerminal:
    @pytest.fixture(autouse=True)
    def store(self, store_path: Path) -> Iterator[None]:
        user = "jo\u202ehn"
        with open_store(path=store_path, user_id=user, embedder=None) as store:
            store.add(HOSTILE, id=f"id{HOSTILE}", categories=[HOSTILE], metadata={HOSTILE: HOSTILE}, source=HOSTILE)
            yield

    @pytest.mark.parametrize("as_json", [False, True], ids=["table", "json"])
    @pytest.mark.parametrize(
        "command",
        [
            ("list",),
            ("recall", "evil"),
            ("recall", "nothing-like-it"),
            ("forget", f"no{HOSTILE}"),
            ("remember", HOSTILE),
        ],
        ids=["list", "recall", "no-match", "forget", "remember"],
    )
    def test_output(self, call: Call, command: tuple[str, ...], as_json: bool) -> None:
        for user in ("jo\u202ehn", "jane\u2066x"):
            printed = call(*command, "--user", user, *(["--json"] if as_json else []))
            assert unsafe(printed.out + printed.err) == set()

    def test_json_has_the_same_values(self, call: Call) -> None:
        [entry] = call("list", "--user", "jo\u202ehn", "--json").json
        assert (entry["content"], entry["id"], entry["metadata"]) == (HOSTILE, f"id{HOSTILE}", {HOSTILE: HOSTILE})
        assert (entry["source"], entry["scope"]["user_id"]) == (HOSTILE, "jo\u202ehn")

    def test_errors(self, call: Call) -> None:
        printed = call("list", "--user", "x", "--path", "/no\u202ewhere\x1b[31m")
        assert printed.code == 2
        assert unsafe(printed.err) == set()

    def test_an_id_as_it_is_shown_can_be_forgotten(self, call: Call) -> None:
        [shown] = [line.split()[-1] for line in call("list", "--user", "jo\u202ehn").out.splitlines()[-1:]]
        assert "Forgot 1" in call("forget", shown, "--user", "jo\u202ehn").out

    def test_what_is_needed_stays(self, call: Call) -> None:
        family, persian, wide = "👨\u200d👩\u200d👧", "می\u200cخواهم", "窓側\u3000席"
        call("remember", f"{family} {persian} {wide}", *JOHN)
        out = call("list", *JOHN).out
        assert family in out
        assert persian in out
        assert "窓側 席" in out


class TestAnEmptyResultSaysWhereThereIsSomething:
    @pytest.fixture(autouse=True)
    def store(self, store_path: Path) -> Iterator[None]:
        with open_store(path=store_path, embedder=None) as store:
            for project, run in [("production", None), ("production", None), ("staging", None), ("lab", "r1")]:
                store.scoped(user_id="john", project_id=project, run_id=run).add("John likes tea")
            yield

    def hint(self, call: Call, *command: str) -> str:
        printed = call(*command)
        assert (printed.code, printed.err) == (0, "")
        return printed.out.splitlines()[-1]

    def test_another_project(self, call: Call) -> None:
        expected = "nothing in project default; user john has 2 in production, 1 in lab, 1 in staging"
        assert self.hint(call, "list", *JOHN) == expected
        assert self.hint(call, "recall", "tea", *JOHN) == expected
        assert self.hint(call, "forget", "--all", "-y", *JOHN) == expected

    def test_a_run(self, call: Call) -> None:
        hint = self.hint(call, "list", *JOHN, "--project", "lab")
        assert hint == "nothing in project lab; user john has 1 with --run r1, 2 in production, 1 in staging"

    def test_another_spelling(self, call: Call) -> None:
        hint = self.hint(call, "list", "--user", "jhon", "--project", "staging")
        assert hint == "nothing in project staging for user jhon; john has 1"

    def test_nothing_matches(self, call: Call) -> None:
        hint = self.hint(call, "recall", "coffee", *JOHN, "-p", "production")
        assert hint == "nothing matches; user john has 2 memories in project production"

    def test_shared(self, call: Call) -> None:
        assert self.hint(call, "list", "--shared") == "nothing in project default"

    def test_json_stays_json(self, call: Call) -> None:
        printed = call("list", *JOHN, "--json")
        assert (printed.json, "2 in production" in printed.err) == ([], True)


class TestForget:
    @pytest.fixture
    def ids(self, store_path: Path) -> Iterator[list[str]]:
        with open_store(path=store_path, user_id="john", embedder=None) as store:
            yield [store.add(f"tea {number}", id=f"customer-of-the-year-{number:04}").id for number in range(3)]

    def test_a_short_id(self, call: Call, store_path: Path) -> None:
        with open_store(path=store_path, user_id="john", embedder=None) as store:
            id = store.add("tea").id
        assert f" {id[:8]}\n" in call("list", *JOHN).out
        assert "Forgot 1" in call("forget", id[:8], *JOHN).out

    def test_ids_that_begin_alike(self, call: Call, ids: list[str]) -> None:
        listed = [line.split()[-1] for line in call("list", *JOHN).out.splitlines()[-3:]]
        assert listed == ["…ear-0002", "…ear-0001", "…ear-0000"]
        assert "Forgot 2" in call("forget", "…ear-0002", "...0001", *JOHN).out
        assert [entry["id"] for entry in call("list", *JOHN, "--json").json] == ids[:1]

    def test_a_dry_run_forgets_nothing(self, call: Call, ids: list[str]) -> None:
        before = call("list", *JOHN, "--json").json
        assert call("forget", ids[0], "--dry-run", *JOHN).out.startswith("Would forget 1 of user_id=john")
        assert call("forget", "--all", "--dry-run", *JOHN, "--json").json == {
            "forgotten": 0,
            "found": len(before),
            "dry_run": True,
        }
        assert call("forget", "nobody's", "--dry-run", *JOHN).code == 1
        assert call("list", *JOHN, "--json").json == before

    def test_one_that_means_several_forgets_nothing(self, call: Call, ids: list[str]) -> None:
        printed = call("forget", ids[0], "customer", *JOHN)
        assert (printed.code, "is the id of 3 entries" in printed.err) == (2, True)
        assert len(call("list", *JOHN, "--json").json) == 3

    def test_too_short_or_unknown(self, call: Call, ids: list[str]) -> None:
        printed = call("forget", "cus", "nobody's", ids[0], *JOHN)
        assert (printed.code, "Forgot 1 of" in printed.out) == (1, True)
        assert "no entry of this scope has the id cus\n" in printed.err
        assert "no entry of this scope has the id nobody's\n" in printed.err

    def test_somebody_elses_is_unknown(self, call: Call, ids: list[str]) -> None:
        assert call("forget", ids[0], ids[1][:30], "--user", "jane").code == 1
        assert len(call("list", *JOHN, "--json").json) == 3

    def test_ids_from_standard_input(self, call: Call, ids: list[str]) -> None:
        assert "Forgot 2" in call("forget", "-", *JOHN, stdin="\n".join(ids[:2]).encode()).out

    def test_all_is_refused_where_nobody_can_be_asked(self, call: Call, ids: list[str]) -> None:
        printed = call("forget", "--all", *JOHN)
        assert printed.code == 2
        assert "this would forget 3 memories of user_id=john project_id=default: add --yes" in printed.err
        assert call("forget", "--all", "--yes", *JOHN, "--json").json == {"forgotten": 3}

    def test_all_is_asked_about(self, call: Call, ids: list[str]) -> None:
        printed = call("forget", "--all", *JOHN, stdin=b"n\n", somebody=True)
        assert "Forget 3 memories of user_id=john project_id=default? [y/N]" in printed.err
        assert (printed.code, len(call("list", *JOHN, "--json").json)) == (1, 3)
        assert "Forgot 3" in call("forget", "--all", *JOHN, stdin=b"y\n", somebody=True).out


def test_short_ids() -> None:
    assert short_ids([]) == {}
    assert short_ids(["nope", "nope-2"]) == {"nope": "nope", "nope-2": "nope-2"}
    uuids = ["4de4db73-4e24-40b8-8a45-c74834750c7e", "4de4db7f-0000-40b8-8a45-c74834750c7e"]
    assert list(short_ids(uuids).values()) == ["4de4db73", "4de4db7f"]
    alike = [f"{'x' * 30}{number}{'y' * 30}" for number in range(2)]
    assert [len(short) for short in short_ids(alike).values()] == [31, 31]
    for group in (uuids, alike, ["a" * 20, "a" * 21]):
        assert len(set(short_ids(group).values())) == len(group)


def test_the_demo_writes_into_nobodys_store(call: Call, store_path: Path, tmp_path: Path) -> None:
    call("remember", "mine", *JOHN)
    (tmp_path / "file").touch()
    for path in (store_path, tmp_path / "file"):
        printed = call("demo", "--path", str(path))
        assert (printed.code, "give --path a new folder" in printed.err) == (2, True)
    assert [entry["content"] for entry in call("list", *JOHN, "--json").json] == ["mine"]


class TestStandardInput:
    def test_a_text(self, call: Call) -> None:
        call("remember", "-", *JOHN, stdin="\ufeffJohn likes\nwindow seats – ja\n".encode())
        [entry] = call("recall", "-", *JOHN, "--json", stdin=b"window?").json
        assert entry["content"] == "John likes\nwindow seats – ja"

    def test_nothing_and_what_is_no_text(self, call: Call) -> None:
        assert "content is blank" in call("remember", "-", *JOHN).err
        printed = call("remember", "-", *JOHN, stdin=b"caf\xe9")
        assert (printed.code, "not UTF-8 (byte 3)" in printed.err) == (2, True)


@pytest.mark.parametrize("limit", ["0", "-1", "10001", str(2**70), "many"])
def test_a_limit_that_cannot_be_is_a_clear_error(call: Call, limit: str) -> None:
    for command in (("list",), ("recall", "tea")):
        printed = call(*command, *JOHN, "--limit", limit)
        assert (printed.code, "--limit" in printed.err, "Traceback" in printed.err) == (2, True, False)


def test_a_text_that_cannot_be_kept_creates_no_store(call: Call, store_path: Path) -> None:
    for text in ("", " ", "\udcff"):
        assert call("remember", text, *JOHN).code == 2
    assert not store_path.exists()


def test_a_server_that_does_not_answer_is_no_list_of_tries(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREWAI_MEMORY_PATH")
    monkeypatch.setenv("CREWAI_MEMORY_STARTUP_TIMEOUT", "1")
    script = "import sys; from crewai_persistent_memory.cli import main; main()"
    asked = [sys.executable, "-c", script, "list", *JOHN, "--url", "http://127.0.0.1:1"]
    done = run_program(asked, timeout=60)
    assert "cannot be reached" in done.stderr
    assert "stamina" not in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="closes streams as a POSIX shell does")
@pytest.mark.parametrize(
    ("command", "redirected", "code"),
    [
        ("remember -", "<&-", 2),
        ("list", ">&-", 0),
        ("list", "2>&-", 0),
        ("list --json", "<&- >&- 2>&-", 0),
        pytest.param(
            "list", ">/dev/full", 2, marks=pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
        ),
        pytest.param(
            "health", ">/dev/full", 2, marks=pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
        ),
    ],
)
def test_streams_that_are_closed_or_full(store_path: Path, command: str, redirected: str, code: int) -> None:
    with open_store(path=store_path, user_id="john", embedder=None) as store:
        store.add("tea")
    whose = "" if command == "health" else " ".join(JOHN)
    program = Path(sys.executable).with_name("crewai-memory")
    done = subprocess.run(f"{program} {command} {whose} {redirected}", shell=True, capture_output=True, text=True)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False)
    if code:
        assert len(done.stderr.splitlines()) == 1
    with open_store(path=store_path, user_id="john", embedder=None) as store:
        assert store.count() == 1


def test_version(call: Call) -> None:
    assert call("--version").out.startswith(f"crewai-memory {__version__} (CrewAI ")


def test_completion() -> None:
    asked = {"_CREWAI_MEMORY_COMPLETE": "complete_bash", "COMP_WORDS": "crewai-memory rec", "COMP_CWORD": "1"}
    command = Path(sys.executable).with_name("crewai-memory")
    done = subprocess.run([command], env={**os.environ, **asked}, capture_output=True, text=True)
    assert done.stdout.split() == ["recall"]


def test_json_of_what_needs_no_escape_is_readable(call: Call) -> None:
    printed = call("remember", "Grüße, 你好", *JOHN, "--json")
    assert "Grüße, 你好" in printed.out
    assert json.loads(printed.out)[0]["content"] == "Grüße, 你好"

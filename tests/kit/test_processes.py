"""The kit's processes: how they start, what they say when something goes wrong, and that none is left."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory.testing import assert_survives_restart, processes, worker_program

from ..support.calling import until
from . import crews

pytestmark = pytest.mark.crew


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The ids of all processes that a test has started. None of them is left at its end."""
    pids: list[int] = []
    start = processes.start

    def noted(*arguments: Any) -> Any:
        process = start(*arguments)
        pids.append(process.pid)
        return process

    monkeypatch.setattr(processes, "start", noted)
    yield pids
    assert pids
    for pid in pids:
        until(lambda pid=pid: is_running(pid), lambda running: not running)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def why(factory: Any, **options: Any) -> str:
    with pytest.raises(AssertionError) as caught:
        assert_survives_restart(factory, **options)
    return str(caught.value)


def test_a_crew_that_hangs_is_killed_and_said(
    forked: None, started: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    do = processes.Worker.do

    def impatient(self: Any, step: str, about: str, **arguments: Any) -> Any:
        if step == "build":  # importing CrewAI, the step before, takes its time
            self._timeout = 2.0
        return do(self, step, about, **arguments)

    monkeypatch.setattr(processes.Worker, "do", impatient)
    told = why(crews.that_hangs)
    assert "the first process did not build the crew within 2 seconds, and was killed" in told
    assert "in that_hangs" in told, "where"
    assert "waiting for the guest" in told, "and what it has printed"


@pytest.mark.parametrize(
    ("factory", "told"),
    [
        (crews.that_ends_the_process, "ended (exit code 3) when it should build the crew"),
        (crews.that_exits, "could not build the crew. SystemExit: bye"),
        ("tests.kit.crews:that_is_not_there", "its module has no such function"),
        ("tests.kit.no_module:build", "No module named 'tests.kit.no_module'"),
    ],
)
def test_a_process_that_ends_or_fails(forked: None, started: list[int], factory: Any, told: str) -> None:
    message = why(factory)
    assert "the first process" in message
    assert told in message
    if factory is crews.that_ends_the_process:
        assert "about to go" in message


def test_an_interrupted_test_leaves_none(forked: None, started: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(processes.Worker, "do", interrupted)
    with pytest.raises(KeyboardInterrupt):
        assert_survives_restart(crews.by_crew_kwargs)


def test_a_process_ends_when_its_test_was_killed(tmp_path: Path) -> None:
    """Its stdin ends, in the midst of a step too."""
    code = (
        "import os, sys; from crewai_persistent_memory.testing import processes\n"
        "worker = processes.Worker('w', processes.environment_of(sys.argv[1]), 60)\n"
        'worker._process.stdin.write(\'{"step": "sleep", "arguments": {}, "seconds": 60}\\n\')\n'
        "worker._process.stdin.flush()\n"
        "print(worker.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    pid = int(done.stdout)
    # An orphan's end is seen by its parent only; it is a zombie where nobody waits for it.
    until(lambda: is_running(pid) and "Z" not in state_of(pid), lambda running: not running, 60)


def state_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"


def test_importing_the_program_needs_no_crewai() -> None:
    """So that a step can say why CrewAI cannot be imported."""
    assert worker_program.__name__
    code = "import sys, crewai_persistent_memory.testing.worker_program; print('crewai' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"

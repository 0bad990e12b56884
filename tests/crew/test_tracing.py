"""CrewAI's traces: nothing is collected unasked, and no prompt is shown; what is asked for is collected.

In a program of its own, at a terminal, with an empty home: CrewAI collects unasked for who runs it for the first time,
and not where it sees that it is tested.
"""

from __future__ import annotations

import json
import os
import pty
import sys
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory.adapters import crewai_traces

from ..support.programs import run_program
from ..support.thorough import sample

pytestmark = pytest.mark.crew

ROOT = Path(__file__).parents[2]

PROGRAM = """
import json, sys
sys.path.insert(0, sys.argv[2])
path, options = sys.argv[1], json.loads(sys.argv[3])
if options["crewai_first"]:
    import crewai
    from tests.support.crews import ScriptedLLM, final, one_agent_crew
    one_agent_crew(ScriptedLLM(final("noted")), "built before the package was imported").kickoff()
from crewai_persistent_memory import PersistentMemory
from tests.support.crews import ScriptedLLM, final, one_agent_crew

traced = {"tracing": True} if options["tracing"] else {}
with PersistentMemory(path=path, user_id="john", embedder=None) as memory:
    crew = one_agent_crew(ScriptedLLM(final("noted")), "CANARY likes tea", memory=memory, **traced)
    if options["kickoff"]:
        crew.kickoff()
    for _ in range(options["recalls"]):
        memory.recall("CANARY")

from crewai.events.event_bus import crewai_event_bus
from crewai.events.listeners.tracing.trace_listener import TraceCollectionListener

executor = getattr(crewai_event_bus, "_sync_executor", None)
if executor is not None:
    executor.shutdown(wait=True)
listener = TraceCollectionListener._instance
events = [] if listener is None else listener.batch_manager.event_buffer
held = {
    "events": len(events),
    "recalled": sum("CANARY" in repr(vars(event)) for event in events),
    "first": listener is not None and listener.first_time_handler.is_first_time,
}
print("HELD", json.dumps(held))
"""


def run(tmp_path: Path, *, environment: dict[str, str] | None = None, **options: Any) -> dict[str, Any]:
    """What CrewAI's collector holds at the end of a program, and what the program has written to the terminal."""
    said = {"crewai_first": False, "tracing": False, "kickoff": False, "recalls": 0, **options}
    home = tmp_path / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "CREWAI", "XDG"))}
    kept |= {"HOME": str(home), "CREWAI_STORAGE_DIR": str(tmp_path / "crewai"), **(environment or {})}
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "store"), str(ROOT), json.dumps(said)]
    ours, theirs = pty.openpty()
    try:
        done = run_program(command, stdin=theirs, env=kept, cwd=tmp_path)
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 0, done.stderr
    [held] = [line.removeprefix("HELD ") for line in done.stdout.splitlines() if line.startswith("HELD ")]
    return {**json.loads(held), "output": done.stdout + done.stderr}


@pytest.mark.parametrize(
    "crewai_first", [False, pytest.param(True, marks=pytest.mark.ends)], ids=["ours first", "crewai first"]
)
def test_nothing_is_collected_unasked(tmp_path: Path, crewai_first: bool) -> None:
    held = run(tmp_path, crewai_first=crewai_first, kickoff=True, recalls=200)
    assert (held["events"], held["first"]) == (0, False)
    if not crewai_first:  # else CrewAI's own crew was there before this package could say anything
        assert "execution traces" not in held["output"]


@pytest.mark.parametrize(
    ("environment", "is_asked_for"),
    [
        ({}, False),
        ({"CREWAI_TRACING_ENABLED": "false"}, False),
        ({"CREWAI_DISABLE_TELEMETRY": "true"}, False),
        ({"OTEL_SDK_DISABLED": "true"}, False),
        ({"CREWAI_TRACING_ENABLED": "true"}, True),
        ({"CREWAI_DISABLE_TELEMETRY": "false"}, True),
    ],
    ids=str,
)
def test_what_this_crewai_takes_for_consent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], is_asked_for: bool
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("CREWAI_TRACING_ENABLED", "CREWAI_DISABLE_TELEMETRY", "OTEL_SDK_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(crewai_traces._Asked, "by_a_crew", False)
    assert crewai_traces.is_asked_for() is is_asked_for


@pytest.mark.ends
@pytest.mark.repeated  # what CrewAI reads of the environment is tried above
@pytest.mark.parametrize(
    "environment",
    sample(
        [
            {"CREWAI_TRACING_ENABLED": "false"},
            {"CREWAI_DISABLE_TELEMETRY": "true"},
            {"OTEL_SDK_DISABLED": "true"},
        ],
        2,
    ),
    ids=lambda environment: next(iter(environment)),
)
def test_nothing_is_collected_where_it_is_switched_off(tmp_path: Path, environment: dict[str, str]) -> None:
    assert run(tmp_path, environment=environment, recalls=20)["events"] == 0


@pytest.mark.parametrize(
    ("environment", "options"),
    [
        pytest.param({"CREWAI_TRACING_ENABLED": "true"}, {}, marks=[pytest.mark.ends, pytest.mark.repeated]),
        pytest.param({}, {"tracing": True}, marks=pytest.mark.ends),
        pytest.param({"CREWAI_DISABLE_TELEMETRY": "false"}, {}, marks=pytest.mark.ends),
    ],
    ids=["CREWAI_TRACING_ENABLED=true", "Crew(tracing=True)", "CREWAI_DISABLE_TELEMETRY=false"],
)
def test_what_is_asked_for_is_collected(tmp_path: Path, environment: dict[str, str], options: dict[str, Any]) -> None:
    held = run(tmp_path, environment=environment, recalls=20, **options)
    assert held["recalled"] >= 20

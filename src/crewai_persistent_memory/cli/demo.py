"""The demo: real crews in two processes, and a check of what they remember.

In the first process the users tell facts. In the second, started after the first has ended, they ask for them. Both run
the same concierge crew for each user. The LLM is scripted unless ``--llm`` names a real one; the report says which.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import typer

from ..errors import StorePathError
from .output import as_json as json_text
from .output import one_line, shown

TOLD: Final[Mapping[str, Sequence[str]]] = {
    "john": (
        "I am allergic to nuts, and on every flight I like a window seat.",
        "I am looking for a house in France.",
    ),
    "jane": ("I am looking for a flat in Spain.",),
}
"""What each user tells the crew in the first process."""

ASKED: Final = (
    "Prepare my flight: which seat do I like, and what am I allergic to?",
    "Find me a home: what kind am I looking for, and in which country?",
)
"""What each user asks in the second process. All ask the same, so only the memory can make the answers differ."""

MUST_RECALL: Final[Mapping[str, Sequence[str]]] = {"john": ("nuts", "window", "France"), "jane": ("Spain",)}
MUST_NOT_SEE: Final[Mapping[str, Sequence[str]]] = {"john": ("Spain",), "jane": ("nuts", "window", "France")}

_ERROR: Final = re.compile(r"[\w.]*(?:Error|Exception|Interrupt)\b")
"""How the last line of a traceback begins: with the name of the error."""


def run_demo(*, llm: str | None, path: str | None, as_json: bool, verbose: bool) -> int:
    """Run both processes and print what happened. Returns 0 if all was recalled and nothing crossed, else 1.

    Raises:
        StorePathError: there is something at ``path``. The demo must not mix its users with real memories.
    """
    if path is not None:
        _require_new(Path(path).expanduser())
    with tempfile.TemporaryDirectory(prefix="crewai-memory-demo-") as scratch:
        store = path or str(Path(scratch, "store"))
        phases = [_run_phase(phase, store, llm, scratch, verbose) for phase in ("tell", "ask")]
    problems = judge(phases)
    if as_json:
        typer.echo(json_text({"llm": llm or "scripted", "phases": phases, "problems": problems}))
    else:
        _print_report(phases, problems, llm, store if path else "a temporary folder")
    return 1 if problems else 0


def _require_new(path: Path) -> None:
    try:
        is_new = not path.exists() or not any(path.iterdir())
    except OSError:
        is_new = False
    if not is_new:
        raise StorePathError(
            f"{path} is not an empty folder, and the demo would add its users John and Jane to what is there: give "
            "--path a new folder, or leave it out"
        )


def judge(phases: Sequence[Mapping[str, Any]]) -> list[str]:
    """The problems: a fact that was not recalled, a fact that crossed to another user, no second process."""
    problems = []
    told, asked = phases
    if told["pid"] == asked["pid"]:
        problems.append("both parts ran in one process")
    for user, words in MUST_RECALL.items():
        seen = "\n".join(asked["users"][user]["recalled"])
        problems += [f"{user}'s crew did not recall {word!r}" for word in words if word.lower() not in seen.lower()]
    for phase in phases:
        for user, words in MUST_NOT_SEE.items():
            report = phase["users"][user]
            # The whole prompt, not only the recalled memories: a leak by any way counts.
            seen = "\n".join([*report["recalled"], *report["stored"], *report["prompts"], *report["answers"]]).lower()
            problems += [f"{user}'s crew saw {word!r}, which is not {user}'s" for word in words if word.lower() in seen]
    return problems


def _run_phase(phase: str, store: str, llm: str | None, scratch: str, verbose: bool) -> dict[str, Any]:
    result = Path(scratch, f"{phase}.json")
    # The demo has its own store and no embedder, whatever the environment names.
    environment = {
        **{n: v for n, v in os.environ.items() if not n.startswith(("CREWAI_MEMORY_", "QDRANT_", "MEM0_"))},
        "CREWAI_DISABLE_TELEMETRY": "true",
        "CREWAI_TRACING_ENABLED": "false",
        "CREWAI_STORAGE_DIR": str(Path(scratch, "crewai")),
    }
    command = [sys.executable, "-m", "crewai_persistent_memory.cli.demo_crew", phase, store, str(result), llm or ""]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0 or not result.exists():
        printed = (done.stdout + done.stderr).strip()
        short = f"{why_it_failed(printed, done.returncode)} (--verbose shows all that was printed)"
        reason = printed if verbose and printed else short
        typer.secho(shown(f"The process that should {phase} the crews failed: {reason}"), fg="red", err=True)
        raise typer.Exit(1)
    report: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    return report


def why_it_failed(printed: str, code: int) -> str:
    """The error that ended a process, out of everything that it printed: CrewAI adds lines of advice to errors."""
    lines = printed.splitlines()
    errors = [line for line in lines if _ERROR.match(line)]
    return (errors or lines or [f"it printed nothing, exit code {code}"])[-1]


def _print_report(phases: Sequence[Mapping[str, Any]], problems: Sequence[str], llm: str | None, where: str) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    told, asked = phases
    source = (
        f"the model {llm}"
        if llm
        else "a SCRIPTED stand-in that answers from the memory in its prompt (--llm for a real one)"
    )
    console.print(Text(one_line(f"Two real CrewAI crews over one embedded store in {where}. The LLM is {source}.")))

    def section(title: str, rows: Sequence[tuple[str, str]]) -> None:
        # Two columns only: they fit into any terminal.
        table = Table(box=box.SIMPLE, show_header=False, show_edge=False, pad_edge=False)
        table.add_column(no_wrap=True, style="bold")
        table.add_column(overflow="fold")
        for name, text in rows:
            table.add_row(name, Text(shown(text)))
        console.print(Text(f"\n{title}\n", style="bold"))
        console.print(table)

    stored = [(user, memory) for user, report in told["users"].items() for memory in report["stored"]]
    section(f"Process {told['pid']}: what was stored", stored)
    rows = []
    for user, report in asked["users"].items():
        for question, memory, answer in zip(ASKED, report["recalled"], report["answers"], strict=True):
            rows += [(user, question), ("  recalled", memory or "(nothing)"), ("  answered", answer), ("", "")]
    section(f"Process {asked['pid']}, after the restart: what each crew recalled", rows)
    if problems:
        console.print(Text("\n".join(f"✗ {problem}" for problem in problems), style="bold red"))
    else:
        console.print(
            Text(
                "✓ Every fact was recalled after the restart, and nothing crossed from one user to the other.",
                style="bold green",
            )
        )

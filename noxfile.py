"""Everything that is checked, by name: ``nox`` runs all of it; ``nox -l`` lists it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "tests", "suite", "crews", "mem0ai"]
nox.options.stop_on_first_error = True

CONTRACT_OF = {"0.203.2": "test_storage.py", "1.10.1": "test_backend.py"}
"""The first CrewAI with each of its storage contracts; the last ones have the whole suite."""

UNTIL_UNIFIED = "1.9.3"
"""The last CrewAI of the older generation: everything that knows CrewAI, and Mem0, of which pip picks an older one."""
KNOWS_NO_CREWAI = [
    "tests/server",
    "tests/store",
    "tests/contract/test_store.py",
    "tests/contract/test_isolation.py",
    "tests/cli/test_commands.py",
    "tests/cli/test_on_a_server.py",
    "tests/cli/test_terminals.py",
    "tests/test_docs.py",
    "tests/test_scripts.py",
    "tests/test_server_config.py",
]
MEM0_CONTRACTS = ["tests/contract/test_store.py", "tests/contract/test_isolation.py", "-k", "mem0"]
"""Qdrant's clients and engines are the same beside every CrewAI: what tests them alone runs on the newest only."""

CREWAI = ["0.203.2", "1.0.0", "1.6.1", "1.10.1", "1.12.2", "1.14.7"]
"""One of each shape that CrewAI's memory has had, each beside the newest mem0ai that installs with it; the newest of
both are in the environment nox runs in."""

MEMORY_DISK, ENOUGH = Path("/dev/shm"), 6 * 2**30
"""A file system in memory is four times as fast for hundreds of stores, where there is room for them. What is about
files on a disk (``tests/store``) stays on one."""


def pytest(where: str) -> list[str]:
    """The options of a run that is called ``where``."""
    # Most tests wait for a server or a disk: more at a time than there are cores. What shares a cluster stays together.
    if MEMORY_DISK.is_dir() and shutil.disk_usage(MEMORY_DISK).free >= ENOUGH:
        return ["-n", "3", "--dist", "loadgroup", f"--basetemp={MEMORY_DISK / f'crewai-memory-{where}'}"]
    return ["-n", "2", "--dist", "loadgroup"]


def clean_up(where: str) -> None:
    """What a run that passed has left in memory."""
    shutil.rmtree(MEMORY_DISK / f"crewai-memory-{where}", ignore_errors=True)


def here(session: nox.Session, *command: str) -> None:
    """Run in the environment nox itself runs in, which is installed from ``constraints/newest.txt``."""
    session.run(sys.executable, "-m", *command, external=True)


def install(session: nox.Session, crewai: str, constraints: str) -> None:
    session.install("-c", f"constraints/{constraints}.txt", f"crewai=={crewai}", "-e", ".[test]")


@nox.session(venv_backend="none")
def lint(session: nox.Session) -> None:
    """Style and formatting, and the file that is generated."""
    here(session, "ruff", "check", ".")
    here(session, "ruff", "format", "--check", ".")
    session.run(sys.executable, "scripts/option_types.py", "--check", external=True)


@nox.session(venv_backend="none")
def types(session: nox.Session) -> None:
    """Strict types of the package, and of its public names as a user writes them."""
    here(session, "mypy")


@nox.session(venv_backend="none")
def tests(session: nox.Session) -> None:
    """The whole suite on the newest CrewAI."""
    here(session, "pytest", *pytest("newest"), *session.posargs)
    clean_up("newest")


@nox.session(venv_backend="uv")
def suite(session: nox.Session) -> None:
    """What knows CrewAI on the last one of the older generation."""
    install(session, UNTIL_UNIFIED, f"crewai-{UNTIL_UNIFIED}")
    left_out = [f"--ignore={path}" for path in KNOWS_NO_CREWAI]
    session.run("pytest", *pytest(UNTIL_UNIFIED), *left_out, *session.posargs)
    session.run("pytest", *pytest(UNTIL_UNIFIED), *MEM0_CONTRACTS, *session.posargs)
    clean_up(UNTIL_UNIFIED)


@nox.session(venv_backend="uv")
@nox.parametrize("crewai", CREWAI)
def crews(session: nox.Session, crewai: str) -> None:
    """Crews on every shape of CrewAI. What is long and the same in between is left to the two ends."""
    install(session, crewai, f"crewai-{crewai}")
    session.run("pytest", *pytest(crewai), "-m", "crew and not ends", *session.posargs)
    if crewai in CONTRACT_OF:
        contract = f"tests/contract/{CONTRACT_OF[crewai]}"
        session.run("pytest", *pytest(crewai), contract, "-k", "embedded", *session.posargs)
    clean_up(crewai)


@nox.session(venv_backend="uv")
def mem0ai(session: nox.Session) -> None:
    """Mem0's client and library as they were in 1.x; 0.1 and 2.x are beside the versions of CrewAI."""
    install(session, "1.10.1", "mem0ai-1.0.11")
    session.run("pytest", *pytest("mem0ai"), "tests/mem0", *session.posargs)
    clean_up("mem0ai")

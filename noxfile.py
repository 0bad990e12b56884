"""Everything that is checked, by name: ``nox`` runs all of it; ``nox -l`` lists it."""

from __future__ import annotations

import sys

import nox

nox.options.sessions = ["lint", "types", "tests", "crews"]
nox.options.stop_on_first_error = True

OLDER_CREWAI = ["1.10.1", "1.12.2", "1.14.7"]
"""One of each shape that CrewAI's unified memory has had, beside mem0ai 1.0, 0.1 and 2.0; the newest of both are in the
environment nox runs in."""


# Most tests wait for a server or a disk, so two at a time; what shares a cluster stays together.
AT_A_TIME = ["-n", "2", "--dist", "loadgroup"]


def here(session: nox.Session, *command: str) -> None:
    """Run in the environment nox itself runs in, which is installed from ``constraints/newest.txt``."""
    session.run(sys.executable, "-m", *command, external=True)


@nox.session(venv_backend="none")
def lint(session: nox.Session) -> None:
    """Style and formatting."""
    here(session, "ruff", "check", ".")
    here(session, "ruff", "format", "--check", ".")


@nox.session(venv_backend="none")
def types(session: nox.Session) -> None:
    """Strict types of the package, and of its public names as a user writes them."""
    here(session, "mypy")


@nox.session(venv_backend="none")
def tests(session: nox.Session) -> None:
    """The whole suite on the newest CrewAI."""
    here(session, "pytest", *AT_A_TIME, *session.posargs)


@nox.session(venv_backend="uv")
@nox.parametrize("crewai", OLDER_CREWAI)
def crews(session: nox.Session, crewai: str) -> None:
    """Crews, CrewAI's memory engine and its storage contract on older versions of CrewAI."""
    session.install("-c", f"constraints/crewai-{crewai}.txt", f"crewai=={crewai}", "-e", ".[test]")
    # The variants of a server differ in nothing that a version of CrewAI could notice.
    engines = "not server-"
    crews_and_storage = ["tests/crew", "tests/cli", "tests/contract/test_backend.py"]
    session.run("pytest", *AT_A_TIME, *crews_and_storage, "-k", engines, *session.posargs)
    # Mem0's client and library differ by version; the newest is in the environment nox runs in.
    which = ["-m", "crew"] if crewai == "1.14.7" else []
    session.run("pytest", *AT_A_TIME, "tests/mem0", *which, *session.posargs)

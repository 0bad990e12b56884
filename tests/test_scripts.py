"""The two scripts of README, without their downloads: the Pythons here only note what they are asked to do."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BASH = shutil.which("bash")

pytestmark = pytest.mark.skipif(BASH is None, reason="bash is not installed")

SUPPORTED = """#!{bash}
echo "$0 $*" >> {log}
if [[ $* == *"-m venv"* ]]; then mkdir -p .venv/bin; cp "$0" .venv/bin/python; fi
"""
UNSUPPORTED = """#!{bash}
if [[ $1 == -c ]]; then exit 1; fi
echo "Python 3.9.18"
"""


class Checkout:
    """A copy of the scripts, and Pythons that are none."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        (folder / "scripts").mkdir(parents=True)
        for name in ("demo", "test", "environment"):
            shutil.copy(ROOT / "scripts" / name, folder / "scripts" / name)
        self.program(folder / "scripts" / "fetch-qdrant", f"#!{BASH}\n")
        self.supported = self.program(folder / "bin dir" / "new", SUPPORTED)
        self.unsupported = self.program(folder / "bin dir" / "old", UNSUPPORTED)

    def program(self, path: Path, text: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("{bash}", str(BASH)).replace("{log}", f"'{self.log}'"))
        path.chmod(0o755)
        return path

    def run(self, script: str, *arguments: str, python: Path) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHON": str(python)}
        command = [self.folder / "scripts" / script, *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    @property
    def last(self) -> str:
        return self.log.read_text().splitlines()[-1].partition(".venv/bin/python ")[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "check out")


@pytest.mark.parametrize(
    ("arguments", "nox"),
    [
        ([], "-m nox"),
        (["lint", "types"], "-m nox --session lint types"),
        (["tests", "--", "-k", "readme"], "-m nox --session tests -- -k readme"),
        (["--fast"], "-m nox --session fast"),
        (["--fast", "--", "-k", "scope"], "-m nox --session fast -- -k scope"),
        (["-l"], "-m nox -l"),
        (["-s", "lint"], "-m nox -s lint"),
    ],
)
def test_the_checks_by_name(checkout: Checkout, arguments: list[str], nox: str) -> None:
    done = checkout.run("test", *arguments, python=checkout.supported)
    assert (done.returncode, checkout.last) == (0, nox), done.stderr


def test_usage_is_printed_and_nothing_installed(checkout: Checkout) -> None:
    done = checkout.run("test", "--help", python=checkout.supported)
    assert "./scripts/test lint types" in done.stdout
    assert not checkout.log.exists()


@pytest.mark.parametrize("script", ["demo", "test"])
def test_a_python_that_is_too_old_is_named_and_leaves_nothing(checkout: Checkout, script: str) -> None:
    done = checkout.run(script, python=checkout.unsupported)
    assert done.returncode == 1
    first, second = done.stderr.splitlines()
    assert first == "Python 3.10 to 3.13 is needed; found: Python 3.9.18."
    assert second.startswith("Install one, or name it: PYTHON=")
    assert not (checkout.folder / ".venv").exists()


def test_a_venv_of_an_old_python_is_made_anew(checkout: Checkout) -> None:
    checkout.program(checkout.folder / ".venv" / "bin" / "python", UNSUPPORTED)
    done = checkout.run("test", "-l", python=checkout.supported)
    assert done.returncode == 0, done.stderr
    assert "-m venv --clear .venv" in checkout.log.read_text()
    assert checkout.last == "-m nox -l"


def test_the_demo_says_where_the_command_is(checkout: Checkout) -> None:
    checkout.program(checkout.folder / ".venv" / "bin" / "python", SUPPORTED)
    checkout.program(checkout.folder / ".venv" / "bin" / "crewai-memory", f'#!{BASH}\necho "ran $*"; exit 3\n')
    done = checkout.run("demo", "--json", python=checkout.supported)
    assert (done.returncode, done.stdout) == (3, "ran demo --json\n")
    assert "source .venv/bin/activate" in done.stderr

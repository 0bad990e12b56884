from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory.cli import main


@dataclass(frozen=True)
class Printed:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Call = Callable[..., Printed]


@pytest.fixture
def store_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the commands of this test find their store; nothing is there yet."""
    path = tmp_path / "store"
    monkeypatch.setenv("CREWAI_MEMORY_PATH", str(path))
    monkeypatch.setenv("OPENAI_API_KEY", "")
    monkeypatch.setenv("COLUMNS", "120")
    return path


@pytest.fixture
def call(
    store_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stores_stay_open: None,
) -> Call:
    """``call("list", "--user", "john")`` runs a command in this process; ``somebody`` types ``stdin``.

    What one process after the other finds is in ``test_cli.py``.
    """

    def run(*arguments: str, stdin: bytes = b"", somebody: bool = False) -> Printed:
        monkeypatch.setattr(sys, "argv", ["crewai-memory", *arguments])
        given = io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8")
        monkeypatch.setattr(sys, "stdin", given)
        monkeypatch.setattr(given, "isatty", lambda: somebody)
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        code = ended.value.code
        return Printed(code if isinstance(code, int) else int(bool(code)), printed.out, printed.err)

    return run

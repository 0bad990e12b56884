from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory.cli import main
from crewai_persistent_memory.config.options import MemoryConfig
from crewai_persistent_memory.store.factory import open_configured


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
def hold() -> Iterator[Callable[[], None]]:
    """Holds the store of this moment, if there is one, open until the test ends: opening takes longer than a command.

    What one process after the other finds is in ``test_cli.py``.
    """
    held: set[Path] = set()
    with ExitStack() as stores:

        def hold() -> None:
            path = os.environ.get("CREWAI_MEMORY_PATH")
            if path and Path(path).exists() and Path(path) not in held:
                held.add(Path(path))
                stores.enter_context(open_configured(MemoryConfig.build(path=path), by_words=True, existing=True))

        yield hold


@pytest.fixture
def call(
    store_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    hold: Callable[[], None],
) -> Call:
    """``call("list", "--user", "john")`` runs a command in this process; ``somebody`` types ``stdin``."""
    called = False

    def run(*arguments: str, stdin: bytes = b"", somebody: bool = False) -> Printed:
        nonlocal called
        if called:
            hold()
        called = True
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

"""``docs/first-hour.md``: its commands print what stands there. Those that need a server are in ``test_copying.py``."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from crewai_persistent_memory import PersistentMemory

from .conftest import Call

PAGE = (Path(__file__).parents[2] / "docs" / "first-hour.md").read_text(encoding="utf-8")
CONSOLE = "".join(re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL))
ITS_ID = "d2689dba"
RUNS = [each.partition("\n")[::2] for each in re.split(r"^\$ ", CONSOLE, flags=re.MULTILINE) if each]


def plain(text: str) -> list[str]:
    """The lines without times and blanks at their ends. (A score depends on the time since the save by a millionth.)"""
    return [re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "TIME", line.rstrip()) for line in text.splitlines()]


def test_the_transcript(call: Call, store_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    with PersistentMemory(path=store_path, user_id="john", embedder=None) as memory:
        memory.remember("John likes a window seat")  # as hello.py does
    commands = [(shlex.split(command), output) for command, output in RUNS if command.startswith("crewai-memory ")]
    commands = [(words, output) for words, output in commands if "--to-url" not in words]
    assert len(commands) == 9
    chosen: str | None = None  # the id of what the command remembers, which is another one each time
    for (_, *arguments), output in commands:
        printed = call(*(chosen if each == ITS_ID else each for each in arguments)).out
        if arguments[0] == "remember":
            chosen = plain(printed)[-1].split()[-1]
        expected = output if chosen is None else output.replace(ITS_ID, chosen)
        assert plain(printed) == plain(expected), arguments

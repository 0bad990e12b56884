"""README's commands in real terminals of several widths: the text of every memory is on the screen, whole."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shlex
import shutil
import struct
import subprocess
import sys
import termios
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.cells import cell_len

from crewai_persistent_memory import open_store

from ..support.thorough import sample

WIDTHS = sample((40, 60, 80, 120), 2)
COMMAND = str(Path(sys.executable).with_name("crewai-memory"))
README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
COMMANDS = [line.partition("#")[0].strip() for line in README.splitlines() if line.startswith("crewai-memory ")]
LISTING = "crewai-memory list --user john"
TMUX = shutil.which("tmux")

REMEMBERED = {
    # As a migration leaves them: long ids that begin alike.
    "imported-from-the-old-support-desk-2024-000001": "John's order 4711 came late, and he asked for a refund of 20 €",
    "imported-from-the-old-support-desk-2024-000002": "https://example.com/" + "a" * 150,
    str(uuid.UUID(int=1)): "約翰喜歡靠窗的座位，對堅果過敏，正在法國找房子。" * 3,
    str(uuid.UUID(int=2)): "Two lines:\n- a window seat\n- no nuts, never, not even in the sauce of the second course",
    "short": "👩‍🍳 tea",
}
README_TEXT = "John is allergic to nuts"

Screen = Callable[[list[str], int], str]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "store"
    for name, value in {"CREWAI_MEMORY_PATH": str(path), "LC_ALL": "C.UTF-8", "TERM": "xterm-256color"}.items():
        monkeypatch.setenv(name, value)
    for name in ("COLUMNS", "LINES", "TMUX"):
        monkeypatch.delenv(name, raising=False)
    with open_store(path=path, user_id="john", embedder=None) as store:
        for id, text in REMEMBERED.items():
            store.add(text, id=id)
    return path


def script_of(commands: list[str]) -> str:
    """One line of a shell for each command, and a mark after it."""
    return "\n".join(f"{COMMAND} {command.removeprefix('crewai-memory ')}; echo; echo ---" for command in commands)


def on_tmux(commands: list[str], width: int) -> str:
    """What a tmux pane shows after these commands; lines as the terminal has wrapped them."""
    tmux = [str(TMUX), "-u", "-f", "/dev/null", "-L", f"memory-{uuid.uuid4().hex[:8]}"]
    told = f"{script_of(commands)}\n{shlex.join([*tmux, 'wait-for', '-S', 'done'])}; exec sleep 600"
    try:
        subprocess.run(
            [*tmux, "new-session", "-d", "-x", str(width), "-y", "400", told], check=True, env=dict(os.environ)
        )
        subprocess.run([*tmux, "wait-for", "done"], check=True, timeout=120)
        shown = subprocess.run([*tmux, "capture-pane", "-p"], check=True, capture_output=True, text=True)
    finally:
        subprocess.run([*tmux, "kill-server"], check=False)
    return shown.stdout


def on_pty(commands: list[str], width: int) -> str:
    """The same by a pseudo-terminal of that size: what the commands sent, without colours."""
    main, sub = pty.openpty()
    fcntl.ioctl(sub, termios.TIOCSWINSZ, struct.pack("HHHH", 400, width, 0, 0))
    # Given in words, because readline has put COLUMNS where os.environ does not show it.
    process = subprocess.Popen(
        ["bash", "-c", script_of(commands)], stdin=sub, stdout=sub, stderr=sub, env=dict(os.environ)
    )
    os.close(sub)
    sent = b""
    try:
        while select.select([main], [], [], 120)[0]:
            try:
                part = os.read(main, 65536)
            except OSError:  # Linux reports EIO where the last writer has gone
                break
            if not part:
                break
            sent += part
    finally:
        os.close(main)
        process.wait(timeout=60)
    return re.sub(r"\x1b\[[\d;]*m", "", sent.decode()).replace("\r\n", "\n")


def texts(screen: str) -> str:
    """The memory column of each table on a screen, rows and lines joined, without white space."""
    shown, edge = "", 0
    for line in screen.splitlines():
        if header := re.match(r"memory +(?=score|when|id)", line):
            edge = header.end()
        elif line.startswith("---"):
            edge = 0
        elif edge:
            shown += before(edge, line)
    return "".join(shown.split())


def before(edge: int, line: str) -> str:
    """The beginning of a line up to a column of the terminal; some characters take two."""
    at = 0
    while at < len(line) and cell_len(line[: at + 1]) <= edge:
        at += 1
    return line[:at]


def missing(screen: str, *more: str) -> list[str]:
    shown = texts(screen)
    return [text for text in (*REMEMBERED.values(), *more) if "".join(text.split()) not in shown]


@pytest.fixture
def screen() -> Screen:
    if TMUX is None:
        print("tmux is not installed: a pseudo-terminal of the same size takes its place")
        return on_pty
    return on_tmux


@pytest.mark.parametrize("width", WIDTHS)
def test_readmes_commands(store: Path, screen: Screen, width: int) -> None:
    remember, recall, *others = COMMANDS
    assert {"remember", "recall", "list", "forget"} == {command.split()[1] for command in COMMANDS}
    printed = screen([remember, recall, LISTING, *(others if width == min(WIDTHS) else [])], width)
    parts = re.split(r"^---$", printed, flags=re.MULTILINE)
    for part in parts[:2]:
        assert "".join(README_TEXT.split()) in texts(part)
    assert missing(parts[2], README_TEXT) == []
    if width > min(WIDTHS):
        return
    nothing, as_json, forgot = parts[3:6]
    assert "nothing" in nothing
    # JSON is wrapped by the terminal, which adds no character.
    assert all(f'"{id}"' in as_json.replace("\n", "") for id in REMEMBERED)
    assert re.search(r"Forgot 6\b", forgot)


def test_a_pseudo_terminal_shows_the_same(store: Path) -> None:
    printed = on_pty([LISTING], WIDTHS[0])
    assert missing(printed) == []
    assert [line for line in printed.splitlines() if cell_len(line) > WIDTHS[0]] == []

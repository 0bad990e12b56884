"""Programs in processes of their own, which start in no time: see ``fork_server.py``.

What is about starting itself (what an import does, signals, terminals) starts a real interpreter.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from crewai_persistent_memory.crewai_version import UNIFIED_SINCE, installed

from .fork_server import NUMBER
from .thorough import IS_THOROUGH

SERVER = Path(__file__).with_name("fork_server.py")
ENVIRONMENT = dict(os.environ)
"""That of the fork servers: as it was before any test."""
FOLDER = "CREWAI_STORAGE_DIR"


class _ForkServer:
    def __init__(self, start: Callable[[int], subprocess.Popen[bytes] | Program]) -> None:
        self.requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = start(theirs.fileno())
        atexit.register(self.stop)

    def stop(self) -> None:
        self.requests.close()
        self._process.wait()


def _start(requests: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(SERVER), str(requests)]
    return subprocess.Popen(command, pass_fds=[requests], cwd=SERVER.parent, env=ENVIRONMENT)


def _start_with_crewai(requests: int) -> Program:
    """From the other server, which has imported most of it."""
    command = [str(SERVER), "0", "crewai"]
    return Program(command, env=ENVIRONMENT, cwd=SERVER.parent, stdin=requests, stderr=2, server=_without_crewai())


@functools.cache
def _without_crewai() -> _ForkServer:
    return _ForkServer(_start)


@functools.cache
def _with_crewai() -> _ForkServer:
    return _ForkServer(_start_with_crewai)


def _server(environment: Mapping[str, str]) -> _ForkServer:
    """One for each process of pytest, from the first program on; with CrewAI and without it.

    A program that sets what CrewAI reads at its import imports it itself. With ``THOROUGH=1`` each program does.
    """
    if IS_THOROUGH or _read_by_crewai(environment) != _read_by_crewai(ENVIRONMENT):
        return _without_crewai()
    return _with_crewai()


def _read_by_crewai(environment: Mapping[str, str]) -> dict[str, str]:
    """What CrewAI reads at its import and keeps. Of its folder it keeps only where its own Chroma is. Until 1.9.3 its
    memory is there: a program that has one sets a folder that is not the test's."""
    settings = {name: value for name, value in environment.items() if name.startswith(("CREWAI_", "OTEL_"))}
    if installed() >= UNIFIED_SINCE or settings.get(FOLDER) == os.environ[FOLDER]:
        settings[FOLDER] = ENVIRONMENT[FOLDER]
    return {name: value for name, value in settings.items() if not name.startswith("CREWAI_MEMORY_")}


class Program:
    """A program that runs. Its output is kept in files until it ends."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | str | None = None,
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
        server: _ForkServer | None = None,
    ) -> None:
        """``stdin``, ``stdout`` and ``stderr`` are file descriptors. Without the first there is nothing to read."""
        arguments = [*command[1:]] if command[0] == sys.executable else [*command]
        environment = dict(os.environ if env is None else env)
        request = {
            "arguments": arguments,
            "environment": environment,
            "folder": str(cwd or Path.cwd()),
        }
        self.command = command
        self._out, self._err = (tempfile.TemporaryFile() for _ in range(2))  # noqa: SIM115
        self._ended, answer = socket.socketpair()
        nothing = os.open(os.devnull, os.O_RDONLY)
        try:
            read, written = nothing if stdin is None else stdin, self._out.fileno() if stdout is None else stdout
            errors = self._err.fileno() if stderr is None else stderr
            files = [read, written, errors, answer.fileno()]
            socket.send_fds((server or _server(environment)).requests, [json.dumps(request).encode()], files)
        finally:
            os.close(nothing)
            answer.close()
        self.pid = self._number()

    @property
    def is_running(self) -> bool:
        return not select.select([self._ended], [], [], 0)[0]

    def wait(self, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Its end. A program that takes longer is killed, and ``subprocess.TimeoutExpired`` raised."""
        ready, _, _ = select.select([self._ended], [], [], timeout)
        if not ready:
            self.kill()
        code = self._number()
        self._ended.close()
        out, err = _text(self._out), _text(self._err)
        if not ready:
            raise subprocess.TimeoutExpired(self.command, timeout, out, err)
        return subprocess.CompletedProcess(self.command, code, out, err)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def _number(self) -> int:
        data = self._ended.recv(NUMBER.size)
        assert data, "the fork server has ended: see its error above"
        number: int = NUMBER.unpack(data)[0]
        return number


def run_program(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | str | None = None,
    stdin: int | None = None,
    timeout: float = 240,
) -> subprocess.CompletedProcess[str]:
    """``subprocess.run`` of a Python program, with its output as text."""
    return Program(command, env=env, cwd=cwd, stdin=stdin).wait(timeout)


@contextmanager
def started(command: Sequence[str], *, cwd: Path | str | None = None) -> Iterator[tuple[Program, IO[str]]]:
    """A program and what it prints, while it runs."""
    reading, writing = os.pipe()
    try:
        program = Program(command, cwd=cwd, stdout=writing)
    finally:
        os.close(writing)
    with open(reading, encoding="utf-8") as lines:
        yield program, lines


class Commanded:
    """A program that is told what to do, a line at a time, and answers in lines."""

    def __init__(self, command: Sequence[str]) -> None:
        told, telling = os.pipe()
        answers, answering = os.pipe()
        try:
            self._program = Program(command, stdin=told, stdout=answering)
        finally:
            os.close(told)
            os.close(answering)
        self._telling, self._answers = open(telling, "w"), open(answers)  # noqa: SIM115
        self.pid = self._program.pid

    def tell(self, line: str) -> None:
        self._telling.write(f"{line}\n")
        self._telling.flush()

    def line(self) -> str:
        """The next one; empty when it has ended."""
        return self._answers.readline().rstrip("\n")

    def close(self) -> subprocess.CompletedProcess[str]:
        """Its end, which it comes to when there is nothing more to read for it."""
        self._telling.close()
        done = self._program.wait()
        self._answers.close()
        return done


def _text(file: IO[bytes]) -> str:
    with file:
        file.seek(0)
        return file.read().decode("utf-8", "backslashreplace")


def killed_after(command: Sequence[str], lines: int) -> None:
    """A program that is killed when it has printed so many lines."""
    with started(command) as (running, told):
        for _ in range(lines):
            told.readline()
        with suppress(ProcessLookupError):  # it has ended: the machine was slow to kill it
            running.kill()
        running.wait()

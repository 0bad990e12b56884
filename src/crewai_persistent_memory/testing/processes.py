"""Processes of a test, each of which works through steps (``worker_program``), and ends with the test."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Final, Protocol

from typing_extensions import Self

from ..errors import ConfigurationError
from ..redaction import redact

PROGRAM: Final = "crewai_persistent_memory.testing.worker_program"
IS_WORKER: Final = "CREWAI_MEMORY_TESTING_WORKER"
"""Set in these processes."""

_TO_DUMP: Final = 5.0
"""Seconds that a process has, after its time for a step, to say where it hangs."""
_LAST_LINES: Final = 40
_HAS_GROUPS: Final = os.name == "posix"

_SETTINGS: Final = ("CREWAI_MEMORY_", "QDRANT_", "MEM0_")
"""How variables begin that say where memories are, and what they cost."""


class StepFailed(AssertionError):
    """A step of a test's process failed, or did not end.

    Attributes:
        kind: the name of the error's class, if the step raised one.
    """

    def __init__(self, message: str, kind: str = "") -> None:
        super().__init__(message)
        self.kind = kind


class Started(Protocol):
    """A process that was started."""

    pid: int
    stdin: Any
    stdout: Any

    def kill(self) -> None: ...

    def wait(self, timeout: float | None = None) -> Any: ...


def environment_of(folder: str, *, own_store: bool = False, **more: str) -> dict[str, str]:
    """The environment of a process with memories of its own: nothing that this environment says of stores counts.

    Args:
        folder: where CrewAI keeps files, and a memory whatever has no other place.
        own_store: keep what this environment says of stores.
        more: further variables.
    """
    kept = {name: value for name, value in os.environ.items() if own_store or not name.startswith(_SETTINGS)}
    quiet = {"CREWAI_DISABLE_TELEMETRY": "true", "CREWAI_TRACING_ENABLED": "false"}
    return {**kept, **quiet, "CREWAI_STORAGE_DIR": folder, **more}


def start(environment: Mapping[str, str], errors: IO[bytes]) -> Started:
    """Start the program. Its answers are on its stdout, and whatever it prints is in ``errors``."""
    # A group of its own, so that what it starts ends with it. Windows has no such groups.
    return subprocess.Popen(
        [sys.executable, "-m", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        env=dict(environment),
        text=True,
        encoding="utf-8",
        start_new_session=_HAS_GROUPS,
    )


class Worker:
    """One process of a test.

    Args:
        name: for messages.
        environment: of the process.
        timeout: seconds for each step.
    """

    def __init__(self, name: str, environment: Mapping[str, str], timeout: float) -> None:
        self.name = name
        self._timeout = timeout
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed by kill())
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        paths = [path or str(Path.cwd()) for path in sys.path]
        known = {"PYTHONPATH": os.pathsep.join(paths), "PYTHONIOENCODING": "utf-8", IS_WORKER: name}
        self._process = start({**environment, **known}, self._errors)
        self.pid = self._process.pid
        self._is_over = False
        # A thread, because a pipe cannot be waited for with a time limit on Windows.
        self._reader = threading.Thread(target=self._read, name=f"answers of {name}", daemon=True)
        self._reader.start()

    def do(self, step: str, about: str, **arguments: Any) -> Any:
        """Let the process do a step, and return its answer.

        Args:
            step: its name in ``worker_program``.
            about: what it does, for messages: "build the crew".
            arguments: what JSON can hold.

        Raises:
            StepFailed: the step raised an error, the process ended, or the time was over. Then it is killed.
        """
        request = {"step": step, "arguments": arguments, "seconds": self._timeout}
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._answers.get(timeout=self._timeout + _TO_DUMP)
        except queue.Empty:
            self.kill(keep_errors=True)
            raise StepFailed(
                f"{self.name} did not {about} within {self._timeout:g} seconds, and was killed (timeout= gives it more "
                f"time). Where it was:\n{self._printed()}"
            ) from None
        except OSError:
            line = ""  # it has ended, and reads nothing any more
        if not line:
            code = self._process.wait(_TO_DUMP)
            raise StepFailed(
                f"{self.name} ended (exit code {getattr(code, 'returncode', code)}) when it should {about}. What it "
                f"printed last:\n{self._printed()}"
            )
        answer = json.loads(line)
        if "error" in answer:
            raise StepFailed(f"{self.name} could not {about}. {redact(answer['error'])}", answer["kind"])
        return answer["value"]

    def end(self) -> None:
        """Let the process end by itself, as a program does.

        Raises:
            StepFailed: it does not end, and was killed.
        """
        self._process.stdin.close()
        try:
            self._process.wait(self._timeout)
        except subprocess.TimeoutExpired:
            self.kill(keep_errors=True)
            raise StepFailed(
                f"{self.name} did not end within {self._timeout:g} seconds, and was killed. What it printed last:\n"
                f"{self._printed()}"
            ) from None
        self._is_over = True

    def kill(self, *, keep_errors: bool = False) -> None:
        """End the process, and what it has started, at once. Nothing that it does at its end is done."""
        if not self._is_over:
            if _HAS_GROUPS:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.pid, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            self._process.wait()
            self._is_over = True
        with contextlib.suppress(OSError):  # what it has not read is lost with it
            self._process.stdin.close()
        if not keep_errors:
            self._reader.join(_TO_DUMP)
            self._process.stdout.close()
            self._errors.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.kill()

    def _read(self) -> None:
        # A pipe of a killed process may be closed while it is read.
        with contextlib.suppress(ValueError, OSError):
            for line in self._process.stdout:
                self._answers.put(line)
        self._answers.put("")

    def _printed(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").splitlines()
        return redact("\n".join(lines[-_LAST_LINES:])) or "(nothing)"


def refuse_in_worker() -> None:
    """Refuse to start further processes in a process of a test.

    Raises:
        ConfigurationError: this is one.
    """
    if os.environ.get(IS_WORKER):
        raise ConfigurationError(
            "this runs while a test's process imports the module of its crew factory, and would start processes "
            'without end: call it inside a test function, or under if __name__ == "__main__":'
        )

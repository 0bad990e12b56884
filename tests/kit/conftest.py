from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from typing import IO, Any

import pytest

from crewai_persistent_memory.adapters.crew_memories import memories_of_crew, store_of
from crewai_persistent_memory.testing import processes, run_options
from crewai_persistent_memory.testing.worker_program import described
from crewai_persistent_memory.testing.worker_steps import WorkerSteps

from ..support.programs import Program


class _Forked:
    """A process of the kit, from the fork server: one that starts in no time."""

    def __init__(self, environment: Mapping[str, str], errors: IO[bytes]) -> None:
        theirs_in, ours_in = os.pipe()
        ours_out, theirs_out = os.pipe()
        command = [sys.executable, "-m", processes.PROGRAM]
        self._program = Program(command, env=environment, stdin=theirs_in, stdout=theirs_out, stderr=errors.fileno())
        self.pid = self._program.pid
        self.stdin = open(ours_in, "w", encoding="utf-8")  # noqa: SIM115 (as of a Popen)
        self.stdout = open(ours_out, encoding="utf-8")  # noqa: SIM115
        os.close(theirs_in)
        os.close(theirs_out)
        self._ended: Any = None

    def kill(self) -> None:
        if self._ended is None:
            self._program.kill()

    def wait(self, timeout: float | None = None) -> Any:
        if self._ended is None:
            self._ended = self._program.wait(timeout or 120)
        return self._ended


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kit's processes are forked. How they really start, ``test_processes.py`` and an outside project try."""
    monkeypatch.setattr(processes, "start", _Forked)


class _ClosedSteps(WorkerSteps):
    """A process closes its stores when it ends."""

    def __init__(self) -> None:
        super().__init__()
        self.crews: list[Any] = []

    def _script(self, crew: Any) -> None:
        self.crews.append(crew)
        super()._script(crew)

    def close(self) -> None:
        for memory in [self._memory, *(memory for crew in self.crews for memory in memories_of_crew(crew))]:
            if memory is not None and store_of(memory) is not None:
                (memory if hasattr(memory, "close") else store_of(memory)).close()
        self.crews.clear()


class _InThisProcess:
    """A worker whose steps are done here: whatever a crew does wrong, it does without a process of its own too."""

    environment: pytest.MonkeyPatch

    def __init__(self, name: str, environment: Mapping[str, str], timeout: float) -> None:
        self.name, self._steps = name, _ClosedSteps()
        for variable in os.environ.keys() - environment.keys():
            self.environment.delenv(variable)
        for variable, value in environment.items():
            self.environment.setenv(variable, value)

    def do(self, step: str, about: str, **arguments: Any) -> Any:
        given = json.loads(json.dumps(arguments))
        try:
            return json.loads(json.dumps(getattr(self._steps, step)(**given)))
        except Exception as error:
            message = f"{self.name} could not {about}. {described(error)}"
            raise processes.StepFailed(message, type(error).__name__) from error

    def end(self) -> None:
        self._steps.close()

    kill = end

    def __enter__(self) -> _InThisProcess:
        return self

    def __exit__(self, *exc: object) -> None:
        self.end()


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The kit's processes are this one, where CrewAI is imported already."""
    monkeypatch.setattr(run_options, "Worker", _InThisProcess)
    with pytest.MonkeyPatch.context() as environment:
        _InThisProcess.environment = environment
        yield

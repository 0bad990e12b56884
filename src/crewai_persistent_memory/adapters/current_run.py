"""One run of a crew, an agent or a flow: its owners, and its memory failures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from typing import Any, Final, Literal

from ..errors import ConfigurationError, ScopeError
from ..scope import Scope, ScopeBinding

OnError = Literal["warn", "raise"]
"""What a crew does when its memory fails: ``"warn"`` logs the failure and continues, ``"raise"`` fails the run."""


Owner = tuple[str | None, str | None, str | None, str | None]
"""Organisation, project, user and run. Objects must not carry state from one owner to another."""


class Run:
    """A run for these scopes, one for each memory that it uses. Its parent is the run in which it was started."""

    def __init__(self, scopes: Iterable[Scope | ScopeBinding]) -> None:
        self.owners: Final[frozenset[Owner]] = frozenset(
            (scope.org_id, scope.project_id, scope.user_id, scope.run_id) for scope in scopes
        )
        self.around: Final = current_run.get()
        self.objects: Sequence[Any] = ()
        """CrewAI's objects that the run has leased; empty before it starts to work."""
        self._fatal: list[Exception] = []

    def is_inside(self, other: Run) -> bool:
        """Whether this run is ``other``, or was started inside it."""
        run: Run | None = self
        while run is not None:
            if run is other:
                return True
            run = run.around
        return False

    def failed(self, error: Exception, on_error: OnError) -> None:
        """Record a memory failure. CrewAI catches the error and continues; :meth:`check` raises the fatal ones."""
        if on_error == "raise" or isinstance(error, ScopeError):
            self._fatal.append(error)

    def check(self) -> None:
        """Raise the first fatal failure, if there is one."""
        if self._fatal:
            raise self._fatal[0]


current_run: Final[ContextVar[Run | None]] = ContextVar("crewai_persistent_memory_run", default=None)
"""The run that the current code belongs to; ``None`` outside a run."""


def note_failure(error: Exception, memory: object) -> None:
    """Record a memory failure in the current run, if there is one."""
    run = current_run.get()
    if run is not None:
        run.failed(error, getattr(memory, "on_error", "warn"))


def check_on_error(value: object) -> OnError:
    """``value`` if it can be the option ``on_error``.

    Raises:
        ConfigurationError: it is neither ``"warn"`` nor ``"raise"``.
    """
    if value not in ("warn", "raise"):
        raise ConfigurationError(f'on_error must be "warn" or "raise", got {value!r}')
    return value

"""One run of a crew, an agent or a flow: whose it is, and what failed in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from typing import Any, Final, Literal

from ..errors import ConfigurationError, ScopeError
from ..scope import Scope, ScopeBinding

OnError = Literal["warn", "raise"]
"""What a memory that fails inside a crew means for the crew: it goes on and the log says so, or it fails."""


Owner = tuple[str | None, str | None, str | None, str | None]
"""Organisation, project, user and run: what objects must not carry from one run into another."""


class Run:
    """A run that was started for these scopes, one for each memory that it uses, inside the run around the call."""

    def __init__(self, scopes: Iterable[Scope | ScopeBinding]) -> None:
        self.owners: Final[frozenset[Owner]] = frozenset(
            (scope.org_id, scope.project_id, scope.user_id, scope.run_id) for scope in scopes
        )
        self.around: Final = current_run.get()
        self.objects: Sequence[Any] = ()
        """CrewAI's objects that the run works with, once it does."""
        self._fatal: list[Exception] = []

    def is_inside(self, other: Run) -> bool:
        """Whether this run was started by the other one, or is it."""
        run: Run | None = self
        while run is not None:
            if run is other:
                return True
            run = run.around
        return False

    def failed(self, error: Exception, on_error: OnError) -> None:
        """Note that a memory failed. CrewAI catches the error and goes on; the run ends with it where it must."""
        if on_error == "raise" or isinstance(error, ScopeError):
            self._fatal.append(error)

    def check(self) -> None:
        """Raise the first failure that the run must not survive."""
        if self._fatal:
            raise self._fatal[0]


current_run: Final[ContextVar[Run | None]] = ContextVar("crewai_persistent_memory_run", default=None)
"""The run that this code belongs to, ``None`` outside of any."""


def note_failure(error: Exception, memory: object) -> None:
    """Tell the run around this call, if there is one, that a memory failed."""
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

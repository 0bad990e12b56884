"""Leases on CrewAI's objects: the runs that use an object now, and the owners of its last run."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from ..errors import CrewInUseError
from . import run_leftovers as leftovers
from .current_run import Owner, Run

Owners = frozenset[Owner]


class _Lease:
    """One object: the runs that hold it, and the owners of the last run."""

    __slots__ = ("owners", "reference", "runs")

    def __init__(self, reference: weakref.ref[Any]) -> None:
        self.reference = reference
        self.runs: list[Run] = []
        self.owners: Owners | None = None


class Leases:
    """Leases by object identity. CrewAI's objects are pydantic models: they compare by fields and are not hashable."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._leases: dict[int, _Lease] = {}

    def acquire(self, objects: Iterable[Any], run: Run) -> list[tuple[Any, Owners | None]]:
        """Lease all objects for a run, or none.

        A run started inside another run may share its objects if its owners are the same or a subset. Runs without
        owners, which use no memory, may share objects too.

        Returns:
            The objects that no other run holds, each with the owners of its previous run.

        Raises:
            CrewInUseError: another run holds one of them.
        """
        with self._lock:
            leases = [(each, self._lease(each)) for each in objects]
            for each, lease in leases:
                if not all(_may_share(run, other) for other in lease.runs):
                    raise CrewInUseError(refusal(each))
            free = [(each, lease.owners) for each, lease in leases if not lease.runs]
            for _, lease in leases:
                if not lease.runs:
                    lease.owners = run.owners
                lease.runs.append(run)
            return free

    def release(self, objects: Iterable[Any], run: Run) -> list[Any]:
        """Release the objects of a run. Returns the objects that no run holds any more."""
        with self._lock:
            leases = [(each, self._lease(each)) for each in objects]
            for _, lease in leases:
                lease.runs.remove(run)
            return [each for each, lease in leases if not lease.runs]

    @contextmanager
    def still_held(self, run: Run) -> Iterator[None]:
        """Hold a run's objects in the block, also after the run has ended. A task in a thread continues, for example,
        after another task has failed."""
        objects = list(run.objects)
        self.acquire(objects, run)
        try:
            yield
        finally:
            for each in self.release(objects, run):
                leftovers.close(each)

    def owners(self, each: Any) -> Owners | None:
        """The owners of an object's current or last run; ``None`` if no run has used it."""
        with self._lock:
            lease = self._leases.get(id(each))
            return None if lease is None or lease.reference() is not each else lease.owners

    def forget_all(self) -> None:
        """Drop all leases, in a forked child process."""
        self._lock = threading.RLock()
        self._leases = {}

    def _lease(self, each: Any) -> _Lease:
        key = id(each)
        lease = self._leases.get(key)
        if lease is None or lease.reference() is not each:
            lease = self._leases[key] = _Lease(weakref.ref(each, lambda reference: self._forget(key, reference)))
        return lease

    def _forget(self, key: int, reference: weakref.ref[Any]) -> None:
        with self._lock:
            lease = self._leases.get(key)
            if lease is not None and lease.reference is reference:
                del self._leases[key]


def _may_share(run: Run, other: Run) -> bool:
    return (run.is_inside(other) and run.owners <= other.owners) or not (run.owners or other.owners)


leases: Final = Leases()
if hasattr(os, "register_at_fork"):
    # No run continues in a forked child. A lock that another thread held is never released there.
    os.register_at_fork(after_in_child=leases.forget_all)


def refusal(each: Any) -> str:
    """The text of the error for an object in use, with the remedy."""
    kind = next((base.__name__ for base in type(each).__mro__ if base.__module__.startswith("crewai.")), "object")
    about = str(getattr(each, "role", None) or getattr(each, "name", None) or "").strip()
    named = f"this {kind} ({about})" if about else f"this {kind}"
    copies = "a new flow for each request" if kind == "Flow" else "crew.copy() for each request, or build a new one"
    return (
        f"{named} is running already, and CrewAI keeps the inputs, messages and results of a run in it, so that a "
        f"second run would get them: use {copies}"
    )

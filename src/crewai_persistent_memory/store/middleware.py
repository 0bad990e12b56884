"""Middleware: functions that wrap a backend and see every operation.

A middleware takes an operation and the next ``execute``, and returns the result of the operation::

    def counting(operation, execute):
        counts[type(operation).__name__] += 1
        return (yield from execute(operation))

    store = open_store(user_id="john").wrap(counting)
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Any, Final, Protocol

from ..entry import MemoryEntry
from ..errors import StorePermissionError
from ..io.steps import Steps
from ..scope import Scope
from .backend import Execute
from .operations import AddedMessages, CompleteFields, Operation, Page, ScanPage, Touch, fields_asked

logger = logging.getLogger("crewai_persistent_memory")


class Middleware(Protocol):
    """See the module. It may change the operation, return its own result, execute twice, or raise.

    The store checks and resolves before it makes an operation, and checks what an operation returns against its scope.
    What a middleware puts into an operation is checked by the backend. ``add`` returns the entry that the operation
    returned as stored, so a middleware that changes a ``Put`` returns what ``execute`` returned.
    """

    def __call__(self, operation: Operation[Any], execute: Execute, /) -> Steps[Any]: ...


def wrapped(execute: Execute, middleware: Sequence[Middleware]) -> Execute:
    """``execute`` with middleware around it; the first one is the outermost."""
    for each in reversed(middleware):
        execute = _around(each, execute)
    return execute


def _around(middleware: Middleware, execute: Execute) -> Execute:
    def answer(operation: Operation[Any], /) -> Steps[Any]:
        return middleware(operation, execute)

    return answer


def read_only(operation: Operation[Any], execute: Execute, /) -> Steps[Any]:
    """Middleware that refuses every write. It skips what reads write: access times, and values of filter fields, which
    are computed for each filter while they are not stored.

    Raises:
        StorePermissionError: the operation writes.
    """
    if isinstance(operation, (Touch, CompleteFields)):
        return None
    if operation.writes:
        raise StorePermissionError(
            f"{type(operation).__name__} would write, and this store was opened read-only: use a handle without the "
            "read_only middleware"
        )
    return (yield from execute(operation))


def fields_first(operation: Operation[Any], execute: Execute, /) -> Steps[Any]:
    """Middleware that has the values of filter fields stored before an operation filters by them.

    Around a backend with the capability ``stores_fields`` it is the outermost one, so that every other one sees this
    write as an operation of its own, and may refuse it.
    """
    names = tuple(condition.field.name for condition in fields_asked(operation))
    return _fields_first(operation, execute, names) if names else execute(operation)


def _fields_first(operation: Any, execute: Execute, names: tuple[str, ...]) -> Steps[Any]:
    completion = CompleteFields(operation.scope, names, getattr(operation, "include_shared", False))
    try:
        complete = yield from execute(completion)
    except StorePermissionError:
        complete = False  # the API key, or a middleware: the operation itself may be allowed
    return (yield from execute(replace(operation, fields_complete=True) if complete else operation))


@dataclass(frozen=True)
class Trace:
    """One operation that has ended. It never holds a text.

    Attributes:
        operation: its name, ``"Search"``, ``"Put"``, ...
        scope: the reader's; ``None`` for an operation on the store itself.
        seconds: how long it took.
        found: how many entries were read or written, where that is known.
        error: the class of what it raised; a message may quote a text.
        ids: of the entries that were read or written, best or newest first as they were returned.
    """

    operation: str
    scope: Scope | None
    seconds: float
    found: int | None = None
    error: type[BaseException] | None = None
    ids: tuple[str, ...] = ()


MOST_IDS: Final = 20
"""Ids in a line of the log."""


def log_at_debug(trace: Trace, store: object = None) -> None:
    """Write one line for a trace: what was done for whom and where, the ids, and how long it took. Never a text."""
    if trace.error is not None:
        ended = f"failed with {trace.error.__name__}"
    else:
        ended = "done" if trace.found is None else f"{trace.found} {'entry' if trace.found == 1 else 'entries'}"
        if trace.ids:
            ended += f" ({', '.join(trace.ids[:MOST_IDS])}{', …' if len(trace.ids) > MOST_IDS else ''})"
    where = "" if store is None else f" in {store!r}"
    logger.debug("%s%s for %s: %s in %.1f ms", trace.operation, where, trace.scope, ended, trace.seconds * 1000)


def logged_at_debug(execute: Execute, store: object) -> Execute:
    """``execute`` with a line for each operation, while the log ``crewai_persistent_memory`` takes DEBUG."""
    with_lines = _around(tracing(partial(log_at_debug, store=store)), execute)

    def answer(operation: Operation[Any], /) -> Steps[Any]:
        return with_lines(operation) if logger.isEnabledFor(logging.DEBUG) else execute(operation)

    return answer


def tracing(report: Callable[[Trace], None]) -> Middleware:
    """Middleware that reports every operation when it has ended, also one that failed.

    A line for each operation is in the log ``crewai_persistent_memory`` at DEBUG without it.

    Args:
        report: is given each :class:`Trace`; an error of it is logged.
    """

    def traced(operation: Operation[Any], execute: Execute, /) -> Steps[Any]:
        name, scope = type(operation).__name__, getattr(operation, "scope", None)
        scope = scope if isinstance(scope, Scope) else None
        start = time.perf_counter()
        try:
            answer = yield from execute(operation)
        except BaseException as error:
            _give(report, Trace(name, scope, time.perf_counter() - start, error=type(error)))
            raise
        seconds = time.perf_counter() - start
        _give(report, Trace(name, scope, seconds, _size_of(operation, answer), ids=_ids_of(operation, answer)))
        return answer

    return traced


def _give(report: Callable[[Trace], None], trace: Trace) -> None:
    """A report that fails changes nothing about the operation, which may have been done."""
    try:
        report(trace)
    except Exception:
        logger.exception("the trace of %s was not reported", trace.operation)


def _ids_of(operation: Operation[Any], answer: Any) -> tuple[str, ...]:
    if isinstance(answer, (Page, ScanPage, AddedMessages)):
        answer = answer.entries
    if answer is None:
        answer = getattr(operation, "entries", ())
    if isinstance(answer, MemoryEntry):
        answer = (answer,)
    if not isinstance(answer, (list, tuple)):
        id = getattr(operation, "id", None)
        return (id,) if isinstance(id, str) else ()
    flat = chain.from_iterable(each if isinstance(each, list) else (each,) for each in answer)
    return tuple(each.id for each in flat if isinstance(each, MemoryEntry) and each.id)


def _size_of(operation: Operation[Any], answer: Any) -> int | None:
    written = getattr(operation, "entries", None)
    if isinstance(written, Sized):
        return len(written)
    if isinstance(answer, bool):
        return int(answer)
    if isinstance(answer, int):
        return answer
    if isinstance(answer, (Page, ScanPage)):
        return len(answer.entries)
    if isinstance(answer, list):
        return sum(len(each) if isinstance(each, list) else 1 for each in answer)
    return None

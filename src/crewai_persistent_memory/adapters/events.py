"""Reports saves and recalls on CrewAI's event bus and in the log, with the events of CrewAI's own ``Memory``."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from crewai.events.event_bus import crewai_event_bus
from crewai.events.types.memory_events import (
    MemoryQueryCompletedEvent,
    MemoryQueryFailedEvent,
    MemoryQueryStartedEvent,
    MemorySaveCompletedEvent,
    MemorySaveFailedEvent,
    MemorySaveStartedEvent,
)

from ..embedding import redact
from .current_run import note_failure
from .version import is_unified

SOURCE_TYPE: Final = "unified_memory" if is_unified() else "external_memory"

logger = logging.getLogger("crewai_persistent_memory")


@contextmanager
def logged(what: str, memory: object) -> Iterator[None]:
    """Log a failure of the memory, and record it in the run.

    CrewAI emits an event for the failure and continues without memory. A run with ``on_error="raise"`` fails.
    """
    try:
        yield
    except Exception as error:
        note_failure(error, memory)
        logger.error("%s failed: %s", what, redact(str(error)))
        raise


@contextmanager
def save_events(source: object, value: str, metadata: dict[str, Any] | None, agent_role: str | None) -> Iterator[None]:
    """Report the save done in the block."""
    crewai_event_bus.emit(source, MemorySaveStartedEvent(value=value, metadata=metadata, source_type=SOURCE_TYPE))
    start = time.perf_counter()
    try:
        with logged("remember", source):
            yield
    except Exception as error:
        text = redact(str(error))
        crewai_event_bus.emit(
            source, MemorySaveFailedEvent(value=value, metadata=metadata, error=text, source_type=SOURCE_TYPE)
        )
        raise
    crewai_event_bus.emit(
        source,
        MemorySaveCompletedEvent(
            value=value,
            metadata=metadata or {},
            agent_role=agent_role,
            save_time_ms=(time.perf_counter() - start) * 1000,
            source_type=SOURCE_TYPE,
        ),
    )


@contextmanager
def query_events(
    source: object, query: str, limit: int, untold_outage: Callable[[], str | None]
) -> Iterator[list[Any]]:
    """Report the recall done in the block. The block appends its matches to the list that this yields.

    The first recall of an outage is reported as failed, whatever of it the outbox has.
    """
    crewai_event_bus.emit(source, MemoryQueryStartedEvent(query=query, limit=limit, source_type=SOURCE_TYPE))
    start = time.perf_counter()
    results: list[Any] = []
    try:
        with logged("recall", source):
            yield results
    except Exception as error:
        _query_failed(source, query, limit, str(error))
        raise
    if (outage := untold_outage()) is not None:
        _query_failed(source, query, limit, outage)
        return
    crewai_event_bus.emit(
        source,
        MemoryQueryCompletedEvent(
            query=query,
            results=results,
            limit=limit,
            query_time_ms=(time.perf_counter() - start) * 1000,
            source_type=SOURCE_TYPE,
        ),
    )


def report_outage(source: object, query: str, limit: int, outage: str | None) -> None:
    """Report, between CrewAI's own events for a search (until 1.9.3), that it was answered in part.

    With a beginning of its own: CrewAI pairs events, and would take the end of its search for another one's.
    """
    if outage is not None:
        crewai_event_bus.emit(source, MemoryQueryStartedEvent(query=query, limit=limit, source_type=SOURCE_TYPE))
        _query_failed(source, query, limit, outage)


def _query_failed(source: object, query: str, limit: int, error: str) -> None:
    event = MemoryQueryFailedEvent(query=query, limit=limit, error=redact(error), source_type=SOURCE_TYPE)
    crewai_event_bus.emit(source, event)

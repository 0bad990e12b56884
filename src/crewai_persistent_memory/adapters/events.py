"""Saves and recalls of ours on CrewAI's event bus and in the log, as CrewAI's own ``Memory`` reports its."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
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
    """CrewAI goes on without memory when it fails (an event says so, few read it): say it in the log as well, and tell
    the run, which fails where the memory says ``on_error="raise"``."""
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
def query_events(source: object, query: str, limit: int) -> Iterator[list[Any]]:
    """Report the recall done in the block, which puts what it found, CrewAI's matches, into the list it is given."""
    crewai_event_bus.emit(source, MemoryQueryStartedEvent(query=query, limit=limit, source_type=SOURCE_TYPE))
    start = time.perf_counter()
    results: list[Any] = []
    try:
        with logged("recall", source):
            yield results
    except Exception as error:
        text = redact(str(error))
        crewai_event_bus.emit(
            source, MemoryQueryFailedEvent(query=query, limit=limit, error=text, source_type=SOURCE_TYPE)
        )
        raise
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

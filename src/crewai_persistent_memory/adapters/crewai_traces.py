"""CrewAI's traces are collected only where somebody asked for them.

CrewAI traces a machine's *first* execution without being asked: from the import, or the first crew or flow, on it
buffers every event of the process, with the texts that were saved and recalled, to offer an upload at a prompt when a
crew ends. An event outside a crew stays in the buffer for good (16 kB for each recall), and no switch ends it, not
``CREWAI_DISABLE_TELEMETRY``, ``OTEL_SDK_DISABLED`` or ``CREWAI_TRACING_ENABLED=false`` (seen in 0.203.2 to 1.15.30).
Here it ends: nothing is buffered, and no prompt is shown, unless tracing is asked for in words.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Any, Final

from crewai.events.listeners.tracing import trace_batch_manager, trace_listener, utils

_AUTOMATIC: Final = "should_auto_collect_first_time_traces"


class _Asked:
    by_a_crew = False
    """A crew or a flow was built with ``tracing=True``. CrewAI's listener then hears every event of the process."""


def install() -> None:
    """Idempotent. What was buffered before this call, unasked, is dropped."""
    listener: Any = trace_listener.TraceCollectionListener
    if getattr(listener.setup_listeners, "of_this_package", False):
        return
    automatic: Callable[[], bool] = getattr(utils, _AUTOMATIC)
    _replace_everywhere(automatic)
    listener.setup_listeners = _only_if_asked(listener.setup_listeners)
    manager: Any = trace_batch_manager.TraceBatchManager
    manager.add_event = _kept_if_asked(manager.add_event)
    existing = listener._instance
    if existing is None:
        return
    if not _knows_context() and not existing.first_time_handler.is_first_time:
        _Asked.by_a_crew = True  # before this package was imported
    if not is_asked_for():
        existing.first_time_handler.is_first_time = False
        existing.batch_manager.event_buffer.clear()


def is_asked_for() -> bool:
    """True if somebody asked for traces: ``CREWAI_TRACING_ENABLED=true``, ``tracing=True`` of a crew or a flow, consent
    that CrewAI has stored, or telemetry that was left on in words, ``CREWAI_DISABLE_TELEMETRY=false``."""
    return (
        _Asked.by_a_crew
        or _telemetry_is_wanted()
        or bool(_ask("should_enable_tracing", "is_tracing_enabled"))
        or bool(_ask("is_tracing_enabled_in_context"))
    )


def _telemetry_is_wanted() -> bool:
    return os.environ.get("CREWAI_DISABLE_TELEMETRY", "").strip().lower() in ("false", "0")


def _ask(*names: str) -> Any:
    """The answer of CrewAI's function of the first of these names that this version has."""
    found = next((getattr(utils, name) for name in names if hasattr(utils, name)), None)
    return found is not None and found()


def _knows_context() -> bool:
    """Whether CrewAI notes in a context variable that a crew is traced (1.6.1 does, 1.0.0 does not)."""
    return hasattr(utils, "is_tracing_enabled_in_context")


def _replace_everywhere(automatic: Callable[[], bool]) -> None:
    """Modules of CrewAI hold the function by its name."""

    @functools.wraps(automatic)
    def unasked() -> bool:
        return _telemetry_is_wanted() and automatic()

    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "crewai" and vars(module).get(_AUTOMATIC) is automatic:
            setattr(module, _AUTOMATIC, unasked)


def _only_if_asked(setup: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    @functools.wraps(setup)
    def with_consent(self: Any, bus: Any) -> None:
        # Until 1.0 a crew sets this up only if it is to be traced, and nothing else tells what it was built with.
        if not _knows_context() or _ask("is_tracing_enabled_in_context"):
            _Asked.by_a_crew = True
        if is_asked_for() or _ask("is_tui_mode"):
            setup(self, bus)

    with_consent.of_this_package = True  # type: ignore[attr-defined]
    return with_consent


def _kept_if_asked(add: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(add)
    def with_consent(self: Any, *event: Any, **named: Any) -> None:
        if is_asked_for():
            add(self, *event, **named)

    return with_consent

"""Makes CrewAI collect traces only with explicit consent.

CrewAI traces the *first* execution on a machine without consent. It buffers every event of the process, with the
saved and recalled texts, and offers to upload them when a crew ends. Events outside a crew stay in the buffer until the
process ends (16 kB for each recall). No setting stops it, not even ``CREWAI_DISABLE_TELEMETRY``, ``OTEL_SDK_DISABLED``
or ``CREWAI_TRACING_ENABLED=false`` (seen in 0.203.2 to 1.15.30). With this module CrewAI buffers no event and shows
no prompt unless the application or the user has enabled tracing.
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
    """Whether a crew or a flow was built with ``tracing=True``. CrewAI then traces every event of the process."""


def install() -> None:
    """Disable traces without consent, and drop the events buffered so far. Idempotent."""
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
    """Whether traces are enabled explicitly.

    That is one of ``CREWAI_TRACING_ENABLED=true``, ``tracing=True`` of a crew or a flow, consent stored by CrewAI, or
    ``CREWAI_DISABLE_TELEMETRY=false``.
    """
    return (
        _Asked.by_a_crew
        or _telemetry_is_wanted()
        or bool(_ask("should_enable_tracing", "is_tracing_enabled"))
        or bool(_ask("is_tracing_enabled_in_context"))
    )


def _telemetry_is_wanted() -> bool:
    return os.environ.get("CREWAI_DISABLE_TELEMETRY", "").strip().lower() in ("false", "0")


def _ask(*names: str) -> Any:
    """Call the first of these functions that this CrewAI has, and return its result."""
    found = next((getattr(utils, name) for name in names if hasattr(utils, name)), None)
    return found is not None and found()


def _knows_context() -> bool:
    """Whether CrewAI has a context variable for "this crew is traced" (1.6.1 has it, 1.0.0 does not)."""
    return hasattr(utils, "is_tracing_enabled_in_context")


def _replace_everywhere(automatic: Callable[[], bool]) -> None:
    """Replace the function in every module of CrewAI that has imported it."""

    @functools.wraps(automatic)
    def unasked() -> bool:
        return _telemetry_is_wanted() and automatic()

    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "crewai" and vars(module).get(_AUTOMATIC) is automatic:
            setattr(module, _AUTOMATIC, unasked)


def _only_if_asked(setup: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    @functools.wraps(setup)
    def with_consent(self: Any, bus: Any) -> None:
        # Until 1.0 a crew calls this only if it is to be traced. The arguments of the crew are not available here.
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

"""Importing ``mem0``, with its telemetry off unless it was asked for.

It decides while it is imported whether it reports usage events, and some versions report the import itself. So the
environment is set before, and a ``mem0`` that somebody imported earlier is silenced where it stands.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ...errors import ConfigurationError

logger = logging.getLogger("crewai_persistent_memory")


def import_mem0(*, telemetry: bool) -> Any:
    """The ``mem0`` module.

    Args:
        telemetry: leave its telemetry as the environment has it; otherwise it is off.

    Raises:
        ConfigurationError: it is not installed, or cannot be imported.
    """
    earlier: Any = sys.modules.get("mem0.memory.telemetry")
    if not telemetry:
        os.environ["MEM0_TELEMETRY"] = "False"
        if earlier is not None and earlier.MEM0_TELEMETRY:
            _silence(earlier)
    try:
        mem0 = importlib.import_module("mem0")
        if not telemetry and mem0_version() < (1,):
            # It would go on to make a client of its telemetry, with a thread, and look into the vector store, at
            # every call, only to send nothing.
            importlib.import_module("mem0.memory.main").capture_event = _send_nothing  # type: ignore[attr-defined]
        return mem0
    except ImportError as error:
        raise ConfigurationError(f"mem0= needs the package mem0ai, which cannot be imported: {error}") from error
    except OSError as error:
        raise ConfigurationError(
            f"mem0 cannot create its folder: {error}. Set MEM0_DIR to a folder that can be written"
        ) from error


def mem0_version() -> tuple[int, ...]:
    """Of the installed ``mem0ai``: ``(2, 2, 1)``."""
    try:
        return tuple(int(part) for part in version("mem0ai").split(".")[:3] if part.isdigit())
    except PackageNotFoundError as error:
        raise ConfigurationError("mem0= needs the package mem0ai: pip install mem0ai") from error


def _send_nothing(*args: Any, **kwargs: Any) -> None:
    """In place of ``capture_event``."""


def _silence(telemetry: Any) -> None:
    logger.warning(
        "mem0 was imported before, with its telemetry on; it is off from here. Set MEM0_TELEMETRY=False in the "
        "environment to have it off from the start"
    )
    telemetry.MEM0_TELEMETRY = False
    main: Any = sys.modules.get("mem0.memory.main")
    if main is not None and hasattr(main, "MEM0_TELEMETRY"):
        main.MEM0_TELEMETRY = False
    for name in ("client_telemetry", "_oss_telemetry_instance"):
        posthog: Any = getattr(getattr(telemetry, name, None), "posthog", None)
        if posthog is not None:
            posthog.disabled = True

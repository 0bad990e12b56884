"""The installed version of CrewAI, and the supported ones. Nothing of CrewAI is imported for it."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from .errors import UnsupportedCrewAIError

OLDEST: Final = (0, 203, 0)
BEFORE: Final = (1, 16, 0)
"""The supported versions are ``OLDEST`` up to, but not including, ``BEFORE``, as in the package's metadata."""

UNIFIED_SINCE: Final = (1, 10, 0)
"""Since this version CrewAI has one memory, and drops ``external_memory``."""

Version = tuple[int, int, int]


@lru_cache(maxsize=1)
def installed() -> Version:
    """The installed CrewAI's version.

    Raises:
        UnsupportedCrewAIError: CrewAI is not installed, or its version is not supported.
    """
    needed = f"pip install 'crewai>={text_of(OLDEST)},<{text_of(BEFORE)}'"
    try:
        named = version("crewai")
    except PackageNotFoundError:
        raise UnsupportedCrewAIError(f"crewai is not installed: {needed}") from None
    found = parsed(named)
    if not OLDEST <= found < BEFORE:
        raise UnsupportedCrewAIError(
            f"crewai {named} is installed, and this version of crewai-persistent-memory works with "
            f"{text_of(OLDEST)} up to, but not including, {text_of(BEFORE)}: {needed}"
        )
    return found


def parsed(named: str) -> Version:
    """``"1.10.1a1"`` is ``(1, 10, 1)``."""
    numbers = [int(part) for part in re.findall(r"\d+", named)[:3]]
    major, minor, patch = [*numbers, 0, 0, 0][:3]
    return major, minor, patch


def text_of(found: Version) -> str:
    """``(1, 10, 1)`` is ``"1.10.1"``."""
    return ".".join(map(str, found))

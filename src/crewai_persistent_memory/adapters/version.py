"""The version of CrewAI, and the generation of its memory API.

Until 1.9.3 a crew has short-term, long-term, entity and external memory, and a custom store is a ``Storage``. Since
1.10 it has one ``Memory`` over a ``StorageBackend``. The two generations share no class.
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from ..errors import UnsupportedCrewAIError

OLDEST: Final = (0, 203, 0)
BEFORE: Final = (1, 16, 0)
"""The supported versions are ``OLDEST`` up to, but not including, ``BEFORE``, as in the package's metadata."""

UNIFIED_SINCE: Final = (1, 10, 0)
CONTEXT_FOLLOWS_SINCE: Final = (1, 12, 0)
"""Since this version CrewAI starts its threads with the caller's context."""
RECALL_MAY_FAIL_SINCE: Final = (1, 7, 0)
"""Since this version a crew continues when the search of its memory fails. Earlier versions end with the error."""
EXECUTORS_STAY_FROM: Final = (1, 7, 0)
EXECUTORS_STAY_UNTIL: Final = (1, 14, 0)
"""From ``EXECUTORS_STAY_FROM`` until this version, an agent's executor keeps its conversation from one kickoff to the
next, and sends it again."""
STORAGE_FACTORY_SINCE: Final = (1, 14, 7)

Version = tuple[int, int, int]


@lru_cache(maxsize=1)
def installed() -> Version:
    """The installed CrewAI's version.

    Raises:
        UnsupportedCrewAIError: CrewAI is not installed, or its version is not supported.
    """
    needed = f"pip install 'crewai>={_text(OLDEST)},<{_text(BEFORE)}'"
    try:
        named = version("crewai")
    except PackageNotFoundError:
        raise UnsupportedCrewAIError(f"crewai is not installed: {needed}") from None
    found = parsed(named)
    if not OLDEST <= found < BEFORE:
        raise UnsupportedCrewAIError(
            f"crewai {named} is installed, and this version of crewai-persistent-memory works with "
            f"{_text(OLDEST)} up to, but not including, {_text(BEFORE)}: {needed}"
        )
    return found


def parsed(named: str) -> Version:
    """``"1.10.1a1"`` is ``(1, 10, 1)``."""
    numbers = [int(part) for part in re.findall(r"\d+", named)[:3]]
    major, minor, patch = [*numbers, 0, 0, 0][:3]
    return major, minor, patch


def is_unified() -> bool:
    """True for CrewAI >= 1.10."""
    return installed() >= UNIFIED_SINCE


def require_unified(what: str, instead: str) -> None:
    """Require CrewAI >= 1.10.

    Raises:
        UnsupportedCrewAIError: CrewAI is older. The message names the missing feature and the alternative.
    """
    if not is_unified():
        raise UnsupportedCrewAIError(
            f"{what} needs crewai >= {_text(UNIFIED_SINCE)}, and {_text(installed())} is installed: {instead}"
        )


def _text(found: Version) -> str:
    return ".".join(map(str, found))

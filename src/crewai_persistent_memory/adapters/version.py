"""What differs between the versions of CrewAI, and the generation of its memory API.

Until 1.9.3 a crew has short-term, long-term, entity and external memory, and a custom store is a ``Storage``. Since
1.10 it has one ``Memory`` over a ``StorageBackend``. The two generations share no class.
"""

from __future__ import annotations

from typing import Final

from ..crewai_version import UNIFIED_SINCE, installed, text_of
from ..errors import UnsupportedCrewAIError

__all__ = [
    "CONTEXT_FOLLOWS_SINCE",
    "EXECUTORS_STAY_FROM",
    "EXECUTORS_STAY_UNTIL",
    "RECALL_MAY_FAIL_SINCE",
    "STORAGE_FACTORY_SINCE",
    "UNIFIED_SINCE",
    "installed",
    "is_unified",
    "require_unified",
]

CONTEXT_FOLLOWS_SINCE: Final = (1, 12, 0)
"""Since this version CrewAI starts its threads with the caller's context."""
RECALL_MAY_FAIL_SINCE: Final = (1, 7, 0)
"""Since this version a crew continues when the search of its memory fails. Earlier versions end with the error."""
EXECUTORS_STAY_FROM: Final = (1, 7, 0)
EXECUTORS_STAY_UNTIL: Final = (1, 14, 0)
"""From ``EXECUTORS_STAY_FROM`` until this version, an agent's executor keeps its conversation from one kickoff to the
next, and sends it again."""
STORAGE_FACTORY_SINCE: Final = (1, 14, 7)


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
            f"{what} needs crewai >= {text_of(UNIFIED_SINCE)}, and {text_of(installed())} is installed: {instead}"
        )

"""Separates and checks the arguments of ``PersistentMemory``: this package's options, and CrewAI's own."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Final

from crewai.memory.unified_memory import Memory

from ...config.contradictions import RANKING_OPTIONS
from ...config.environment import refuse_unknown
from ...embedding import redact
from ...errors import ConfigurationError
from ..memory_options import OUR_OPTIONS

# The parameters of CrewAI's Memory differ by version. This package sets storage, embedder and llm itself.
_CREWAI_OPTIONS: Final = frozenset(inspect.signature(Memory).parameters) - {"storage", "embedder", "llm", "memory_kind"}


def check_options(options: Mapping[str, Any]) -> None:
    """Refuse unknown options.

    Raises:
        ConfigurationError: an option is unknown to this package and to CrewAI. The message names it and the fix.
    """
    refuse_unknown(options, set(OUR_OPTIONS | _CREWAI_OPTIONS | {"store", "llm", "infer", "on_error"}), "option")


def crewai_options(options: Mapping[str, Any], llm: Any) -> dict[str, Any]:
    """The arguments for CrewAI's ``Memory``.

    Raises:
        ConfigurationError: the LLM cannot be built.
    """
    left_out = {name for name in RANKING_OPTIONS if options.get(name) is None}
    chosen = {name: value for name, value in options.items() if name in _CREWAI_OPTIONS - left_out}
    if "recency_half_life_days" in chosen:
        chosen["recency_half_life_days"] = max(1, round(chosen["recency_half_life_days"]))  # CrewAI takes whole days
    if llm is not None:
        chosen["llm"] = _build_llm(llm)
    return chosen


def _build_llm(llm: Any) -> Any:
    if not isinstance(llm, str):
        return llm
    from crewai.llm import LLM

    try:
        return LLM(model=llm)
    except Exception as error:
        raise ConfigurationError(f"llm={llm!r} cannot be built: {redact(str(error))}") from error

"""What ``PersistentMemory`` takes: this package's options and CrewAI's own, told apart and checked."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Final, cast

from crewai.memory.unified_memory import Memory

from ..config import MemoryConfig, MemoryOptions, refuse_unknown
from ..embedding import redact
from ..errors import ConfigurationError
from ..stores.base import MemoryStore
from ..stores.factory import open_configured

# What CrewAI's Memory takes differs by version; storage, embedder and llm are decided here.
_CREWAI_OPTIONS: Final = frozenset(inspect.signature(Memory).parameters) - {"storage", "embedder", "llm", "memory_kind"}
_OUR_OPTIONS: Final = frozenset(MemoryConfig.model_fields)


class PersistentMemoryOptions(MemoryOptions, total=False):
    """What ``PersistentMemory`` takes besides: an open store, and what CrewAI's ``Memory`` takes."""

    store: MemoryStore
    consolidation_threshold: float
    consolidation_limit: int
    default_importance: float
    confidence_threshold_high: float
    confidence_threshold_low: float
    complex_query_threshold: float
    exploration_budget: int
    query_analysis_threshold: int
    read_only: bool
    root_scope: str | None  # since crewai 1.11


def check_options(options: Mapping[str, Any]) -> None:
    """Refuse what neither side knows.

    Raises:
        ConfigurationError: names the option and the fix.
    """
    refuse_unknown(options, set(_OUR_OPTIONS | _CREWAI_OPTIONS | {"store", "llm", "infer"}), "option")


def crewai_options(options: Mapping[str, Any], llm: Any) -> dict[str, Any]:
    """The options that go to CrewAI's ``Memory``.

    Raises:
        ConfigurationError: the LLM cannot be built.
    """
    chosen = {name: value for name, value in options.items() if name in _CREWAI_OPTIONS}
    if "recency_half_life_days" in chosen:
        chosen["recency_half_life_days"] = max(1, round(chosen["recency_half_life_days"]))  # CrewAI takes whole days
    if llm is not None:
        chosen["llm"] = _build_llm(llm)
    return chosen


def open_from(options: Mapping[str, Any]) -> tuple[MemoryStore, MemoryConfig]:
    """The store that the options mean: one already open (``store=``), or a new handle.

    Raises:
        ConfigurationError: both, or not a store; else see :func:`open_store`.
    """
    ours = cast(MemoryOptions, {name: value for name, value in options.items() if name in _OUR_OPTIONS})
    store = options.get("store")
    if store is None:
        config = MemoryConfig.build(**ours)
        return open_configured(config), config
    if not isinstance(store, MemoryStore):
        raise ConfigurationError(f"store is a {type(store).__name__}: pass what open_store() returned")
    if ours:
        raise ConfigurationError(f"store= and {', '.join(ours)}= are both given: the store has its own, leave them out")
    return store, MemoryConfig.build()


def _build_llm(llm: Any) -> Any:
    if not isinstance(llm, str):
        return llm
    from crewai.llm import LLM

    try:
        return LLM(model=llm)
    except Exception as error:
        raise ConfigurationError(f"llm={llm!r} cannot be built: {redact(str(error))}") from error

"""The arguments of ``PersistentMemory`` in addition to the options of a store, on both generations of CrewAI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ..config.arguments import MemoryOptions
from ..config.options import MemoryConfig
from ..config.recall import MAXSIM, RecallOptions, RecallSettings
from ..errors import ConfigurationError, PersistentMemoryError
from ..recall.rerank import Reranker
from ..store.base import MemoryStore
from ..store.factory import open_configured
from .current_run import OnError

OUR_OPTIONS = frozenset(MemoryConfig.model_fields)

_OF_A_RECALL = frozenset(RecallOptions.model_fields)
_OF_A_STORE = OUR_OPTIONS - _OF_A_RECALL


class PersistentMemoryOptions(MemoryOptions, total=False):
    """Options of a store, an open store, and the options of CrewAI's ``Memory`` (>= 1.10)."""

    store: MemoryStore
    on_error: OnError
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


def besides_a_store(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that belong to the memory, not to its store or scope."""
    return {
        name: value
        for name, value in options.items()
        # A reranker that is a function cannot be written down: a checkpoint is restored without it.
        if name not in {*_OF_A_STORE, "store"} and (name != "reranker" or isinstance(value, str))
    }


def recall_options(options: Mapping[str, Any], store: MemoryStore) -> RecallOptions:
    """What a recall of a memory over this store gives: by the memory's arguments, else by those of the store, else by
    the environment.

    Raises:
        ConfigurationError: an option is malformed.
    """
    given = {name: options[name] for name in _OF_A_RECALL if options.get(name) is not None}
    if given.get("reranker") == MAXSIM and getattr(store.opened_with, "reranker", None) != MAXSIM:
        raise ConfigurationError("reranker: 'maxsim' is about what a store holds: give it to open_store() as well")
    if store.opened_with is None:
        return RecallSettings.build(given)
    opened_with = {name: getattr(store.opened_with, name) for name in _OF_A_RECALL}
    return RecallSettings.build({**opened_with, **given})


def reranker_from(options: RecallOptions, opened: MemoryStore | None) -> Reranker | None:
    """The reranker of a memory. A model is loaded here, and not in the first recall.

    Args:
        options: those of the memory.
        opened: the store that was opened for the memory. It is closed if the reranker cannot be loaded.

    Returns:
        ``None`` if there is none, and for ``"maxsim"``, which is the store's.

    Raises:
        ConfigurationError: the model is unknown.
        EmbedderUnavailableError: it cannot be loaded.
    """
    scorer = options.reranker
    if scorer == MAXSIM:
        return None
    if isinstance(scorer, str):
        from ..embedding.cross_encoder import cross_encoder  # numpy is imported where it is first needed

        try:
            scorer = cross_encoder(scorer)
        except PersistentMemoryError:
            if opened is not None:
                opened.close()
            raise
    return None if scorer is None else Reranker(scorer, options.reranker_timeout)


def open_from(options: Mapping[str, Any]) -> MemoryStore:
    """The store for these options: the open one (``store=``), or a new handle.

    Raises:
        ConfigurationError: ``store`` and options of a store are both given, or ``store`` is not a store. See also
            :func:`open_store`.
    """
    store = options.get("store")
    names = OUR_OPTIONS if store is None else _OF_A_STORE
    ours = cast(MemoryOptions, {name: value for name, value in options.items() if name in names})
    if store is None:
        # Who wants an error rather than a crew without its memory does not want one with a part of it.
        return open_configured(MemoryConfig.build(**ours), recalls_in_part=options.get("on_error") != "raise")
    if not isinstance(store, MemoryStore):
        raise ConfigurationError(f"store is a {type(store).__name__}: pass what open_store() returned")
    if ours:
        raise ConfigurationError(f"store= and {', '.join(ours)}= are both given: the store has its own, leave them out")
    # The environment is not read here, because it may name another store than the open one.
    return store

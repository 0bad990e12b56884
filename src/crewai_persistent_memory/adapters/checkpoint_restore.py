"""Opening a memory again from what a checkpoint says of it: its store, and what the checkpoint must not hold."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, TypedDict
from weakref import WeakSet

from typing_extensions import Unpack

from ..config.arguments import Mem0Args
from ..config.options import MemoryConfig
from ..errors import ConfigurationError, EmbedderUnavailableError
from ..scope import DEFAULT_PROJECT, SCOPE_FIELDS, Scope
from ..store.base import MemoryStore
from ..store.factory import open_configured
from .checkpoint_recipe import KEYS
from .version import require_unified


class Withheld(TypedDict, total=False):
    """What a checkpoint does not hold, as keyword arguments of :func:`restoring`."""

    api_key: str
    headers: Mapping[str, str]
    embedder: Mapping[str, Any] | Callable[[list[str]], Any]
    llm: Any
    mem0: Mem0Args
    store: MemoryStore
    storage: Any


_given: ContextVar[Withheld | None] = ContextVar("crewai_persistent_memory_restoring", default=None)


@contextmanager
def restoring(**withheld: Unpack[Withheld]) -> Iterator[None]:
    """Give memories that are restored in the block what a checkpoint does not hold.

    ``with restoring(embedder=embed): crew = Crew.from_checkpoint(config)``; around ``kickoff(from_checkpoint=config)``
    as well. A memory whose checkpoint lacks something raises, and names it. Keys that came from the environment
    (``QDRANT_API_KEY``, ``MEM0_API_KEY``, the embedder's own) come from there again, without this.

    Args:
        withheld: ``api_key`` and ``headers`` of a server; ``embedder``, if it is a function, or a spec with a key; an
            ``llm`` that is an object; ``mem0`` with ``api_key`` or ``local_mem0_config``; ``store``, where the memory
            was built over a store of another package; ``storage`` for an ``ExternalMemory`` over such a storage.

    Raises:
        UnsupportedCrewAIError: CrewAI until 1.9.3 has no checkpoints.
    """
    require_unified("restoring()", "an older CrewAI has no checkpoints, build the crew anew")
    before = _given.set({**(_given.get() or {}), **withheld})
    try:
        yield
    finally:
        _given.reset(before)


def withheld(name: str) -> Any:
    """What was given by :func:`restoring`.

    Raises:
        ConfigurationError: nothing was given by this name.
    """
    given: Any = _given.get()
    for part in name.split("."):
        given = given.get(part) if isinstance(given, Mapping) else None
    if given is None:
        head, _, rest = name.partition(".")
        example = f"{head}={{{rest!r}: ...}}" if rest else f"{head}=..."
        raise ConfigurationError(
            f"a restored memory needs {name}, which is never written into a checkpoint: restore inside `with "
            f"crewai_persistent_memory.restoring({example}):`"
        )
    return given


# -- stores --------------------------------------------------------------------------------------------------------


class Share:
    """One restored memory's share in a store, which all memories that were restored from it have in common.

    A restored crew has its memory several times: as the crew's, and as its agents'.
    """

    def __init__(self, opened: _Opened, *, is_view: bool) -> None:
        self._opened = opened
        self._is_view = is_view

    def close(self) -> None:
        """Give the share back. With the last one of a memory that is no view, the store is closed."""
        with _lock:
            self._opened.shares.discard(self)
            if any(not share._is_view for share in self._opened.shares):
                return
            _opened.pop(self._opened.key, None)
        self._opened.store.close()


class _Opened:
    def __init__(self, key: str, store: MemoryStore) -> None:
        self.key = key
        self.store = store
        self.shares: WeakSet[Share] = WeakSet()


_lock = threading.Lock()
_opened: Final[dict[str, _Opened]] = {}


def reopened(
    place: Mapping[str, Any], *, is_view: bool = False, vectors: bool = False
) -> tuple[MemoryStore, Share | None]:
    """The store that was described, in its scope.

    Args:
        place: what :func:`.checkpoint_recipe.described` returned.
        is_view: of a memory that is a view of another one; its share keeps no store open.
        vectors: vectors come from CrewAI.

    Returns:
        The store, and the share in it, which closes it; ``None`` for a store that was given.

    Raises:
        ConfigurationError: something is needed that was not given; the message names it.
        StoreError, EmbedderError: the store cannot be opened.
    """
    if "store" in place["needs"]:
        return _in_scope(withheld("store"), place["scope"]), None
    options = dict(place["options"])
    secrets = {need: withheld(need) for need in place["needs"] if not _in_environment(need)}
    for name, value in secrets.items():
        head, _, rest = name.partition(".")
        options[head] = {**options.get(head, {}), rest: value} if rest else value
    identity = {name: value if isinstance(value, str) else id(value) for name, value in secrets.items()}
    key = json.dumps([place["options"], identity, vectors], sort_keys=True, default=str)
    with _lock:
        opened = _opened.get(key) or _Opened(key, _open(options, place["needs"], vectors))
        share = Share(opened, is_view=is_view)
        opened.shares.add(share)
        _opened[key] = opened
    return _in_scope(opened.store, place["scope"]), share


def _in_environment(need: str) -> bool:
    source, _, name = need.rpartition(":")
    if source != "environment":
        return False
    if not os.environ.get(KEYS[name]):
        raise ConfigurationError(f"a restored memory needs {name}, which was in {KEYS[name]}: set it in this process")
    return True


def _open(options: Mapping[str, Any], needs: list[str], vectors: bool) -> MemoryStore:
    given: Any = {name: value for name, value in options.items() if value is not None or name == "embedder"}
    config = MemoryConfig.build(**given)
    # The environment of this process fills in what was left out. It must not change whose memory it is, nor send a key
    # to a server that was asked without one.
    changed: dict[str, Any] = {"project_id": None, "org_id": None}
    if not {"api_key", "environment:api_key"} & set(needs):
        changed["api_key"] = None
    config = config.model_copy(update=changed)
    vars(config).pop("server", None)  # which was worked out of what has changed
    try:
        return open_configured(config, external_vectors=vectors)
    except EmbedderUnavailableError as error:
        raise EmbedderUnavailableError(
            f"{error}. When a crew is restored: set its key in the environment, or restore inside `with "
            "crewai_persistent_memory.restoring(embedder=...):`"
        ) from error


def _in_scope(store: MemoryStore, fixed: Mapping[str, Any]) -> MemoryStore:
    fields: Any = {name: fixed[name] for name in SCOPE_FIELDS if fixed.get(name) is not None}
    if not fixed.get("is_shared"):
        return store.scoped(**fields)
    project = fields.pop("project_id", DEFAULT_PROJECT)
    return store.scoped(Scope.shared(project, **fields))

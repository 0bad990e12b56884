"""Opens the store of a memory again from its spec in a checkpoint, and takes the secrets that a spec does not hold."""

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
    """The values that a checkpoint does not hold, as keyword arguments of :func:`restoring`."""

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
    """Pass the values that a checkpoint does not hold to the memories that are restored in the block.

    ``with restoring(embedder=embed): crew = Crew.from_checkpoint(config)``. It also works around
    ``kickoff(from_checkpoint=config)``. If a value is missing, restoring the memory raises an error that names it.
    Keys from the environment (``QDRANT_API_KEY``, ``MEM0_API_KEY``, the embedder's own) are read from the environment
    again and need not be passed.

    Args:
        withheld: ``api_key`` and ``headers`` of a server; ``embedder``, if it is a function, or a spec with a key;
            ``llm``, if it is an object; ``mem0`` with ``api_key`` or ``local_mem0_config``; ``store``, if the memory
            uses a store of another package; ``storage``, if an ``ExternalMemory`` uses a third-party storage.

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
    """The value that :func:`restoring` passes under this name; a dot reaches into a mapping.

    Raises:
        ConfigurationError: no value has this name.
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
    """The reference of one restored memory to its store, which all memories with the same spec share.

    A restored crew holds its memory several times: in the crew and in each agent.
    """

    def __init__(self, opened: _Opened, *, is_view: bool) -> None:
        self._opened = opened
        self._is_view = is_view

    def close(self) -> None:
        """Release the share. The store is closed when only shares of views are left."""
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
    place: Mapping[str, Any], *, is_view: bool = False, vectors: bool = False, recalls_in_part: bool = True
) -> tuple[MemoryStore, Share | None]:
    """Open the described store, bound to its scope.

    Args:
        place: the result of :func:`.checkpoint_recipe.described`.
        is_view: whether the memory is a view of another one. A view's share does not keep the store open.
        vectors: whether CrewAI provides the vectors.
        recalls_in_part: see :func:`open_configured`.

    Returns:
        The store, and the share that closes it. The share is ``None`` for a store passed to :func:`restoring`.

    Raises:
        ConfigurationError: a value is missing; the message names it.
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
    key = json.dumps([place["options"], identity, vectors, recalls_in_part], sort_keys=True, default=str)
    with _lock:
        opened = _opened.get(key) or _Opened(key, _open(options, place["needs"], vectors, recalls_in_part))
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


def _open(options: Mapping[str, Any], needs: list[str], vectors: bool, recalls_in_part: bool) -> MemoryStore:
    given: Any = {name: value for name, value in options.items() if value is not None or name == "embedder"}
    config = MemoryConfig.build(**given)
    # The environment of this process provides the missing options. It must not change the memory's owner, and must not
    # send a key to a server that was used without one.
    changed: dict[str, Any] = {"project_id": None, "org_id": None}
    if not {"api_key", "environment:api_key"} & set(needs):
        changed["api_key"] = None
    config = config.model_copy(update=changed)
    vars(config).pop("server", None)  # a cached property, computed from the old values
    try:
        return open_configured(config, external_vectors=vectors, recalls_in_part=recalls_in_part)
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

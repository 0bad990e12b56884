"""Turns a ``Memory`` that CrewAI builds into a ``PersistentMemory``, where one of this package is meant.

CrewAI builds a ``Memory`` itself in four cases: to restore a checkpoint (>= 1.14), to copy an agent (>= 1.11), for
``memory=True``, and for every flow. Each of them runs ``Memory.model_post_init``, in 1.10 ``Memory.__init__``. This
module wraps that method. It replaces the new object in two cases:

- Its storage belongs to this package: a spec of :mod:`..checkpoint_recipe`, or a backend.
- It has no storage, and :func:`register` was called with ``default=True``.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from typing import Any

from crewai.agents.agent_builder.base_agent import BaseAgent
from crewai.events.event_bus import crewai_event_bus
from crewai.flow.flow import Flow
from crewai.memory.unified_memory import Memory

from ..checkpoint_recipe import Recipe, is_spec, read_spec, recipe_of
from ..checkpoint_restore import reopened, withheld
from ..defaults import current, default_memory
from ..external_memory import ExternalMemory
from ..scope_views import View
from .memory import PersistentMemory
from .storage_backend import QdrantStorageBackend
from .third_party_storage import ForeignMemory, NoBackend

logger = logging.getLogger("crewai_persistent_memory")

OURS = (PersistentMemory, ForeignMemory)
_STATE = ("__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")


def install() -> None:
    """Wrap CrewAI's methods. Idempotent."""
    if not hasattr(Memory, "model_post_init"):
        _install_in_class()
        return
    _install_in_model()
    _keep_in_agents()
    if hasattr(Flow, "from_checkpoint"):
        _keep_in_flows()


def _install_in_model() -> None:
    complete: Any = Memory.model_post_init
    if getattr(complete, "of_this_package", False):
        return

    @functools.wraps(complete)
    def with_ours(self: Any, context: Any, /) -> None:
        if type(self) is Memory:
            given = {name: getattr(self, name) for name in self.model_fields_set}
            ours = _memory_for(given)
            if ours is not None:
                _become(self, ours)
                return
            if is_spec(self.storage):
                self.storage = _backend(self.storage)
        complete(self, context)
        if type(self) is Memory and isinstance(self._storage, QdrantStorageBackend):
            # The storage replaces its name. A checkpoint then holds the location of the store, and not only a name that
            # another process may not know.
            self.storage = self._storage

    with_ours.of_this_package = True  # type: ignore[attr-defined]
    type.__setattr__(Memory, "model_post_init", with_ours)


def _install_in_class() -> None:
    construct: Any = Memory.__init__
    if getattr(construct, "of_this_package", False):
        return

    @functools.wraps(construct)
    def with_ours(self: Any, *args: Any, **kwargs: Any) -> None:
        if type(self) is Memory:
            given = {**dict(zip(("llm", "storage", "embedder"), args, strict=False)), **kwargs}
            ours = _memory_for(given)
            if ours is not None:
                _become(self, ours)
                return
            if is_spec(given.get("storage")):
                kwargs["storage"] = _backend(given["storage"])
        construct(self, *args, **kwargs)

    with_ours.of_this_package = True  # type: ignore[attr-defined]
    type.__setattr__(Memory, "__init__", with_ours)


def _keep_in_agents() -> None:
    """Make ``Agent.copy()`` keep the agent's memory.

    CrewAI builds the copy from ``model_dump()``, and so a new memory from a dict. CrewAI 1.12 fails on that dict.
    """
    dump = BaseAgent.model_dump
    if getattr(dump, "of_this_package", False):
        return

    @functools.wraps(dump)
    def with_memory(self: Any, **how: Any) -> dict[str, Any]:
        dumped = dump(self, **how)
        if how.get("mode", "python") == "python" and "memory" in dumped and isinstance(self.memory, OURS):
            dumped["memory"] = self.memory
        return dumped

    with_memory.of_this_package = True  # type: ignore[attr-defined]
    type.__setattr__(BaseAgent, "model_dump", with_memory)


def _keep_in_flows() -> None:
    """Restore a flow's memory. CrewAI (>= 1.14) builds a new object of its class, and ignores the memory in the
    checkpoint."""
    restore: Any = Flow.from_checkpoint.__func__  # type: ignore[attr-defined]
    if getattr(restore, "of_this_package", False):
        return

    def with_memory(cls: Any, /, config: Any, **how: Any) -> Any:
        flow = restore(cls, config, **how)
        state: Any = crewai_event_bus._runtime_state
        written = next(entity.memory for entity in state.root if isinstance(entity, Flow))
        if isinstance(written, OURS) and not isinstance(flow.memory, OURS):
            flow.memory = written
        return flow

    functools.update_wrapper(with_memory, restore)
    with_memory.of_this_package = True  # type: ignore[attr-defined]
    type.__setattr__(Flow, "from_checkpoint", classmethod(with_memory))


def _memory_for(given: Mapping[str, Any]) -> Memory | None:
    """The memory of this package for these arguments of CrewAI's ``Memory``; ``None`` for CrewAI's own."""
    storage = given.get("storage")
    if storage is None:
        return _registered(given)
    if isinstance(storage, NoBackend):
        return ForeignMemory(storage.foreign)
    if isinstance(storage, QdrantStorageBackend) and storage.recipe is not None:
        return build(storage.recipe, storage.store)
    if is_spec(storage):
        written = read_spec(storage)
        return None if written["of"] == "backend" else _restored(written)
    return None


def _registered(given: Mapping[str, Any]) -> Memory | None:
    """The registered default memory; ``None`` if CrewAI's own is to be built."""
    if not current().replace_crewais:
        return None
    if given.get("embedder") is not None:
        logger.warning(
            "the embedder= of a memory is not used: register(default=True) was called, and the store has an embedder "
            "of its own; give register(embedder=...) when it is created"
        )
    # A copy, so that unregister() closes the store, and a crew does not.
    default: PersistentMemory = default_memory(PersistentMemory)
    return default.scoped()


def _backend(spec: Any) -> QdrantStorageBackend:
    written = read_spec(spec)
    vectors = written["options"]["vectors"]
    store, share = reopened(written["store"], vectors=vectors)
    backend = QdrantStorageBackend.over(store, takes_vectors=vectors)
    backend.share = share
    return backend


def _restored(written: Mapping[str, Any]) -> Memory:
    if written["of"] == "foreign":
        return ForeignMemory(withheld("storage"))
    recipe = recipe_of(written, withheld("llm") if "llm" in written["needs"] else None)
    in_part = recipe.options.get("on_error") != "raise"
    store, share = reopened(written["store"], is_view=recipe.view is not None, recalls_in_part=in_part)
    return build(recipe, store, share)


def build(recipe: Recipe, store: Any, share: Any = None) -> Memory:
    """A memory over an open store. It releases ``share`` when it is closed."""
    memory = PersistentMemory.__new__(_class_of(recipe))
    PersistentMemory.__init__(memory, store=store, llm=recipe.llm, infer=recipe.infer, **recipe.options)
    if recipe.view is not None:
        memory = memory._viewing(View.read(recipe.view))
    memory._hold(share)
    return memory


def _class_of(recipe: Recipe) -> type[PersistentMemory]:
    return ExternalMemory if recipe.of == "external" else PersistentMemory


def _become(new: Memory, ours: Memory) -> None:
    """Give ``new``, which CrewAI is building, the class and the state of ``ours``."""
    object.__setattr__(new, "__class__", type(ours))
    for name in _STATE:
        if hasattr(ours, name):
            object.__setattr__(new, name, getattr(ours, name))

"""How ``PersistentMemory`` lives inside CrewAI's ``Memory`` class (>= 1.10): state, copies, threads, background saves.

Contracts of CrewAI this relies on (seen in 1.10.1, 1.12.2, 1.14.7, 1.15.30):

- ``Memory`` is a plain class in 1.10 and a pydantic model later; both keep state in ``_storage``, ``_save_pool`` and
  ``_pending_saves``, and ``copy.copy`` of either shares them.
- Background saves and the searches of a deep recall run in threads; in 1.10 without the caller's context. So the
  scope is resolved in the caller's thread and handed on as a bound backend.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from typing import Any, cast

from crewai.memory.types import MemoryMatch, MemoryRecord
from crewai.memory.unified_memory import Memory
from typing_extensions import Self

from ...embedding import redact
from ...errors import ConfigurationError
from ...io.bridge import call, in_thread
from ...pickling import refuse_pickling
from ...store.base import MemoryStore
from ...validation import normalize_path
from ..checkpoint_recipe import spec_of, written_as
from ..checkpoint_restore import Share
from ..current_run import OnError, current_run
from .records import TextEmbedder
from .storage_backend import QdrantStorageBackend

logger = logging.getLogger("crewai_persistent_memory")


@dataclass(frozen=True)
class Bridge:
    """What ``PersistentMemory`` holds besides CrewAI's own state, in one attribute that fits both kinds of class."""

    backend: QdrantStorageBackend
    infer: bool
    has_llm: bool
    on_error: OnError = "warn"
    is_view: bool = False
    viewed: Any = None
    """The memory that this is a view of, ``paths`` of which it reaches."""
    paths: tuple[str, ...] = ()
    share: Share | None = None
    """The share in its store of a memory that was restored from a checkpoint."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Bridge:
        return self


class HostedMemory(Memory):
    """A ``Memory`` whose storage is ours; what it remembers and recalls is its subclass's business."""

    _bridge: Bridge

    @property
    def store(self) -> MemoryStore:
        """The store handle, bound as this memory is."""
        return self._bridge.backend.store

    @property
    def on_error(self) -> OnError:
        """What a failure inside a crew means for the crew: ``"warn"`` or ``"raise"``."""
        return self._bridge.on_error

    def _over(self, backend: QdrantStorageBackend) -> Self:
        view = copy.copy(self)
        view._storage = backend
        if hasattr(view, "storage"):  # a field since it is a pydantic model; it is what is written as JSON
            view.storage = backend
        view._embedder_instance = TextEmbedder(backend.store)
        view._bridge = replace(self._bridge, backend=backend, is_view=True, share=None)
        return view

    def hold(self, share: Share | None) -> None:
        """Close the store that this memory was restored over, when this memory is closed."""
        self._bridge = replace(self._bridge, share=share)

    def bound(self) -> Self:
        """This memory fixed to the scope of this moment, for threads that may have no context."""
        return self._bound()

    def _bound(self) -> Self:
        if self._bridge.has_llm:
            _ = self._llm  # built once, here, and not in every copy
        return self._over(self._bridge.backend.bound())

    __reduce_ex__ = refuse_pickling

    if not hasattr(Memory, "model_dump"):
        # In 1.10 it is no pydantic model, and pydantic would not know how to write a crew that has one.
        __pydantic_serializer__ = written_as(
            lambda memory: {"memory_kind": "memory", "storage": spec_of(memory._bridge.backend.recipe, memory.store)}
        )

        def __copy__(self) -> Self:
            copied: Any = object.__new__(type(self))
            vars(copied).update(vars(self))
            return copied  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        # CrewAI's would print the LLM and embedder, and their keys with them.
        return f"PersistentMemory({self.store!r})"

    __str__ = __repr__

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        # A copied crew remembers in the same place; locks, threads and files cannot be copied anyway.
        return self

    # CrewAI's own LLM calls, and waiting for background saves, block; everything else here awaits the store.

    async def aextract_memories(self, content: str) -> list[str]:
        return await call(self.extract_memories, content)

    async def aremember(self, content: str, *args: Any, **kwargs: Any) -> MemoryRecord | None:
        return await call(self.remember, content, *args, **kwargs)

    async def aremember_many(self, contents: list[str], *args: Any, **kwargs: Any) -> list[MemoryRecord]:
        return await call(self.remember_many, contents, *args, **kwargs)

    async def arecall(self, query: str, *args: Any, **kwargs: Any) -> list[MemoryMatch]:
        return await call(self.recall, query, *args, **kwargs)

    @property
    def _llm(self) -> Any:
        if not self._bridge.has_llm:
            # CrewAI's default would send the text to OpenAI, which nobody asked for.
            raise ConfigurationError("this needs an LLM and the memory has none: pass llm= to PersistentMemory")
        return cast(Callable[[Any], Any], cast(property, Memory._llm).fget)(self)

    @property
    def _is_read_only(self) -> bool:
        # A field since it is a pydantic model, a private attribute in 1.10.
        return bool(getattr(self, "read_only", False) or getattr(self, "_read_only", False))

    def _path(self, scope: str | None, root_scope: str | None) -> str | None:
        root = root_scope if root_scope is not None else getattr(self, "root_scope", None)
        if root is None:
            return None if scope is None else normalize_path(scope)
        return normalize_path(f"{root}/{scope or ''}")

    def drain_writes(self) -> None:
        """Wait for background saves. A failed one was reported when it failed and does not fail this call."""
        with self._pending_lock:
            pending = list(self._pending_saves)
        if pending:
            in_thread(wait, pending)

    def _submit_save(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Future[Any]:
        run = current_run.get()

        def of_this_run(*args: Any, **kwargs: Any) -> Any:
            # The pool's thread has another context, in 1.10 none: a failure is this run's all the same.
            current_run.set(run)
            return fn(*args, **kwargs)

        return super()._submit_save(of_this_run, *args, **kwargs)

    def _on_save_done(self, future: Future[Any]) -> None:
        error = None if future.cancelled() else future.exception()
        if error is not None:
            logger.error("a background save failed, its memories are not stored: %s", redact(str(error)))
        super()._on_save_done(future)

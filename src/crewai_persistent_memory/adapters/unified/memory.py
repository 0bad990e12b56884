"""``PersistentMemory`` for CrewAI >= 1.10: a ``crewai`` ``Memory`` that keeps what it is given in a store.

Contracts of CrewAI this relies on (seen in 1.10.1, 1.12.2, 1.14.7, 1.15.30):

- Before a task an agent calls ``recall(query, limit=5)``, after it ``extract_memories(text)`` and then
  ``remember_many(list)``; the memory tools call ``recall`` and ``remember``. CrewAI logs their errors and goes on
  without memory, so they are logged here as errors too.
- ``Memory`` is a plain class in 1.10 and a pydantic model later; both keep state in ``_storage``, ``_save_pool`` and
  ``_pending_saves``, and ``copy.copy`` of either shares them.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Final, cast

from crewai.memory.types import MemoryMatch, MemoryRecord, ScopeInfo
from crewai.memory.unified_memory import Memory
from typing_extensions import Self, Unpack

from ...errors import ConfigurationError
from ...io.steps import Call, Steps, Work
from ...pickling import refuse_pickling
from ...redaction import redact, seal
from ...store.base import MemoryStore
from ..checkpoint_recipe import Recipe, spec_of, written_as
from ..checkpoint_restore import Share
from ..current_run import OnError, check_on_error, current_run
from ..memory_api import MemoryApi
from ..memory_operations import MemoryOperations
from ..memory_options import PersistentMemoryOptions, besides_a_store, open_from
from ..record_conversion import ResultTypes
from ..scope_views import Paths, View
from .crewai_options import check_options, crewai_options
from .llm_pipeline import LLMPipeline
from .records import TextEmbedder
from .storage_backend import QdrantStorageBackend

logger = logging.getLogger("crewai_persistent_memory")

RESULTS: Final = ResultTypes(MemoryRecord, MemoryMatch, ScopeInfo)


@dataclass(frozen=True)
class Bridge:
    """What ``PersistentMemory`` holds besides CrewAI's own state, in one attribute that fits both kinds of class."""

    backend: QdrantStorageBackend
    infer: bool
    has_llm: bool
    on_error: OnError = "warn"
    keeps_store_open: bool = False
    """Another memory, or the caller, closes the store."""
    view: View | None = None
    root: str | None = None
    """Of a view: the ``root_scope`` of the memory. CrewAI sees none: it would save at a path of its own in the root,
    where the view does not look."""
    touches: bool | None = None
    """Whether reading is noted; ``None`` if that is so unless the memory is read-only."""
    share: Share | None = None
    """The share in its store of a memory that was restored from a checkpoint."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Bridge:
        return self


class PersistentMemory(MemoryApi, Memory):
    """A crew's memory that is kept: ``Crew(agents=..., tasks=..., memory=PersistentMemory(user_id="john"))``.

    Args:
        llm: a model name or CrewAI LLM, for ``infer`` and for ``recall(depth="deep")``.
        infer: let the LLM extract facts from what was said, and analyse and consolidate what is saved (CrewAI's own
            pipeline); Mem0 is given the messages and does that itself. ``False`` keeps texts as they are, with no LLM
            call anywhere. Left out: ``True`` when ``llm`` is given or the store is Mem0, else ``False``.
        store: a store handle that is already open, in place of ``path``, ``url`` and the scope fields; closing it
            stays with whoever opened it.
        on_error: what a memory that fails inside a crew means for it. ``"warn"``: it goes on, an event and the log
            say so. ``"raise"``: it fails. A missing user always fails the crew, before its first LLM call.
        options: the scope, the store, the embedder and the ranking (:class:`MemoryConfig`), and what CrewAI's
            ``Memory`` takes (``read_only``, ``root_scope``, ``consolidation_threshold``, ...).

    Raises:
        ConfigurationError: an option is unknown, malformed, or contradicts another.
        ScopeError: about the scope fields. That there is a user is checked at every call, because ``use_scope`` may
            bring one.
        StoreError, EmbedderError: the store cannot be opened.
    """

    _recipe_of: ClassVar[str] = "memory"
    _bridge: Bridge

    def __init__(
        self, *, llm: Any = None, infer: bool | None = None, **options: Unpack[PersistentMemoryOptions]
    ) -> None:
        seal(options)
        check_options(options)
        on_error = check_on_error(options.get("on_error", "warn"))
        store = open_from(options)
        extracts = store.capabilities.extracts
        if infer and llm is None and not extracts:
            if options.get("store") is None:
                store.close()
            raise ConfigurationError("infer=True needs an LLM: pass llm='openai/gpt-4o-mini' or any CrewAI LLM")
        infers = (llm is not None or extracts) if infer is None else infer
        backend = QdrantStorageBackend.over(store, Recipe(self._recipe_of, infers, llm, besides_a_store(options)))
        super().__init__(storage=backend, embedder=TextEmbedder(store), **crewai_options(options, llm))
        if llm is not None and hasattr(self, "llm"):
            # A field that is written as JSON: its name is enough there, its key is nobody's business.
            self.llm = llm if isinstance(llm, str) else str(getattr(llm, "model", type(llm).__name__))
        given = options.get("store") is not None
        self._bridge = Bridge(backend, infers, llm is not None, on_error, keeps_store_open=given)

    @property
    def store(self) -> MemoryStore:
        return self._bridge.backend.store

    @property
    def on_error(self) -> OnError:
        return self._bridge.on_error

    def crew_kwargs(self, *, long_term: bool = True) -> dict[str, Any]:
        return {"memory": self}

    # -- hooks of the API ------------------------------------------------------------------------------------------

    @property
    def _operations(self) -> MemoryOperations:
        bridge, read_only = self._bridge, self._is_read_only
        store = bridge.backend.store
        extracts = store.capabilities.extracts
        return MemoryOperations(
            store=store,
            source=self,
            results=RESULTS,
            read_only=read_only,
            touches=not read_only if bridge.touches is None else bridge.touches,
            infers=bridge.infer and extracts,
            paths=Paths(self._root, bridge.view),
            default_importance=self._config.default_importance,
            pipeline=LLMPipeline(self, bridge.infer and not extracts),
        )

    def _over(self, store: MemoryStore) -> Self:
        recipe = self._bridge.backend.recipe
        return self._with(QdrantStorageBackend.over(store, recipe))

    def _viewing(self, view: View) -> Self:
        recipe = replace(cast(Recipe, self._bridge.backend.recipe), view=view.written())
        touches = self._operations.touches
        seen = self._with(QdrantStorageBackend.over(self.store, recipe), view=view, root=self._root, touches=touches)
        seen._show_root(None)
        if view.read_only:
            # CrewAI asks for it, too: it then makes no tool that saves.
            setattr(seen, "read_only" if hasattr(seen, "read_only") else "_read_only", True)
        return seen

    def _closing(self) -> Steps[None]:
        yield from self._operations.drain_writes()
        if self._bridge.share is not None:
            yield Work(self._bridge.share.close)
        elif not self._bridge.keeps_store_open:
            yield Call(self.store.close, self.store.aclose)
            yield Work(partial(self._save_pool.shutdown, wait=True))

    # -- living inside CrewAI's class ------------------------------------------------------------------------------

    def _with(self, backend: QdrantStorageBackend, **changed: Any) -> Self:
        view = copy.copy(self)
        view._storage = backend
        if hasattr(view, "storage"):  # a field since it is a pydantic model; it is what is written as JSON
            view.storage = backend
        view._embedder_instance = TextEmbedder(backend.store)
        view._bridge = replace(self._bridge, **changed, backend=backend, keeps_store_open=True, share=None)
        return view

    def _bound(self) -> Self:
        """This memory fixed to the scope of this moment, for threads that may have no context."""
        if self._bridge.has_llm:
            _ = self._llm  # built once, here, and not in every copy
        bound = self._with(self._bridge.backend.bound())
        bound._show_root(self._root)  # CrewAI's own flows put it before the paths that they are given
        return bound

    def _hold(self, share: Share | None) -> None:
        """Close the store that this memory was restored over, when this memory is closed."""
        self._bridge = replace(self._bridge, share=share)

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

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        # A copied crew remembers in the same place; locks, threads and files cannot be copied anyway.
        return self

    def __repr__(self) -> str:
        # CrewAI's would print the LLM and embedder, and their keys with them.
        return f"PersistentMemory({self.store!r})"

    __str__ = __repr__

    @property
    def _llm(self) -> Any:
        if not self._bridge.has_llm:
            # CrewAI's default would send the text to OpenAI, which nobody asked for.
            raise ConfigurationError("this needs an LLM and the memory has none: pass llm= to PersistentMemory")
        return cast(Callable[[Any], Any], cast(property, Memory._llm).fget)(self)

    @property
    def _root(self) -> str | None:
        root: str | None = self._bridge.root if self._bridge.view is not None else getattr(self, "root_scope", None)
        return root

    def _show_root(self, root: str | None) -> None:
        if hasattr(self, "root_scope"):  # since 1.11
            self.root_scope = root

    @property
    def _is_read_only(self) -> bool:
        # A field since it is a pydantic model, a private attribute in 1.10.
        return bool(getattr(self, "read_only", False) or getattr(self, "_read_only", False))

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

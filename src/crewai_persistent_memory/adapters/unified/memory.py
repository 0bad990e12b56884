"""``PersistentMemory`` for CrewAI >= 1.10: a ``crewai`` ``Memory`` over a store of this package.

Contracts of CrewAI this relies on (seen in 1.10.1, 1.12.2, 1.14.7, 1.15.30):

- Before a task an agent calls ``recall(query, limit=5)``. After it, the agent calls ``extract_memories(text)`` and then
  ``remember_many(list)``. The memory tools call ``recall`` and ``remember``. CrewAI logs errors of these methods and
  continues without memory, so this package logs them as errors too.
- ``Memory`` is a plain class in 1.10 and a pydantic model later. Both keep their state in ``_storage``, ``_save_pool``
  and ``_pending_saves``, and ``copy.copy`` shares that state.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Final, cast

from crewai.memory.types import MemoryRecord, ScopeInfo
from crewai.memory.unified_memory import Memory
from typing_extensions import Self, Unpack

from ...errors import ConfigurationError
from ...io.steps import Call, Steps, Work
from ...pickling import refuse_pickling
from ...recall.rerank import Reranker
from ...redaction import redact, seal
from ...store.base import MemoryStore
from ..checkpoint_recipe import Recipe, spec_of, written_as
from ..checkpoint_restore import Share
from ..current_run import OnError, check_on_error, current_run
from ..memory_api import MemoryApi
from ..memory_operations.parts import MemoryParts
from ..memory_operations.waiting import drain_writes
from ..memory_options import PersistentMemoryOptions, besides_a_store, open_from, recall_options, reranker_from
from ..record_conversion import ResultTypes
from ..scope_views import Paths, View
from .crewai_options import check_options, crewai_options
from .llm_pipeline import LLMPipeline
from .matches import BoundedMatch, around
from .records import TextEmbedder
from .storage_backend import QdrantStorageBackend

logger = logging.getLogger("crewai_persistent_memory")

_READ_ONLY: Final = "read_only" if "read_only" in getattr(Memory, "model_fields", ()) else "_read_only"
"""A field of the pydantic model; a private attribute in 1.10."""

RESULTS: Final = ResultTypes(MemoryRecord, BoundedMatch, ScopeInfo, around)


@dataclass(frozen=True)
class Bridge:
    """The state of ``PersistentMemory`` besides CrewAI's own. One attribute holds it, in both kinds of class."""

    backend: QdrantStorageBackend
    infer: bool
    has_llm: bool
    on_error: OnError = "warn"
    keeps_store_open: bool = False
    """Whether another memory, or the caller, closes the store."""
    view: View | None = None
    root: str | None = None
    """In a view: the ``root_scope`` of the memory. CrewAI must not see it, because it would save at a path of its own
    below the root, outside the view."""
    touches: bool | None = None
    """Whether a recall updates access times; ``None``: only if the memory is not read-only."""
    recall_budget: int = 0
    min_score: float = 0.0
    reranker: Reranker | None = None
    share: Share | None = None
    """The share in the store, if the memory was restored from a checkpoint."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Bridge:
        return self


class PersistentMemory(MemoryApi, Memory):
    """A persistent memory for a crew: ``Crew(agents=..., tasks=..., memory=PersistentMemory(user_id="john"))``.

    Args:
        llm: a model name or CrewAI LLM, for ``infer`` and for ``recall(depth="deep")``.
        infer: let the LLM extract facts from texts, and analyse and consolidate saved entries (CrewAI's own pipeline).
            Mem0 receives the messages and does this itself. ``False`` stores texts unchanged, without any LLM call.
            Default: ``True`` if ``llm`` is given or the store is Mem0, otherwise ``False``.
        store: an open store handle, in place of ``path``, ``url`` and the scope fields. The caller closes it.
        on_error: the crew's reaction when its memory fails. ``"warn"``: it continues, with an event and a log message.
            ``"raise"``: it fails. A missing user always fails the crew, before its first LLM call.
        options: the scope, the store, the embedder and the ranking (:class:`MemoryConfig`), and the options of CrewAI's
            ``Memory`` (``read_only``, ``root_scope``, ``consolidation_threshold``, ...). ``recall_budget`` bounds what
            a recall gives.

    Raises:
        ConfigurationError: an option is unknown, malformed, or contradicts another.
        ScopeError: a scope field is wrong. A missing user is reported at the first call, because ``use_scope`` may
            set one.
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
            # The field is written as JSON, so it holds the model's name only, and never the key.
            self.llm = llm if isinstance(llm, str) else str(getattr(llm, "model", type(llm).__name__))
        given = options.get("store") is not None
        recall = recall_options(options, store)
        self._bridge = Bridge(
            backend,
            infers,
            llm is not None,
            on_error,
            keeps_store_open=given,
            recall_budget=recall.recall_budget,
            min_score=recall.min_score,
            reranker=reranker_from(recall, None if given else store),
        )

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
    def _parts(self) -> MemoryParts:
        bridge, read_only = self._bridge, self._is_read_only
        store = bridge.backend.store
        extracts = bridge.infer and store.capabilities.extracts
        return MemoryParts(
            store=store,
            source=self,
            results=RESULTS,
            read_only=read_only,
            touches=not read_only if bridge.touches is None else bridge.touches,
            infers=bridge.infer and extracts,
            paths=Paths(self._root, bridge.view),
            default_importance=self._config.default_importance,
            pipeline=LLMPipeline(self, bridge.infer and not extracts),
            budget=bridge.recall_budget,
            min_score=bridge.min_score,
            reranker=bridge.reranker,
        )

    def _over(self, store: MemoryStore) -> Self:
        recipe = self._bridge.backend.recipe
        return self._with(QdrantStorageBackend.over(store, recipe))

    def _viewing(self, view: View) -> Self:
        recipe = replace(cast(Recipe, self._bridge.backend.recipe), view=view.written())
        touches = self._parts.touches
        seen = self._with(QdrantStorageBackend.over(self.store, recipe), view=view, root=self._root, touches=touches)
        seen._show_root(None)
        if view.read_only:
            # CrewAI reads this attribute too, and then creates no tool that saves.
            setattr(seen, _READ_ONLY, True)
        return seen

    def _closing(self) -> Steps[None]:
        yield from drain_writes(self._parts)
        if self._bridge.share is not None:
            yield Work(self._bridge.share.close)
        elif not self._bridge.keeps_store_open:
            yield Call(self.store.close, self.store.aclose)
            yield Work(partial(self._save_pool.shutdown, wait=True))

    # -- living inside CrewAI's class ------------------------------------------------------------------------------

    def _with(self, backend: QdrantStorageBackend, **changed: Any) -> Self:
        view = copy.copy(self)
        view._storage = backend
        if hasattr(view, "storage"):  # a field of the pydantic model, written as JSON
            view.storage = backend
        view._embedder_instance = TextEmbedder(backend.store)
        view._bridge = replace(self._bridge, **changed, backend=backend, keeps_store_open=True, share=None)
        return view

    def _bound(self) -> Self:
        """This memory bound to the current scope, for threads without the caller's context."""
        if self._bridge.has_llm:
            _ = self._llm  # built once, here, and not in every copy
        bound = self._with(self._bridge.backend.bound())
        bound._show_root(self._root)  # CrewAI's own flows prefix paths with it
        return bound

    def _hold(self, share: Share | None) -> None:
        """Release this share when the memory is closed. A memory restored from a checkpoint has one."""
        self._bridge = replace(self._bridge, share=share)

    __reduce_ex__ = refuse_pickling

    if not hasattr(Memory, "model_dump"):
        # In 1.10 it is not a pydantic model. Without this, pydantic could not serialize a crew with such a memory.
        __pydantic_serializer__ = written_as(
            lambda memory: {"memory_kind": "memory", "storage": spec_of(memory._bridge.backend.recipe, memory.store)}
        )

        def __copy__(self) -> Self:
            copied: Any = object.__new__(type(self))
            vars(copied).update(vars(self))
            return copied  # type: ignore[no-any-return]

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        # A copied crew uses the same store. Locks, threads and files cannot be copied.
        return self

    def __repr__(self) -> str:
        # CrewAI's ``__repr__`` would print the LLM and the embedder with their keys.
        return f"PersistentMemory({self.store!r})"

    __str__ = __repr__

    @property
    def _llm(self) -> Any:
        if not self._bridge.has_llm:
            # CrewAI's default LLM would send the text to OpenAI without the user's consent.
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
        return bool(getattr(self, _READ_ONLY, False))

    def _submit_save(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Future[Any]:
        run = current_run.get()

        def of_this_run(*args: Any, **kwargs: Any) -> Any:
            # The pool's thread has another context, in 1.10 none. A failure must still be recorded in this run.
            current_run.set(run)
            return fn(*args, **kwargs)

        return super()._submit_save(of_this_run, *args, **kwargs)

    def _on_save_done(self, future: Future[Any]) -> None:
        error = None if future.cancelled() else future.exception()
        if error is not None:
            logger.error("a background save failed, its memories are not stored: %s", redact(str(error)))
        super()._on_save_done(future)

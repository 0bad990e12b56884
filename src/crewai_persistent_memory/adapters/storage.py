"""``PersistentStorage``: CrewAI's ``Storage`` (<= 1.9.3) over a store. Every call is bound to the scope.

Contracts of CrewAI this relies on (0.203.2 to 1.9.3):

- A memory calls ``save(value, metadata)`` and ``search(query=, limit=, score_threshold=)`` from the agent's thread.
  Since 1.7 it also calls ``asearch``, if the crew is awaited.
- The prompt is built from ``content`` of each result.
- CrewAI logs errors of the storage and continues without memory, so this module logs them as errors too.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from typing_extensions import Self, Unpack

from ..config.arguments import MemoryOptions
from ..config.environment import refuse_unknown
from ..entry import MEMORY
from ..errors import ConfigurationError, PersistentMemoryError
from ..io.steps import arun, run
from ..pickling import NotPickled
from ..redaction import seal
from ..store.base import MemoryStore
from ..validation import normalize_path
from .checkpoint_recipe import Recipe, spec_of, written_as
from .current_run import OnError, check_on_error, current_run
from .memory_operations import deleting, saving, searching
from .memory_operations.parts import MemoryParts
from .memory_operations.searching import CREWAI_THRESHOLD
from .memory_options import OUR_OPTIONS, open_from, recall_options, reranker_from
from .provider_config import NAME
from .record_conversion import AS_DICTS, ResultTypes
from .scope_views import Paths, View
from .version import RECALL_MAY_FAIL_SINCE, installed, is_unified

if is_unified():

    class _Storage:
        """CrewAI >= 1.10 has no such class, but this package's ``ExternalMemory(storage=...)`` still accepts one."""
else:
    from crewai.memory.storage.interface import Storage as _Storage  # type: ignore[import-not-found, no-redef]


class PersistentStorage(NotPickled, _Storage):
    """Storage for CrewAI's memories until 1.9.3: ``ExternalMemory(storage=PersistentStorage(user_id="john"))``.

    Args:
        store: an open store handle, in place of the options. The caller closes it.
        kind: the kind of entries that are saved and found: ``"memory"``, or ``"entity"`` below an ``EntityMemory``.
        infer: let the store extract memories from the text (Mem0). Default: ``True`` on such a store.
        read_only: save nothing.
        root_scope: a path; entries are saved and found only at it and below it.
        on_error: the crew's reaction when its memory fails. ``"warn"``: it continues, with an event and a log message.
            ``"raise"``: it fails. A missing user always fails the crew, before its first LLM call.
        options: the scope, the store, the embedder and the ranking; see :class:`MemoryConfig`.

    Raises:
        ConfigurationError: an option is unknown, malformed, or contradicts another.
        ScopeError: a scope field is wrong. A missing user is reported at the first call, because ``use_scope`` may
            set one.
        StoreError, EmbedderError: the store cannot be opened.
    """

    def __init__(
        self,
        *,
        store: MemoryStore | None = None,
        kind: str = MEMORY,
        infer: bool | None = None,
        read_only: bool = False,
        root_scope: str | None = None,
        on_error: OnError = "warn",
        **options: Unpack[MemoryOptions],
    ) -> None:
        seal(options)
        path = "/" if root_scope is None else normalize_path(root_scope)
        refuse_unknown(options, set(OUR_OPTIONS), "option")
        self.on_error = check_on_error(on_error)
        self.store = open_from({**options, "store": store, "on_error": on_error})
        extracts = self.store.capabilities.extracts
        if infer and not extracts:
            if store is None:
                self.store.close()
            raise ConfigurationError(
                "infer=True: this store keeps texts as they are; use Mem0 (mem0=...), or PersistentMemory with llm= on "
                "crewai >= 1.10"
            )
        recall = recall_options(options, self.store)
        self.recall_budget = recall.recall_budget
        self.min_score = recall.min_score
        self.reranker = reranker_from(recall, self.store if store is None else None)
        self.kind = kind
        self.infers = extracts if infer is None else infer
        self.read_only = read_only
        self.path = path
        self.view: View | None = None
        self._owns_store = store is None

    def of_kind(self, kind: str, *, infer: bool = False) -> PersistentStorage:
        """Another storage over the same store, for entries of another kind."""
        return self._with(kind=kind, infers=infer)

    def over(self, store: MemoryStore) -> PersistentStorage:
        """Another storage like this one, over another handle of the store."""
        return self._with(store=store)

    def viewing(self, view: View) -> PersistentStorage:
        """Another storage over the same store, restricted to the paths of a view."""
        return self._with(view=view)

    @property
    def paths(self) -> Paths:
        """The paths of the store at which entries are saved and found."""
        return Paths(self.path, self.view)

    @property
    def owns_store(self) -> bool:
        """Whether closing this storage closes the store."""
        return self._owns_store

    def _with(self, **changed: Any) -> PersistentStorage:
        view = copy.copy(self)
        vars(view).update(changed, _owns_store=False)
        return view

    # -- CrewAI's side ---------------------------------------------------------------------------------------------

    def save(self, value: Any, metadata: Mapping[str, Any] | None = None) -> None:
        """Save an answer. ``metadata`` is not changed.

        Args:
            value: the text; an agent's answer.
            metadata: a mapping that JSON can hold. Its ``messages``, the conversation before the answer, are saved
                with the value, without CrewAI's prompt; see :func:`.transcript.conversation`.

        Raises:
            InvalidEntryError, ScopeError, StoreError, EmbedderError: nothing was stored.
        """
        run(saving.save(self._parts, value, metadata))

    async def asave(self, value: Any, metadata: Mapping[str, Any] | None = None) -> None:
        await arun(saving.save(self._parts, value, metadata))

    def search(self, query: str, limit: int = 5, score_threshold: float = CREWAI_THRESHOLD) -> list[dict[str, Any]]:
        """Memories that match ``query``, best first.

        Args:
            query: text.
            limit: maximum number of results.
            score_threshold: minimum score of a result, 0…1. CrewAI's default, 0.6, means no threshold.

        Returns:
            Dicts with ``content``, ``memory`` (the same), ``metadata``, ``score`` (0…1) and ``id``.

        Raises:
            ScopeError, StoreError, EmbedderError: the search failed.
        """
        try:
            return run(searching.search(self._parts, query, limit, score_threshold))
        except PersistentMemoryError:
            # Before 1.7 this error would end the crew. The run itself raises the fatal errors at its end.
            if current_run.get() is None or installed() >= RECALL_MAY_FAIL_SINCE:
                raise
            return []

    async def asearch(
        self, query: str, limit: int = 5, score_threshold: float = CREWAI_THRESHOLD
    ) -> list[dict[str, Any]]:
        return await arun(searching.search(self._parts, query, limit, score_threshold))

    def reset(self) -> None:
        """Delete the entries of this storage's kind in the scope, and nothing outside it."""
        run(deleting.reset_kind(self._parts))

    def close(self) -> None:
        """Flush and close the store, if this storage opened it."""
        if self._owns_store:
            self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # CrewAI deep-copies crews. A copy uses the same store.
        return self

    # This value replaces the storage in the JSON of an external memory.
    __pydantic_serializer__ = written_as(lambda storage: spec_of(storage._recipe, storage.store))

    @property
    def _recipe(self) -> Recipe:
        options = {
            "kind": self.kind,
            "read_only": self.read_only,
            "root_scope": self.path,
            "recall_budget": self.recall_budget,
            "min_score": self.min_score,
        }
        view = None if self.view is None else self.view.written()
        return Recipe("storage", self.infers, options=options, view=view)

    def __repr__(self) -> str:
        return f"PersistentStorage({self.store!r}, kind={self.kind!r})"

    # -- inside ----------------------------------------------------------------------------------------------------

    @property
    def _parts(self) -> MemoryParts:
        return self.parts_for(self, AS_DICTS, self.kind)

    def parts_for(self, source: object, results: ResultTypes, kind: str) -> MemoryParts:
        """A memory over this storage, or the storage itself, as its operations need it.

        Args:
            source: the memory, or the storage.
            results: the result types.
            kind: the kind of entries that ``save`` saves and ``search`` finds.
        """
        return MemoryParts(
            store=self.store,
            source=source,
            results=results,
            read_only=self.read_only or (self.view is not None and self.view.read_only),
            touches=not self.read_only,
            infers=self.infers,
            paths=self.paths,
            kind=kind,
            budget=self.recall_budget,
            min_score=self.min_score,
            reranker=self.reranker,
        )


def named_storage(external: Any) -> PersistentStorage | None:
    """The storage of this package in one of CrewAI's external memories (<= 1.9.3). It is opened if the memory only has
    its name. ``None`` for another storage."""
    storage, spec = getattr(external, "storage", None), getattr(external, "embedder_config", None)
    if storage is None and isinstance(spec, Mapping) and spec.get("provider") == NAME:
        storage = external.storage = external.create_storage(None, spec)
    return storage if isinstance(storage, PersistentStorage) else None

"""``PersistentMemory`` for CrewAI until 1.9.3: a ``crewai`` ``ExternalMemory`` that also takes the place of short-term
and entity memory.

Contract of CrewAI this relies on (seen in 0.203.2, 1.0.0, 1.6.1, 1.9.3): after each final answer the agent's executor
has CrewAI evaluate it, if there are a long-term and an entity memory, saves what was found there, and then saves the
answer in the external memory; a memory that is not given is not used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from typing_extensions import Self, Unpack

from ...config.environment import refuse_unknown
from ...entry import EntryFields, FilterArgs
from ...errors import ConfigurationError
from ...io.bridge import call
from ...redaction import seal, sealed
from ...scope import Scope
from ...scope_context import NO_SCOPE, ScopeFields
from ...storable import storable_text
from ...store.base import MemoryStore
from ...validation import normalize_path, text_tuple
from ..current_run import OnError
from ..defaults import options_of
from ..events import query_events, save_events
from ..options import OUR_OPTIONS, PersistentMemoryOptions
from ..saving import keep, match_reasons, storable_fields, touch
from ..storage import PersistentStorage
from ..transcript import handed_over, memory_texts, messages_of
from .companion_memories import SharedExternalMemory, replaced_memories
from .results import MemoryMatch, MemoryRecord

_STORAGE_OPTIONS = OUR_OPTIONS | {"store", "read_only", "root_scope", "on_error"}
_UNIFIED_ONLY = frozenset(PersistentMemoryOptions.__annotations__) - _STORAGE_OPTIONS


class PersistentMemory(SharedExternalMemory):
    """A crew's memory that is kept; see its twin for CrewAI >= 1.10, which takes the same arguments.

    Args:
        llm: for CrewAI >= 1.10; refused here.
        infer: let the store decide what to remember of what was said (Mem0). Left out: ``True`` on such a store.
        store: a store handle that is already open, in place of ``path``, ``url`` and the scope fields; closing it
            stays with whoever opened it.
        on_error: what a memory that fails inside a crew means for it. ``"warn"``: it goes on, an event and the log
            say so. ``"raise"``: it fails. A missing user always fails the crew, before its first LLM call.
        options: the scope, the store, the embedder and the ranking (:class:`MemoryConfig`), ``read_only``,
            ``root_scope``.

    Raises:
        ConfigurationError: an option is unknown, malformed, contradicts another, or needs CrewAI >= 1.10.
        ScopeError: about the scope fields. That there is a user is checked at every call, because ``use_scope`` may
            bring one.
        StoreError, EmbedderError: the store cannot be opened.
    """

    def __init__(
        self, *, llm: Any = None, infer: bool | None = None, **options: Unpack[PersistentMemoryOptions]
    ) -> None:
        seal(options)
        refuse_unknown(options, set(_STORAGE_OPTIONS | _UNIFIED_ONLY | {"llm", "infer"}), "option")
        newer = sorted({name for name in options if name in _UNIFIED_ONLY} | ({"llm"} if llm is not None else set()))
        if newer:
            raise ConfigurationError(
                f"{', '.join(newer)} is for the memory of crewai >= 1.10, and an older one is installed: leave it out"
            )
        storage_options: dict[str, Any] = dict(options)
        super().__init__(storage=PersistentStorage(infer=infer, **storage_options))

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Build from ``{"provider": ..., "config": {...}}``, Mem0's published configuration included.

        Raises:
            ConfigurationError: unknown provider, or see the constructor.
        """
        config = sealed(config)  # a local variable of this frame
        return cls(**options_of(config))

    # -- the user's side -------------------------------------------------------------------------------------------

    @property
    def store(self) -> MemoryStore:
        """The store handle, bound as this memory is."""
        store: MemoryStore = self.storage.store
        return store

    @property
    def on_error(self) -> OnError:
        """What a failure inside a crew means for the crew: ``"warn"`` or ``"raise"``."""
        policy: OnError = self.storage.on_error
        return policy

    def crew_kwargs(self, *, long_term: bool = True) -> dict[str, Any]:
        """What to splat into a crew, whatever the version of CrewAI: ``Crew(..., **memory.crew_kwargs())``.

        Args:
            long_term: with CrewAI's own long-term memory, and so with its evaluation of each answer, an LLM call, from
                which entities are learned. It is a SQLite file that knows no users.
        """
        return {"external_memory": self, "memory": False, **replaced_memories(self.storage, long_term=long_term)}

    def scoped(self, scope: Scope = NO_SCOPE, **fields: Unpack[ScopeFields]) -> Self:
        """This memory with more of the scope fixed, over the same store.

        Args:
            scope: a whole scope, in place of the fields.
            fields: ``user_id``, ``project_id``, ``run_id``, ``agent_id``, ``org_id``.

        Raises:
            MissingScopeError: ``user_id``, or the whole scope, is ``None``.
            ScopeConflictError: a fixed field is given another value.
        """
        view: Self = self.__deepcopy__()
        view.storage = self.storage.over(self.store.scoped(scope, **fields))
        return view

    def close(self) -> None:
        """Flush and close the store. A memory from :meth:`scoped` closes nothing."""
        self.storage.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        copied: Self = super().__deepcopy__(memo)
        copied.storage = self.storage.over(self.store)  # which closes nothing
        return copied

    def __repr__(self) -> str:
        return f"PersistentMemory({self.store!r})"

    __str__ = __repr__

    def reset(self, scope: str | None = None) -> None:
        """Delete everything that is visible in the scope, of every kind; ``scope`` is a path, for what is below it."""
        self.store.reset(self._path(scope))

    # -- by the names of CrewAI >= 1.10 ----------------------------------------------------------------------------

    def remember(
        self,
        content: str,
        scope: str | None = None,
        categories: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        importance: float | None = None,
        source: str | None = None,
        private: bool = False,
        agent_role: str | None = None,
        root_scope: str | None = None,
    ) -> MemoryRecord | None:
        """Remember a text; when this returns, it is kept.

        Returns:
            The memory; of several that a store made of it, the first. While the store is still at work on it (Mem0):
            the text and the fields as they were given, under an id that no entry has. ``None`` if the memory is
            read-only, or if the store has found nothing worth remembering.

        Raises:
            InvalidEntryError, ScopeError, StoreError, EmbedderError: nothing was stored.
        """
        said = (scope, categories, metadata, importance, source, private)
        records = self.remember_many([content], *said, agent_role, root_scope)
        return records[0] if records else None

    def remember_many(
        self,
        contents: list[str],
        scope: str | None = None,
        categories: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        importance: float | None = None,
        source: str | None = None,
        private: bool = False,
        agent_role: str | None = None,
        root_scope: str | None = None,
    ) -> list[MemoryRecord]:
        """Remember several texts. They are kept when this returns."""
        if self.storage.read_only or not contents:
            return []
        about = self._about(scope, categories, metadata, importance, source, private, root_scope)
        messages = [message for content in contents for message in messages_of(content)]  # of the texts as handed over
        # Before CrewAI's events see it: pydantic takes no unpaired surrogates, and no keys but text.
        contents, about = list(map(storable_text, contents)), storable_fields(about)
        value = contents[0] if len(contents) == 1 else f"{len(contents)} memories"
        with save_events(self, str(value), metadata and dict(about["metadata"]), agent_role):
            entries = keep(self.store, contents, messages, about, infer=self.storage.infers)
        return [MemoryRecord.of(entry) for entry in entries]

    def extract_memories(self, content: str) -> list[str]:
        """The memories in a text, freed of prompt wrapping. For a store that extracts them itself it stays whole."""
        if self.storage.infers:
            return handed_over(content)
        return memory_texts(content)

    def recall(
        self,
        query: str,
        scope: str | None = None,
        categories: list[str] | None = None,
        limit: int = 10,
        depth: Literal["shallow", "deep"] = "shallow",
        source: str | None = None,
        include_private: bool = False,
    ) -> list[MemoryMatch]:
        """What is remembered about ``query``, best first, of every kind. ``depth="deep"`` needs CrewAI >= 1.10.

        Raises:
            ConfigurationError: ``depth="deep"``.
            ScopeError, StoreError, EmbedderError: the search failed.
        """
        if depth == "deep":
            raise ConfigurationError('depth="deep" needs crewai >= 1.10, and an older one is installed: leave it out')
        [found] = self.recall_each([query], [scope], categories, limit, source, include_private)
        return found

    def recall_each(
        self,
        queries: Sequence[str],
        scopes: Sequence[str | None] | None = None,
        categories: list[str] | None = None,
        limit: int = 10,
        source: str | None = None,
        include_private: bool = False,
    ) -> list[list[MemoryMatch]]:
        """Several recalls in one round trip, each with ``limit`` results at most; the lists in the queries' order.

        Args:
            queries: texts.
            scopes: one path for each query.
            categories, limit, source, include_private: for all of them, see :meth:`recall`.

        Raises:
            ScopeError, StoreError, EmbedderError: the search failed.
        """
        queries = list(map(storable_text, queries))
        filters: FilterArgs = {"categories": categories, "include_private": include_private, "reader": source}
        with query_events(self, "; ".join(dict.fromkeys(map(str, queries))), limit) as results:
            paths = [self._path(scope) for scope in scopes or [None] * len(queries)]
            found = self.store.search_many(queries, limit=limit, paths=paths, **filters)
            matches = [
                [
                    MemoryMatch(MemoryRecord.of(entry), entry.score or 0.0, match_reasons(self.store, entry))
                    for entry in entries
                ]
                for entries in found
            ]
            for each in matches:
                results += each
            if results and not self.storage.read_only:
                touch(self.store, list(dict.fromkeys(match.record.id for match in results)))
        return matches

    def forget(
        self,
        scope: str | None = None,
        categories: list[str] | None = None,
        older_than: datetime | None = None,
        metadata_filter: dict[str, Any] | None = None,
        record_ids: list[str] | None = None,
    ) -> int:
        """Delete what matches all that is given; with nothing given, everything in the scope. Returns how many there
        were."""
        return self.store.delete(
            path=self._path(scope),
            categories=categories,
            created_before=older_than,
            metadata=metadata_filter,
            ids=record_ids,
        )

    def drain_writes(self) -> None:
        """Nothing to wait for: what is saved here is kept when the call returns."""

    async def aremember(self, content: str, *args: Any, **kwargs: Any) -> MemoryRecord | None:
        return await call(self.remember, content, *args, **kwargs)

    async def aremember_many(self, contents: list[str], *args: Any, **kwargs: Any) -> list[MemoryRecord]:
        return await call(self.remember_many, contents, *args, **kwargs)

    async def aextract_memories(self, content: str) -> list[str]:
        return await call(self.extract_memories, content)

    async def arecall(self, query: str, *args: Any, **kwargs: Any) -> list[MemoryMatch]:
        return await call(self.recall, query, *args, **kwargs)

    async def arecall_each(self, queries: Sequence[str], *args: Any, **kwargs: Any) -> list[list[MemoryMatch]]:
        return await call(self.recall_each, queries, *args, **kwargs)

    # -- awaited, by CrewAI's names; since 1.7 CrewAI has them with its events ----------------------------------------

    if not hasattr(SharedExternalMemory, "asave"):

        async def asave(self, value: Any, metadata: dict[str, Any] | None = None) -> None:
            await self.storage.asave(value, metadata)

        async def asearch(self, query: str, limit: int = 5, score_threshold: float = 0.6) -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = await self.storage.asearch(query, limit, score_threshold)
            return found

    def _about(
        self,
        scope: str | None,
        categories: list[str] | None,
        metadata: dict[str, Any] | None,
        importance: float | None,
        source: str | None,
        private: bool,
        root_scope: str | None,
    ) -> EntryFields:
        return {
            "path": self._path(scope, root_scope),
            "categories": text_tuple("categories", categories or ()),
            "metadata": metadata or {},
            "importance": 0.5 if importance is None else importance,
            "source": source,
            "private": private,
        }

    def _path(self, scope: str | None, root_scope: str | None = None) -> str:
        root = self.storage.path if root_scope is None else root_scope
        return normalize_path(f"{root}/{scope or ''}")

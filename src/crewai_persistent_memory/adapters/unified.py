"""``PersistentMemory`` for CrewAI >= 1.10: a ``crewai`` ``Memory`` whose records are kept by a store.

Contracts of CrewAI this relies on (seen in 1.10.1, 1.12.2, 1.14.7, 1.15.30):

- Before a task an agent calls ``recall(query, limit=5)``, after it ``extract_memories(text)`` and then
  ``remember_many(list)``; the memory tools call ``recall`` and ``remember``. Errors there are logged by CrewAI and
  the crew goes on without memory, so they are logged here as errors too.
- ``Memory`` is a plain class in 1.10 and a pydantic model later; both keep state in ``_storage``, ``_save_pool`` and
  ``_pending_saves``, and ``copy.copy`` of either shares them.
- Background saves and the searches of a deep recall run in threads; in 1.10 without the caller's context. So the
  scope is resolved in the caller's thread and handed on as a bound backend.
"""

from __future__ import annotations

import asyncio
import copy
import hashlib
import inspect
import json
import logging
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from crewai.events.event_bus import crewai_event_bus
from crewai.events.types.memory_events import (
    MemoryQueryCompletedEvent,
    MemoryQueryFailedEvent,
    MemoryQueryStartedEvent,
    MemorySaveCompletedEvent,
    MemorySaveFailedEvent,
    MemorySaveStartedEvent,
)
from crewai.memory.types import MemoryMatch, MemoryRecord
from crewai.memory.unified_memory import Memory
from typing_extensions import Self

from ..config import MemoryConfig, refuse_unknown
from ..embedding import redact
from ..entry import MemoryEntry, normalize_path, utcnow
from ..errors import ConfigurationError, PersistentMemoryError
from ..scope import Scope
from ..stores.base import MemoryStore
from ..stores.factory import open_configured
from .backend import QdrantStorageBackend
from .records import TextEmbedder, to_record
from .views import PersistentScope, PersistentSlice

logger = logging.getLogger("crewai_persistent_memory")

_OURS = frozenset(MemoryConfig.model_fields) | {"store"}
_NOT_FOR_USERS = {"self", "storage", "embedder", "llm", "memory_kind"}
_CREWAI_OPTIONS = frozenset(inspect.signature(Memory.__init__).parameters) - _NOT_FOR_USERS

_SOURCE_TYPE = "unified_memory"
_NAMESPACE = uuid.UUID("0d6f2f0e-4f41-5a53-8a7e-1f0a4f9f7c11")

# What CrewAI hands to extract_memories after a task, and after Agent.kickoff().
_TASK_DUMP = re.compile(
    r"\A(?:Task|Input): (?P<task>.*?)\nAgent: [^\n]*\n(?:Expected result: .*?\n)?Result: (?P<result>.*)\Z", re.DOTALL
)
_FINAL_ANSWER = re.compile(r"\A.*\bFinal Answer:\s*", re.DOTALL)


@dataclass(frozen=True)
class _Bridge:
    """What ``PersistentMemory`` holds besides CrewAI's own state, in one attribute that fits both kinds of class."""

    config: MemoryConfig
    backend: QdrantStorageBackend
    infer: bool
    has_llm: bool
    is_view: bool = False

    def __deepcopy__(self, memo: dict[int, Any]) -> _Bridge:
        return self


class PersistentMemory(Memory):
    """A crew's memory that is kept: ``Crew(agents=..., tasks=..., memory=PersistentMemory(user_id="john"))``.

    Args:
        llm: a model name or CrewAI LLM, for ``infer`` and for ``recall(depth="deep")``.
        infer: let the LLM extract facts from what was said, and analyse and consolidate what is saved (CrewAI's own
            pipeline). ``False`` keeps texts as they are, with no LLM call anywhere. Left out: ``True`` when ``llm``
            is given, else ``False``.
        store: a store handle that is already open, in place of ``path`` and the scope fields; closing it stays
            with whoever opened it.
        options: the scope, the store, the embedder and the ranking (:class:`MemoryConfig`), and what CrewAI's
            ``Memory`` takes (``read_only``, ``root_scope``, ``consolidation_threshold``, ...).

    Raises:
        ConfigurationError: an option is unknown, malformed, or contradicts another.
        ScopeError: about the scope fields. That there is a user is checked at every call, because ``use_scope`` may
            bring one.
        StoreError, EmbedderError: the store cannot be opened.
    """

    _bridge: _Bridge

    def __init__(self, *, llm: Any = None, infer: bool | None = None, **options: Any) -> None:
        refuse_unknown(options, set(_OURS | _CREWAI_OPTIONS | {"llm", "infer"}), "option")
        if infer and llm is None:
            raise ConfigurationError("infer=True needs an LLM: pass llm='openai/gpt-4o-mini' or any CrewAI LLM")
        store, config = _open(options)
        backend = QdrantStorageBackend.over(store)
        crewai_options = {name: value for name, value in options.items() if name in _CREWAI_OPTIONS}
        if llm is not None:
            crewai_options["llm"] = _build_llm(llm)
        super().__init__(
            storage=backend,
            embedder=TextEmbedder(getattr(store, "embedder", None)),
            **crewai_options,
        )
        self._bridge = _Bridge(
            config=config,
            backend=backend,
            infer=llm is not None if infer is None else infer,
            has_llm=llm is not None,
            is_view="store" in options,
        )

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Build from ``{"provider": "qdrant", "config": {...}}``.

        Raises:
            ConfigurationError: unknown provider, or see the constructor.
        """
        refuse_unknown(config, {"provider", "config"}, "key")
        provider = config.get("provider")
        if provider not in ("qdrant", "persistent"):
            raise ConfigurationError(f"provider {provider!r} is not supported by this version: use 'qdrant'")
        options = config.get("config") or {}
        if not isinstance(options, Mapping):
            raise ConfigurationError("config must be a mapping of options")
        return cls(**options)

    # -- the user's side -------------------------------------------------------------------------------------------

    def crew_kwargs(self) -> dict[str, Any]:
        """What to splat into a crew, whatever the version of CrewAI: ``Crew(..., **memory.crew_kwargs())``."""
        return {"memory": self}

    @property
    def store(self) -> MemoryStore:
        """The store handle, bound as this memory is."""
        return self._bridge.backend.store

    def scoped(
        self,
        scope: Scope | None = None,
        *,
        user_id: str | None = None,
        project_id: str | None = None,
        run_id: str | None = None,
        agent_id: str | None = None,
        org_id: str | None = None,
    ) -> Self:
        """This memory with more of the scope fixed, over the same store: ``Agent(memory=memory.scoped(agent_id="chef"))``.

        Raises:
            ScopeConflictError: a fixed field is given another value.
        """
        fields = {"user_id": user_id, "project_id": project_id, "run_id": run_id}
        return self._over(self.store.scoped(scope, **fields, agent_id=agent_id, org_id=org_id))

    def _over(self, store: MemoryStore) -> Self:
        view = copy.copy(self)
        backend = QdrantStorageBackend.over(store)
        view._storage = backend
        bridge = self._bridge
        view._bridge = _Bridge(bridge.config, backend, bridge.infer, bridge.has_llm, is_view=True)
        return view

    def _bound(self) -> Self:
        """This memory fixed to the scope of this moment, for CrewAI's flows and their threads."""
        if self._bridge.has_llm:
            _ = self._llm  # built once, here, and not in every copy
        return self._over(self.store.bound())

    def scope(self, path: str) -> PersistentScope:
        """A view of one path and what is below it."""
        return PersistentScope(memory=self, root_path=path)

    def slice(self, scopes: list[str], categories: list[str] | None = None, read_only: bool = True) -> PersistentSlice:
        """A view of several paths."""
        return PersistentSlice(memory=self, scopes=scopes, categories=categories, read_only=read_only)

    def close(self) -> None:
        """Wait for pending saves, then flush and close the store. A memory from :meth:`scoped` closes nothing."""
        self.drain_writes()
        if not self._bridge.is_view:
            self._bridge.backend.close()
            self._save_pool.shutdown(wait=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        # CrewAI's would print the LLM and embedder, and their keys with them.
        return f"PersistentMemory({self.store!r})"

    __str__ = __repr__

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        # A copied crew remembers in the same place; locks, threads and files cannot be copied anyway.
        return self

    # -- saving ----------------------------------------------------------------------------------------------------

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
        """Remember a text; when this returns, it is kept. ``None`` if the memory is read-only.

        Raises:
            InvalidEntryError, ScopeError, StoreError, EmbedderError: nothing was stored.
        """
        kept = {"scope": scope, "categories": categories, "metadata": metadata, "importance": importance}
        kept.update(source=source, private=private)
        if self._bridge.infer:
            return super(PersistentMemory, self._bound()).remember(
                content, **kept, **_given(agent_role=agent_role, root_scope=root_scope)
            )
        records = self._keep([content], agent_role=agent_role, root_scope=root_scope, **kept)
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
        """Remember several texts.

        With ``infer`` CrewAI analyses and saves them in the background, and the list is empty; :meth:`recall` waits
        for it. Without, they are kept when this returns.
        """
        kept = {"scope": scope, "categories": categories, "metadata": metadata, "importance": importance}
        kept.update(source=source, private=private)
        if self._bridge.infer:
            return super(PersistentMemory, self._bound()).remember_many(
                contents, **kept, **_given(agent_role=agent_role, root_scope=root_scope)
            )
        return self._keep(contents, agent_role=agent_role, root_scope=root_scope, **kept)

    def _keep(
        self,
        contents: list[str],
        *,
        scope: str | None,
        categories: list[str] | None,
        metadata: dict[str, Any] | None,
        importance: float | None,
        source: str | None,
        private: bool,
        agent_role: str | None,
        root_scope: str | None,
    ) -> list[MemoryRecord]:
        """Store texts as they are. The same text, said the same way twice, is one entry with a newer date."""
        if self._is_read_only or not contents:
            return []
        path = self._path(scope, root_scope) or "/"
        about: dict[str, Any] = {
            "categories": tuple(categories or ()),
            "metadata": metadata or {},
            "importance": self._config.default_importance if importance is None else importance,
            "source": source,
            "private": private,
        }
        value = contents[0] if len(contents) == 1 else f"{len(contents)} memories"
        with self._save_events(value, metadata, agent_role):
            now = utcnow()
            entries = {
                entry_id: MemoryEntry(
                    entry_id, content, path=path, created_at=now, last_accessed=now, embedding=None, **about
                )
                for content in contents
                for entry_id in [_content_id(content, path, about)]
            }
            self.store.put(list(entries.values()))
        return [to_record(entry) for entry in entries.values()]

    def extract_memories(self, content: str) -> list[str]:
        """The memories in a text: by the LLM with ``infer``; without, the text itself, freed of prompt wrapping."""
        if self._bridge.infer:
            return super().extract_memories(content)
        dump = _TASK_DUMP.match(content)
        if dump is None:
            return [content] if content.strip() else []
        return [f"{dump['task'].strip()}\nResult: {_FINAL_ANSWER.sub('', dump['result']).strip()}"]

    # -- recalling -------------------------------------------------------------------------------------------------

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
        """What is remembered about ``query``, best first.

        Args:
            query: text.
            scope: a path; only what is there and below it.
            categories: only entries that share one of these.
            limit: most results.
            depth: ``"shallow"`` (default) is one hybrid search and no LLM; ``"deep"`` is CrewAI's own flow, which
                needs ``llm``.
            source: private entries of this source are included.
            include_private: all private entries are included.

        Raises:
            ConfigurationError: ``"deep"`` without ``llm``.
            ScopeError, StoreError, EmbedderError: the search failed.
        """
        if depth == "deep":
            with _logged("recall"):
                return super(PersistentMemory, self._bound()).recall(
                    query, scope, categories, limit, "deep", source, include_private
                )
        self.drain_writes()
        with self._query_events(query, limit) as results:
            entries = self.store.search(
                query,
                limit=limit,
                path=self._path(scope, None),
                categories=categories,
                include_private=include_private,
                reader=source,
            )
            results += [self._match(entry) for entry in entries]
            if entries and not self._is_read_only:
                self._touch([entry.id for entry in entries])
        return results

    def _match(self, entry: MemoryEntry) -> MemoryMatch:
        age_days = (utcnow() - entry.created_at).total_seconds() / 86_400
        reasons = ["keywords"] if getattr(self.store, "embedder", None) is None else ["semantic", "keywords"]
        if age_days < self._bridge.config.recency_half_life_days:
            reasons.append("recency")
        if entry.importance > 0.5:
            reasons.append("importance")
        return MemoryMatch(record=to_record(entry), score=entry.score or 0.0, match_reasons=reasons)

    def _touch(self, ids: list[str]) -> None:
        try:
            self.store.touch(ids)
        except PersistentMemoryError as error:
            # What was found is worth more than the note that it was read.
            logger.warning("access times were not updated: %s", error)

    async def aextract_memories(self, content: str) -> list[str]:
        return await asyncio.to_thread(self.extract_memories, content)

    async def aremember(self, content: str, *args: Any, **kwargs: Any) -> MemoryRecord | None:
        return await asyncio.to_thread(self.remember, content, *args, **kwargs)

    async def aremember_many(self, contents: list[str], *args: Any, **kwargs: Any) -> list[MemoryRecord]:
        return await asyncio.to_thread(self.remember_many, contents, *args, **kwargs)

    async def arecall(self, query: str, *args: Any, **kwargs: Any) -> list[MemoryMatch]:
        return await asyncio.to_thread(self.recall, query, *args, **kwargs)

    # -- CrewAI's inside -------------------------------------------------------------------------------------------

    @property
    def _llm(self) -> Any:
        if not self._bridge.has_llm:
            # CrewAI's default would send the text to OpenAI, which nobody asked for.
            raise ConfigurationError("this needs an LLM and the memory has none: pass llm= to PersistentMemory")
        getter: Callable[[Any], Any] = Memory._llm.fget  # type: ignore[attr-defined]
        return getter(self)

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
        for future in pending:
            if not future.cancelled():
                future.exception()

    def _on_save_done(self, future: Future[Any]) -> None:
        error = None if future.cancelled() else future.exception()
        if error is not None:
            logger.error("a background save failed, its memories are not stored: %s", redact(str(error)))
        super()._on_save_done(future)

    @contextmanager
    def _save_events(self, value: str, metadata: dict[str, Any] | None, agent_role: str | None) -> Iterator[None]:
        about = {"metadata": metadata, "source_type": _SOURCE_TYPE}
        crewai_event_bus.emit(self, MemorySaveStartedEvent(value=value, **about))
        start = time.perf_counter()
        try:
            with _logged("remember"):
                yield
        except Exception as error:
            crewai_event_bus.emit(self, MemorySaveFailedEvent(value=value, error=redact(str(error)), **about))
            raise
        crewai_event_bus.emit(
            self,
            MemorySaveCompletedEvent(
                value=value,
                metadata=metadata or {},
                agent_role=agent_role,
                save_time_ms=(time.perf_counter() - start) * 1000,
                source_type=_SOURCE_TYPE,
            ),
        )

    @contextmanager
    def _query_events(self, query: str, limit: int) -> Iterator[list[MemoryMatch]]:
        about: dict[str, Any] = {"query": query, "limit": limit, "score_threshold": None, "source_type": _SOURCE_TYPE}
        crewai_event_bus.emit(self, MemoryQueryStartedEvent(**about))
        start = time.perf_counter()
        results: list[MemoryMatch] = []
        try:
            with _logged("recall"):
                yield results
        except Exception as error:
            crewai_event_bus.emit(self, MemoryQueryFailedEvent(error=redact(str(error)), **about))
            raise
        elapsed = (time.perf_counter() - start) * 1000
        crewai_event_bus.emit(self, MemoryQueryCompletedEvent(results=results, query_time_ms=elapsed, **about))


@contextmanager
def _logged(what: str) -> Iterator[None]:
    """CrewAI goes on without memory when it fails (an event says so, few read it): say it in the log as well."""
    try:
        yield
    except PersistentMemoryError as error:
        logger.error("%s failed: %s", what, error)
        raise


def _open(options: dict[str, Any]) -> tuple[MemoryStore, MemoryConfig]:
    ours = {name: value for name, value in options.items() if name in MemoryConfig.model_fields}
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


def _given(**options: Any) -> dict[str, Any]:
    """Only what was given: crewai 1.10 does not know ``root_scope``."""
    return {name: value for name, value in options.items() if value is not None}


def _content_id(content: str, path: str, about: Mapping[str, Any]) -> str:
    if not isinstance(content, str):
        return str(uuid.uuid4())  # refused by the store, which says why
    said = json.dumps([path, about["categories"], about["source"], about["private"]])
    digest = hashlib.blake2b(f"{said}{about['metadata']!r}\0{content}".encode("utf-8", "surrogatepass"), digest_size=16)
    return str(uuid.uuid5(_NAMESPACE, digest.hexdigest()))

"""``PersistentMemory`` for CrewAI >= 1.10: a ``crewai`` ``Memory`` that keeps what it is given in a store.

Contract of CrewAI this relies on (seen in 1.10.1, 1.12.2, 1.14.7, 1.15.30): before a task an agent calls
``recall(query, limit=5)``, after it ``extract_memories(text)`` and then ``remember_many(list)``; the memory tools call
``recall`` and ``remember``. Errors there are logged by CrewAI and the crew goes on without memory, so they are logged
here as errors too. The rest of living inside CrewAI's class is in ``hosting``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from crewai.memory.types import MemoryMatch
from typing_extensions import Self, Unpack

from ...entry import MemoryEntry
from ...errors import ConfigurationError
from ...io.bridge import call
from ...redaction import seal, sealed
from ...scope import Scope
from ...scope_context import NO_SCOPE, ScopeFields
from ...storable import storable_text
from ..checkpoint_recipe import Recipe
from ..current_run import check_on_error
from ..defaults import options_of
from ..events import logged, query_events
from ..options import PersistentMemoryOptions, besides_a_store, open_from
from ..saving import match_reasons, touch
from .hosted_memory import Bridge
from .options import check_options, crewai_options
from .records import TextEmbedder, to_record
from .saving import SavingMemory
from .scope_views import PersistentScope, PersistentSlice
from .storage_backend import QdrantStorageBackend


class PersistentMemory(SavingMemory):
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

    def __init__(
        self, *, llm: Any = None, infer: bool | None = None, **options: Unpack[PersistentMemoryOptions]
    ) -> None:
        seal(options)
        check_options(options)
        on_error = check_on_error(options.get("on_error", "warn"))
        store = open_from(options)
        native = store.capabilities.extracts
        if infer and llm is None and not native:
            if options.get("store") is None:
                store.close()
            raise ConfigurationError("infer=True needs an LLM: pass llm='openai/gpt-4o-mini' or any CrewAI LLM")
        infers = (llm is not None or native) if infer is None else infer
        backend = QdrantStorageBackend.over(store, Recipe(self._recipe_of, infers, llm, besides_a_store(options)))
        super().__init__(storage=backend, embedder=TextEmbedder(store), **crewai_options(options, llm))
        if llm is not None and hasattr(self, "llm"):
            # A field that is written as JSON: its name is enough there, its key is nobody's business.
            self.llm = llm if isinstance(llm, str) else str(getattr(llm, "model", type(llm).__name__))
        self._bridge = Bridge(
            backend=backend,
            infer=infers,
            has_llm=llm is not None,
            on_error=on_error,
            is_view=options.get("store") is not None,
        )

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Build from ``{"provider": ..., "config": {...}}``, Mem0's published configuration included.

        Raises:
            ConfigurationError: unknown provider, or see the constructor.
        """
        config = sealed(config)  # a local variable of this frame
        return cls(**options_of(config))

    # -- the user's side -------------------------------------------------------------------------------------------

    def crew_kwargs(self, *, long_term: bool = True) -> dict[str, Any]:
        """What to splat into a crew, whatever the version of CrewAI: ``Crew(..., **memory.crew_kwargs())``.

        Args:
            long_term: below CrewAI 1.10, with CrewAI's own long-term memory; it has none any more.
        """
        return {"memory": self}

    def scoped(self, scope: Scope = NO_SCOPE, **fields: Unpack[ScopeFields]) -> Self:
        """This memory with more of the scope fixed, over the same store.

        For a specialist who keeps its own: ``Agent(memory=memory.scoped(agent_id="chef"))``.

        Args:
            scope: a whole scope, in place of the fields.
            fields: ``user_id``, ``project_id``, ``run_id``, ``agent_id``, ``org_id``.

        Raises:
            MissingScopeError: ``user_id``, or the whole scope, is ``None``.
            ScopeConflictError: a fixed field is given another value.
        """
        store = self.store.scoped(scope, **fields)
        return self._over(QdrantStorageBackend.over(store, self._bridge.backend.recipe))

    def scope(self, path: str) -> PersistentScope:
        """A view of one path and what is below it."""
        return PersistentScope(self, path)

    def slice(self, scopes: list[str], categories: list[str] | None = None, read_only: bool = True) -> PersistentSlice:
        """A view of several paths."""
        return PersistentSlice(self, scopes, categories, read_only)

    def close(self) -> None:
        """Wait for pending saves, then flush and close the store. A memory from :meth:`scoped` closes nothing."""
        self.drain_writes()
        if self._bridge.share is not None:
            self._bridge.share.close()
        elif not self._bridge.is_view:
            self._bridge.backend.close()
            self._save_pool.shutdown(wait=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

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
            with logged("recall", self):
                return super(PersistentMemory, self._bound()).recall(
                    storable_text(query), scope, categories, limit, "deep", source, include_private
                )
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

        Not ``recall_many``: CrewAI is to have a method of that name (its pull request 7666) whose answer is one list.

        Args:
            queries: texts.
            scopes: one path for each query.
            categories, limit, source, include_private: for all of them, see :meth:`recall`.

        Raises:
            ScopeError, StoreError, EmbedderError: the search failed.
        """
        self.drain_writes()
        queries = list(map(storable_text, queries))
        asked = "; ".join(dict.fromkeys(map(str, queries)))
        with query_events(self, asked, limit) as results:
            entries = self.store.search_many(
                queries,
                limit=limit,
                paths=[self._path(scope, None) for scope in scopes or [None] * len(queries)],
                categories=categories,
                include_private=include_private,
                reader=source,
            )
            matches = [[self._match(entry) for entry in each] for each in entries]
            for each in matches:
                results += each
            if results and not self._is_read_only:
                touch(self.store, list(dict.fromkeys(match.record.id for match in results)))
        return matches

    async def arecall_each(self, queries: Sequence[str], *args: Any, **kwargs: Any) -> list[list[MemoryMatch]]:
        return await call(self.recall_each, queries, *args, **kwargs)

    def _match(self, entry: MemoryEntry) -> MemoryMatch:
        reasons = match_reasons(self.store, entry)
        return MemoryMatch(record=to_record(entry), score=entry.score or 0.0, match_reasons=reasons)

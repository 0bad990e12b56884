"""What a memory does, on every CrewAI, as steps: where an entry goes, what is reported, what CrewAI gets back.

Every method is a generator. ``memory_api`` waits for its steps, blocking or awaiting, so nothing is decided twice. What
differs between the generations of CrewAI comes in as values: :class:`.record_conversion.ResultTypes`, and the
:class:`Pipeline` that CrewAI has since 1.10.

Saving goes one of three ways:

- Without ``infer`` a text is kept as it is, at once, by any store.
- With ``infer`` on Qdrant, CrewAI's LLM extracts, analyses and consolidates, in the background.
- With ``infer`` on a store that extracts (Mem0), that store is given the messages; CrewAI's LLM is not asked, for the
  text would be interpreted twice. From CrewAI 1.10 on, ``remember_many`` does that in the background.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import wait
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal

from ..entry import DEFAULT_IMPORTANCE, MEMORY, EntryFields, MemoryEntry
from ..entry_filter import FilterArgs
from ..errors import ConfigurationError, PersistentMemoryError
from ..io.steps import Call, Steps, run, work
from ..storable import storable_metadata, storable_text
from ..store.base import MemoryStore
from ..store.operations import Message
from ..validation import normalize_path, text_tuple, utcnow
from .deduplication import accepted, entries_of, storable_fields
from .events import logged, query_events, save_events
from .llm_pipeline import Pipeline, awaited
from .record_conversion import RecordFields, ResultTypes, best_of, matches_of, merged, scope_info_fields, search_result
from .scope_views import WHOLE, Paths
from .transcript import conversation, handed_over, memory_texts, messages_of, storable_messages, text_of

if TYPE_CHECKING:
    from crewai.memory.types import MemoryMatch, MemoryRecord, ScopeInfo

logger = logging.getLogger("crewai_persistent_memory")

CREWAI_THRESHOLD: Final = 0.6
"""The ``score_threshold`` that CrewAI passes where nobody gave one. It is meant for cosines; the scores here are fused
ranks, so it means none."""

_MOST_CHILDREN: Final = 20
"""Children of one path in ``tree()``, as in CrewAI's."""


@dataclass(frozen=True)
class MemoryOperations:
    """The operations of one memory, or of a view of one.

    Attributes:
        store: where entries are kept, in the memory's scope.
        source: CrewAI's memory (or storage), named by events and failures.
        results: the types of what is returned.
        read_only: save nothing.
        touches: note that entries were read.
        infers: the store is given messages, and decides what to remember.
        paths: where in the store entries are saved and found.
        kind: of what :meth:`save` saves and :meth:`search` finds.
        default_importance: of an entry without one, 0…1.
        pipeline: CrewAI's own, where this CrewAI has one.
    """

    store: MemoryStore
    source: object
    results: ResultTypes
    read_only: bool = False
    touches: bool = True
    infers: bool = False
    paths: Paths = WHOLE
    kind: str = MEMORY
    default_importance: float = DEFAULT_IMPORTANCE
    pipeline: Pipeline | None = None

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
    ) -> Steps[MemoryRecord | None]:
        """Remember a text. When this returns, it is kept.

        Args:
            content: the text.
            scope: a path.
            categories: tags.
            metadata: anything JSON can hold.
            importance: 0…1.
            source: where it comes from.
            private: only for recalls that name the same source.
            agent_role: for CrewAI's events.
            root_scope: a path, in place of the memory's own.

        Returns:
            The memory; of several that a store made of it, the first. While the store is still at work on it (Mem0):
            the text and the fields as they were given, under an id that no entry has. ``None`` if the memory is
            read-only, or if the store has found nothing worth remembering.

        Raises:
            InvalidEntryError, ScopeError, StoreError, EmbedderError: nothing was stored.
        """
        fields = RecordFields(scope, categories, metadata, importance, source, private, agent_role, root_scope)
        if self.read_only:
            return None
        if self.pipeline is not None and self.pipeline.extracts:
            with logged("remember", self.source):
                remember = partial(self.pipeline.bound().remember, storable_text(content), **self._given(fields))
                return (yield from work(remember))
        return next(iter((yield from self._save([content], fields))), None)

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
    ) -> Steps[list[MemoryRecord]]:
        """Remember several texts, see :meth:`remember`.

        Without ``infer`` they are kept when this returns. With it, from CrewAI 1.10 on, they are analysed and saved in
        the background, and the list is empty; :meth:`recall` waits for it.
        """
        fields = RecordFields(scope, categories, metadata, importance, source, private, agent_role, root_scope)
        if self.read_only or not contents:
            return []
        if self.pipeline is None or not (self.pipeline.extracts or self.infers):
            return (yield from self._save(contents, fields))
        if not self.pipeline.extracts:
            bound = replace(self, store=self.store.bound())
            self.pipeline.submit(lambda: run(bound._save(contents, fields)))
            return []
        with logged("remember", self.source):
            texts = list(map(storable_text, contents))
            return (yield from work(partial(self.pipeline.bound().remember_many, texts, **self._given(fields))))

    def extract_memories(self, content: str) -> Steps[list[str]]:
        """The memories in a text: by the LLM with ``infer``; without, the text itself, freed of prompt wrapping. For a
        store that extracts them itself it stays whole."""
        if self.pipeline is not None and self.pipeline.extracts:
            return (yield from work(partial(self.pipeline.extract_memories, storable_text(content))))
        return handed_over(content) if self.infers else memory_texts(content)

    def save(self, value: Any, metadata: Mapping[str, Any] | None = None) -> Steps[None]:
        """Keep what was said, as CrewAI's memories until 1.9.3 save it. Nothing of ``metadata`` is changed.

        Args:
            value: what was said; an agent's answer.
            metadata: anything JSON can hold. ``messages``, the conversation that led to the answer, is kept with the
                value, freed of CrewAI's prompt; see :func:`.transcript.conversation`.

        Raises:
            InvalidEntryError, ScopeError, StoreError, EmbedderError: nothing was stored.
        """
        if self.read_only:
            return
        with logged("save", self.source):
            messages, rest = conversation(value, metadata or {})
            yield from self._keep([text_of(messages)], messages, self._about(RecordFields(metadata=rest), self.kind))

    def update(
        self,
        record_id: str,
        content: str | None = None,
        scope: str | None = None,
        categories: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        importance: float | None = None,
    ) -> Steps[MemoryRecord]:
        """Change fields of a memory; new content is embedded anew. A read-only memory changes nothing.

        Returns:
            The memory as it is now.

        Raises:
            ValueError: no memory with this id is in the scope (and in the view).
            InvalidEntryError: a field cannot be stored.
        """
        entry = yield from self.store.steps.get(record_id)
        if entry is None or not self.paths.reaches(entry.path):
            raise ValueError(f"Record not found: {record_id}")
        if self.read_only:
            return self.results.record_of(entry)
        changes: dict[str, Any] = {
            "content": None if content is None else storable_text(content),
            "path": None if scope is None else normalize_path(storable_text(scope)),
            "categories": None if categories is None else text_tuple("categories", categories),
            "metadata": None if metadata is None else storable_metadata(metadata),
            "importance": importance,
        }
        changes = {name: value for name, value in changes.items() if value is not None}
        changed = replace(entry, **changes, last_accessed=utcnow(), embedding=None, score=None)
        if not (yield from self.store.steps.replace(changed, create=False, keep=())):
            logger.info("a record was deleted while it was about to be changed (%s): it stays deleted", record_id)
        return self.results.record_of(changed)

    # -- finding ---------------------------------------------------------------------------------------------------

    def recall(
        self,
        query: str,
        scope: str | None = None,
        categories: list[str] | None = None,
        limit: int = 10,
        depth: Literal["shallow", "deep"] = "shallow",
        source: str | None = None,
        include_private: bool = False,
    ) -> Steps[list[MemoryMatch]]:
        """What is remembered about ``query``, best first, of every kind.

        Args:
            query: text.
            scope: a path; only what is there and below it.
            categories: only entries that share one of these.
            limit: most results.
            depth: ``"shallow"`` (default) is one hybrid search and no LLM; ``"deep"`` is CrewAI's own flow (>= 1.10),
                which needs ``llm``.
            source: private entries of this source are included.
            include_private: all private entries are included.

        Raises:
            ConfigurationError: ``"deep"`` without ``llm``, or on CrewAI until 1.9.3.
            ScopeError, StoreError, EmbedderError: the search failed.
        """
        if depth != "deep":
            [matches] = yield from self.recall_each([query], [scope], categories, limit, source, include_private)
            return matches
        if self.pipeline is None:
            raise ConfigurationError('depth="deep" needs crewai >= 1.10, and an older one is installed: leave it out')
        found: list[list[MemoryMatch]] = []
        with logged("recall", self.source):
            recall, query = self.pipeline.bound().recall, storable_text(query)
            about = (self.paths.categories(categories), limit, depth, source, include_private)
            for path in self.paths.inner(scope):
                found.append((yield from work(partial(recall, query, path, *about))))
        return merged(found, limit)

    def recall_each(
        self,
        queries: Sequence[str],
        scopes: Sequence[str | None] | None = None,
        categories: list[str] | None = None,
        limit: int = 10,
        source: str | None = None,
        include_private: bool = False,
    ) -> Steps[list[list[MemoryMatch]]]:
        """Several recalls in one round trip, each with ``limit`` results at most; the lists in the queries' order.

        Not ``recall_many``: CrewAI is to have a method of that name (its pull request 7666) whose answer is one list.

        Args:
            queries: texts.
            scopes: one path for each query.
            categories, limit, source, include_private: for all of them, see :meth:`recall`.

        Raises:
            ScopeError, StoreError, EmbedderError: the search failed.
        """
        yield from self.drain_writes()
        queries = list(map(storable_text, queries))
        paths = [self.paths.of(scope) for scope in scopes or [None] * len(queries)]
        width = self.paths.width
        with query_events(self.source, "; ".join(dict.fromkeys(map(str, queries))), limit) as results:
            found = yield from self.store.steps.search_many(
                [query for query in queries for _ in range(width)],
                limit=limit,
                paths=[path for each in paths for path in each],
                categories=self.paths.categories(categories),
                include_private=include_private,
                reader=source,
            )
            matches = matches_of(found, self.store.weights.half_life_days, self.results)
            for each in matches:
                results += each
            if results and self.touches:
                yield from self._touch(match.record.id for match in results)
        if width == 1:
            return matches
        return [merged(matches[at * width : (at + 1) * width], limit) for at in range(len(queries))]

    def search(
        self, query: str, limit: int = 5, score_threshold: float = CREWAI_THRESHOLD
    ) -> Steps[list[dict[str, Any]]]:
        """What is remembered about ``query``, best first, as CrewAI's memories until 1.9.3 give it.

        Args:
            query: text.
            limit: most results.
            score_threshold: only results with at least this score, 0…1; 0.6, which CrewAI passes where nobody asked for
                one, asks for none.

        Returns:
            Dicts with ``content``, ``memory`` (the same), ``metadata``, ``score`` (0…1) and ``id``.

        Raises:
            ScopeError, StoreError, EmbedderError: the search failed.
        """
        least = 0.0 if score_threshold == CREWAI_THRESHOLD else score_threshold
        with logged("search", self.source):
            yield from self.drain_writes()
            paths = self.paths.of(None)
            found = yield from self.store.steps.search_many(
                [storable_text(query)] * len(paths),
                limit=limit,
                min_score=least,
                paths=paths,
                categories=self.paths.categories(None),
                kind=self.kind,
                include_private=False,
            )
            entries = best_of(found, lambda entry: (entry.id, entry.score or 0.0), limit)
            if entries and self.touches:
                yield from self._touch(entry.id for entry in entries)
        return list(map(search_result, entries))

    def list_records(self, scope: str | None = None, limit: int = 200, offset: int = 0) -> Steps[list[MemoryRecord]]:
        """What is remembered at a path and below it, newest first.

        Args:
            scope: the path; all of it if left out.
            limit: most records.
            offset: how many to leave out, the newest first.
        """
        paths = self.paths.of(scope)
        if len(paths) == 1:
            found = yield from self.store.steps.list(path=paths[0], limit=limit, offset=offset)
            return list(map(self.results.record_of, found))
        entries: dict[str, MemoryEntry] = {}
        for path in paths:
            found = yield from self.store.steps.list(path=path, limit=limit + offset, offset=0)
            entries.update((entry.id, entry) for entry in found)
        newest = sorted(entries.values(), key=lambda entry: entry.created_at, reverse=True)
        return list(map(self.results.record_of, newest[offset : offset + limit]))

    # -- paths -----------------------------------------------------------------------------------------------------

    def info(self, path: str | None = None) -> Steps[ScopeInfo]:
        """How much is remembered at a path and below it, with which categories, since when, and the paths below."""
        infos = []
        for each in self.paths.of(path):
            infos.append((yield from self.store.steps.info(each or "/")))
        if len(infos) == 1:
            return self.results.scope_info(**scope_info_fields(infos[0]))
        return self.results.scope_info(
            path=path or "/",
            record_count=sum(info.count for info in infos),
            categories=sorted({name for info in infos for name in info.categories}),
            oldest_record=min((info.oldest for info in infos if info.oldest is not None), default=None),
            newest_record=max((info.newest for info in infos if info.newest is not None), default=None),
            child_scopes=sorted({child for info in infos for child in info.children}),
        )

    def tree(self, path: str | None = None, max_depth: int = 3) -> Steps[str]:
        """The paths below one as text, a line for each with its number of records, ``max_depth`` levels deep."""
        lines: list[str] = []

        def walk(at: str, depth: int) -> Steps[None]:
            info = yield from self.store.steps.info(at)
            lines.append(f"{'  ' * depth}{at} ({info.count} records)")
            if depth < max_depth:
                for child in info.children[:_MOST_CHILDREN]:
                    yield from walk(child, depth + 1)

        for each in self.paths.of(path):
            yield from walk(each or "/", 0)
        return "\n".join(lines)

    def list_scopes(self, path: str | None = None) -> Steps[list[str]]:
        """The paths directly below one."""
        children: list[str] = []
        for each in self.paths.of(path):
            children += yield from self.store.steps.children(each or "/")
        return children if self.paths.view is None else sorted(set(children))

    def list_categories(self, path: str | None = None) -> Steps[dict[str, int]]:
        """The categories at a path and below it, with how many memories have each."""
        counts: dict[str, int] = {}
        for each in self.paths.of(path):
            found = yield from self.store.steps.categories(each)
            for name, count in found.items():
                counts[name] = counts.get(name, 0) + count
        return counts

    # -- deleting --------------------------------------------------------------------------------------------------

    def forget(
        self,
        scope: str | None = None,
        categories: list[str] | None = None,
        older_than: datetime | None = None,
        metadata_filter: dict[str, Any] | None = None,
        record_ids: list[str] | None = None,
    ) -> Steps[int]:
        """Delete what matches all that is given; with nothing given, everything in the scope.

        Args:
            scope: a path; what is there and below it.
            categories: what shares one of these.
            older_than: what was created before (naive is UTC).
            metadata_filter: what has each of these values in its metadata.
            record_ids: what has one of these ids; an empty list deletes nothing.

        Returns:
            How many there were.
        """
        filters: FilterArgs = {}
        if categories:
            filters["categories"] = categories
        if record_ids is not None:
            filters["ids"] = record_ids
        if older_than is not None:
            filters["created_before"] = older_than
        if metadata_filter:
            filters["metadata"] = metadata_filter
        deleted = 0
        for path in self.paths.of(scope):
            if filters:
                filters["path"] = path
                deleted += yield from self.store.steps.delete(**filters)
            else:
                deleted += yield from self.store.steps.reset(path)
        return deleted

    def reset(self, scope: str | None = None) -> Steps[None]:
        """Delete everything that is visible in the scope, of every kind, at a path and below it."""
        yield from self.drain_writes()
        for path in self.paths.of(scope):
            yield from self.store.steps.reset(path)

    def reset_kind(self) -> Steps[None]:
        """Delete what :meth:`save` has kept in the scope, and nothing else."""
        with logged("reset", self.source):
            for path in self.paths.of(None):
                yield from self.store.steps.delete(kind=self.kind, path=path)

    def reset_all(self) -> Steps[None]:
        """Delete everything that is visible in the scope, whatever the memory's ``root_scope``; of a view, what is in
        the view."""
        yield from (self.reset() if self.paths.view is not None else replace(self, paths=WHOLE).reset())

    def drain_writes(self) -> Steps[None]:
        """Wait for background saves. A failed one was reported when it failed and does not fail this call."""
        pending = [] if self.pipeline is None else self.pipeline.pending()
        if pending:
            yield Call(partial(wait, pending), partial(awaited, pending))

    # -- inside ----------------------------------------------------------------------------------------------------

    def _save(self, contents: list[str], fields: RecordFields) -> Steps[list[MemoryRecord]]:
        messages = [message for content in contents for message in messages_of(content)]  # of the texts as handed over
        # Before CrewAI's events see it: pydantic takes no unpaired surrogates, and no keys but text.
        contents, about = list(map(storable_text, contents)), storable_fields(self._about(fields, MEMORY))
        value = contents[0] if len(contents) == 1 else f"{len(contents)} memories"
        metadata = fields.metadata and dict(about["metadata"])
        with save_events(self.source, str(value), metadata, fields.agent_role):
            entries = yield from self._keep(contents, messages, about)
        return list(map(self.results.record_of, entries))

    def _keep(self, texts: Sequence[str], messages: Sequence[Message], about: EntryFields) -> Steps[list[MemoryEntry]]:
        """Keep the texts, one entry each; a store that infers is given the messages instead.

        Returns:
            What was remembered. Where the store is still at work on it: the texts, see :func:`accepted`.
        """
        about = storable_fields(about)
        texts = list(map(storable_text, texts))
        if self.infers:
            added = yield from self.store.steps.add_messages(storable_messages(messages), **about)
            return [accepted(text, about) for text in texts] if added.pending else list(added.entries)
        entries = entries_of(texts, about)
        yield from self.store.steps.put(entries)
        return entries

    def _touch(self, ids: Iterable[str]) -> Steps[None]:
        """Note that entries were read, without waiting for a store that takes its time."""
        try:
            yield from self.store.steps.touch(list(dict.fromkeys(ids)), background=True)
        except PersistentMemoryError as error:
            # What was found is worth more than the note that it was read.
            logger.warning("access times were not updated: %s", error)

    def _about(self, fields: RecordFields, kind: str) -> EntryFields:
        importance = fields.importance
        return {
            "path": self.paths.place(fields.scope, fields.root_scope),
            "categories": text_tuple("categories", fields.categories or ()),
            "metadata": fields.metadata or {},
            "importance": self.default_importance if importance is None else importance,
            "source": fields.source,
            "private": fields.private,
            "kind": kind,
        }

    def _given(self, fields: RecordFields) -> dict[str, Any]:
        """The fields for CrewAI's pipeline, which puts its own root before the path."""
        return replace(fields, scope=self.paths.inner_place(fields.scope)).given()

"""The operations of a memory as steps, for every CrewAI: paths of entries, events, and results in CrewAI's types.

Every method is a generator. ``memory_api`` waits for its steps, blocking or awaiting, so each decision is written once.
Differences between the generations of CrewAI are passed in as values: :class:`.record_conversion.ResultTypes`, and the
:class:`Pipeline` that CrewAI has since 1.10.

A text is saved in one of three ways:

- Without ``infer``, every store saves the text unchanged, before the call returns.
- With ``infer`` on Qdrant, CrewAI's LLM extracts, analyses and consolidates, in the background.
- With ``infer`` on a store that extracts memories (Mem0), the store receives the messages. CrewAI's LLM is not called,
  because the text would be interpreted twice. Since CrewAI 1.10, ``remember_many`` does this in the background.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import wait
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import chain, islice, repeat
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, Literal

from ..entry import DEFAULT_IMPORTANCE, MEMORY, EntryFields, MemoryEntry
from ..errors import ConfigurationError, PersistentMemoryError
from ..io.steps import Call, Steps, run, work
from ..recall.budget import Candidate, fitted
from ..recall.pipeline import FETCHED, Bounds, Given, date_of, given, ordered, states_less_than
from ..recall.rerank import Reranker
from ..storable import storable_metadata, storable_text
from ..store.base import MemoryStore
from ..store.operations import Message
from ..validation import check_search_limit, normalize_path, text_tuple, to_naive_utc, utcnow
from .asked_question import question_of
from .deduplication import accepted, entries_of, storable_fields
from .deletion_filters import deletion_filters
from .events import logged, query_events, save_events
from .llm_pipeline import Pipeline, awaited
from .prompt_building import HEADING, prompt_budget
from .record_conversion import RecordFields, ResultTypes, best_of, matches_of, merged, scope_info_fields, search_result
from .scope_views import WHOLE, Paths
from .transcript import conversation, handed_over, memory_texts, messages_of, storable_messages, text_of

if TYPE_CHECKING:
    from crewai.memory.types import MemoryMatch, MemoryRecord, ScopeInfo

logger = logging.getLogger("crewai_persistent_memory")

CREWAI_THRESHOLD: Final = 0.6
"""CrewAI's default for ``score_threshold``. It is meant for cosines, and the scores here are something else, so this
value is treated as "no threshold"."""

_LEAST_BESIDE: Final = 10
"""Entries beside those that a recall may give: for what is said twice, or states nothing."""

_MOST_CHILDREN: Final = 20
"""Maximum number of children of one path in ``tree()``, as in CrewAI's method."""


@dataclass(frozen=True)
class MemoryOperations:
    """The operations of one memory, or of a view of one.

    Attributes:
        store: the store handle, bound to the memory's scope.
        source: CrewAI's memory (or storage), the source of events and failures.
        results: the types of the results.
        read_only: save nothing.
        touches: whether a recall updates the access times of its results.
        infers: whether the store receives messages and extracts memories itself.
        paths: the paths of the store at which entries are saved and found.
        kind: the kind of entries that :meth:`save` saves and :meth:`search` finds.
        default_importance: importance of an entry without one, 0…1.
        pipeline: CrewAI's LLM flows, if this CrewAI has them.
        budget: the characters that one recall gives; 0: whole texts, no bound.
        min_score: the least score of a memory that is given, 0…1.
        reranker: another order of what was found.
        for_a_prompt: CrewAI is building a prompt: the budget decides how many memories are given, not the limit, and
            each says when it was said.
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
    budget: int = 0
    min_score: float = 0.0
    reranker: Reranker | None = None
    for_a_prompt: bool = False

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
        """Remember a text. When this returns, the text is stored.

        Args:
            content: the text.
            scope: a path.
            categories: tags.
            metadata: a mapping that JSON can hold.
            importance: 0…1.
            source: the origin of the text.
            private: only recalls that name the same source find it.
            agent_role: for CrewAI's events.
            root_scope: a path that replaces the memory's own.

        Returns:
            The memory; the first one if the store extracted several. If the store is still processing the text (Mem0),
            a placeholder with the given text and fields, under an id that no entry has. ``None`` if the memory is
            read-only, or if the store extracted nothing.

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

        Without ``infer``, they are stored when this returns. With ``infer``, since CrewAI 1.10, they are analysed and
        saved in the background, and the list is empty. :meth:`recall` waits for background saves.
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
        """The memories in a text.

        With ``infer`` the LLM extracts them. Without it, the result is the text without CrewAI's prompt around it. For
        a store that extracts memories itself, the result is the whole text.
        """
        if self.pipeline is not None and self.pipeline.extracts:
            return (yield from work(partial(self.pipeline.extract_memories, storable_text(content))))
        return handed_over(content) if self.infers else memory_texts(content)

    def save(self, value: Any, metadata: Mapping[str, Any] | None = None) -> Steps[None]:
        """Save an answer, with the arguments of CrewAI's memories until 1.9.3. ``metadata`` is not changed.

        Args:
            value: the text; an agent's answer.
            metadata: a mapping that JSON can hold. Its ``messages``, the conversation before the answer, are saved
                with the value, without CrewAI's prompt; see :func:`.transcript.conversation`.

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
        """Change fields of a memory. New content is embedded again. A read-only memory changes nothing.

        Returns:
            The memory after the change.

        Raises:
            ValueError: the scope (or the view) has no memory with this id.
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
        whole: bool = False,
        as_of: datetime | None = None,
    ) -> Steps[list[MemoryMatch]]:
        """Memories of every kind that match ``query``, best first.

        All texts together have at most ``recall_budget`` characters. The content of a record is then the best passages
        of a long memory, with ``[…]`` for what is left out; its other fields are those of the memory.

        Args:
            query: text.
            scope: a path; only entries at it or below it.
            categories: only entries that have one of these.
            limit: maximum number of results. Where CrewAI builds a prompt, the budget decides.
            depth: ``"shallow"`` (default) is one hybrid search without an LLM; ``"deep"`` is CrewAI's own flow
                (>= 1.10), which needs ``llm``.
            source: include private entries of this source.
            include_private: include all private entries.
            whole: whole texts, of any length. Use it to change a memory by its id.
            as_of: only what was said by then (naive is UTC).

        Raises:
            ConfigurationError: ``"deep"`` without ``llm``, or on CrewAI until 1.9.3.
            InvalidArgumentError: ``limit`` or ``as_of`` is of the wrong type.
            ScopeError, StoreError, EmbedderError: the search failed.
        """
        if depth != "deep":
            [matches] = yield from self.recall_each(
                [query], [scope], categories, limit, source, include_private, whole, as_of
            )
            return matches
        if self.pipeline is None:
            raise ConfigurationError('depth="deep" needs crewai >= 1.10, and an older one is installed: leave it out')
        latest = None if as_of is None else to_naive_utc("as_of", as_of)
        found: list[list[MemoryMatch]] = []
        with logged("recall", self.source):
            recall, query = self.pipeline.bound().recall, storable_text(query)
            about = (self.paths.categories(categories), limit, depth, source, include_private)
            for path in self.paths.inner(scope):
                found.append((yield from work(partial(recall, query, path, *about))))
        matches = [each for each in merged(found, limit) if latest is None or each.record.created_at <= latest]
        return matches if whole or not self.budget else _shortened(matches, query, self.budget - HEADING)

    def recall_each(
        self,
        queries: Sequence[str],
        scopes: Sequence[str | None] | None = None,
        categories: list[str] | None = None,
        limit: int = 10,
        source: str | None = None,
        include_private: bool = False,
        whole: bool = False,
        as_of: datetime | None = None,
    ) -> Steps[list[list[MemoryMatch]]]:
        """Several recalls in one round trip. The result is one list for each query, in the order of the queries.

        The name is not ``recall_many``, because CrewAI's pull request 7666 adds a method of that name that returns one
        list.

        Args:
            queries: texts.
            scopes: one path for each query.
            categories, limit, source, include_private, whole, as_of: for each query, see :meth:`recall`.

        Raises:
            InvalidArgumentError, ScopeError, StoreError, EmbedderError: the search failed.
        """
        yield from self.drain_writes()
        queries = list(map(storable_text, map(question_of, queries) if self.for_a_prompt else queries))
        paths = list(map(self.paths.of, scopes or [None] * len(queries)))
        bounds = self._bounds(limit, whole=whole)
        first_look = self._first_look(limit)
        look = partial(
            self.store.steps.search_many,
            min_score=self.min_score,
            categories=self.paths.categories(categories),
            include_private=include_private,
            reader=source,
            created_before=None if as_of is None else _after(as_of),
        )
        with query_events(self.source, "; ".join(dict.fromkeys(map(str, queries))), limit) as results:
            asked = chain.from_iterable(map(repeat, queries, map(len, paths)))  # each query at each of its paths
            found = iter((yield from look(list(asked), limit=first_look, paths=list(chain.from_iterable(paths)))))
            matches = []
            for query, of_query in zip(queries, paths, strict=True):
                entries = best_of(list(islice(found, len(of_query))), _id_and_score)
                if self.reranker is not None:
                    entries = yield from self.reranker.rerank(entries, query)
                in_order = ordered(entries, query)
                if len(entries) >= first_look < FETCHED and states_less_than(limit, in_order):
                    more = yield from look([query] * len(of_query), limit=FETCHED, paths=of_query)
                    in_order = ordered(best_of(more, _id_and_score), query)
                shown = given(in_order, query, bounds)
                matches.append(matches_of(shown, self.store.weights.half_life_days, self.results))
                results += matches[-1]
            if results and self.touches:
                yield from self._touch(map(_id_of_match, results))
        return matches

    def recall_together(self, queries: Sequence[str], limit: int = 20) -> Steps[list[MemoryMatch]]:
        """What several queries find, within one budget, as an agent's tool needs it.

        A memory that is shown whole is shown once. Of a long one each query may show other passages.

        Args:
            queries: texts.
            limit: the number of results of each query, if there is no budget.
        """
        yield from self.drain_writes()
        queries = list(dict.fromkeys(map(storable_text, queries)))
        paths, bounds = self.paths.of(None), replace(self, for_a_prompt=True)._bounds(limit)
        with query_events(self.source, "; ".join(queries), limit) as results:
            found = yield from self.store.steps.search_many(
                [query for query in queries for _ in paths],
                limit=_fetched(limit),
                min_score=self.min_score,
                paths=paths * len(queries),
                categories=self.paths.categories(None),
                include_private=False,
            )
            left, known = bounds.budget, set[tuple[str, str]]()
            for at, query in enumerate(queries):
                entries = [
                    entry
                    for entry in best_of(found[at * len(paths) : (at + 1) * len(paths)], _id_and_score)
                    if (entry.id, entry.content) not in known
                ]
                if self.reranker is not None:
                    entries = yield from self.reranker.rerank(entries, query)
                share = None if left is None else left // (len(queries) - at)
                shown = given(ordered(entries, query), query, replace(bounds, budget=share))
                left = None if left is None else left - self._length(shown)
                known.update((each.found.entry.id, each.text.removeprefix(date_of(each.found))) for each in shown)
                results += matches_of(shown, self.store.weights.half_life_days, self.results)
            if results and self.touches:
                yield from self._touch(map(_id_of_match, results))
        return results

    def search(
        self, query: str, limit: int = 5, score_threshold: float = CREWAI_THRESHOLD
    ) -> Steps[list[dict[str, Any]]]:
        """Memories that match ``query``, best first, in the format of CrewAI's memories until 1.9.3.

        All texts together have at most ``recall_budget`` characters, see :meth:`recall`.

        Args:
            query: text.
            limit: maximum number of results. Where CrewAI builds a prompt, the budget decides.
            score_threshold: minimum score of a result, 0…1. CrewAI's default, 0.6, means no threshold.

        Returns:
            Dicts with ``content``, ``memory`` (the same), ``metadata``, ``score`` (0…1) and ``id``.

        Raises:
            ScopeError, StoreError, EmbedderError: the search failed.
        """
        least = self.min_score if score_threshold == CREWAI_THRESHOLD else score_threshold
        prompt = prompt_budget.get()
        with logged("search", self.source):
            yield from self.drain_writes()
            paths, query = self.paths.of(None), storable_text(query if prompt is None else question_of(query))
            found = yield from self.store.steps.search_many(
                [query] * len(paths),
                limit=_fetched(limit),
                min_score=least,
                paths=paths,
                categories=self.paths.categories(None),
                kind=self.kind,
                include_private=False,
            )
            operations = self if prompt is None else replace(self, for_a_prompt=True)
            if prompt is not None and self.budget:
                operations = replace(operations, budget=max(1, prompt.of(self.kind, self.budget)))
            bounds = operations._bounds(limit)
            entries = best_of(found, _id_and_score)
            if self.reranker is not None:
                entries = yield from self.reranker.rerank(entries, query)
            shown = given(ordered(entries, query), query, bounds)
            if prompt is not None and shown:
                prompt.spend(HEADING + self._length(shown))
            if shown and self.touches:
                yield from self._touch(each.found.entry.id for each in shown)
        return list(map(search_result, shown))

    def _length(self, shown: Sequence[Given]) -> int:
        """The characters that CrewAI's prompt has of these."""
        around = self.results.around([each.found.entry for each in shown])
        return sum(around) + sum(len(each.text) for each in shown)

    def _first_look(self, limit: int) -> int:
        """How many entries a recall asks for at first: all it looks at, unless the limit decides what is given."""
        if self.for_a_prompt or self.reranker is not None or not limit:
            return _fetched(limit)
        return max(check_search_limit(limit), min(FETCHED, limit + max(limit, _LEAST_BESIDE)))

    def _bounds(self, limit: int, *, whole: bool = False) -> Bounds:
        if whole or not self.budget:
            return Bounds(None, limit, self.for_a_prompt and not whole)
        most = None if self.for_a_prompt else limit
        return Bounds(self.budget - HEADING, most, self.for_a_prompt, self.results.around)

    def list_records(self, scope: str | None = None, limit: int = 200, offset: int = 0) -> Steps[list[MemoryRecord]]:
        """The memories at a path and below it, newest first.

        Args:
            scope: the path; by default all paths.
            limit: maximum number of records.
            offset: number of newest records to skip.
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
        """A summary of the records at a path and below it: number, categories and times, and the child paths."""
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
        """The paths below a path as text, ``max_depth`` levels deep. Each line has a path and its number of records."""
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
        """The child paths of a path."""
        children: list[str] = []
        for each in self.paths.of(path):
            children += yield from self.store.steps.children(each or "/")
        return children if self.paths.view is None else sorted(set(children))

    def list_categories(self, path: str | None = None) -> Steps[dict[str, int]]:
        """The categories at a path and below it, with the number of memories in each."""
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
        """Delete the memories that match all given filters; without filters, everything in the scope.

        Args:
            scope: a path; memories at it or below it.
            categories: memories that have one of these.
            older_than: memories created before this time (naive is UTC).
            metadata_filter: memories whose metadata has each of these values.
            record_ids: memories with one of these ids; an empty list deletes nothing.

        Returns:
            The number of deleted memories.
        """
        filters = deletion_filters(None, categories, record_ids, older_than, metadata_filter)
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
        """Delete the entries in the scope that have this memory's kind, and nothing else."""
        with logged("reset", self.source):
            for path in self.paths.of(None):
                yield from self.store.steps.delete(kind=self.kind, path=path)

    def reset_all(self) -> Steps[None]:
        """Delete everything that is visible in the scope, also outside the memory's ``root_scope``. A view deletes only
        the entries in the view."""
        yield from (self.reset() if self.paths.view is not None else replace(self, paths=WHOLE).reset())

    def drain_writes(self) -> Steps[None]:
        """Wait for background saves. A failed save was already reported, and does not raise here."""
        pending = [] if self.pipeline is None else self.pipeline.pending()
        if pending:
            yield Call(partial(wait, pending), partial(awaited, pending))

    def pending(self) -> Steps[int]:
        """How many writes of this user are accepted and not delivered to the store yet; 0 without an outbox."""
        return self.store.steps.pending()

    def flush(self, timeout: float = 10.0) -> Steps[bool]:
        """Wait for background saves, and until the store has taken what this user has written so far.

        Args:
            timeout: seconds to wait for the store at most.

        Returns:
            Whether the store has taken it. ``True`` without an outbox.
        """
        yield from self.drain_writes()
        return (yield from self.store.steps.flush(timeout))

    def health(self) -> Steps[dict[str, Any]]:
        """The state of the store, and under ``"outbox"`` how much waits for it, since when, and why."""
        return self.store.steps.health()

    # -- inside ----------------------------------------------------------------------------------------------------

    def _save(self, contents: list[str], fields: RecordFields) -> Steps[list[MemoryRecord]]:
        messages = [message for content in contents for message in messages_of(content)]  # before the texts are changed
        # Before the values go into CrewAI's events: pydantic refuses unpaired surrogates, and keys that are not text.
        contents, about = list(map(storable_text, contents)), storable_fields(self._about(fields, MEMORY))
        value = contents[0] if len(contents) == 1 else f"{len(contents)} memories"
        metadata = fields.metadata and dict(about["metadata"])
        with save_events(self.source, str(value), metadata, fields.agent_role):
            entries = yield from self._keep(contents, messages, about)
        return list(map(self.results.record_of, entries))

    def _keep(self, texts: Sequence[str], messages: Sequence[Message], about: EntryFields) -> Steps[list[MemoryEntry]]:
        """Store the texts, one entry each. A store that infers receives the messages instead.

        Returns:
            The stored entries. If the store is still processing the messages: placeholders, see :func:`accepted`.
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
        """Update the access times of entries, without waiting for a slow store."""
        try:
            yield from self.store.steps.touch(list(dict.fromkeys(ids)), background=True)
        except PersistentMemoryError as error:
            # A failed update of access times must not lose the results of the recall.
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
        """The fields for CrewAI's pipeline, which prefixes the path with the root itself."""
        return replace(fields, scope=self.paths.inner_place(fields.scope)).given()


def _fetched(limit: int) -> int:
    """How many entries a recall of ``limit`` results asks for."""
    return max(check_search_limit(limit), FETCHED) if limit else 0


def _id_and_score(entry: MemoryEntry) -> tuple[str, float]:
    return entry.id, entry.score or 0.0


_id_of_match: Final = attrgetter("record.id")


def _after(as_of: datetime) -> datetime:
    """The first moment that is later."""
    return to_naive_utc("as_of", as_of) + timedelta(microseconds=1)


def _shortened(matches: Sequence[MemoryMatch], query: str, budget: int) -> list[MemoryMatch]:
    """Matches of CrewAI's own flow, within a budget."""
    candidates = [
        Candidate(each.record.content, max(each.score, 1e-6), len(each.format()) - len(each.record.content) + 1)
        for each in matches
    ]
    return [
        match.model_copy(update={"record": match.record.model_copy(update={"content": text})})
        for match, text in zip(matches, fitted(candidates, query, budget), strict=True)
        if text is not None
    ]

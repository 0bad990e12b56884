"""How Qdrant answers the operations that read: every one inside the scope, over whichever engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from ...embedding import TokenVectors
from ...entry import MemoryEntry, PathInfo
from ...io.steps import Steps, work
from ...ranking import Ranking
from ...scope import Scope, owners_visible_to
from ...store import operations as op
from ...store.cursors import Position, not_ours
from ...validation import child_paths, utcnow
from .changes import LONG
from .codec import to_entries, to_entry
from .collection import Collection
from .dense_vectors import tokens_to_search, vectors_to_search
from .engine_requests import Count, Describe, Facet, Hit, Profile, Retrieve, Scroll, Search, SearchMany, Where
from .paging import page_from, page_of
from .schema import (
    checked,
    is_point_id,
    not_expired,
    owner_in,
    point_id,
    where_filter,
    where_scopes,
    where_visible,
)

CURSOR: Final = "qdrant"
"""The name of this backend in cursors."""

BY_WORDS: Final[tuple[str, ...]] = ("keywords",)
BY_BOTH: Final = ("semantic", "keywords")
BY_TOKENS_TOO: Final = (*BY_BOTH, "tokens")


def search(operation: op.Search, collection: Collection) -> Steps[list[list[MemoryEntry]]]:
    profile = yield from collection.ask(Describe())
    texts = list(dict.fromkeys(operation.queries))
    dense: dict[str, Sequence[float]] = {}
    tokens: dict[str, TokenVectors] = {}
    if profile.embedder is not None:
        dense = dict(zip(texts, (yield from vectors_to_search(profile, profile.embedder, texts)), strict=True))
        if profile.embedder.tokens is not None:
            tokens = dict(zip(texts, (yield from tokens_to_search(profile, profile.embedder, texts)), strict=True))
    searches = yield from work(partial(_searches, operation, profile, dense, tokens), long=sum(map(len, texts)) > LONG)
    if len(searches) == 1:
        answers = [(yield from collection.ask(searches[0]))]
    else:
        answers = yield from collection.ask(SearchMany(searches))
    found_by = BY_WORDS
    if profile.embedder is not None:
        found_by = BY_BOTH if profile.embedder.tokens is None else BY_TOKENS_TOO
    found = []
    for hits in answers:
        found.append(_entries(hits, operation, found_by))
    return found


def _searches(
    operation: op.Search,
    profile: Profile,
    dense: Mapping[str, Sequence[float]],
    tokens: Mapping[str, TokenVectors],
) -> list[Search]:
    weights = operation.weights
    assert weights is not None, "Qdrant has the capability to rank"
    # To the second: what is ranked in the same second is ranked by one formula, which an engine keeps.
    descriptor = profile.descriptor
    ranking = Ranking(weights, utcnow().replace(microsecond=0), descriptor.spread, descriptor.token_spread)
    corpus = where_visible(operation.scope, include_shared=operation.include_shared)
    searches = []
    for query, filter in zip(operation.queries, operation.filters, strict=True):
        where = where_filter(filter, operation.scope, include_shared=operation.include_shared)
        searches.append(
            Search(
                where=where,
                corpus=corpus,
                limit=operation.limit,
                dense=dense.get(query) or None,
                by_passages=descriptor.passages and profile.embedder is not None,
                tokens=tokens.get(query, ()),
                keywords=profile.encoder.query(query),
                ranking=ranking,
                min_score=operation.min_score or None,
            )
        )
    return searches


def nearest(operation: op.Nearest, collection: Collection) -> Steps[list[MemoryEntry]]:
    dense = operation.embedding
    by_words = operation.text if not dense else None
    encoder = (yield from collection.ask(Describe())).encoder
    hits = yield from collection.ask(
        Search(
            where=where_filter(operation.filter, operation.scope, include_shared=operation.include_shared),
            corpus=where_visible(operation.scope, include_shared=operation.include_shared),
            limit=operation.limit,
            dense=dense or None,
            keywords=None if by_words is None else encoder.query(by_words, context=False),
            min_score=operation.min_score if dense and operation.min_score > 0 else None,
        )
    )
    if by_words is not None:
        # BM25 scores have no scale; CrewAI compares what it gets here with thresholds such as 0.85.
        scored = [hit._replace(score=encoder.similarity(by_words, hit.payload["content"])) for hit in hits]
        scored.sort(key=lambda hit: -(hit.score or 0.0))
        hits = [hit for hit in scored if (hit.score or 0.0) >= operation.min_score]
    return _entries(hits, operation)


def get(operation: op.Get, collection: Collection) -> Steps[MemoryEntry | None]:
    scope, include_shared = operation.scope, operation.include_shared
    found = yield from find(collection, operation.id, scope, include_shared=include_shared, with_vectors=True)
    return None if found is None else to_entry(*found)


def find(
    collection: Collection, id: str, scope: Scope, *, include_shared: bool, with_vectors: bool
) -> Steps[tuple[Hit, Scope] | None]:
    """The visible entry with this id, and its owner; of several, the one whose run and agent are the most specific."""
    ids = [point_id(owner, id) for owner in owners_visible_to(scope, include_shared=include_shared)]
    hits = {str(hit.id): hit for hit in (yield from collection.ask(Retrieve(ids, with_vectors)))}
    found = checked([hits[id] for id in ids if id in hits], scope, include_shared=include_shared)
    return found[0] if found else None


def list_entries(operation: op.List, collection: Collection) -> Steps[list[MemoryEntry]]:
    hits = yield from page_of(collection, _where(operation), operation.limit, operation.offset)
    return _entries(hits, operation)


def list_page(operation: op.ListPage, collection: Collection) -> Steps[op.Page]:
    start = None if operation.cursor is None else Position.of(operation.cursor, CURSOR)
    if start is not None and start.id is not None and not is_point_id(start.id):
        raise not_ours()
    hits, next_one = yield from page_from(collection, _where(operation), operation.limit, start)
    return op.Page(tuple(_entries(hits, operation)), None if next_one is None else next_one.text(CURSOR))


def scan(operation: op.Scan, collection: Collection) -> Steps[op.ScanPage]:
    hits, next_id = yield from collection.ask(
        Scroll(_where(operation), operation.limit, operation.cursor, operation.with_vectors)
    )
    return op.ScanPage(tuple(_entries(hits, operation)), next_id)


def scan_scopes(operation: op.ScanScopes, collection: Collection) -> Steps[op.ScanPage]:
    where = (*where_scopes(operation.scope), not_expired())
    hits, next_id = yield from collection.ask(Scroll(where, operation.limit, operation.cursor, operation.with_vectors))
    # A collection on a server has a point that describes it, and is no entry.
    entries = to_entries((hit, owner_in(hit.payload)) for hit in hits if "project_id" in hit.payload)
    return op.ScanPage(tuple(entries), next_id)


def count(operation: op.Count, collection: Collection) -> Steps[int]:
    return (yield from collection.ask(Count(_where(operation))))


def count_categories(operation: op.CountCategories, collection: Collection) -> Steps[dict[str, int]]:
    return (yield from collection.ask(Facet("categories", _where(operation))))


def list_children(operation: op.ListChildren, collection: Collection) -> Steps[tuple[str, ...]]:
    return (yield from _children(collection, _where(operation), operation.filter.path or "/"))


def describe_path(operation: op.DescribePath, collection: Collection) -> Steps[PathInfo]:
    where, path = _where(operation), operation.filter.path or "/"
    total = yield from collection.ask(Count(where))
    categories = yield from collection.ask(Facet("categories", where))
    newest = _entries((yield from page_of(collection, where, 1)), operation)
    oldest = _entries((yield from page_of(collection, where, 1, newest_first=False)), operation)
    return PathInfo(
        path=path,
        count=total,
        categories=tuple(sorted(categories)),
        oldest=oldest[0].created_at if oldest else None,
        newest=newest[0].created_at if newest else None,
        children=(yield from _children(collection, where, path)),
    )


def _children(collection: Collection, where: Where, path: str) -> Steps[tuple[str, ...]]:
    ancestors = yield from collection.ask(Facet("ancestors", where))
    return tuple(child_paths(path, ancestors))


def _where(
    operation: op.List | op.ListPage | op.Scan | op.Count | op.CountCategories | op.ListChildren | op.DescribePath,
) -> Where:
    return where_filter(operation.filter, operation.scope, include_shared=operation.include_shared)


def _entries(hits: list[Hit], operation: op.ReadOperation[Any], found_by: tuple[str, ...] = ()) -> list[MemoryEntry]:
    """Hits as entries, after the second check of the scope."""
    return to_entries(checked(hits, operation.scope, include_shared=operation.include_shared), found_by)

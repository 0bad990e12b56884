"""The operations that write, on Qdrant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, cast

from ...entry import MemoryEntry
from ...io.steps import Steps, work
from ...scope import Scope
from ...store import operations as op
from ...validation import utcnow
from .changes import change_entry, is_long, replace_entry, with_vectors
from .codec import to_entry, to_points
from .collection import Collection
from .dense_vectors import embed_all, embed_some
from .engine_requests import Delete, Describe, NoteAccess, Profile, Upsert
from .reads import find
from .schema import access_write, where_filter


def put(operation: op.Put, collection: Collection) -> Steps[None]:
    entries, scope = operation.entries, operation.scope
    profile = yield from collection.ask(Describe())
    # All entries are checked before the first (paid) embedding, and embedded before the first write.
    make = partial(to_points, entries, [scope] * len(entries), profile.encoder, profile.filter_fields)
    points = yield from work(make, long=is_long(entry.content for entry in entries))
    points, vectors = yield from with_vectors(profile, points)
    yield from collection.ask(Upsert(points))
    yield from _after_saving(collection, profile, scope, vectors)


def replace_visible(operation: op.Replace, collection: Collection) -> Steps[bool]:
    entry, scope = operation.entry, operation.scope
    found = yield from find(collection, entry.id, scope, include_shared=False, with_vectors=True)
    if found is None:
        if operation.create:
            yield from put(op.Put(scope, [entry]), collection)
        return operation.create
    hit, owner = found
    entry = entry.keeping(operation.keep, to_entry(hit, owner))
    if not entry.embedding and hit.payload["content"] == entry.content and hit.dense:
        entry = replace(entry, embedding=hit.dense)
    profile = yield from collection.ask(Describe())
    there, vectors = yield from replace_entry(collection, profile, entry, owner)
    yield from _after_saving(collection, profile, scope, vectors)
    return there


def update(operation: op.Update, collection: Collection) -> Steps[MemoryEntry | None]:
    scope = operation.scope
    found = yield from find(collection, operation.id, scope, include_shared=False, with_vectors=False)
    if found is None:
        return None
    entry, owner = to_entry(*found), found[1]
    changes = cast(dict[str, Any], operation.changes)
    changed = replace(entry, **changes, last_accessed=utcnow(), embedding=None)
    fields = set(changes)
    if changed.content == entry.content:
        fields.discard("content")
    profile = yield from collection.ask(Describe())
    there, vectors = yield from change_entry(collection, profile, changed, owner, fields)
    if not there:
        return None
    yield from _after_saving(collection, profile, scope, vectors)
    return replace(changed, categories=tuple(changed.categories))


def delete(operation: op.Delete, collection: Collection) -> Steps[int]:
    where = where_filter(operation.filter, operation.scope, include_shared=False)
    return (yield from collection.ask(Delete(where)))


def touch(operation: op.Touch, collection: Collection) -> Steps[None]:
    note = NoteAccess(operation.scope, operation.ids, utcnow())
    yield from collection.ask(note if operation.background else access_write(note))


def embed_missing(operation: op.EmbedMissing, collection: Collection) -> Steps[int]:
    profile = yield from collection.ask(Describe())
    if profile.embedder is None:
        return 0
    return (yield from embed_all(collection, profile, profile.embedder, operation.scope))


def _after_saving(
    collection: Collection, profile: Profile, scope: Scope, vectors: Sequence[Sequence[float]]
) -> Steps[None]:
    """Record the entries without a vector. If the embedder answered, embed some entries of earlier saves."""
    backlog = collection.backlog
    if not all(vectors):
        backlog.has_some(scope)
    if profile.embedder is not None and any(vectors) and backlog.is_due(scope):
        yield from embed_some(collection, profile, profile.embedder, scope)

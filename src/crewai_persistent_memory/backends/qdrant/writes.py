"""The operations that write, on Qdrant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, cast

from ...corrections import texts_after
from ...embedding import KeywordEncoder
from ...entry import MemoryEntry
from ...errors import InvalidArgumentError
from ...io.steps import Steps, work
from ...scope import Scope
from ...store import operations as op
from ...validation import utcnow
from .changes import change_entry, is_long, replace_entry, with_vectors
from .codec import Draft, to_drafts, to_entry
from .collection import Collection
from .context import InContext, contexts_of, note_saved, take_out, to_point
from .dense_vectors import embed_all, embed_some, measure_spread
from .engine_requests import Delete, Describe, Everything, Hit, NoteAccess, PointData, Profile, Upsert
from .forgotten import keep_and_delete
from .forgotten import undo_delete as bring_back
from .reads import find
from .schema import access_write, points_named, where_filter, where_scopes


def put(operation: op.Put, collection: Collection) -> Steps[Sequence[MemoryEntry]]:
    entries, scope = operation.entries, operation.scope
    profile = yield from collection.ask(Describe())
    since = profile.said_before.changes
    # Everything is checked before the first embedding is paid for, and embedded before the first write.
    long = is_long(entry.content for entry in entries)
    drafts = yield from work(partial(to_drafts, entries, scope, profile.filter_fields), long=long)
    contexts = yield from contexts_of(collection, profile, entries, drafts, scope)
    points = yield from work(partial(_to_points, drafts, contexts, profile.encoder), long=long)
    points, vectors = yield from with_vectors(profile, points)
    yield from collection.ask(Upsert(points, operation.new))
    changed = [] if operation.new else profile.said_before.are_followed(point.id for point in points)
    note_saved(profile, scope, contexts, since)
    if changed:
        yield from take_out(collection, profile, scope, changed, gone=False, but=[point.id for point in points])
    yield from _after_saving(collection, profile, scope, vectors)
    return entries


def _to_points(drafts: Sequence[Draft], contexts: Sequence[InContext], encoder: KeywordEncoder) -> list[PointData]:
    return [to_point(draft, each.before, encoder) for draft, each in zip(drafts, contexts, strict=True)]


def replace_visible(operation: op.Replace, collection: Collection) -> Steps[bool]:
    entry, scope = operation.entry, operation.scope
    found = yield from find(collection, entry.id, scope, include_shared=False, with_vectors=True)
    if found is None:
        if operation.create:
            yield from put(op.Put(scope, [entry]), collection)
        return operation.create
    hit, owner = found
    stored = to_entry(hit, owner)
    history = texts_after(stored, entry.content, scope, operation.history)
    entry = replace(entry.keeping(operation.keep, stored), history=history)
    keeps_dense = not entry.embedding and hit.payload["content"] == entry.content and bool(hit.dense)
    profile = yield from collection.ask(Describe())
    there, vectors = yield from replace_entry(collection, profile, entry, hit, owner, keeps_dense=keeps_dense)
    yield from _tell_followers(collection, profile, hit, owner, entry)
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
    changed = replace(changed, history=texts_after(entry, changed.content, scope, operation.history))
    fields = set(changes)
    if changed.content == entry.content:
        fields.discard("content")
    profile = yield from collection.ask(Describe())
    there, vectors = yield from change_entry(collection, profile, changed, found[0], owner, fields)
    if not there:
        return None
    yield from _tell_followers(collection, profile, found[0], owner, changed)
    yield from _after_saving(collection, profile, scope, vectors)
    return replace(changed, categories=tuple(changed.categories))


def delete(operation: op.Delete, collection: Collection) -> Steps[int]:
    if operation.undo_until is not None:
        profile = yield from collection.ask(Describe())
        return (yield from keep_and_delete(operation, operation.undo_until, collection, profile))
    where = where_filter(
        operation.filter, operation.scope, include_shared=False, with_expired=True, owner_only=operation.owner_only
    )
    profile = yield from collection.ask(Describe())
    if not operation.filter.selects:
        profile.said_before.forget()
        return (yield from collection.ask(Delete(where)))
    # Before, so that a crash leaves no words of what is deleted; and after, for what was saved meanwhile.
    ids = points_named(where) or [str(hit.id) for hit in (yield from collection.ask(Everything(where, whole=False)))]
    yield from take_out(collection, profile, operation.scope, ids, gone=True)
    count = yield from collection.ask(Delete(where))
    yield from take_out(collection, profile, operation.scope, ids, gone=True)
    return count


def undo_delete(operation: op.UndoDelete, collection: Collection) -> Steps[list[MemoryEntry]]:
    return bring_back(operation, collection, put)


def erase_scopes(operation: op.EraseScopes, collection: Collection) -> Steps[op.Erased]:
    """Whole users, projects or runs: no entry that stays has words of one that goes."""
    where = where_scopes(operation.scope)
    if not where:
        raise InvalidArgumentError("scope: name at least one field, such as user_id")
    profile = yield from collection.ask(Describe())
    profile.said_before.forget()
    return op.Erased((yield from collection.ask(Delete(where))))


def touch(operation: op.Touch, collection: Collection) -> Steps[None]:
    note = NoteAccess(operation.scope, operation.ids, utcnow())
    yield from collection.ask(note if operation.background else access_write(note))


def embed_missing(operation: op.EmbedMissing, collection: Collection) -> Steps[int]:
    profile = yield from collection.ask(Describe())
    if profile.embedder is None:
        return 0
    return (yield from embed_all(collection, profile, profile.embedder, operation.scope))


def _tell_followers(
    collection: Collection, profile: Profile, before: Hit, owner: Scope, changed: MemoryEntry
) -> Steps[None]:
    """After a change of an entry: the entries that follow it have its words as they are now, if they may have them."""
    was = to_entry(before, owner)
    gone = _seen_as(was) != _seen_as(changed)
    if gone or was.content != changed.content:
        yield from take_out(collection, profile, owner, [str(before.id)], gone=gone)


def _seen_as(entry: MemoryEntry) -> tuple[object, ...]:
    return entry.path, entry.kind, entry.private, entry.expires_at


def _after_saving(
    collection: Collection, profile: Profile, scope: Scope, vectors: Sequence[Sequence[float]]
) -> Steps[None]:
    """Record the entries without a vector. If the embedder answered, embed some entries of earlier saves."""
    if any(vectors):
        yield from measure_spread(collection, profile)
    backlog = collection.backlog
    if not all(vectors):
        backlog.has_some(scope)
    if profile.embedder is not None and any(vectors) and backlog.is_due(scope):
        yield from embed_some(collection, profile, profile.embedder, scope)

"""What was said just before an entry: its words are found with the entry's own.

"It was great, we saw a whale" answers "How was the trip to Iceland?", and is found by "Iceland" only with the words of
what it answers. So the keyword vector of a short entry also holds the terms of up to two short entries before it, under
ids of their own (``text/bm25``). Its payload names these entries under ``context``. When one of them is deleted or
changed, its words are taken out of the entries that follow it.

An entry counts as said before another one if every reader of the one can see the other: the same owner (user, run,
agent), path and kind, neither of them private. It must not expire before the other, or only just. Both have the same
conversation in their metadata, or none, and they are not further apart than :data:`~.said_before.NEAR`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from ...embedding import KeywordEncoder
from ...entry import MemoryEntry
from ...expiry import is_expired
from ...io.steps import Steps
from ...scope import Scope
from ...validation import normalize_path, to_naive_utc
from .codec import Draft, to_entry
from .collection import Collection
from .engine_requests import Between, Change, HasNoId, Hit, Match, Ordered, PointData, Profile, Retrieve, Scroll
from .said_before import BEFORE, NEAR, Said
from .schema import (
    CONTEXT_KEY,
    EXPIRES_AT_KEY,
    TENANT_KEY,
    not_expired,
    owner_key,
    parse_end,
    parse_time,
    tenant_key,
    where_owner,
)

SHORT: Final = 400
"""Characters. A longer text says by itself what it is about: with the words of others it was found less well."""

CONVERSATION_KEYS: Final = ("conversation_id", "session_id", "thread_id", "chat_id")
"""Metadata that names a conversation."""

_PAGE: Final = 256


class InContext(NamedTuple):
    """An entry in its conversation.

    Attributes:
        said: the entry as others may follow it; ``None`` for a long or a private one.
        before: what was said before it, oldest first.
    """

    said: Said | None
    before: Sequence[Said] = ()


def said_in(entry: MemoryEntry, point: str) -> Said | None:
    """The entry of a point as others may follow it; see :class:`InContext`."""
    if len(entry.content) > SHORT or entry.private:
        return None
    created_at = to_naive_utc("created_at", entry.created_at)
    names = [entry.metadata.get(key) for key in CONVERSATION_KEYS] if entry.metadata else ()
    conversation = (normalize_path(entry.path), entry.kind, *names)
    return Said(point, entry.content, created_at, conversation, entry.expires_at)


def contexts_of(
    collection: Collection, profile: Profile, entries: Sequence[MemoryEntry], drafts: Sequence[Draft], owner: Scope
) -> Steps[list[InContext]]:
    """Each of these entries of one owner, which are about to be saved, in its context. Their drafts were made, so they
    are checked."""
    said = [said_in(entry, draft.id) for entry, draft in zip(entries, drafts, strict=True)]
    first = next((each for each in said if each is not None), None)
    if first is None:
        return [InContext(None)] * len(entries)
    known, key = profile.said_before, owner_key(owner)
    last = known.last_of(key)
    if last is None or any(each.created_at - first.created_at > NEAR for each in last):
        since = known.changes
        last = yield from _read(collection, owner, first)
        known.note(key, last, since)
    before: deque[Said] = deque(last, maxlen=BEFORE)
    contexts = []
    for each in said:
        if each is None:
            contexts.append(InContext(None))
            continue
        contexts.append(InContext(each, tuple(one for one in before if is_said_before(one, each))))
        before.append(each)
    return contexts


def is_said_before(one: Said, other: Said) -> bool:
    """Whether the words of the one may be found with the other, now."""
    return one.is_before(other) and not is_expired(one.expires_at)


def to_point(draft: Draft, before: Sequence[Said], encoder: KeywordEncoder) -> PointData:
    """The point of a draft, with the words of its content and of what was said before it."""
    if before:
        draft.payload[CONTEXT_KEY] = [each.point for each in before]
    keywords = encoder.document(draft.payload["content"], [each.content for each in before])
    return PointData(draft.id, draft.payload, keywords, draft.dense)


def note_saved(profile: Profile, owner: Scope, contexts: Sequence[InContext], since: int) -> None:
    """Note that these entries were saved. If anything was forgotten ``since``, they are read again when needed."""
    said = [each.said for each in contexts if each.said is not None]
    if said:
        followed = [one.point for each in contexts for one in each.before]
        profile.said_before.note(owner_key(owner), said[-BEFORE:], since, followed)


def _read(collection: Collection, owner: Scope, first: Said) -> Steps[tuple[Said, ...]]:
    start = first.created_at - NEAR if first.created_at > datetime.min + NEAR else None
    end = first.created_at + timedelta(microseconds=1) if first.created_at < datetime.max else None
    where = (*where_owner(owner), not_expired(), Between("created_at", start, end))
    hits: list[Hit] = yield from collection.ask(Ordered(where, BEFORE, newest_first=True, whole=True))
    found = [said_in(to_entry(hit, owner), str(hit.id)) for hit in reversed(hits)]
    return tuple(each for each in found if each is not None)


# -- entries that follow -----------------------------------------------------------------------------------------------


def context_of(collection: Collection, payload: Mapping[str, Any]) -> Steps[list[Said]]:
    """What was said before the entry with this payload, as far as it is still there and short."""
    ids = payload.get(CONTEXT_KEY)
    return (yield from _said(collection, ids)) if ids else []


def _said(collection: Collection, ids: Sequence[str]) -> Steps[list[Said]]:
    hits = yield from collection.ask(Retrieve(ids))
    said = {str(hit.id): hit.payload for hit in hits}
    return [
        Said(id, said[id]["content"], parse_time(said[id]["created_at"]), ())
        for id in ids
        if id in said and len(said[id]["content"]) <= SHORT and not is_expired(_end_of(said[id]))
    ]


def _end_of(payload: Mapping[str, Any]) -> datetime | None:
    return parse_end(payload[EXPIRES_AT_KEY]) if EXPIRES_AT_KEY in payload else None


def take_out(
    collection: Collection, profile: Profile, owner: Scope, ids: Sequence[str], *, gone: bool, but: Sequence[str] = ()
) -> Steps[None]:
    """Make the entries that follow these anew, without their words or, if they are not ``gone``, with those of now.

    Args:
        collection: of the entries.
        profile: what is known of it.
        owner: of the entries.
        ids: their points.
        gone: whether they are deleted, or no longer seen by every reader of those that follow.
        but: points that were made with the words of now.
    """
    profile.said_before.forget()
    made = (HasNoId(tuple(but)),) if but else ()
    for start in range(0, len(ids), _PAGE):
        some = tuple(ids[start : start + _PAGE])
        where = (Match(TENANT_KEY, (tenant_key(owner),)), Match(CONTEXT_KEY, some), *made)
        offset: str | None = None
        while True:
            hits, offset = yield from collection.ask(Scroll(where, _PAGE, offset))
            for hit in hits:
                left = [id for id in hit.payload[CONTEXT_KEY] if not (gone and id in some)]
                before = (yield from _said(collection, left)) if left else []
                keywords = profile.encoder.document(hit.payload["content"], [each.content for each in before])
                payload = {CONTEXT_KEY: [each.point for each in before] or None}
                yield from collection.ask(Change(str(hit.id), payload, keywords=keywords, keeps_dense=True))
            if offset is None:
                break

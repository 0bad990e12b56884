"""Change an existing entry while other callers may change or delete it.

A change writes the keys of the changed fields and nothing else, to a point that must be there. So two changes of
two fields both hold, and a deleted entry is not created again. Two things belong to more than one write, and are
looked at again after it: the vectors, which must be those of the content, ``audience``, which the source and the
privacy decide together, and an application's filter fields, which the whole entry decides.
"""

from __future__ import annotations

import logging
from collections.abc import Collection as AnyOf
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Final

from ...entry import MemoryEntry
from ...io.steps import Steps, work
from ...scope import Scope
from .codec import audience_of, field_values_to_set, to_changes, to_entry, to_point
from .collection import Collection
from .dense_vectors import vectors_to_save
from .engine_requests import Change, PointData, Profile, Retrieve

LONG: Final = 8_192
"""Characters. Counting the words of longer texts takes so long that an event loop must not wait for it."""

MOST_LOOKS: Final = 20
"""Times that a change is looked at again. Each one more needs another process that changes the same entry just then."""

Vectors = Sequence[Sequence[float]]
"""What the embedder made: an empty one where it is away or refuses, none where nothing was to be embedded."""

logger = logging.getLogger("crewai_persistent_memory")


def is_long(texts: Iterable[str]) -> bool:
    """Whether these texts together are long."""
    return sum(len(text) for text in texts if isinstance(text, str)) > LONG


def with_vectors(profile: Profile, points: Sequence[PointData]) -> Steps[tuple[list[PointData], Vectors]]:
    """Points with dense vectors, as far as there is an embedder, and the vectors that it made."""
    points = list(points)
    bare = [index for index, point in enumerate(points) if point.dense is None]
    if not bare or profile.embedder is None:
        return points, []
    texts = [points[index].payload["content"] for index in bare]
    vectors = yield from vectors_to_save(profile, profile.embedder, texts)
    for index, vector in zip(bare, vectors, strict=True):
        points[index] = points[index]._replace(dense=vector or None)
    return points, vectors


def change_entry(
    collection: Collection, profile: Profile, changed: MemoryEntry, owner: Scope, fields: AnyOf[str]
) -> Steps[tuple[bool, Vectors]]:
    """Write these fields of an entry. Returns whether the entry was there, and what the embedder made.

    Raises:
        InvalidEntryError: a field cannot be stored.
    """
    point = yield from _point_of(profile, changed, owner)
    payload = to_changes(point.payload, changed, fields, profile.filter_fields)
    if "content" not in fields:
        there = yield from collection.ask(Change(point.id, payload))
        if there and (profile.filter_fields or not {"source", "private"}.isdisjoint(fields)):
            yield from _settle(collection, profile, point.id, owner)
        return there, []
    [point], vectors = yield from with_vectors(profile, [point])
    there = yield from collection.ask(Change(point.id, payload, keywords=point.keywords, dense=point.dense))
    if there:
        yield from _settle(collection, profile, point.id, owner, changed.content)
    return there, vectors


def replace_entry(
    collection: Collection, profile: Profile, entry: MemoryEntry, owner: Scope
) -> Steps[tuple[bool, Vectors]]:
    """Write a whole entry in place of the one that is there. Returns whether there was one, and what the embedder made.

    Raises:
        InvalidEntryError: a field cannot be stored.
    """
    point = yield from _point_of(profile, entry, owner)
    [point], vectors = yield from with_vectors(profile, [point])
    whole = Change(point.id, point.payload, whole=True, keywords=point.keywords, dense=point.dense)
    there = yield from collection.ask(whole)
    if there:
        yield from _settle(collection, profile, point.id, owner, entry.content)
    return there, vectors


def _point_of(profile: Profile, entry: MemoryEntry, owner: Scope) -> Steps[PointData]:
    make = partial(to_point, entry, owner, profile.encoder, profile.filter_fields)
    return (yield from work(make, long=is_long([entry.content])))


def _settle(collection: Collection, profile: Profile, id: str, owner: Scope, content: str | None = None) -> Steps[None]:
    """Make the vectors, ``audience`` and filter fields fit what the entry says now. ``content``: what its vectors were
    just made of.

    Whoever writes last also looks last, so it ends with what fits.
    """
    for _ in range(MOST_LOOKS):
        found = [hit for hit in (yield from collection.ask(Retrieve([id]))) if str(hit.id) == id]
        if not found:
            return  # deleted since
        entry = to_entry(found[0], owner)
        payload: dict[str, Any] = {}
        if found[0].payload.get("audience") != audience_of(entry):
            payload["audience"] = audience_of(entry)
        if profile.filter_fields:
            payload |= field_values_to_set(found[0], entry, profile.filter_fields)
        if content is not None and entry.content != content:
            content = entry.content
            point = yield from _point_of(profile, entry, owner)
            [point], _ = yield from with_vectors(profile, [point])
            change = Change(id, payload, keywords=point.keywords, dense=point.dense)
        elif payload:
            change = Change(id, payload)
        else:
            return
        if not (yield from collection.ask(change)):
            return
    logger.warning("an entry was changed by others all the time: its vectors may be those of an earlier text")

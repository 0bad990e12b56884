"""Change an existing entry while other callers may change or delete it.

A change writes only the keys of the changed fields, and only to an existing point. Concurrent changes of different
fields therefore both take effect, and a deleted entry is not created again. Some values depend on several fields, and
are checked again after the write: the vectors (made from the content), ``audience`` (from the source and the privacy),
and an application's filter fields (from the whole entry).
"""

from __future__ import annotations

import logging
from collections.abc import Collection as AnyOf
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from ...entry import MemoryEntry
from ...errors import EmbedderUnavailableError
from ...io.steps import Steps, work
from ...scope import Scope
from .codec import Draft, audience_of, field_values_to_set, to_changes, to_draft, to_entry
from .collection import Collection
from .context import context_of, to_point
from .dense_vectors import token_vectors, vectors_to_save
from .engine_requests import Change, Hit, PointData, Profile, Retrieve
from .passage_vectors import NO_VECTORS, TextVectors

LONG: Final = 8_192
"""Characters. Counting the words of longer texts would block an event loop for too long."""

MOST_LOOKS: Final = 20
"""Maximum number of checks after a change. A further check is needed only if another process changed the entry during
the previous one."""

Vectors = Sequence[Sequence[float]]
"""The embedder's result: an empty vector if it is unavailable or refuses a text, no vector if no text was embedded."""

logger = logging.getLogger("crewai_persistent_memory")


def is_long(texts: Iterable[str]) -> bool:
    """Whether these texts together have more than ``LONG`` characters."""
    return sum(len(text) for text in texts if isinstance(text, str)) > LONG


def with_vectors(profile: Profile, points: Sequence[PointData]) -> Steps[tuple[list[PointData], Vectors]]:
    """The points with their vectors, if there is an embedder, and the dense ones of those that were embedded."""
    points = list(points)
    bare = [index for index, point in enumerate(points) if point.dense is None]
    vectors: list[Sequence[float]] = []
    if profile.descriptor.tokens is not None:
        vectors += yield from _with_tokens(profile, points)
    if bare and profile.embedder is not None:
        texts = [points[index].payload["content"] for index in bare]
        for index, made in zip(bare, (yield from vectors_to_save(profile, profile.embedder, texts)), strict=True):
            points[index] = _with(points[index], made)
            vectors.append(made.dense)
    return points, vectors


def _with(point: PointData, vectors: TextVectors) -> PointData:
    return point._replace(dense=vectors.dense or None, passages=vectors.passages, tokens=vectors.tokens)


def _with_tokens(profile: Profile, points: list[PointData]) -> Steps[Vectors]:
    """Give token vectors to the points that bring their dense vector, of an export or another store.

    If the embedder does not answer, they get none of their vectors now, and are embedded later like all the others.

    Returns:
        The dense vectors that these points have now.
    """
    given = [index for index, point in enumerate(points) if point.dense is not None]
    if not given:
        return []
    texts = [points[index].payload["content"] for index in given]
    try:
        tokens = yield from token_vectors(profile, profile.embedder, texts)
    except EmbedderUnavailableError:
        for index in given:
            points[index] = _with(points[index], NO_VECTORS)
    else:
        for index, some in zip(given, tokens, strict=True):
            points[index] = points[index]._replace(tokens=some)
    return [points[index].dense or () for index in given]


def change_entry(
    collection: Collection, profile: Profile, changed: MemoryEntry, stored: Hit, owner: Scope, fields: AnyOf[str]
) -> Steps[tuple[bool, Vectors]]:
    """Write these fields of an entry. Returns whether the entry exists, and the embedder's vectors.

    Raises:
        InvalidEntryError: a field cannot be stored.
    """
    draft = yield from _draft_of(changed, owner, profile)
    payload = to_changes(draft.payload, changed, fields, profile.filter_fields)
    if "content" not in fields:
        there = yield from collection.ask(Change(draft.id, payload))
        if there and (profile.filter_fields or not {"source", "private"}.isdisjoint(fields)):
            yield from _settle(collection, profile, draft.id, owner)
        return there, []
    point = yield from _in_its_context(collection, profile, draft, stored)
    [point], vectors = yield from with_vectors(profile, [point])
    there = yield from collection.ask(_change_of(point, payload))
    if there:
        yield from _settle(collection, profile, point.id, owner, changed.content)
    return there, vectors


def replace_entry(
    collection: Collection,
    profile: Profile,
    entry: MemoryEntry,
    stored: Hit,
    owner: Scope,
    *,
    keeps_dense: bool = False,
) -> Steps[tuple[bool, Vectors]]:
    """Replace an existing entry. Returns whether the entry exists, and the embedder's vectors.

    Args:
        collection: the entry's collection.
        profile: its encoder, embedder and filter fields.
        entry: the new entry.
        stored: the existing one.
        owner: the scope of both.
        keeps_dense: the content is the same, so its vectors stay as they are.

    Raises:
        InvalidEntryError: a field cannot be stored.
    """
    draft = yield from _draft_of(entry, owner, profile)
    point = yield from _in_its_context(collection, profile, draft, stored)
    if keeps_dense:
        vectors: Vectors = []
    else:
        [point], vectors = yield from with_vectors(profile, [point])
    whole = replace(_change_of(point, point.payload), whole=True, keeps_dense=keeps_dense)
    there = yield from collection.ask(whole)
    if there:
        yield from _settle(collection, profile, point.id, owner, entry.content)
    return there, vectors


def _change_of(point: PointData, payload: Mapping[str, Any]) -> Change:
    vectors = TextVectors(point.dense or (), point.passages, point.tokens)
    return Change(point.id, payload, keywords=point.keywords, **vectors._asdict())


def _draft_of(entry: MemoryEntry, owner: Scope, profile: Profile) -> Steps[Draft]:
    return work(partial(to_draft, entry, owner, profile.filter_fields), long=is_long([entry.content]))


def _in_its_context(collection: Collection, profile: Profile, draft: Draft, stored: Hit) -> Steps[PointData]:
    """The point with its own words, and with those of what was said before the stored one."""
    before = yield from context_of(collection, stored.payload)
    make = partial(to_point, draft, before, profile.encoder)
    return (yield from work(make, long=is_long([draft.payload["content"]])))


def _settle(collection: Collection, profile: Profile, id: str, owner: Scope, content: str | None = None) -> Steps[None]:
    """Update the vectors, ``audience`` and filter fields until they match the stored entry.

    The last writer also makes the last check, so the entry ends in a consistent state.

    Args:
        collection: the entry's collection.
        profile: its encoder, embedder and filter fields.
        id: the entry's id.
        owner: the scope of the entry.
        content: the text from which the current vectors were made; ``None`` if this change made none.
    """
    for _ in range(MOST_LOOKS):
        found = [hit for hit in (yield from collection.ask(Retrieve([id]))) if str(hit.id) == id]
        if not found:
            return  # deleted meanwhile
        entry = to_entry(found[0], owner)
        payload: dict[str, Any] = {}
        if found[0].payload.get("audience") != audience_of(entry):
            payload["audience"] = audience_of(entry)
        if profile.filter_fields:
            payload |= field_values_to_set(found[0], entry, profile.filter_fields)
        if content is not None and entry.content != content:
            content = entry.content
            draft = yield from _draft_of(entry, owner, profile)
            point = yield from _in_its_context(collection, profile, draft, found[0])
            [point], _ = yield from with_vectors(profile, [point])
            change = _change_of(point, payload)
        elif payload:
            change = Change(id, payload)
        else:
            return
        if not (yield from collection.ask(change)):
            return
    logger.warning("an entry was changed by others all the time: its vectors may be those of an earlier text")

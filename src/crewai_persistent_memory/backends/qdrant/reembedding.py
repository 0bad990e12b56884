"""Changing the embedder of a store that is in use.

In an embedded store, first the vectors of the new embedder are collected beside those of the old one, which answers
meanwhile. Then all are exchanged at once. What was saved while they were exchanged is embedded afterwards, as after an
outage of the embedder. On a server the memories move to another collection, see ``server/moving``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from ...embedding import Embedder
from ...errors import ConfigurationError, EmbedderError, EmbedderUnavailableError
from ...io.steps import Steps, Work
from ...store import operations as op
from ...text.passages import is_one_passage
from .collection import Collection
from .dense_vectors import measure_spread, text_vectors
from .engine_requests import (
    BeginVectors,
    ChangeEmbedder,
    Describe,
    EndVectors,
    Facet,
    FinishMove,
    Hit,
    KeepNewVectors,
    MoveCollection,
    NewVector,
    NoPassages,
    Profile,
    Scroll,
    SetVectors,
    Unembedded,
    WithoutNewVector,
    WithoutPassages,
)
from .manifest import EMBEDDER, EXTERNAL, KEYWORDS, Descriptor
from .schema import not_expired

PAGE: Final = 64

MOST_PASSES: Final = 5
"""Over all entries, while others save. What the last one leaves is embedded after the exchange."""


def reembed(operation: op.Reembed, collection: Collection) -> Steps[op.Reembedded]:
    """See :class:`~....store.operations.Reembed`.

    Raises:
        ConfigurationError: the vectors are from outside; the embedder gives no token vectors; or vectors of passages
            are asked for with another embedder than the store's.
        EmbedderUnavailableError: the new embedder does not answer. What is done is kept: call it again.
        StoreBusyError: somebody else does it.
        StorePermissionError: on a server, this key may not create a collection. Nothing was changed.
    """
    profile = yield from collection.ask(Describe())
    stored, embedder = profile.descriptor, operation.embedder
    if stored.vectors == EXTERNAL:
        raise ConfigurationError(
            "embedder: the vectors of this store come from outside (QdrantStorageBackend), so it has none to change"
        )
    if embedder is not None:
        embedder = yield from _with_or_without_tokens(operation, embedder, stored)
        operation = replace(operation, embedder=embedder)
    if operation.passages:
        _require_its_own(stored, embedder)
    is_same = stored.has_embedder(None if embedder is None else embedder.fingerprint)
    for_passages = is_same and operation.passages and embedder is not None and not stored.passages
    if is_same and not for_passages:
        if not operation.dry_run:
            yield from collection.ask(FinishMove(embedder))
        return (yield from _completed(operation, collection, profile))
    new = _descriptor(stored, embedder)
    collected = None if embedder is None or operation.dry_run else embedder.fingerprint
    in_place = yield from collection.ask(BeginVectors(collected))
    try:
        total = yield from _count(collection)
        if operation.dry_run:
            characters = 0 if embedder is None else (yield from _characters(collection, only_long=for_passages))
            return op.Reembedded(total, characters=characters, changed=True)
        if not in_place:
            return (yield from _moved(operation, collection, new))
        work = _Collecting(operation, collection, profile._replace(descriptor=new, embedder=embedder))
        if embedder is not None:
            yield from work.all_passes()
        yield from collection.ask(ChangeEmbedder(new, embedder))
    finally:
        yield from collection.ask(EndVectors())
    there = 0 if embedder is None else max(0, total - work.embedded - len(work.refused))
    return op.Reembedded(total, work.embedded, there, len(work.refused), work.characters, changed=True)


def _with_or_without_tokens(operation: op.Reembed, embedder: Embedder, stored: Descriptor) -> Steps[Embedder]:
    if not (stored.tokens is not None if operation.tokens is None else operation.tokens):
        return embedder.without_tokens()
    try:
        return (yield Work(embedder.with_tokens))  # type: ignore[no-any-return]
    except ConfigurationError as error:
        if operation.tokens is not None:
            raise
        raise ConfigurationError(
            "embedder: the store has token vectors, and the new embedder has no method embed_tokens: give one that "
            "has, or reranker='none'"
        ) from error


def _require_its_own(stored: Descriptor, embedder: Embedder | None) -> None:
    """Refuse another embedder than the store's. With it every entry would be embedded, or lose its vectors."""
    if stored.fingerprint is None:
        raise ConfigurationError("passages: the store has no embedder: leave passages out to give it one")
    if embedder is None or not stored.fingerprint.same_embedder(embedder.fingerprint):
        given = "keywords" if embedder is None else embedder.fingerprint.describe()
        raise ConfigurationError(
            f"passages: they get vectors of the embedder that the store has, {stored.fingerprint.describe()}, and "
            f"{given} is another one: give the store's embedder, or leave passages out to change it"
        )


def _moved(operation: op.Reembed, collection: Collection, new: Descriptor) -> Steps[op.Reembedded]:
    moved = yield from collection.ask(MoveCollection(new, operation.embedder, operation.progress))
    total = yield from _count(collection)
    there = 0 if operation.embedder is None else max(0, total - moved.embedded - moved.without)
    return op.Reembedded(total, moved.embedded, there, moved.without, moved.characters, changed=True)


def _count(collection: Collection) -> Steps[int]:
    """Each entry has a project; a point in which a server's collection describes itself has none."""
    return sum((yield from collection.ask(Facet("project_id", (not_expired(),)))).values())


def _characters(collection: Collection, *, only_long: bool) -> Steps[int]:
    characters, start = 0, None
    while True:
        hits, start = yield from collection.ask(Scroll((not_expired(),), PAGE, start))
        # The point in which a server's collection describes itself has no content.
        contents = [hit.payload.get("content", "") for hit in hits]
        characters += sum(len(content) for content in contents if not (only_long and is_one_passage(content)))
        if start is None:
            return characters


def _descriptor(stored: Descriptor, embedder: Embedder | None) -> Descriptor:
    if embedder is None:
        return replace(stored, vectors=KEYWORDS, dimensions=None, fingerprint=None, spread=None, token_spread=None)
    return replace(
        stored,
        vectors=EMBEDDER,
        dimensions=embedder.dimensions,
        fingerprint=embedder.fingerprint,
        passages=True,
        spread=None,
        token_spread=None,
    )


class _Collecting:
    """One change of the embedder, while it collects."""

    def __init__(self, operation: op.Reembed, collection: Collection, profile: Profile) -> None:
        self._operation, self._collection, self._profile = operation, collection, profile
        self.embedded = self.characters = 0
        self.refused: set[str] = set()

    def all_passes(self) -> Steps[None]:
        """Over all entries, until none is left, or others save faster."""
        for number in range(MOST_PASSES):
            if not (yield from self._one_pass(first=not number)):
                return

    def _one_pass(self, *, first: bool) -> Steps[int]:
        """Returns how many entries had no vector."""
        start: str | None = None
        found = seen = 0
        while True:
            hits, start = yield from self._collection.ask(WithoutNewVector((not_expired(),), PAGE, start))
            new = [hit for hit in hits if str(hit.id) not in self.refused]
            found += len(new)
            self.characters += sum(len(hit.payload["content"]) for hit in new)
            if new:
                yield from self._embed(new)
            seen += PAGE
            if first:
                self._operation.progress(seen)
            if start is None:
                return found

    def _embed(self, hits: Sequence[Hit]) -> Steps[None]:
        made, refused = yield from made_of(self._profile, hits)
        self.refused |= refused
        if made:
            yield from self._collection.ask(KeepNewVectors(made))
        self.embedded += len(made)


def made_of(profile: Profile, hits: Sequence[Hit]) -> Steps[tuple[list[NewVector], set[str]]]:
    """The vectors of points, and the ids of those that the embedder refuses.

    Raises:
        EmbedderUnavailableError: it does not answer.
    """
    assert profile.embedder is not None
    contents = [hit.payload["content"] for hit in hits]
    try:
        vectors = yield from text_vectors(profile, profile.embedder, contents)
    except EmbedderUnavailableError:
        raise
    except EmbedderError:
        if len(hits) == 1:
            return [], {str(hits[0].id)}
        made, refused = [], set()
        for hit in hits:
            one, none = yield from made_of(profile, [hit])
            made += one
            refused |= none
        return made, refused
    made = [
        NewVector(str(hit.id), content, *each)
        for hit, content, each in zip(hits, contents, vectors, strict=True)
        if each.dense
    ]
    return made, {str(hit.id) for hit, each in zip(hits, vectors, strict=True) if not each.dense}


def _completed(operation: op.Reembed, collection: Collection, profile: Profile) -> Steps[op.Reembedded]:
    """Embed the entries of all scopes that have no vector."""
    total = yield from _count(collection)
    if operation.embedder is None:
        return op.Reembedded(total)
    profile = profile._replace(embedder=operation.embedder)
    refused: set[str] = set()
    left_out: set[str] = set()
    embedded = characters = 0
    while True:
        where = (not_expired(),)
        found = yield from collection.ask(Unembedded(where, PAGE, refused | left_out))
        hits = [hit for hit in found if "content" in hit.payload]
        left_out |= {str(hit.id) for hit in found} - {str(hit.id) for hit in hits}
        if found and not hits:
            continue
        characters += sum(len(hit.payload["content"]) for hit in hits)
        if not hits:
            break
        if operation.dry_run:
            left_out |= {str(hit.id) for hit in hits}
            continue
        made, none = yield from made_of(profile, hits)
        done = (yield from collection.ask(SetVectors(where, made))) if made else 0
        embedded += done
        refused |= none
        if not done:
            left_out |= {str(hit.id) for hit in hits}  # changed or deleted meanwhile
        operation.progress(embedded)
    if operation.passages:
        more, read = yield from _with_passages(operation, collection, profile)
        embedded, characters = embedded + more, characters + read
    if total and not operation.dry_run:
        yield from measure_spread(collection, profile)
    return op.Reembedded(total, embedded, max(0, total - embedded - len(refused)), len(refused), characters)


def _with_passages(operation: op.Reembed, collection: Collection, profile: Profile) -> Steps[tuple[int, int]]:
    """Embed the passages of long texts that an earlier version has saved. An embedded store of that version has become
    one with passages, but its texts have the vectors that they had.

    Returns:
        How many texts were embedded, and their characters.
    """
    embedded = characters = 0
    start: str | None = None
    while True:
        where = (not_expired(),)
        hits, start = yield from collection.ask(WithoutPassages(where, PAGE, start))
        characters += sum(len(hit.payload["content"]) for hit in hits)
        if hits and not operation.dry_run:
            made, _ = yield from made_of(profile, hits)  # one that is refused keeps the vector that it has
            if made:
                embedded += yield from collection.ask(SetVectors(where, made, NoPassages()))
            operation.progress(embedded)
        if start is None:
            return embedded, characters

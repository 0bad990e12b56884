"""Carrying points over from one collection to another one that has another embedder, while both are in use.

The payload key ``copied`` holds the name of the other collection. In the source a point has it from the moment before
it is read until somebody changes it. In the target a copy has it until somebody changes the copy. Nothing is written
over a point of the target without it: that was written there directly, so it is newer.

A point that was deleted in the source while it was copied is looked for after the write, and its copy deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from qdrant_client import models

from ....errors import EmbedderUnavailableError
from ....expiry import is_expired
from ....io.steps import Steps
from ....text.passages import is_one_passage
from ..engine_requests import Hit, PointData, Profile, Upsert
from ..forgotten import BACK
from ..manifest import EMBEDDER
from ..point_vectors import dense_names, dense_vectors
from ..reembedding import made_of
from ..schema import (
    COPIED_KEY,
    DENSE,
    EXPIRES_AT_KEY,
    FORGOTTEN_KEY,
    KEYWORDS,
    PASSAGES,
    TENANT_KEY,
    TOKENS,
    parse_end,
)
from . import writes
from .bootstrap import CREATION_TIMEOUT, DESCRIPTOR_ID
from .client import RetryingClient
from .errors import AlreadyExists
from .place import Place, by_shard, for_those_there
from .strict_mode import Limits

PAGE: Final = 64
"""Points that are carried over together."""

IDS: Final = 256
"""Ids that are compared together."""

_ACCESS: Final = "last_accessed"
_TOMB: Final = "deleted"
"""The mark of a copy that is about to be deleted. No collection of a move has this name."""


@dataclass
class Carrying:
    """What is carried over from one collection to another.

    Attributes:
        client: sends the requests.
        source: the collection that the memories leave.
        target: the collection that gets them. Its name is the mark.
        limits: what one request may hold, in both.
        profile: of the target, with its embedder.
        check: raises if somebody else has taken this work over; asked before each page, and before copies are deleted.
        has_vectors: whether the source has vectors of the target's embedder. Those of short texts are taken over.
        switched: whether the target is in use, or about to be.
        embedded: points that were embedded.
        characters: of their contents together.
    """

    client: RetryingClient
    source: str
    target: str
    limits: Limits
    profile: Profile
    check: Callable[[], Steps[None]]
    has_vectors: bool = False
    switched: bool = False
    embedded: int = 0
    characters: int = 0
    _shards: set[Any] = field(default_factory=set)

    def everything(self, progress: Callable[[int], None] = lambda count: None) -> Steps[int]:
        """Compare all points, and carry over what differs; delete copies of what is deleted. Returns how many points
        were carried over or deleted."""
        found = yield from self._each_page(None, progress)
        return found + (yield from self._deleted())

    def changes(self) -> Steps[int]:
        """Carry over what is new or changed since the last time. Returns how many points that were."""
        no_entry = models.IsEmptyCondition(is_empty=models.PayloadField(key=TENANT_KEY))
        return (yield from self._each_page(models.Filter(must_not=[_marked(self.target), no_entry])))

    def _each_page(self, where: Any, progress: Callable[[int], None] = lambda count: None) -> Steps[int]:
        found, seen, offset = 0, 0, None
        while True:
            yield from self.check()
            page = {"limit": self.limits.page(PAGE), "offset": offset, "with_payload": [COPIED_KEY]}
            records, offset = yield from self._call("scroll", self.source, **page, scroll_filter=where)
            records = [record for record in records if str(record.id) != DESCRIPTOR_ID]
            if records:
                yield from self._mark(records)
                found += yield from self._carry([record.id for record in records])
            seen += len(records)
            progress(seen)
            if offset is None:
                return found

    def _mark(self, records: Sequence[Any]) -> Steps[None]:
        """Before they are read: a change that comes later takes the mark away, and is carried over the next time."""
        bare = [record for record in records if (record.payload or {}).get(COPIED_KEY) != self.target]
        payload = {COPIED_KEY: self.target}
        for key, ids in by_shard(bare):
            marked = {**key, "payload": payload, "wait": True}

            def mark(some: Sequence[Any], marked: dict[str, Any] = marked) -> Steps[Any]:
                return self._call("set_payload", self.source, **marked, points=list(some))

            yield from for_those_there(mark, ids)

    def _carry(self, ids: Sequence[Any]) -> Steps[int]:
        whole = {"ids": ids, "with_payload": True, "with_vectors": [KEYWORDS]}
        names = [KEYWORDS, DENSE] if self.has_vectors else [KEYWORDS]
        ours = yield from self._call("retrieve", self.source, **{**whole, "with_vectors": names})
        theirs = {record.id: record for record in (yield from self._call("retrieve", self.target, **whole))}
        new = [record for record in ours if self._is_to_carry(record, theirs.get(record.id))]
        if not new:
            return 0
        vectors = yield from self._vectors(new, theirs)
        copies = [(theirs[each.id], each.shard_key) for each in new if each.id in theirs]
        elsewhere = [copy for copy, shard_key in copies if copy.shard_key != shard_key]
        for key, some in by_shard(elsewhere):  # the project has got a shard of its own since
            yield from self._call("delete", self.target, **key, points_selector=models.PointIdsList(points=some))
        shards: dict[Any, list[PointData]] = {}
        for each in new:
            shards.setdefault(each.shard_key, []).append(self._point(each, vectors.get(each.id, {})))
        for shard, points in shards.items():
            yield from self._have_shard(shard)
            yield from writes.upsert(Upsert(points), self._place(shard))
        yield from self._bury_missing([each.id for each in new])
        return sum(not _same(each, theirs.get(each.id), but=_ACCESS) for each in new)

    def _is_to_carry(self, ours: Any, theirs: Any) -> bool:
        if _is_over(ours.payload):
            return False
        if theirs is None:
            return True
        if theirs.payload.get(COPIED_KEY) != self.target:
            return False  # written there directly
        # The times of reads in the target are newer, once it is in use.
        return ours.shard_key != theirs.shard_key or not _same(ours, theirs, but=_ACCESS if self.switched else None)

    def _vectors(self, new: Sequence[Any], theirs: Mapping[Any, Any]) -> Steps[dict[Any, dict[str, Any]]]:
        """The dense vectors of points: those that their copies have, or new ones if the content is another one."""
        if self.profile.descriptor.vectors != EMBEDDER:
            return {}
        contents = {record.id: record.payload["content"] for record in new}
        known = [id for id, text in contents.items() if id in theirs and theirs[id].payload.get("content") == text]
        vectors: dict[Any, dict[str, Any]] = {}
        if known:
            names = dense_names(self.profile.descriptor)
            found = yield from self._call("retrieve", self.target, ids=known, with_vectors=names, with_payload=False)
            vectors = {record.id: dict(record.vector or {}) for record in found}
        for record in new if self.has_vectors else ():
            own = (record.vector or {}).get(DENSE)
            if own and record.id not in vectors and is_one_passage(contents[record.id]):
                vectors[record.id] = {DENSE: own}
        to_embed = [
            Hit(record.id, record.payload)
            for record in new
            if record.id not in vectors and FORGOTTEN_KEY not in record.payload
        ]
        if not to_embed or self.profile.embedder is None:
            return vectors
        try:
            made, _ = yield from made_of(self.profile, to_embed)
        except EmbedderUnavailableError:
            if not self.switched:
                raise
            made = []  # found by their words, and embedded later
        self.embedded += len(made)
        self.characters += sum(len(each.content) for each in made)
        ids = {str(hit.id): hit.id for hit in to_embed}
        return vectors | {ids[each.id]: dense_vectors(each) for each in made}

    def _point(self, record: Any, vectors: Mapping[str, Any]) -> PointData:
        keywords = (record.vector or {}).get(KEYWORDS)
        words = models.SparseVector(indices=[], values=[]) if keywords is None else keywords
        payload = {**record.payload, COPIED_KEY: self.target}
        dense, passages, tokens = map(vectors.get, (DENSE, PASSAGES, TOKENS))
        return PointData(record.id, payload, words, dense, passages or (), tokens or ())

    def _place(self, shard_key: Any) -> Place:
        """The target, where a write replaces nothing but unchanged copies."""
        unchanged = {"update_filter": models.Filter(must=[_marked(self.target)])}
        descriptor = self.profile.descriptor
        return Place(
            self.client, self.target, descriptor, (0, 0), writing=unchanged, shard_key=shard_key, limits=self.limits
        )

    def _have_shard(self, key: Any) -> Steps[None]:
        if key is None or key in self._shards:
            return
        arguments = {"shard_key": key, "timeout": CREATION_TIMEOUT}
        with suppress(AlreadyExists):
            yield from self._call("create_shard_key", self.target, **arguments)
        self._shards.add(key)

    def _deleted(self) -> Steps[int]:
        """Delete the copies of points that are not in the source any more."""
        yield from self._remove_tombstones()  # of a process that was killed
        found, offset = 0, None
        while True:
            yield from self.check()
            page = {"limit": self.limits.page(IDS), "offset": offset, "with_payload": False}
            marked = models.Filter(must=[_marked(self.target)])
            records, offset = yield from self._call("scroll", self.target, **page, scroll_filter=marked)
            found += yield from self._bury_missing([record.id for record in records])
            if offset is None:
                return found

    def _bury_missing(self, ids: Sequence[Any]) -> Steps[int]:
        """Delete the copies of those of these points that are not in the source. A point that somebody has written in
        place of the copy stays: the copy is replaced by a tombstone if it has the mark, and tombstones are deleted."""
        if not ids:
            return 0
        there = yield from self._call("retrieve", self.source, ids=ids, with_payload=False)
        gone = set(ids) - {record.id for record in there}
        if not gone:
            return 0
        # Points are also missing where somebody else has emptied the source since; then this raises.
        yield from self.check()
        copies = yield from self._call("retrieve", self.target, ids=list(gone), with_payload=[COPIED_KEY])
        copies = [record for record in copies if (record.payload or {}).get(COPIED_KEY) == self.target]
        for key, some in by_shard(copies):
            points = [models.PointStruct(id=id, vector={}, payload={COPIED_KEY: _TOMB}) for id in some]
            where = models.Filter(must=[_marked(self.target)])
            most = self.limits.batch(IDS)
            for start in range(0, len(points), most):
                batch = points[start : start + most]
                yield from self._call("upsert", self.target, **key, points=batch, update_filter=where, wait=True)
        if copies:
            yield from self._remove_tombstones()
        return len(copies)

    def _remove_tombstones(self) -> Steps[None]:
        """By a filter, which does not select a point that somebody has written in place of a tombstone."""
        buried = models.Filter(must=[_marked(_TOMB)])
        page = {"scroll_filter": buried, "limit": self.limits.page(IDS), "with_payload": False}
        while True:
            records, _ = yield from self._call("scroll", self.target, **page)
            if not records:
                return
            for key, _ in by_shard(records):
                selector = models.FilterSelector(filter=buried)
                yield from self._call("delete", self.target, **key, points_selector=selector, wait=True)

    def _call(self, method: str, collection: str, **arguments: Any) -> Steps[Any]:
        return self.client.call(method, {"collection_name": collection, **arguments})


def _marked(value: str) -> models.FieldCondition:
    return models.FieldCondition(key=COPIED_KEY, match=models.MatchValue(value=value))


def _is_over(payload: Mapping[str, Any]) -> bool:
    """Whether nobody can read or bring back the entry any more."""
    end = payload.get(EXPIRES_AT_KEY)
    if end is None:
        return False
    moment = parse_end(end)
    return is_expired(moment + BACK if FORGOTTEN_KEY in payload else moment)


def _same(ours: Any, theirs: Any, *, but: str | None) -> bool:
    if theirs is None:
        return False
    return _kept(ours, but) == _kept(theirs, but) and _words(ours) == _words(theirs)


def _kept(record: Any, but: str | None) -> dict[str, Any]:
    return {key: value for key, value in record.payload.items() if key not in (COPIED_KEY, but) and value is not None}


def _words(record: Any) -> dict[int, float]:
    keywords = (record.vector or {}).get(KEYWORDS)
    return {} if keywords is None else dict(zip(keywords.indices, keywords.values, strict=True))

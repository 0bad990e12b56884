"""Moving the memories of a collection to a new one with another embedder, while both are in use.

1. The new collection is created, laid out like the old one, and named in the descriptor of the old one (``moving_to``).
2. Everything is copied, and embedded. Passes follow until one that all open handles knew of finds nothing new.
3. The switch. The old collection takes no more writes: its strict mode allows no point in one. What was written last
   is carried over, and the descriptor of the old collection says ``moved_to``. A worker that is refused waits for that,
   and goes on with the new collection (``closing``). A worker of an earlier version gets an error.
4. What was under way is carried over, and both collections are compared once more when every worker uses the new one.
5. The old collection is emptied. It stays as a pointer if the configuration of the workers names it.

Each step can be repeated, so a call after a crash goes on. If two processes do this, the first one stops.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from qdrant_client import models

from ....embedding import Embedder, KeywordEncoder
from ....errors import StoreBusyError, StoreMissingError, StorePermissionError
from ....io.steps import Steps
from ..engine_requests import Count, FinishMove, MoveCollection, Moved, NoDense, Profile
from ..manifest import EMBEDDER, LAYOUT, Descriptor
from ..said_before import SaidBefore
from ..schema import SCOPE_KEY, TENANT_KEY, not_expired
from . import moves, reads
from .bootstrap import DESCRIPTOR_ID, describe, read_descriptor
from .carrying import IDS, Carrying
from .client import RetryingClient
from .closing import MOST_ROUNDS, switch
from .engine import ServerEngine
from .new_collection import create_like, name_of, strict_mode_of
from .place import Place, by_shard
from .strict_mode import limits_of

MOST_PASSES: Final = 5
"""Over all points, while others write."""

NO_LIMIT: Final = 1_000_000
"""Points in one write. Qdrant cannot remove a limit."""

_CONSENSUS: Final = 0.5
"""Seconds in which the nodes of a cluster learn that a collection takes no more writes, and the copies of a shard get
the last ones. A node that takes longer costs no write: what it has taken is carried over after the switch."""

_PAUSE: Final = 0.05
"""Seconds between looks for what was under way at the switch."""


class Move:
    """One move of a collection, as far as this process does it.

    Args:
        client: sends the requests.
        engine: of the server.
        version: of the server.
        name: the collection that configurations name.
        current: the collection that has the memories now. Another one than ``name`` after an earlier move.
    """

    def __init__(
        self, client: RetryingClient, engine: ServerEngine, version: tuple[int, int], name: str, current: str
    ) -> None:
        self._client, self._engine, self._version = client, engine, version
        self._where = engine.settings.address
        self._name, self._current = name, current
        self._token = uuid.uuid4().hex
        self._notice = moves.noticed_after(engine.settings.timeout)

    def carry_out(self, request: MoveCollection | FinishMove) -> Steps[Any]:
        stored: Descriptor | None = yield from read_descriptor(self._client, self._current, self._where)
        assert stored is not None  # the caller has opened it
        if stored.copy_of is not None:
            yield from self._finish(stored.copy_of, self._current, stored, request.embedder)
            stored = replace(stored, copy_of=None)
        if isinstance(request, MoveCollection):
            return (yield from self._move(stored, request))
        if stored.moving_to is not None:
            yield from self._claim(self._current, stored)
            yield from self._give_up(stored.moving_to, stored)
            yield from describe(self._client, self._current, stored, {"moving_to": None, "mover": None})
        return None

    # -- steps ---------------------------------------------------------------------------------------------------------

    def _move(self, stored: Descriptor, request: MoveCollection) -> Steps[Moved]:
        if stored.layout < LAYOUT:
            raise StorePermissionError(
                f"collection {self._current!r} at {self._where} has layout {stored.layout}, and layout {LAYOUT} is "
                "needed: open the memory once with a key that may write to the collection (crewai-memory health)"
            )
        new = request.descriptor
        if request.embedder is not None and new.dimensions is None:
            probe = yield self._client.work(request.embedder.probe)
            new = replace(new, dimensions=len(probe))
        target = yield from self._begun(stored, new)
        if target is None:
            target = name_of(self._name, new)
            new = replace(new, copy_of=self._current, moving_to=None, layout=LAYOUT)
            settings = self._engine.settings
            new = yield from create_like(self._client, settings, self._version, self._current, stored, target, new)
        else:
            new = yield from read_descriptor(self._client, target, self._where)
        yield from self._claim(self._current, stored, {"moving_to": target})
        carrying = yield from self._carrying(self._current, target, stored, new, request.embedder)
        yield from self._copy(carrying, request)
        yield from self._switch(carrying, stored, request.embedder)
        yield from self._settle(carrying)
        without = 0
        if request.embedder is not None:
            place = Place(self._client, target, new, self._version, limits=carrying.limits)
            without = yield from reads.count(Count((not_expired(), NoDense())), place)
            without -= 1  # the descriptor
        yield from self._drain(self._current, target, stored)
        return Moved(carrying.embedded, carrying.characters, max(0, without))

    def _begun(self, stored: Descriptor, new: Descriptor) -> Steps[str | None]:
        """The collection of an earlier call with this embedder. That of another embedder is deleted."""
        if stored.moving_to is None:
            return None
        begun = yield from self._copy_of_ours(stored.moving_to)
        if begun is not None and begun.has_embedder(new.fingerprint):
            return stored.moving_to
        yield from self._claim(self._current, stored)
        yield from self._give_up(stored.moving_to, stored)
        return None

    def _give_up(self, target: str, stored: Descriptor) -> Steps[None]:
        if (yield from self._copy_of_ours(target)) is None:
            return
        if stored.closing:
            # It was killed in the midst of the switch. The new collection has the limits that the old one had.
            info = yield from self._client.call("get_collection", {"collection_name": target})
            strict = strict_mode_of(info)
            if strict.upsert_max_batchsize is None:
                strict = strict.model_copy(update={"upsert_max_batchsize": NO_LIMIT})
            arguments = {"collection_name": self._current, "strict_mode_config": strict}
            yield from self._client.call("update_collection", arguments)
            yield from describe(self._client, self._current, stored, {"closing": None})
        yield from self._client.call("delete_collection", {"collection_name": target})

    def _copy_of_ours(self, target: str) -> Steps[Descriptor | None]:
        """The descriptor of a collection if it is a copy of this one that was begun. Else nothing may be done to it."""
        try:
            found: Descriptor | None = yield from read_descriptor(self._client, target, self._where)
        except StoreMissingError:
            return None
        return found if found is not None and found.copy_of == self._current else None

    def _copy(self, carrying: Carrying, request: MoveCollection) -> Steps[None]:
        known_at = time.monotonic() + self._notice
        passes = 0
        while True:
            began = time.monotonic()
            found = yield from carrying.everything(request.progress if not passes else lambda count: None)
            passes += 1
            if began >= known_at and (not found or passes >= MOST_PASSES):
                break
            if not found:
                yield self._client.pause(max(0.0, known_at - time.monotonic()))
        for _ in range(MOST_ROUNDS):
            if not (yield from carrying.changes()):
                break

    def _switch(self, carrying: Carrying, stored: Descriptor, embedder: Embedder | None) -> Steps[None]:
        target = carrying.target
        yield from self._check(self._current)
        yield from describe(self._client, self._current, stored, {"closing": True})
        yield from self._close_to_writes(self._current)
        shards: Any = yield from self._client.call("collection_cluster_info", {"collection_name": self._current})
        if shards.remote_shards:
            yield self._client.pause(_CONSENSUS)
        carrying.switched = True  # from here on nothing waits for an embedder
        yield from switch(carrying, stored)
        moves.SUCCESSORS[self._where, target] = embedder
        self._engine.targets.clear()  # the handles of this engine look now
        if self._name != self._current:
            yield from describe(self._client, self._name, stored, {"moved_to": target})

    def _settle(self, carrying: Carrying) -> Steps[None]:
        """Carry over what was written to the old collection until every handle knew of the switch."""
        known_at = time.monotonic() + self._notice
        while (left := known_at - time.monotonic()) > 0:
            yield from carrying.changes()
            yield self._client.pause(min(left, _PAUSE))
        for _ in range(MOST_PASSES):
            if not (yield from carrying.everything()):
                break

    def _finish(self, source: str, target: str, new: Descriptor, embedder: Embedder | None) -> Steps[None]:
        """What is left of an earlier move, after its switch."""
        try:
            stored: Descriptor | None = yield from read_descriptor(self._client, source, self._where)
        except StoreMissingError:
            stored = None
        if stored is None or stored.moved_to != target:  # deleted, or replaced by a backup
            yield from describe(self._client, target, new, {"copy_of": None})
            return
        yield from self._claim(source, stored)
        if not stored.drained:
            yield from self._close_to_writes(source)
            own = embedder if embedder is not None and new.has_embedder(embedder.fingerprint) else None
            carrying = yield from self._carrying(source, target, stored, new, own)
            carrying.switched = True
            yield from self._settle(carrying)
        yield from self._drain(source, target, stored)

    def _drain(self, source: str, target: str, stored: Descriptor) -> Steps[None]:
        """Empty the old collection. From here on no copy is compared with it any more."""
        yield from self._check(source)
        yield from describe(self._client, source, stored, {"drained": True, "moving_to": None, "closing": None})
        if source != self._name:
            yield from describe(self._client, self._name, stored, {"moved_to": target})
            yield from self._client.call("delete_collection", {"collection_name": source})
        else:
            yield from self._empty(source)
        yield from describe(self._client, target, stored, {"copy_of": None})
        self._engine.targets.clear()

    def _empty(self, collection: str) -> Steps[None]:
        name = {"collection_name": collection}
        limits = limits_of((yield from self._client.call("get_collection", name)))
        offset = None
        while True:
            page = {**name, "limit": limits.page(IDS), "offset": offset, "with_payload": False}
            records, offset = yield from self._client.call("scroll", page)
            for key, ids in by_shard(record for record in records if str(record.id) != DESCRIPTOR_ID):
                selector = models.PointIdsList(points=ids)
                yield from self._client.call("delete", {**name, **key, "points_selector": selector, "wait": True})
            if offset is None:
                break
        # A worker of an earlier version gets an error for each read, in place of an empty memory.
        for field in (TENANT_KEY, SCOPE_KEY):
            yield from self._client.call("delete_payload_index", {**name, "field_name": field, "wait": True})

    # -- parts ---------------------------------------------------------------------------------------------------------

    def _carrying(
        self, source: str, target: str, stored: Descriptor, new: Descriptor, embedder: Embedder | None
    ) -> Steps[Carrying]:
        info = yield from self._client.call("get_collection", {"collection_name": target})
        profile = Profile(new, embedder, KeywordEncoder(new.language), SaidBefore())
        has_vectors = stored.vectors == EMBEDDER and stored.has_embedder(new.fingerprint) and new.tokens is None
        return Carrying(
            self._client, source, target, limits_of(info), profile, lambda: self._check(source), has_vectors
        )

    def _claim(self, collection: str, stored: Descriptor, others: Mapping[str, Any] | None = None) -> Steps[None]:
        """Take the move over: another process that is at it stops before its next page."""
        yield from describe(self._client, collection, stored, {"mover": self._token, **(others or {})})

    def _check(self, collection: str) -> Steps[None]:
        arguments = {"collection_name": collection, "ids": [DESCRIPTOR_ID], "with_payload": ["mover"]}
        found = yield from self._client.call("retrieve", arguments)
        if not found or (found[0].payload or {}).get("mover") != self._token:
            raise StoreBusyError(
                f"another process changes the embedder of collection {self._name!r} at {self._where} since: it goes "
                "on, and this one has stopped. Nothing is lost"
            )

    def _close_to_writes(self, collection: str) -> Steps[None]:
        strict = models.StrictModeConfig(enabled=True, upsert_max_batchsize=0, unindexed_filtering_retrieve=False)
        yield from self._client.call("update_collection", {"collection_name": collection, "strict_mode_config": strict})

"""A Qdrant server as a connection of the store: collections, what they say of themselves, and requests to them."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final, NamedTuple

from qdrant_client import models

from ....config.qdrant import ServerSettings
from ....embedding import KeywordEncoder
from ....errors import (
    StoreClosedError,
    StoreMissingError,
    StorePermissionError,
    StoreUnavailableError,
)
from ....scope import ScopeBinding
from ..manifest import EXTERNAL, LAYOUT, Descriptor, settle
from ..requests import (
    Change,
    Compact,
    Count,
    Delete,
    Describe,
    Everything,
    Facet,
    Health,
    Match,
    Ordered,
    Profile,
    Request,
    Retrieve,
    Search,
    SearchMany,
    SetPayload,
    SetVectors,
    Unembedded,
    Upsert,
    Where,
)
from .bootstrap import (
    DEFAULT_SHARD_KEY,
    DESCRIPTOR_ID,
    Opening,
    admit,
    first_length,
    read_descriptor,
    server_version,
)
from .deadline import Deadline
from .engine import Patience, ServerEngine, arelease, release, share
from .migrate import require_layout
from .requests import Call, Calls, Place, Work, calls_for
from .strict_mode import NO_LIMITS, StrictModeError, limits_of
from .translate import to_filter

_DOING: Final[Mapping[type, str]] = {
    Describe: "opening the collection",
    Upsert: "a save",
    Change: "a change",
    SetVectors: "a change",
    Unembedded: "a listing",
    Delete: "a delete",
    SetPayload: "a change",
    Search: "a search",
    SearchMany: "searches",
    Ordered: "a listing",
    Everything: "a listing",
    Retrieve: "a read by id",
    Count: "a count",
    Facet: "a summary",
    Health: "a health check",
}


class Target(NamedTuple):
    """Where a call goes: a collection, and the project by which it may be sharded.

    Attributes:
        collection: its name.
        project: the project's name as a shard key.
        own: with a collection for each project, the name that it had in earlier versions, and what all of its entries
            say of their project.
    """

    collection: str
    project: str
    own: tuple[str, Where] | None = None


class ServerConnection:
    """One caller's share of an engine, and the embedder that this caller reads collections with."""

    def __init__(self, engine: ServerEngine, embedder: Any, language: str | None) -> None:
        self._engine = engine
        self._settings = engine.settings
        self._embedder = embedder
        self._language = language
        self._profiles: dict[str, Profile] = {}
        self._closed = False

    def __repr__(self) -> str:
        return f"ServerConnection({self._settings.where!r}, collection={self._settings.collection!r})"

    # -- requests --------------------------------------------------------------------------------------------------

    def place(self, binding: ScopeBinding) -> Target:
        return _target(self._settings.collection, self._settings.collection_per_project, *binding.resolve_project())

    def execute(self, request: Request[Any], place: Target) -> Any:
        self._require_open()
        if isinstance(request, Compact):
            return False  # a server removes what was deleted in its own time
        calls = self._steps(request, place)
        if isinstance(request, SetPayload) and request.soon:
            return self._engine.soon(calls, "a change")
        return self._engine.run(calls, self._patience(request))

    async def aexecute(self, request: Request[Any], place: Target) -> Any:
        self._require_open()
        if isinstance(request, Compact):
            return False  # a server removes what was deleted in its own time
        calls = self._steps(request, place)
        if isinstance(request, SetPayload) and request.soon:
            return self._engine.soon(calls, "a change")
        return await self._engine.arun(calls, self._patience(request))

    def check(self, binding: ScopeBinding, seconds: float) -> None:
        """Ask the server for its version, and for the collection where it is known which.

        Raises:
            StoreUnavailableError: it did not answer in time; the message says what was tried.
            StoreError, EmbedderError: the collection cannot be used, see the subclasses.
        """
        target = self.place(binding)
        known = not self._settings.collection_per_project or binding.project_id is not None
        start = time.monotonic()
        patience = Patience("the start-up check", seconds, Deadline(seconds))
        try:
            self._engine.run(self._opened(target) if known else self._version(), patience)
        except StoreUnavailableError as error:
            how = "gRPC" if self._settings.prefer_grpc else "REST"
            raise StoreUnavailableError(
                f"{error}. Tried {self._settings.where} over {how} for {time.monotonic() - start:.1f} s. Start the "
                "server, correct url= (QDRANT_URL), or pass startup_check=False to open without it"
            ) from error

    def administer(self, steps: Calls, doing: str) -> Any:
        """Run steps that belong to no scope; see ``admin``."""
        self._require_open()
        return self._engine.run(steps, Patience(doing, self._settings.retry_for))

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            release(self._engine)

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            await arelease(self._engine)

    def _require_open(self) -> None:
        if self._closed:
            raise StoreClosedError(f"the memory store at {self._settings.where} is closed: open it again")

    def _patience(self, request: Request[Any]) -> Patience:
        return Patience(_DOING[type(request)], self._settings.retry_for)

    # -- steps -----------------------------------------------------------------------------------------------------

    def _steps(self, request: Request[Any], target: Target) -> Calls:
        if target.own is not None:
            target = yield from self._as_it_is_named(target, *target.own)
        if isinstance(request, Health):
            return (yield from self._health(target))
        profile = self._profiles.get(target.collection)
        if profile is None:
            profile = yield from self._open(target)
        if isinstance(request, Describe):
            return profile
        if target.collection not in self._profiles:
            # Not created yet: the length of its vectors comes with the first one.
            if not isinstance(request, Upsert):
                return _NOTHING[type(request)](request)
            profile = yield from self._create(target, first_length(request.points))
        descriptor = profile.descriptor
        admit(request, descriptor, f"{self._settings.where} ({target.collection})")
        require_layout(request, descriptor, f"{self._settings.where} ({target.collection})")
        place = self._place(target, descriptor)
        try:
            return (yield from calls_for(request, place))
        except StrictModeError:
            limits = limits_of((yield Call("get_collection", {"collection_name": target.collection})))
            if limits == place.limits:
                raise
            self._engine.limits[target.collection] = limits
        return (yield from calls_for(request, self._place(target, descriptor)))

    def _place(self, target: Target, descriptor: Descriptor) -> Place:
        settings = self._settings
        consistency: Any = settings.read_consistency
        if isinstance(consistency, str):
            consistency = models.ReadConsistencyType(consistency)  # gRPC takes no text
        key = None
        if descriptor.by_project:
            key = models.ShardKeyWithFallback(target=target.project, fallback=DEFAULT_SHARD_KEY)
        return Place(
            target.collection,
            descriptor,
            self._engine.version or (0, 0),
            wait=settings.wait,
            reading={} if consistency is None else {"consistency": consistency},
            writing={} if settings.ordering is None else {"ordering": models.WriteOrdering(settings.ordering)},
            shard_key=key,
            limits=self._engine.limits.get(target.collection, NO_LIMITS),
        )

    def _version(self) -> Calls:
        if self._engine.version is None:
            self._engine.version = yield from server_version(self._settings.where)
        return self._engine.version

    def _opened(self, target: Target) -> Calls:
        if target.own is not None:
            target = yield from self._as_it_is_named(target, *target.own)
        return (yield from self._open(target))

    def _as_it_is_named(self, target: Target, earlier: str, project: Where) -> Calls:
        """The project's collection, which may have been created under its earlier name.

        That name has a short digest, so that another project may have the same one. So the earlier collection is used
        only if it holds entries of this project.
        """
        engine = self._engine
        used = engine.names.get(target.collection)
        if used in engine.descriptors:
            return target._replace(collection=used)
        refused: StorePermissionError | None = None
        name = target.collection
        try:
            stored = yield from read_descriptor(name, self._settings.where)
        except StoreMissingError:
            stored = yield from self._descriptor_of_earlier(earlier, project, target.collection)
            name = earlier if stored is not None else name
        except StorePermissionError as error:
            # A key for the collection under its earlier name alone.
            stored, refused = (yield from self._descriptor_of_earlier(earlier, project, target.collection)), error
            name = earlier
        if stored is None:
            if refused is not None:
                raise refused
            return target
        yield from self._version()
        engine.descriptors[name] = stored
        engine.names[target.collection] = name
        return target._replace(collection=name)

    def _descriptor_of_earlier(self, earlier: str, project: Where, name: str) -> Calls:
        """The descriptor of the collection under the earlier name if it belongs to the project, which it says from
        then on: it stays the project's when it is empty."""
        arguments: dict[str, Any] = {"collection_name": earlier}
        try:
            found = yield Call("retrieve", {**arguments, "ids": [DESCRIPTOR_ID], "with_payload": True})
            if not found:
                return None
            stored = Descriptor.from_json(found[0].payload, f"collection {earlier!r} at {self._settings.where}")
            if (belongs_to := found[0].payload.get("project_collection")) is not None:
                return stored if belongs_to == name else None
            scroll = {**arguments, "scroll_filter": to_filter(project), "limit": 1, "with_payload": False}
            records, _ = yield Call("scroll", scroll)
        except (StoreMissingError, StorePermissionError):
            return None
        if not records:
            return None
        key = {"shard_key_selector": DEFAULT_SHARD_KEY} if stored.by_project else {}
        claim = {"payload": {"project_collection": name}, "points": [DESCRIPTOR_ID], "wait": True}
        with suppress(StorePermissionError):  # a key that may only read
            yield Call("set_payload", {**arguments, **claim, **key})
        return stored

    def _open(self, target: Target) -> Calls:
        """The collection's profile, creating it if there is none."""
        engine, collection = self._engine, target.collection
        stored = engine.descriptors.get(collection)
        exists = True
        if stored is None:
            try:
                stored = yield from read_descriptor(collection, self._settings.where)
            except StoreMissingError:
                exists = False
            yield from self._version()
        if stored is None:
            return (yield from self._create(target, exists=exists))
        where = f"{self._settings.where} ({collection})"
        known: Descriptor = yield from engine.migrations.open(collection, stored)
        descriptor, built = yield Work(lambda: settle(known, self._embedder, self._language, where))
        return self._keep(collection, descriptor, built)

    def _create(self, target: Target, dimensions: int | None = None, *, exists: bool = False) -> Calls:
        version = yield from self._version()
        opening = Opening(self._settings, target.collection, version, self._embedder, self._language)
        descriptor, built = yield from opening.create(dimensions, exists=exists)
        if descriptor.dimensions is None and descriptor.vectors == EXTERNAL:
            return Profile(descriptor, None, KeywordEncoder(descriptor.language))
        if descriptor.layout < LAYOUT:  # a worker of an older version was first
            descriptor = yield from self._engine.migrations.open(target.collection, descriptor)
        return self._keep(target.collection, descriptor, built)

    def _keep(self, collection: str, descriptor: Descriptor, built: Any) -> Profile:
        self._engine.descriptors[collection] = descriptor
        profile = self._profiles[collection] = Profile(descriptor, built, KeywordEncoder(descriptor.language))
        return profile

    def _health(self, target: Target) -> Calls:
        info = yield Call("info", {})
        profile = self._profiles.get(target.collection)
        health = {
            "engine": "server",
            "url": self._engine.clients.address,
            "version": info.version,
            "collection": target.collection,
            "status": "not created",
            "vectors": None if profile is None else profile.descriptor.vectors,
            "dimensions": None if profile is None else profile.descriptor.dimensions,
        }
        try:
            collection = yield Call("get_collection", {"collection_name": target.collection})
        except StoreMissingError:
            if profile is not None:
                raise
            return health
        status = str(getattr(collection.status, "value", collection.status))
        optimizer_error = getattr(collection.optimizer_status, "error", None)
        return {**health, "status": status, "optimizer_error": optimizer_error}


_NOTHING: Final[Mapping[type, Callable[[Any], Any]]] = {
    Delete: lambda request: 0,
    SetPayload: lambda request: None,
    Search: lambda request: [],
    SearchMany: lambda request: [[] for _ in request.searches],
    Ordered: lambda request: [],
    Everything: lambda request: [],
    Retrieve: lambda request: [],
    Count: lambda request: 0,
    Facet: lambda request: {},
    Unembedded: lambda request: [],
    Change: lambda request: False,
    SetVectors: lambda request: 0,
}
"""What a collection answers that is not created yet."""


@lru_cache(maxsize=4096)
def _target(collection: str, per_project: bool, org_id: str | None, project_id: str) -> Target:
    shard = project_name(org_id, project_id)
    if not per_project:
        return Target(collection, shard)
    org = Match("org_id", () if org_id is None else (org_id,), or_missing=org_id is None)
    earlier = f"{collection}_{shard}", (Match("project_id", (project_id,)), org)
    return Target(f"{collection}_{project_name(org_id, project_id, size=COLLECTION_DIGEST)}", shard, earlier)


COLLECTION_DIGEST: Final = 16
"""Bytes of the digest in the name of a project's collection: nobody finds a second project with the same one."""

SHARD_DIGEST: Final = 6
"""Bytes of the digest in a shard key. Two projects may share a shard, where a filter keeps them apart; and shards that
exist keep their names."""


def project_name(org_id: str | None, project_id: str, *, size: int = SHARD_DIGEST) -> str:
    """A project as part of a collection's name, or as a shard key: readable, with a digest of ``size`` bytes."""
    readable = re.sub(r"[^a-z0-9]+", "-", project_id.lower()).strip("-")[:40]
    digest = hashlib.blake2b(json.dumps([org_id, project_id]).encode(), digest_size=size).hexdigest()
    return f"{readable}-{digest}" if readable else digest


def open_server(settings: ServerSettings, *, embedder: Any, language: str | None = None) -> ServerConnection:
    """A connection to the server; nothing is sent before it is used (or checked)."""
    return ServerConnection(share(settings), embedder, language)

"""A Qdrant server as a connection of the store: collections, what they say of themselves, and requests to them."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeVar, cast

from qdrant_client import models

from ....config.qdrant import ServerSettings
from ....embedding import KeywordEncoder
from ....errors import (
    StoreClosedError,
    StoreMissingError,
    StorePermissionError,
    StoreUnavailableError,
)
from ....filter_fields import FilterField
from ....io.steps import Steps, run
from ....scope import ScopeBinding
from ..engine_requests import (
    Change,
    Compact,
    Count,
    Delete,
    Describe,
    Everything,
    Facet,
    Health,
    Match,
    NoteAccess,
    Ordered,
    Profile,
    Request,
    Retrieve,
    Scroll,
    Search,
    SearchMany,
    SetPayload,
    SetPayloads,
    SetVectors,
    Unembedded,
    Upsert,
    Where,
)
from ..manifest import EXTERNAL, LAYOUT, Descriptor, settle
from ..schema import access_write, field_indexes
from .bootstrap import (
    DEFAULT_SHARD_KEY,
    DESCRIPTOR_ID,
    Opening,
    admit,
    first_length,
    read_descriptor,
    server_version,
)
from .client import RetryingClient
from .deadline import Deadline
from .engine import ServerEngine, arelease, release, share
from .indexes import create_indexes, uses_fields
from .migrate import require_layout
from .place import Place
from .requests import answer
from .strict_mode import NO_LIMITS, StrictModeError, limits_of
from .translate import server_filter

T = TypeVar("T")

_DOING: Final[Mapping[type, str]] = {
    Describe: "opening the collection",
    Upsert: "a save",
    Change: "a change",
    SetVectors: "a change",
    Unembedded: "a listing",
    Delete: "a delete",
    SetPayload: "a change",
    SetPayloads: "a change",
    Search: "a search",
    SearchMany: "searches",
    Ordered: "a listing",
    Everything: "a listing",
    Scroll: "a listing",
    Retrieve: "a read by id",
    Count: "a count",
    Facet: "a summary",
    Health: "a health check",
}


class Route(NamedTuple):
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

    def __init__(
        self, engine: ServerEngine, embedder: Any, language: str | None, filter_fields: Sequence[FilterField]
    ) -> None:
        self._engine = engine
        self._settings = engine.settings
        self._embedder = embedder
        self._language = language
        self._filter_fields = filter_fields
        self._without_field_indexes: dict[str, StorePermissionError] = {}
        self._profiles: dict[str, Profile] = {}
        self._closed = False

    def __repr__(self) -> str:
        return f"ServerConnection({self._settings.address!r}, collection={self._settings.collection!r})"

    # -- requests --------------------------------------------------------------------------------------------------

    def route(self, org_id: str | None, project_id: str) -> Route:
        return _route(self._settings.collection, self._settings.collection_per_project, org_id, project_id)

    def ask(self, request: Request[T], route: Route) -> Steps[T]:
        if self._closed:
            raise self._is_closed()
        if isinstance(request, Compact):
            return cast(T, False)  # a server removes what was deleted in its own time
        if isinstance(request, NoteAccess):
            client = self._engine.client(_DOING[SetPayload], 0)
            return cast(T, self._engine.in_background(self._answered(client, access_write(request), route)))
        client = self._engine.client(_DOING[type(request)])
        return cast(T, (yield from self._answered(client, request, route)))

    def check(self, binding: ScopeBinding, seconds: float) -> None:
        """Ask the server for its version, and for the collection where it is known which.

        Raises:
            StoreUnavailableError: it did not answer in time; the message says what was tried.
            StoreError, EmbedderError: the collection cannot be used, see the subclasses.
        """
        route = self.route(*binding.resolve_project())
        known = not self._settings.collection_per_project or binding.project_id is not None
        start = time.monotonic()
        client = self._engine.client("the start-up check", seconds, Deadline(seconds))
        try:
            run(self._opened(client, route) if known else self._version(client))
        except StoreUnavailableError as error:
            how = "gRPC" if self._settings.prefer_grpc else "REST"
            raise StoreUnavailableError(
                f"{error}. Tried {self._settings.address} over {how} for {time.monotonic() - start:.1f} s. Start the "
                "server, correct url= (QDRANT_URL), or pass startup_check=False to open without it",
                outcome=error.outcome,
                retryable=error.retryable,
                retry_after=error.retry_after,
            ) from error

    def client(self, doing: str) -> RetryingClient:
        """For calls that belong to no scope; see ``admin``."""
        if self._closed:
            raise self._is_closed()
        return self._engine.client(doing)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            release(self._engine)

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            await arelease(self._engine)

    def _is_closed(self) -> StoreClosedError:
        return StoreClosedError(f"the memory store at {self._settings.address} is closed: open it again")

    # -- steps -----------------------------------------------------------------------------------------------------

    def _answered(self, client: RetryingClient, request: Request[Any], route: Route) -> Steps[Any]:
        if route.own is not None:
            route = yield from self._as_it_is_named(client, route, *route.own)
        if isinstance(request, Health):
            return (yield from self._health(client, route))
        profile = self._profiles.get(route.collection)
        if profile is None:
            profile = yield from self._open(client, route)
        if isinstance(request, Describe):
            return profile
        if route.collection not in self._profiles:
            # Not created yet: the length of its vectors comes with the first one.
            if not isinstance(request, Upsert):
                return _NOTHING[type(request)](request)
            profile = yield from self._create(client, route, first_length(request.points))
        descriptor = profile.descriptor
        admit(request, descriptor, f"{self._settings.address} ({route.collection})")
        require_layout(request, descriptor, f"{self._settings.address} ({route.collection})")
        if route.collection in self._without_field_indexes and uses_fields(request):
            yield from self._index_fields(client, route.collection)
            if refused := self._without_field_indexes.get(route.collection):
                raise refused
        place = self._place(client, route, descriptor)
        try:
            return (yield from answer(request, place))
        except StrictModeError:
            limits = limits_of((yield from client.call("get_collection", {"collection_name": route.collection})))
            if limits == place.limits:
                raise
            self._engine.limits[route.collection] = limits
        return (yield from answer(request, self._place(client, route, descriptor)))

    def _place(self, client: RetryingClient, route: Route, descriptor: Descriptor) -> Place:
        settings = self._settings
        consistency: Any = settings.read_consistency
        if isinstance(consistency, str):
            consistency = models.ReadConsistencyType(consistency)  # gRPC takes no text
        key = None
        if descriptor.by_project:
            key = models.ShardKeyWithFallback(target=route.project, fallback=DEFAULT_SHARD_KEY)
        return Place(
            client,
            route.collection,
            descriptor,
            self._engine.version or (0, 0),
            wait=settings.wait,
            reading={} if consistency is None else {"consistency": consistency},
            writing={} if settings.ordering is None else {"ordering": models.WriteOrdering(settings.ordering)},
            shard_key=key,
            limits=self._engine.limits.get(route.collection, NO_LIMITS),
        )

    def _version(self, client: RetryingClient) -> Steps[Any]:
        if self._engine.version is None:
            self._engine.version = yield from server_version(client, self._settings.address)
        return self._engine.version

    def _opened(self, client: RetryingClient, route: Route) -> Steps[Any]:
        if route.own is not None:
            route = yield from self._as_it_is_named(client, route, *route.own)
        return (yield from self._open(client, route))

    def _as_it_is_named(self, client: RetryingClient, route: Route, earlier: str, project: Where) -> Steps[Any]:
        """The project's collection, which may have been created under its earlier name.

        That name has a short digest, so that another project may have the same one. So the earlier collection is used
        only if it holds entries of this project.
        """
        engine = self._engine
        used = engine.names.get(route.collection)
        if used in engine.descriptors:
            return route._replace(collection=used)
        refused: StorePermissionError | None = None
        name = route.collection
        try:
            stored = yield from read_descriptor(client, name, self._settings.address)
        except StoreMissingError:
            stored = yield from self._descriptor_of_earlier(client, earlier, project, route.collection)
            name = earlier if stored is not None else name
        except StorePermissionError as error:
            # A key for the collection under its earlier name alone.
            stored, refused = (
                (yield from self._descriptor_of_earlier(client, earlier, project, route.collection)),
                error,
            )
            name = earlier
        if stored is None:
            if refused is not None:
                raise refused
            return route
        yield from self._version(client)
        engine.descriptors[name] = stored
        engine.names[route.collection] = name
        return route._replace(collection=name)

    def _descriptor_of_earlier(self, client: RetryingClient, earlier: str, project: Where, name: str) -> Steps[Any]:
        """The descriptor of the collection under the earlier name if it belongs to the project, which it says from
        then on: it stays the project's when it is empty."""
        arguments: dict[str, Any] = {"collection_name": earlier}
        try:
            found = yield from client.call("retrieve", {**arguments, "ids": [DESCRIPTOR_ID], "with_payload": True})
            if not found:
                return None
            stored = Descriptor.from_json(found[0].payload, f"collection {earlier!r} at {self._settings.address}")
            if (belongs_to := found[0].payload.get("project_collection")) is not None:
                return stored if belongs_to == name else None
            scroll = {**arguments, "scroll_filter": server_filter(project), "limit": 1, "with_payload": False}
            records, _ = yield from client.call("scroll", scroll)
        except (StoreMissingError, StorePermissionError):
            return None
        if not records:
            return None
        key = {"shard_key_selector": DEFAULT_SHARD_KEY} if stored.by_project else {}
        claim = {"payload": {"project_collection": name}, "points": [DESCRIPTOR_ID], "wait": True}
        with suppress(StorePermissionError):  # a key that may only read
            yield from client.call("set_payload", {**arguments, **claim, **key})
        return stored

    def _open(self, client: RetryingClient, route: Route) -> Steps[Any]:
        """The collection's profile, creating it if there is none."""
        engine, collection = self._engine, route.collection
        stored = engine.descriptors.get(collection)
        exists = True
        if stored is None:
            try:
                stored = yield from read_descriptor(client, collection, self._settings.address)
            except StoreMissingError:
                exists = False
            yield from self._version(client)
        if stored is None:
            return (yield from self._create(client, route, exists=exists))
        where = f"{self._settings.address} ({collection})"
        known: Descriptor = yield from engine.migrations.open(client, collection, stored)
        descriptor, built = yield client.work(lambda: settle(known, self._embedder, self._language, where))
        return (yield from self._keep(client, collection, descriptor, built))

    def _create(
        self, client: RetryingClient, route: Route, dimensions: int | None = None, *, exists: bool = False
    ) -> Steps[Any]:
        version = yield from self._version(client)
        opening = Opening(client, self._settings, route.collection, version, self._embedder, self._language)
        descriptor, built = yield from opening.create(dimensions, exists=exists)
        if descriptor.dimensions is None and descriptor.vectors == EXTERNAL:
            return Profile(descriptor, None, KeywordEncoder(descriptor.language))
        if descriptor.layout < LAYOUT:  # a worker of an older version was first
            descriptor = yield from self._engine.migrations.open(client, route.collection, descriptor)
        return (yield from self._keep(client, route.collection, descriptor, built))

    def _keep(self, client: RetryingClient, collection: str, descriptor: Descriptor, built: Any) -> Steps[Any]:
        if self._filter_fields:
            yield from self._index_fields(client, collection)
        self._engine.descriptors[collection] = descriptor
        profile = Profile(descriptor, built, KeywordEncoder(descriptor.language), self._filter_fields)
        self._profiles[collection] = profile
        return profile

    def _index_fields(self, client: RetryingClient, collection: str) -> Steps[Any]:
        """Create the indexes of this caller's filter fields. Without them everything else works, so that a key that may
        not create them hears of it when a filter needs one."""
        try:
            yield from create_indexes(client, collection, field_indexes(self._filter_fields), self._settings.address)
        except StorePermissionError as error:
            names = ", ".join(each.name for each in self._filter_fields)
            self._without_field_indexes[collection] = StorePermissionError(
                f"collection {collection!r} at {self._settings.address} has no index for the filter fields ({names}), "
                f"and this key may not create one: open it once with filter_fields= and a key that may ({error})"
            )
        else:
            self._without_field_indexes.pop(collection, None)

    def _health(self, client: RetryingClient, route: Route) -> Steps[Any]:
        info = yield from client.call("info")
        profile = self._profiles.get(route.collection)
        health = {
            "engine": "server",
            "url": self._engine.clients.address,
            "version": info.version,
            "collection": route.collection,
            "status": "not created",
            "vectors": None if profile is None else profile.descriptor.vectors,
            "dimensions": None if profile is None else profile.descriptor.dimensions,
            "layout": None if profile is None else profile.descriptor.layout,
        }
        try:
            collection = yield from client.call("get_collection", {"collection_name": route.collection})
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
    SetPayloads: lambda request: None,
    Search: lambda request: [],
    SearchMany: lambda request: [[] for _ in request.searches],
    Ordered: lambda request: [],
    Everything: lambda request: [],
    Scroll: lambda request: ([], None),
    Retrieve: lambda request: [],
    Count: lambda request: 0,
    Facet: lambda request: {},
    Unembedded: lambda request: [],
    Change: lambda request: False,
    SetVectors: lambda request: 0,
}
"""What a collection answers that is not created yet."""


@lru_cache(maxsize=4096)
def _route(collection: str, per_project: bool, org_id: str | None, project_id: str) -> Route:
    shard = project_name(org_id, project_id)
    if not per_project:
        return Route(collection, shard)
    org = Match("org_id", () if org_id is None else (org_id,), or_missing=org_id is None)
    earlier = f"{collection}_{shard}", (Match("project_id", (project_id,)), org)
    return Route(f"{collection}_{project_name(org_id, project_id, size=COLLECTION_DIGEST)}", shard, earlier)


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


def open_server(
    settings: ServerSettings,
    *,
    embedder: Any,
    language: str | None = None,
    filter_fields: Sequence[FilterField] = (),
) -> ServerConnection:
    """A connection to the server; nothing is sent before it is used (or checked)."""
    return ServerConnection(share(settings), embedder, language, filter_fields)

"""A Qdrant server as a connection: what becomes of a request to it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Any, TypeVar, cast

from qdrant_client import models

from ....config.qdrant import ServerSettings
from ....errors import StoreClosedError, StoreMissingError, StoreUnavailableError
from ....filter_fields import FilterField
from ....io.steps import Steps, run
from ....scope import ScopeBinding
from ....store.operations import Taken
from ..engine_requests import (
    BackUp,
    BeginVectors,
    Compact,
    Delete,
    Describe,
    EndVectors,
    Facet,
    FinishMove,
    Health,
    KeepSpread,
    ListProjects,
    MoveCollection,
    NoteAccess,
    Profile,
    Request,
    SetPayload,
    Upsert,
)
from ..manifest import Descriptor
from ..point_vectors import without_dense
from ..schema import access_write
from .admission import admit, first_length
from .bootstrap import DEFAULT_SHARD_KEY
from .client import RetryingClient
from .closing import wait_for_switch
from .collections import Collections
from .deadline import Deadline
from .engine import ServerEngine, arelease, release, share
from .migrate import for_layout, require_layout
from .moves import delete_in_both, erases, unmarked, without_alias
from .moving import Move
from .place import Place
from .projects import list_projects, list_shards
from .requests import answer
from .routes import Route, route_of
from .snapshots import SNAPSHOT, Snapshots
from .strict_mode import NO_LIMITS, StrictModeError, limits_of
from .wording import DOING, NOTHING

T = TypeVar("T")


class ServerConnection:
    """One caller's share of an engine, and the embedder that this caller reads collections with."""

    def __init__(
        self, engine: ServerEngine, embedder: Any, language: str | None, filter_fields: Sequence[FilterField]
    ) -> None:
        self._engine = engine
        self._settings = engine.settings
        self._collections = Collections(engine, embedder, language, filter_fields)
        self._closed = False

    def __repr__(self) -> str:
        return f"ServerConnection({self._settings.address!r}, collection={self._settings.collection!r})"

    # -- requests --------------------------------------------------------------------------------------------------

    def route(self, org_id: str | None, project_id: str) -> Route:
        route = route_of(self._settings.collection, self._settings.collection_per_project, org_id, project_id)
        return route._replace(seen=[])

    def ask(self, request: Request[T], route: Route) -> Steps[T]:
        if self._closed:
            raise self._is_closed()
        if isinstance(request, Compact):
            return cast(T, False)  # a server removes what was deleted in its own time
        if isinstance(request, NoteAccess):
            client = self._engine.client(DOING[SetPayload], 0)
            return cast(T, self._engine.in_background(self._answered(client, access_write(request), route)))
        if isinstance(request, BeginVectors):
            return cast(T, False)  # the memories move to another collection
        if isinstance(request, EndVectors):
            return cast(T, None)
        client = self._engine.client(DOING[type(request)])
        if isinstance(request, ListProjects):
            return cast(T, (yield from self._projects(client, route)))
        if isinstance(request, BackUp):
            return cast(T, (yield from self._back_up(client, request, route)))
        if isinstance(request, MoveCollection | FinishMove):
            return cast(T, (yield from self._move(client, request, route)))
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
            run(self._open(client, route) if known else self._collections.version(client))
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

    def holding(self, client: RetryingClient, route: Route) -> Steps[str]:
        """The name of the collection that has the memories now."""
        named = yield from self._collections.named(client, route)
        return (yield from self._collections.look(client, named)).collection

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
        collections = self._collections
        named = yield from collections.named(client, route)
        # A person who is erased must not stay in a copy that was begun a moment ago.
        find = collections.look if erases(request) else collections.current
        current = yield from find(client, named)
        try:
            return (yield from self._answered_by(client, request, current, named))
        except (StrictModeError, StoreMissingError):
            # The collection may be a pointer since, which takes no writes and finds nothing, or is gone.
            now = yield from collections.look(client, named)
            if now.collection == current.collection and (
                yield from wait_for_switch(client, current.collection, self._settings.address)
            ):
                now = yield from collections.look(client, named)
            if now.collection == current.collection:
                raise
        return (yield from self._answered_by(client, request, now, named))

    def _answered_by(self, client: RetryingClient, request: Request[Any], route: Route, named: Route) -> Steps[Any]:
        """Args:
        client: sends the requests.
        request: the request.
        route: the collection that has the memories.
        named: the collection whose name led to it.
        """
        collections = self._collections
        if isinstance(request, Health):
            return (yield from self._health(client, route))
        profile = yield from collections.profile(client, route, named.collection)
        seen = [] if route.seen is None else route.seen
        if not seen:
            seen.append(route.collection)
        if isinstance(request, Describe):
            return profile
        if route.collection not in collections.profiles:
            # Not created yet: the length of its vectors comes with the first one.
            if not isinstance(request, Upsert):
                return NOTHING[type(request)](request)
            profile = yield from collections.create(client, route, first_length(request.points))
        if seen[0] != route.collection:  # the embedder was changed in the midst of this operation
            if isinstance(request, KeepSpread):
                return None
            request = without_dense(request)
        descriptor, other = profile.descriptor, collections.counterpart(route.collection)
        if other is not None:
            request = unmarked(request)
        admit(request, descriptor, f"{self._settings.address} ({route.collection})")
        require_layout(request, descriptor, f"{self._settings.address} ({route.collection})")
        yield from collections.require_field_indexes(client, route, request)
        request = for_layout(request, descriptor)
        collections.note(request, route)
        place = self._place(client, route, descriptor)
        try:
            if other is not None and isinstance(request, Delete):
                there = self._place(client, route._replace(collection=other), descriptor)
                return (yield from delete_in_both(request, place, there))
            return (yield from answer(request, place))
        except StrictModeError:
            limits = limits_of((yield from client.call("get_collection", {"collection_name": route.collection})))
            if limits == place.limits or limits.points == 0:
                raise
            self._engine.limits[route.collection] = limits
        return (yield from answer(request, self._place(client, route, descriptor)))

    def _back_up(self, client: RetryingClient, request: BackUp, route: Route) -> Steps[Taken]:
        name = yield from self.holding(client, route)
        if not (yield from client.call("collection_exists", {"collection_name": name})):
            raise StoreMissingError(f"there is no collection {name} at {self._settings.address}: nothing was backed up")
        projects = yield from self._answered(client, Facet("project_id", ()), route)
        snapshots = Snapshots(self._settings)
        digest = yield client.work(partial(snapshots.fetch, name, request.folder / SNAPSHOT))
        return Taken("server", sum(projects.values()), name, digest)

    def _move(self, client: RetryingClient, request: MoveCollection | FinishMove, route: Route) -> Steps[Any]:
        named = yield from self._collections.named(client, route)
        current = yield from self._collections.look(client, named)
        version = yield from self._collections.version(client)
        names = []
        for name in (named.collection, current.collection):
            names.append((yield from without_alias(client, name)))
        move = Move(client, self._engine, version, *names)
        return (yield from move.carry_out(request))

    def _projects(self, client: RetryingClient, route: Route) -> Steps[Any]:
        if self._settings.collection_per_project:
            return (yield from list_projects(client, self._settings.collection))
        profile: Profile = yield from self._answered(client, Describe(), route)
        if not profile.descriptor.by_project:
            return []
        return (yield from list_shards(client, (yield from self.holding(client, route)), route.project))

    def _open(self, client: RetryingClient, route: Route) -> Steps[Profile]:
        named = yield from self._collections.named(client, route)
        current = yield from self._collections.current(client, named)
        return (yield from self._collections.open(client, current, named.collection))

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
            size=self._engine.sizes.get(route.collection, 0),
            guarded=self._collections.is_leaving(route.collection),
        )

    def _health(self, client: RetryingClient, route: Route) -> Steps[Any]:
        info = yield from client.call("info")
        profile = self._collections.profiles.get(route.collection)
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


def open_server(
    settings: ServerSettings,
    *,
    embedder: Any,
    language: str | None = None,
    filter_fields: Sequence[FilterField] = (),
) -> ServerConnection:
    """A connection to the server; nothing is sent before it is used (or checked)."""
    return ServerConnection(share(settings), embedder, language, filter_fields)

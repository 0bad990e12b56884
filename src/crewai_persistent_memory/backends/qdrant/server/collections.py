"""One caller's collections on a server. A collection is opened, created or migrated at its first request."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from ....embedding import KeywordEncoder
from ....errors import EmbedderError, EmbedderUnavailableError, StoreMissingError, StorePermissionError
from ....filter_fields import FilterField
from ....io.steps import Steps
from ..embedder_choice import BY_WORDS, FROM_STORE, settle, without_tokens
from ..engine_requests import KeepSpread, Profile, Request, Upsert, Where
from ..manifest import EXTERNAL, LAYOUT, Descriptor
from ..schema import field_indexes
from . import moves
from .bootstrap import (
    CONDITIONAL_UPDATES_SINCE,
    DESCRIPTOR_ID,
    Opening,
    describe,
    read_descriptor,
    server_version,
)
from .client import RetryingClient
from .engine import ServerEngine
from .indexes import create_indexes, uses_fields
from .moves import Target, counterpart_of, follow
from .routes import Route
from .translate import server_filter

logger = logging.getLogger("crewai_persistent_memory")


class Collections:
    """One caller's view of a server's collections.

    Attributes:
        profiles: the profiles of opened collections, by name.
    """

    def __init__(
        self, engine: ServerEngine, embedder: Any, language: str | None, filter_fields: Sequence[FilterField]
    ) -> None:
        self.profiles: dict[str, Profile] = {}
        self._engine = engine
        self._settings = engine.settings
        self._embedder = embedder
        self._language = language
        self._filter_fields = filter_fields
        self._without_field_indexes: dict[str, StorePermissionError] = {}
        self._opened_as: dict[str, str] = {}
        """By the name that leads to a collection: the collection that this caller opened first."""

    def named(self, client: RetryingClient, route: Route) -> Steps[Route]:
        """The route with the collection's actual name on the server."""
        if route.own is None:
            return route
        named: Route = yield from self._as_it_is_named(client, route, *route.own)
        return named

    def current(self, client: RetryingClient, route: Route) -> Steps[Route]:
        """The route with the collection that has the memories now, see ``moves``."""
        target = self._engine.targets.get(route.collection)
        if target is not None and time.monotonic() - target.checked_at < moves.LEASE:
            return route._replace(collection=target.name)
        return (yield from self.look(client, route))

    def look(self, client: RetryingClient, route: Route) -> Steps[Route]:
        """:meth:`current`, as the server says now."""
        engine, name = self._engine, route.collection
        at = time.monotonic()
        known = engine.targets.get(name)
        try:
            try:
                found, stored = yield from follow(client, known.name if known else name, self._settings.address)
            except StoreMissingError:
                if known is None or known.name == name:
                    raise
                # It was moved from, and deleted. The first name leads to the next one.
                found, stored = yield from follow(client, name, self._settings.address)
        except StoreMissingError:
            engine.targets.pop(name, None)
            return route  # opening it creates it; a request to one that was open fails
        if stored is not None:
            yield from self.version(client)
            engine.descriptors[found] = stored
            engine.targets[name] = Target(found, at)
        return route._replace(collection=found)

    def counterpart(self, collection: str) -> str | None:
        """The other collection, while the memories of this one move to another one, or from it."""
        return counterpart_of(collection, self._engine.descriptors.get(collection))

    def is_leaving(self, collection: str) -> bool:
        """Whether the memories of this collection are about to move, and a change must not come too late. Servers
        before 1.16 know no filter of an update, without which a change cannot be guarded."""
        stored, version = self._engine.descriptors.get(collection), self._engine.version
        return stored is not None and stored.moving_to is not None and (version or (0, 0)) >= CONDITIONAL_UPDATES_SINCE

    def profile(self, client: RetryingClient, route: Route, name: str) -> Steps[Profile]:
        """The profile of a collection. The first use by this caller opens or creates the collection.

        Args:
            client: sends the requests.
            route: the collection.
            name: the name that led to it.
        """
        known = self.profiles.get(route.collection)
        return known or (yield from self.open(client, route, name))

    def require_field_indexes(self, client: RetryingClient, route: Route, request: Request[Any]) -> Steps[None]:
        """Create the indexes that the filter fields of a request need, if they could not be created before.

        Raises:
            StorePermissionError: this API key may not create them.
        """
        if route.collection in self._without_field_indexes and uses_fields(request):
            yield from self._index_fields(client, route.collection)
            if refused := self._without_field_indexes.get(route.collection):
                raise refused

    def version(self, client: RetryingClient) -> Steps[tuple[int, int]]:
        """The server's version, requested once.

        Raises:
            ServerVersionError: the server is too old.
        """
        if self._engine.version is None:
            self._engine.version = yield from server_version(client, self._settings.address)
        return self._engine.version

    def _as_it_is_named(self, client: RetryingClient, route: Route, earlier: str, project: Where) -> Steps[Any]:
        """The project's collection, which may have been created under its earlier name.

        The earlier name has a short digest, and another project may have the same digest. The earlier collection is
        therefore used only if it holds entries of this project.
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
            # The API key may grant access only to the collection with the earlier name.
            stored, refused = (
                (yield from self._descriptor_of_earlier(client, earlier, project, route.collection)),
                error,
            )
            name = earlier
        if stored is None:
            if refused is not None:
                raise refused
            return route
        yield from self.version(client)
        engine.descriptors[name] = stored
        engine.names[route.collection] = name
        return route._replace(collection=name)

    def _descriptor_of_earlier(self, client: RetryingClient, earlier: str, project: Where, name: str) -> Steps[Any]:
        """The descriptor of the collection with the earlier name, if it belongs to the project.

        The project is then written into the descriptor, so that the collection stays the project's when it is empty.
        """
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
        with suppress(StorePermissionError):  # a key that may only read
            yield from describe(client, earlier, stored, {"project_collection": name})
        return stored

    def open(self, client: RetryingClient, route: Route, name: str) -> Steps[Profile]:
        """The collection's profile, see :meth:`profile`. Creates the collection if it does not exist."""
        engine, collection = self._engine, route.collection
        stored = engine.descriptors.get(collection)
        exists = True
        if stored is None:
            try:
                stored = yield from read_descriptor(client, collection, self._settings.address)
            except StoreMissingError:
                exists = False
            yield from self.version(client)
        if stored is None:
            return (yield from self.create(client, route, exists=exists))
        where = f"{self._settings.address} ({collection})"
        known: Descriptor = yield from engine.migrations.open(client, collection, stored)
        descriptor, built = yield client.work(lambda: self._settle(known, collection, name, where))
        self._opened_as.setdefault(name, collection)
        if collection not in engine.sizes:
            counted = yield from client.call("count", {"collection_name": collection, "exact": False})
            engine.sizes[collection] = counted.count
        return (yield from self._keep(client, collection, descriptor, built))

    def _settle(self, stored: Descriptor, collection: str, name: str, where: str) -> tuple[Descriptor, Any]:
        """The descriptor, and the embedder by which this caller uses the collection."""
        first = self._opened_as.get(name, collection)
        if first == collection or self._embedder is BY_WORDS or self._embedder is EXTERNAL:
            return settle(stored, self._embedder, self._language, where)
        # The embedder was changed while this caller was at work.
        key = self._settings.address, collection
        if key in moves.SUCCESSORS:
            return stored, moves.SUCCESSORS[key]
        own = without_tokens(self._embedder)
        if own is not FROM_STORE:
            # It may be the same one: only the kinds of vectors have changed. A function cannot be built from a name.
            with suppress(EmbedderError):
                return settle(stored, own, None, where)
        try:
            return settle(stored, FROM_STORE, None, where)
        except EmbedderUnavailableError as error:
            logger.warning(
                "the embedder of the store at %s was changed, and this process cannot use the new one: it finds by "
                "words, and what it saves is embedded later. Restart it with the new embedder. %s",
                where,
                error,
            )
            return settle(stored, BY_WORDS, None, where)

    def create(
        self, client: RetryingClient, route: Route, dimensions: int | None = None, *, exists: bool = False
    ) -> Steps[Profile]:
        """Create a collection, and return its profile. With external vectors, their length must be known.

        Args:
            client: sends the requests.
            route: the collection.
            dimensions: length of external vectors.
            exists: whether another worker is creating the collection; then wait for it.
        """
        version = yield from self.version(client)
        opening = Opening(client, self._settings, route.collection, version, self._embedder, self._language)
        descriptor, built = yield from opening.create(dimensions, exists=exists)
        if descriptor.dimensions is None and descriptor.vectors == EXTERNAL:
            return Profile(
                descriptor, None, KeywordEncoder(descriptor.language), self._engine.said_before(route.collection)
            )
        self._opened_as.setdefault(route.collection, route.collection)
        if descriptor.layout < LAYOUT:  # a worker of an older version was first
            descriptor = yield from self._engine.migrations.open(client, route.collection, descriptor)
        return (yield from self._keep(client, route.collection, descriptor, built))

    def _keep(self, client: RetryingClient, collection: str, descriptor: Descriptor, built: Any) -> Steps[Profile]:
        if self._filter_fields:
            yield from self._index_fields(client, collection)
        self._engine.descriptors[collection] = descriptor
        self._engine.targets.setdefault(collection, Target(collection, time.monotonic()))
        said_before = self._engine.said_before(collection)
        profile = Profile(descriptor, built, KeywordEncoder(descriptor.language), said_before, self._filter_fields)
        self.profiles[collection] = profile
        return profile

    def note(self, request: Request[Any], route: Route) -> None:
        """What a request changes in what is known of its collection."""
        if isinstance(request, Upsert):
            sizes = self._engine.sizes
            sizes[route.collection] = sizes.get(route.collection, 0) + len(request.points)
        elif isinstance(request, KeepSpread):
            profile = self.profiles[route.collection]
            descriptors, spreads = self._engine.descriptors, (request.spread, request.tokens)
            self.profiles[route.collection] = profile._replace(descriptor=profile.descriptor.with_spread(*spreads))
            stored = descriptors.get(route.collection, profile.descriptor)  # read again since, perhaps
            descriptors[route.collection] = stored.with_spread(*spreads)

    def _index_fields(self, client: RetryingClient, collection: str) -> Steps[Any]:
        """Create the indexes of this caller's filter fields.

        Everything else works without them. An API key without the right to create them gets the error later, when a
        filter needs one.
        """
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

"""Open a collection on a server: check the server's version, read the descriptor, create the collection if needed.

The descriptor is one point of the collection. It has no tenant, so no search result contains it. Every API key can
read it with an ordinary read, on every version since 1.15. The creator of a collection writes the descriptor last, so
a collection with a descriptor is complete.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from qdrant_client import models

from ....config.qdrant import ServerSettings
from ....errors import (
    ConfigurationError,
    ServerVersionError,
    StoreCorruptedError,
    StoreMissingError,
)
from ....io.steps import Steps
from ..embedder_choice import settle
from ..manifest import EMBEDDER, EXTERNAL, Descriptor
from ..schema import DENSE, INDEXES, KEYWORDS, PASSAGES, TOKENS
from .client import RetryingClient
from .errors import AlreadyExists
from .indexes import create_indexes

OLDEST: Final = (1, 15)
SHARD_BY_PROJECT_SINCE: Final = (1, 16)
CONDITIONAL_UPDATES_SINCE: Final = (1, 16)

DESCRIPTOR_ID: Final = str(uuid.uuid5(uuid.NAMESPACE_URL, "crewai-persistent-memory/descriptor"))
DEFAULT_SHARD_KEY: Final = "default"
"""Where everything is that has no shard of its own, with ``shard_by_project``."""

CREATION_TIMEOUT: Final = 60
"""Seconds the server gets for creating a collection or an index; in a cluster all nodes must agree."""

WAIT_FOR_ANOTHER: Final = 10.0
"""Seconds to wait for another worker that is already creating the collection."""


def server_version(client: RetryingClient, where: str) -> Steps[Any]:
    """The server's version, checked.

    Raises:
        ServerVersionError: older than this package can use.
    """
    info = yield from client.call("info")
    match = re.match(r"v?(\d+)\.(\d+)", info.version)
    version = (int(match[1]), int(match[2])) if match else (0, 0)
    require_version(version, OLDEST, "this package", where, info.version)
    return version


def require_version(
    found: tuple[int, int], needed: tuple[int, int], what: str, where: str, shown: str | None = None
) -> None:
    """Raise if the server is too old.

    Raises:
        ServerVersionError: names the version found and the one needed.
    """
    if found < needed:
        raise ServerVersionError(
            f"Qdrant at {where} is version {shown or '.'.join(map(str, found))}, {what} needs "
            f"{'.'.join(map(str, needed))} or later: upgrade the server, one minor version at a time"
        )


def read_descriptor(client: RetryingClient, collection: str, where: str) -> Steps[Any]:
    """The collection's descriptor, or ``None`` if it has none.

    Raises:
        StoreMissingError: there is no such collection.
        StoreCorruptedError, SchemaVersionError: it cannot be read.
    """
    arguments = {"collection_name": collection, "ids": [DESCRIPTOR_ID], "with_payload": True}
    found = yield from client.call("retrieve", arguments)
    return Descriptor.from_json(found[0].payload, f"collection {collection!r} at {where}") if found else None


def describe(client: RetryingClient, collection: str, stored: Descriptor, payload: Mapping[str, Any]) -> Steps[None]:
    """Set keys in a collection's descriptor; ``None`` removes one."""
    key = {"shard_key_selector": DEFAULT_SHARD_KEY} if stored.by_project else {}
    arguments = {"collection_name": collection, "payload": dict(payload), "points": [DESCRIPTOR_ID], "wait": True}
    yield from client.call("set_payload", {**arguments, **key})


@dataclass(frozen=True)
class Opening:
    """Create one collection, or wait for another worker that is creating it."""

    client: RetryingClient
    settings: ServerSettings
    collection: str
    version: tuple[int, int]
    embedder: Any
    language: str | None

    def create(self, dimensions: int | None = None, *, exists: bool = False) -> Steps[Any]:
        """Returns the descriptor and the embedder.

        A descriptor of outside vectors without dimensions means that nothing was created yet: the first vector decides.

        Raises:
            StoreMissingError: the collection does not exist and may not be created.
            ConfigurationError: something else has this name.
            StorePermissionError: the key may not create collections.
        """
        where = f"{self.settings.address} ({self.collection})"
        if not (exists or self.settings.create_collection):
            raise StoreMissingError(
                f"collection {self.collection!r} does not exist at {self.settings.address}, and "
                "create_collection=False: create it by opening the memory once with a key that may"
            )
        chosen, built = yield self.client.work(lambda: settle(None, self.embedder, self.language, where))
        if chosen.vectors == EXTERNAL:
            chosen = replace(chosen, dimensions=dimensions or self.settings.dimensions)
        if exists:
            descriptor = yield from self._join(chosen)
        else:
            if chosen.vectors == EMBEDDER and chosen.dimensions is None:
                probe = yield self.client.work(built.probe)
                chosen = replace(chosen, dimensions=len(probe))
            if chosen.vectors == EXTERNAL and chosen.dimensions is None:
                return chosen, None
            descriptor = yield from self.begin(chosen)
        return (yield self.client.work(lambda: settle(descriptor, built or self.embedder, self.language, where)))

    def begin(self, chosen: Descriptor) -> Steps[Any]:
        if self.settings.collection_settings.shard_by_project:
            require_version(self.version, SHARD_BY_PROJECT_SINCE, "shard_by_project", self.settings.address)
            chosen = replace(chosen, by_project=True)
        chosen = replace(chosen, passages=chosen.vectors == EMBEDDER)
        try:
            yield from self.client.call("create_collection", self._layout(chosen))
        except AlreadyExists:
            return (yield from self._join(chosen))
        return (yield from self._complete(chosen))

    def _join(self, chosen: Descriptor) -> Steps[Any]:
        """A collection that exists and does not describe itself yet: somebody is creating it, or it is no memory."""
        where, collection = self.settings.address, self.collection
        info = yield from self.client.call("get_collection", {"collection_name": collection})
        params = info.config.params
        if KEYWORDS not in (params.sparse_vectors or {}):
            raise ConfigurationError(
                f"collection {collection!r} at {where} exists and is no memory of this package: choose another "
                "collection="
            )
        deadline = time.monotonic() + WAIT_FOR_ANOTHER
        pause = 0.05
        while time.monotonic() < deadline:
            found = yield from read_descriptor(self.client, collection, where)
            if found is not None:
                return found
            yield self.client.pause(pause)
            pause = min(0.5, pause * 2)
        # Whoever began has died. Nothing can have been stored, for that takes a descriptor; so it is safe to finish.
        count = yield from self.client.call("count", {"collection_name": collection, "exact": True})
        found = yield from read_descriptor(self.client, collection, where)
        if found is not None:
            return found  # it was finished, and used, in this very moment
        if count.count:
            raise StoreCorruptedError(
                f"collection {collection!r} at {where} is damaged: it holds {count.count} entries and does not say of "
                "what kind. Restore it from a snapshot, or choose another collection="
            )
        dense = (params.vectors or {}).get(DENSE)
        by_project = params.sharding_method == models.ShardingMethod.CUSTOM
        size = None if dense is None else dense.size
        found = replace(chosen, dimensions=size, by_project=by_project, passages=PASSAGES in (params.vectors or {}))
        if found.fingerprint is not None and found.tokens is not None:
            tokens = (params.vectors or {}).get(TOKENS)
            found = replace(found, fingerprint=replace(found.fingerprint, tokens=tokens and tokens.size))
        return (yield from self._complete(found))

    def _complete(self, chosen: Descriptor) -> Steps[Any]:
        """Shard key, indexes, descriptor, in this order; each may be there already."""
        wanted = self.settings.collection_settings
        name = {"collection_name": self.collection}
        if chosen.by_project:
            key = {"shard_key": DEFAULT_SHARD_KEY, "shards_number": wanted.shard_number}
            key["replication_factor"] = wanted.replication_factor
            with suppress(AlreadyExists):
                yield from self.client.call("create_shard_key", {**name, **key, "timeout": CREATION_TIMEOUT})
        info = yield from create_indexes(self.client, self.collection, INDEXES, self.settings.address)
        shards = (wanted.shard_number if chosen.by_project else info.config.params.shard_number) or 1
        descriptor = replace(chosen, shards=shards)
        point = models.PointStruct(id=DESCRIPTOR_ID, vector={}, payload=descriptor.to_json())
        to_default = {"shard_key_selector": DEFAULT_SHARD_KEY} if chosen.by_project else {}
        yield from self.client.call("upsert", {**name, "points": [point], "wait": True, **to_default})
        return descriptor

    def _layout(self, chosen: Descriptor) -> dict[str, Any]:
        wanted = self.settings.collection_settings
        dense = {}
        if chosen.dimensions is not None:
            vectors = partial(
                models.VectorParams,
                size=chosen.dimensions,
                distance=models.Distance.COSINE,
                # Half of the memory. In the embedded engine, the ten best of 100,000 were the same as with all digits.
                datatype=models.Datatype.FLOAT16,
                on_disk=wanted.on_disk_vectors,
                # A graph for each tenant that is large enough for one, and none over all of them: every query names a
                # tenant. Building takes a fraction of the time.
                hnsw_config=models.HnswConfigDiff(m=0, payload_m=16),
                quantization_config=_quantization(wanted.quantization),
            )
            dense[DENSE] = vectors()
            if chosen.passages:
                best_of = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
                dense[PASSAGES] = vectors(multivector_config=best_of)
            if chosen.tokens is not None:
                dense[TOKENS] = models.VectorParams(
                    size=chosen.tokens,
                    distance=models.Distance.COSINE,
                    datatype=models.Datatype.FLOAT16,
                    multivector_config=models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM),
                    # A search reads those of its candidates, and looks through no graph.
                    on_disk=True,
                    hnsw_config=models.HnswConfigDiff(m=0),
                )
        keywords = models.SparseVectorParams(modifier=models.Modifier.IDF)
        strict = models.StrictModeConfig(
            enabled=wanted.strict_mode, unindexed_filtering_retrieve=False, unindexed_filtering_update=False
        )
        layout: dict[str, Any] = {
            "collection_name": self.collection,
            "vectors_config": dense,
            "sparse_vectors_config": {KEYWORDS: keywords},
            "replication_factor": wanted.replication_factor,
            "write_consistency_factor": wanted.write_consistency_factor,
            "on_disk_payload": wanted.on_disk_payload,
            "strict_mode_config": strict,
            "timeout": CREATION_TIMEOUT,
        }
        if chosen.by_project:
            layout["sharding_method"] = models.ShardingMethod.CUSTOM
        else:
            layout["shard_number"] = wanted.shard_number
        return {name: value for name, value in layout.items() if value is not None}


def _quantization(kind: str | None) -> Any:
    if kind == "scalar":
        config = models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=0.99, always_ram=True)
        return models.ScalarQuantization(scalar=config)
    if kind == "binary":
        return models.BinaryQuantization(binary=models.BinaryQuantizationConfig(always_ram=True))
    return None

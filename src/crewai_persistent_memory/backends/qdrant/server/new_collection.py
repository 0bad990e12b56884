"""The collection to which memories move: its name, and its creation in the layout of the one that they leave."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from qdrant_client import models

from ....config.qdrant import CollectionSettings, ServerSettings
from ....errors import ConfigurationError, StorePermissionError
from ....io.steps import Steps
from ..manifest import Descriptor
from ..schema import COPIED_KEY, DENSE, INDEXES, Index, IndexKind
from .bootstrap import Opening
from .client import RetryingClient
from .indexes import create_indexes

_MARK: Final = {COPIED_KEY: Index(IndexKind.KEYWORD)}


def name_of(name: str, new: Descriptor) -> str:
    """The name of a collection with this embedder: the same one for each call, so that a call after a crash finds it.

    Args:
        name: the collection that configurations name.
        new: the descriptor of the new one.
    """
    made_by = None if new.fingerprint is None else new.fingerprint.to_json()
    digest = hashlib.blake2b(json.dumps(made_by, sort_keys=True).encode(), digest_size=6).hexdigest()
    return f"{name}--{digest}"


def create_like(
    client: RetryingClient,
    settings: ServerSettings,
    version: tuple[int, int],
    source: str,
    stored: Descriptor,
    target: str,
    new: Descriptor,
) -> Steps[Descriptor]:
    """Create a collection that is laid out like another one. Returns its descriptor.

    Args:
        client: sends the requests.
        settings: of the server.
        version: of the server.
        source: the collection that has the memories.
        stored: its descriptor.
        target: the new collection. One that an earlier call has begun is completed.
        new: the descriptor of the new one.

    Raises:
        StorePermissionError: this key may not create a collection. Nothing was changed.
        ConfigurationError: something else has this name.
    """
    where = settings.address
    info = yield from client.call("get_collection", {"collection_name": source})
    like = _layout_of(info, stored, settings.collection_settings)
    opening = Opening(
        client, settings.model_copy(update={"collection_settings": like}), target, version, None, stored.language
    )
    try:
        found: Descriptor = yield from opening.begin(new)
        if found.copy_of != source or not found.has_embedder(new.fingerprint):
            raise ConfigurationError(
                f"collection {target!r} at {where} exists already, and is no copy of {source!r}: delete it, or move "
                "its memories elsewhere"
            )
        yield from create_indexes(client, target, _MARK, where)
        yield from create_indexes(client, source, _MARK, where)
    except StorePermissionError as error:
        raise StorePermissionError(
            f"another embedder needs a new collection, {target!r} at {where}, and this key may not create it: use a "
            f"key that may create and delete collections ({error})"
        ) from error
    if info.config.strict_mode_config is not None and info.config.strict_mode_config.enabled:
        arguments = {"collection_name": target, "strict_mode_config": strict_mode_of(info)}
        yield from client.call("update_collection", arguments)
    of_fields = {key: each for key, each in (info.payload_schema or {}).items() if key not in {*INDEXES, *_MARK}}
    for key, each in of_fields.items():
        arguments = {"collection_name": target, "field_name": key, "field_schema": each.params or each.data_type}
        yield from client.call("create_payload_index", {**arguments, "wait": True})
    return found


def strict_mode_of(info: Any) -> models.StrictModeConfig:
    """The limits of a collection as they can be given to another one."""
    found = info.config.strict_mode_config or models.StrictModeConfig(enabled=False)
    known = {name: value for name, value in found if name in models.StrictModeConfig.model_fields}
    return models.StrictModeConfig(**known)


def _layout_of(info: Any, stored: Descriptor, given: CollectionSettings) -> CollectionSettings:
    """The settings with which a collection is laid out. ``given`` decides what a collection without vectors leaves
    open."""
    params, strict = info.config.params, info.config.strict_mode_config
    dense = (params.vectors or {}).get(DENSE) if isinstance(params.vectors, Mapping) else None
    quantization: str | None
    quantization, on_disk = given.quantization, given.on_disk_vectors
    if dense is not None:
        on_disk = dense.on_disk
        kinds = {"scalar": models.ScalarQuantization, "binary": models.BinaryQuantization}
        found = [name for name, kind in kinds.items() if isinstance(dense.quantization_config, kind)]
        quantization = found[0] if found else None
    return given.model_copy(
        update={
            "shard_number": stored.shards if stored.by_project else params.shard_number,
            "replication_factor": params.replication_factor,
            "write_consistency_factor": params.write_consistency_factor,
            "on_disk_payload": params.on_disk_payload,
            "on_disk_vectors": on_disk,
            "quantization": quantization,
            "shard_by_project": stored.by_project,
            "strict_mode": bool(strict and strict.enabled),
        }
    )

"""Snapshots of a collection: made, fetched and put back in pieces, whatever their size. ``qdrant-client`` has them
whole in memory, so this speaks HTTP."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NoReturn
from urllib.parse import quote

import httpx
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from ....config.qdrant import ServerSettings
from ....errors import ConfigurationError, StoreCorruptedError
from ....io.retry import Effect
from ..manifest import MOVING
from .bootstrap import DEFAULT_SHARD_KEY, DESCRIPTOR_ID
from .clients import headers_of, trust
from .errors import classify, request_info

SNAPSHOT: Final = "collection.snapshot"
"""The file of a backup's folder."""

_UPLOADED: Final = "crewai-memory-restore-"
"""How the names of uploads begin."""

_BLOCK: Final = 1 << 20
_HOUR: Final = 3600.0
"""Seconds that a server may take for a snapshot. It is silent meanwhile."""


class Snapshots:
    """The snapshots of one server, blocking."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._url = settings.urls[0]

    def fetch(self, collection: str, file: Path) -> str:
        """Make a snapshot, write it to a new file, and remove it from the server. Returns the SHA-256 of the file.

        Raises:
            ConfigurationError: other nodes have parts of the collection.
            StoreCorruptedError: what came is not what the server had.
            StoreError: the server failed or refused; see the subclasses.
        """
        with self._client("a backup") as client:
            at = f"/collections/{quote(collection, safe='')}"
            if _json(client.get(f"{at}/cluster"))["remote_shards"]:
                raise ConfigurationError(
                    f"{collection} at {self._url} is on several nodes, and a snapshot has what one node has: back up "
                    "each node (examples/deploy/kubernetes/backup.yaml), or take the memories out with export"
                )
            made = _json(client.post(f"{at}/snapshots", params={"wait": "true"}))
            snapshot = f"{at}/snapshots/{quote(made['name'], safe='')}"
            try:
                digest = _download(client, snapshot, file)
            finally:
                _json(client.delete(snapshot, params={"wait": "true"}))
        if made.get("checksum") and digest != made["checksum"]:
            raise StoreCorruptedError(
                f"the snapshot of {collection} came damaged from {self._url}: make the backup again"
            )
        return digest

    def exists(self, collection: str) -> bool:
        """Whether the server has it."""
        with self._client("a restore") as client:
            return bool(_json(client.get(f"/collections/{quote(collection, safe='')}/exists"))["exists"])

    def holding(self, collection: str) -> str:
        """The collection that has the memories of this one, see ``moves``."""
        with self._client("a restore") as client:
            while moved_to := _descriptor(client, collection).get("moved_to"):
                collection = moved_to
        return collection

    def put_back(self, collection: str, file: Path) -> None:
        """Make the collection what it was in a snapshot. If its memories were about to move then, they stay.

        Raises:
            StoreError: the server failed or refused; see the subclasses.
        """
        name = f"{_UPLOADED}{uuid.uuid4().hex}.snapshot"  # the server keeps what is uploaded
        with self._client("a restore") as client, open(file, "rb") as content:
            at = f"/collections/{quote(_without_alias(client, collection), safe='')}/snapshots"
            how = {"priority": "snapshot", "wait": "true"}
            try:
                answer = client.post(f"{at}/upload", params=how, files={"snapshot": (name, content)})
            finally:
                # Also what was refused stays there. An error of the upload tells more than one of this.
                removed = client.delete(f"{at}/{name}", params={"wait": "true"})
            _json(answer)
            _json(removed)
            _remove_left(client, at)
            _end_moves(client, collection)

    @contextmanager
    def _client(self, doing: str) -> Iterator[httpx.Client]:
        settings = self._settings
        try:
            with httpx.Client(
                base_url=self._url,
                verify=trust(settings, self._url),
                trust_env=settings.trust_env,
                timeout=httpx.Timeout(settings.timeout, read=_HOUR, write=_HOUR),
                headers=headers_of(settings),
            ) as client:
                yield client
        except httpx.HTTPError as error:
            self._raise(doing, ResponseHandlingException(error))
        except UnexpectedResponse as error:
            self._raise(doing, error)

    def _raise(self, doing: str, error: Exception) -> NoReturn:
        raise classify(error, request_info(self._url, doing, Effect.ONCE)).error from error


def _without_alias(client: httpx.Client, name: str) -> str:
    """The collection's own name. Qdrant keeps an upload under the name that was given, and looks for it under this."""
    aliases = _json(client.get("/aliases"))["aliases"]
    return next((each["collection_name"] for each in aliases if each["alias_name"] == name), name)


def _remove_left(client: httpx.Client, at: str) -> None:
    """Remove what restores have uploaded that were killed."""
    for left in _json(client.get(at)):
        if left["name"].startswith(_UPLOADED):
            client.delete(f"{at}/{quote(left['name'], safe='')}", params={"wait": "true"})


def _end_moves(client: httpx.Client, collection: str) -> None:
    """A collection that was being moved when it was backed up is not any more."""
    descriptor = _descriptor(client, collection)
    moving = [name for name in (*MOVING, "mover") if name in descriptor]
    if moving:
        at = f"/collections/{quote(collection, safe='')}/points"
        by_project = {"shard_key": DEFAULT_SHARD_KEY} if descriptor.get("by_project") else {}
        body = {"keys": moving, "points": [DESCRIPTOR_ID], **by_project}
        _json(client.post(f"{at}/payload/delete", params={"wait": "true"}, json=body))


def _descriptor(client: httpx.Client, collection: str) -> dict[str, Any]:
    """The payload of its descriptor; empty if it has none."""
    body = {"ids": [DESCRIPTOR_ID], "with_payload": True}
    found = _json(client.post(f"/collections/{quote(collection, safe='')}/points", json=body))
    payload: dict[str, Any] = found[0]["payload"] or {} if found else {}
    return payload


def _json(response: httpx.Response) -> Any:
    if response.status_code >= 400:
        _raise_for(response, response.content)
    try:
        return response.json()["result"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise UnexpectedResponse(200, "no answer of a Qdrant", response.content[:300], response.headers) from error


def _raise_for(response: httpx.Response, content: bytes) -> NoReturn:
    raise UnexpectedResponse(response.status_code, response.reason_phrase, content, response.headers)


def _download(client: httpx.Client, path: str, file: Path) -> str:
    """Returns the SHA-256 of the content."""
    digest = hashlib.sha256()
    with client.stream("GET", path) as response, open(file, "xb") as new:
        if response.status_code >= 400:
            _raise_for(response, response.read())
        for block in response.iter_bytes(_BLOCK):
            digest.update(block)
            new.write(block)
    return digest.hexdigest()

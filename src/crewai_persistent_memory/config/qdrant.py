"""The options of a Qdrant server: its address, how to call it, and the layout of a new collection."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from ..errors import ConfigurationError
from . import Accepts

DEFAULT_PORT = 6333
DEFAULT_COLLECTION = "crewai_memory"
_COLLECTION_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,200}")


class CollectionSettings(BaseModel):
    """How a *new* collection is laid out. An existing one stays as it is. The server's defaults fill in the rest.

    ``docs/scaling.md`` says what to choose, and why.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    shard_number: int | None = Field(None, ge=1, description="Shards, for each project's key with shard_by_project.")
    replication_factor: int | None = Field(None, ge=1, description="Copies of each shard, on different nodes.")
    write_consistency_factor: int | None = Field(
        None, ge=1, description="Copies that must confirm a write before it is acknowledged."
    )
    shard_by_project: bool = Field(
        False, description="Custom sharding: large projects can be given shards of their own (Qdrant >= 1.16, cluster)."
    )
    on_disk_vectors: bool | None = Field(None, description="Originals of dense vectors on disk, not in memory.")
    on_disk_payload: bool | None = Field(None, description="Payload on disk, not in memory.")
    quantization: Literal["scalar", "binary"] | None = Field(
        None, description="A small copy of the dense vectors, in memory: int8 (a quarter) or one bit (a 32nd)."
    )
    strict_mode: bool = Field(True, description="The server refuses filters over payload that is not indexed.")


class ConnectionOptions(BaseModel):
    """Options of a server that a connection uses as they were given."""

    grpc_port: int = Field(6334, ge=1, le=65535, description="Port for gRPC.")
    api_key: SecretStr | None = Field(None, validation_alias="QDRANT_API_KEY", description="Key or token (JWT).")
    ca_cert: Path | None = Field(None, description="PEM file of a private CA, in place of the system's.")
    trust_env: bool = Field(True, description="Use the proxies that the environment names; false: none.")
    prefer_grpc: bool = Field(False, description="gRPC for everything that is asked of the server.")
    timeout: float = Field(5.0, gt=0, description="Seconds for one request; whole seconds, rounded up.")
    retry_for: float = Field(
        10.0, ge=0, description="Seconds over which a request that is safe to repeat is repeated; 0: never."
    )
    max_connections: int = Field(32, ge=1, description="Most connections of one process (and of one event loop).")
    wait: bool = Field(True, description="A write returns when it can be read; false: when it is in the server's log.")
    ordering: Literal["weak", "medium", "strong"] | None = Field(None, description="Of writes, in a cluster.")
    read_consistency: int | Literal["majority", "quorum", "all"] | None = Field(
        None, description="How many copies a read asks, in a cluster."
    )
    collection: str = Field(DEFAULT_COLLECTION, description="Name of the collection.")
    collection_per_project: bool = Field(
        False, description="One collection for each project (own backups, keys, retention), not one for all."
    )
    create_collection: bool = Field(True, description="Create the collection if there is none.")
    dimensions: int | None = Field(
        None, ge=1, description="For QdrantStorageBackend: length of a new collection's vectors, else the first one's."
    )

    @field_validator("collection")
    @classmethod
    def _check_collection(cls, value: str) -> str:
        if not _COLLECTION_NAME.fullmatch(value):
            raise ValueError("at most 200 letters, digits, '_', '-' and '.'")
        return value

    @field_validator("ca_cert")
    @classmethod
    def _check_ca(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError("there is no such file; give the PEM file of the CA that signed the server's certificate")
        return value


class ServerOptions(ConnectionOptions):
    """All options of a server. They mean nothing to other stores."""

    url: Annotated[tuple[str, ...] | None, NoDecode, Accepts("str | Sequence[str] | None")] = Field(
        None,
        validation_alias="QDRANT_URL",
        description="Address; several (a list, or comma-separated) are nodes of one cluster, tried in turn.",
    )
    host: str | None = Field(None, description="In place of url, with port.")
    port: int | None = Field(None, ge=1, le=65535, description="Port for REST, if it is not in url. Default: 6333.")
    https: bool | None = Field(None, description="For host: TLS. Left out: when api_key or ca_cert is given.")
    prefix: str | None = Field(None, description="Path below which the server answers, behind a proxy.")
    headers: Mapping[str, str] | None = Field(None, repr=False, exclude=True, description="Sent with every request.")
    startup_check: bool = Field(True, description="Open fails if the server does not answer.")
    startup_timeout: float = Field(5.0, gt=0, description="Seconds for that check.")
    collection_settings: CollectionSettings | None = Field(
        None, description="How a new collection is laid out: a dict of settings."
    )

    @field_validator("url", mode="before")
    @classmethod
    def _read_urls(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = [part.strip() for part in value.split(",") if part.strip()]
            if not value:
                raise ValueError("is blank: give the server's address, such as http://127.0.0.1:6333")
        return value

    @field_validator("url")
    @classmethod
    def _check_urls(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for url in value or ():
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError("give http:// or https:// and a host, such as http://127.0.0.1:6333")
            if parts.username or parts.password or parts.query:
                raise ValueError("no user, password or query in it: a key goes into api_key= or QDRANT_API_KEY")
        return value

    @field_validator("host")
    @classmethod
    def _check_host(cls, value: str | None) -> str | None:
        if value is not None and (not value.strip() or set(value) & set("/[]")):
            raise ValueError("a host name alone; an address with http:// goes into url=")
        if value is not None and ("@" in value or "?" in value):
            raise ValueError("no user, password or query in it: a key goes into api_key= or QDRANT_API_KEY")
        return value


class ServerSettings(ConnectionOptions):
    """What one connection is made of: a server's options without contradictions. Equal settings share connections."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    urls: tuple[str, ...]
    headers: tuple[tuple[str, str], ...] = Field(repr=False, exclude=True)
    collection_settings: CollectionSettings

    @property
    def address(self) -> str:
        """The address for messages; it holds no secret."""
        return ", ".join(self.urls)

    @classmethod
    def of(cls, options: ServerOptions) -> ServerSettings:
        """The settings of a configuration that names a server.

        Raises:
            ConfigurationError: two options contradict each other.
        """
        urls = _urls(options)
        if options.prefer_grpc and any(urlsplit(url).path for url in urls):
            raise ConfigurationError("gRPC knows no path: leave out prefer_grpc=, or prefix= and the path in url=")
        as_given = {name: getattr(options, name) for name in ConnectionOptions.model_fields}
        return cls(
            **as_given,
            urls=urls,
            headers=tuple(sorted((options.headers or {}).items())),
            collection_settings=options.collection_settings or CollectionSettings.model_validate({}),
        )


def _urls(options: ServerOptions) -> tuple[str, ...]:
    prefix = f"/{options.prefix.strip('/')}" if options.prefix and options.prefix.strip("/") else ""
    urls = []
    for url in options.url or (_url_of_host(options),):
        parts = urlsplit(url)
        path = parts.path.rstrip("/")
        if path and prefix:
            raise ConfigurationError(f"prefix={options.prefix!r} and a path in url= are both given: leave one out")
        if options.port is not None and parts.port not in (None, options.port):
            raise ConfigurationError(f"port={options.port} and another port in url= are both given: leave one out")
        if options.https is not None and options.https != (parts.scheme == "https"):
            raise ConfigurationError(
                f"https={options.https} and an {parts.scheme}:// url= are both given: leave one out"
            )
        if options.ca_cert is not None and parts.scheme == "http":
            raise ConfigurationError("ca_cert= needs an https:// address")
        name = parts.hostname or ""
        host = f"[{name}]" if ":" in name else name
        urls.append(f"{parts.scheme}://{host}:{parts.port or options.port or DEFAULT_PORT}{path or prefix}")
    return tuple(urls)


def _url_of_host(options: ServerOptions) -> str:
    https = options.https if options.https is not None else bool(options.api_key or options.ca_cert)
    host = f"[{options.host}]" if ":" in (options.host or "") else options.host
    return f"{'https' if https else 'http'}://{host}"


_OF_KEYS: Final = ("auth", "key", "token", "secret", "password", "cookie")


def routing_of(headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """The headers by which a gateway may choose a server. Those of keys are not among them: a key can be renewed."""
    return tuple(pair for pair in headers if not any(word in pair[0].lower() for word in _OF_KEYS))

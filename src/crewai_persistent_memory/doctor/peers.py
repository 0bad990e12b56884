"""Another replica's store: this one's options with another address, and never with this one's key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from pydantic import SecretStr

from ..addresses import origin_of, shown
from ..config.options import MemoryConfig
from ..errors import ConfigurationError

_AS_HERE: Final = ("collection", "collection_per_project", "prefer_grpc", "grpc_port", "trust_env")
"""Options of a server that replicas have in common."""


@dataclass(frozen=True)
class Peer:
    """A peer, as it was given: the address of a Qdrant server, or a folder."""

    place: str
    key: str | None = None

    @property
    def is_server(self) -> bool:
        """Whether it is an address."""
        return "://" in self.place

    @property
    def name(self) -> str:
        """For messages: without a password in the address."""
        return shown(self.place) if self.is_server else self.place


def config_of(peer: Peer, mine: MemoryConfig) -> MemoryConfig:
    """How to open the peer's store.

    Raises:
        ConfigurationError: the address is malformed, or memories are in Mem0, which has no address for each replica.
    """
    if mine.mem0 is not None:
        raise ConfigurationError(
            "memories are in Mem0: replicas with the same key, or the same vector store, share them"
        )
    if not peer.is_server:
        return MemoryConfig.build(path=peer.place)
    here = mine.server
    options: dict[str, Any] = {} if here is None else {name: getattr(here, name) for name in _AS_HERE}
    if here is not None and peer.place.startswith("https://"):
        options["ca_cert"] = here.ca_cert
    config = MemoryConfig.build(url=peer.place, **options)
    theirs = config.server
    if here is not None and theirs is not None and set(map(origin_of, theirs.urls)) <= set(map(origin_of, here.urls)):
        key, headers = here.api_key, mine.headers
    else:  # neither this store's key nor one of the environment
        key, headers = None, None
    return config.changed(api_key=SecretStr(peer.key) if peer.key else key, headers=headers)

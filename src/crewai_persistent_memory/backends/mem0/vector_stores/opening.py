"""Opens the vector stores of a ``mem0.Memory``: whether a server answers, and what is put in front of the stores."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from .chroma import Chroma
from .corrected import CorrectedStore
from .faiss import Faiss, recover
from .folder import claim, release
from .postgres import PgVector, one_creates_tables
from .probe import probe
from .qdrant import Qdrant
from .redis import Redis, keep_indexes
from .supabase import Vecs, make_no_index
from .table import PROVIDERS, folder_of, known, settings_of
from .valkey import Valkey, make_missing_indexes

_CORRECTED: Final[Mapping[str, type[CorrectedStore]]] = {
    "chroma": Chroma,
    "faiss": Faiss,
    "pgvector": PgVector,
    "qdrant": Qdrant,
    "redis": Redis,
    "supabase": Vecs,
    "valkey": Valkey,
}
"""Providers that need more than every store."""

_PROBED: Final[set[str]] = set()
"""Configurations of vector stores that this process has tried."""


def claim_folder(config: Mapping[str, Any], held: ExitStack) -> None:
    """Lock the folder of a local vector store that takes one process at a time.

    Args:
        config: a ``local_mem0_config`` that was checked.
        held: what releases it.

    Raises:
        StoreInUseError: another process has it.
        StorePathError: it cannot be there.
    """
    provider, settings = settings_of(config)
    path = folder_of(provider, settings)
    if path is not None:
        held.callback(release, claim(provider, path))
        if provider == "faiss":
            recover(Path(path))


@contextmanager
def reached(config: Mapping[str, Any], patience: float) -> Iterator[None]:
    """While a ``mem0.Memory`` or its second store is made. A server that is away is told at once; Mem0 itself waits for
    30 s, or for as long as the system does.

    Args:
        config: a ``local_mem0_config`` that was checked.
        patience: seconds for one attempt.

    Raises:
        OSError: nobody answers.
        Exception: a driver's ``OperationalError``.
    """
    provider, settings = settings_of(config)
    with ExitStack() as held:
        if provider in ("pgvector", "supabase") and settings.get("connection_pool") is None:
            held.enter_context(one_creates_tables(settings, patience))
            if provider == "supabase":
                make_no_index()
        elif provider == "chroma" and folder_of(provider, settings) is None and settings.get("host"):
            wait_for_answer(settings["host"], int(settings["port"]), b"GET / HTTP/1.0\r\n\r\n", patience)
        elif provider in ("redis", "valkey"):
            place = urlsplit(str(settings.get(f"{provider}_url")))
            if place.hostname:  # no socket in the file system; with TLS, its words are others
                said = b"PING\r\n" if place.scheme in ("redis", "valkey") else b""
                wait_for_answer(place.hostname, place.port or 6379, said, patience)
            (keep_indexes if provider == "redis" else make_missing_indexes)()
        yield


def wait_for_answer(host: str, port: int, said: bytes, patience: float) -> None:
    """Whether a server is there, and says anything when it is spoken to. Mem0's clients wait for that for ever.

    Args:
        host, port: where it is.
        said: a request in its language; if it is empty, a connection is enough.
        patience: seconds.

    Raises:
        OSError: it is away, or silent.
    """
    with socket.create_connection((host, port), timeout=patience) as connection:
        if said:
            connection.sendall(said)
            connection.recv(1)


def correct(memory: Any, config: Mapping[str, Any], patience: float) -> None:
    """Let a ``mem0.Memory`` use corrected stores.

    Args:
        memory: just opened.
        config: its ``local_mem0_config``.
        patience: seconds to wait for a connection.

    Raises:
        ConfigurationError: a vector store that was never tried, and was tried now, does not do what others do.
    """
    provider, settings = settings_of(config)
    about, kind = known(provider), _CORRECTED.get(provider, CorrectedStore)
    memory.vector_store = kind(memory.vector_store, about, settings, patience)
    if provider not in PROVIDERS and (place := repr(config["vector_store"])) not in _PROBED:
        with ExitStack() as refused:
            refused.callback(close, memory)
            probe(memory.vector_store, provider, partial(memory.embedding_model.embed, memory_action="add"))
            refused.pop_all()
        _PROBED.add(place)
    if not hasattr(type(memory), "entity_store"):  # until 2.0
        return
    lock = threading.Lock()

    class Memory(type(memory)):  # type: ignore[misc]
        """Mem0 makes the second store when it first needs it. Two threads of its own may need it at once."""

        _entity_store: Any

        @property
        def entity_store(self) -> Any:
            there = self._entity_store
            if isinstance(there, CorrectedStore):
                return there
            with lock, reached(config, patience):
                made = super().entity_store
                if not isinstance(made, CorrectedStore):
                    self._entity_store = None  # if the next line fails
                    made = self._entity_store = kind(made, about, settings, patience)
            return made

    memory.__class__ = Memory


def close(memory: Any) -> None:
    """Close the vector stores of a ``mem0.Memory``."""
    first, second = memory.vector_store, getattr(memory, "_entity_store", None)
    first.close()
    if second is not None and getattr(second, "client", None) is not getattr(first, "client", ""):
        second.close()

"""What the checks look at: a configuration, its store, a probe in it, and the machine."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ..errors import PersistentMemoryError, StoreInUseError, StoreMissingError
from ..scope import DEFAULT_PROJECT, Scope, ScopeBinding
from .machine import Machine
from .pending import RUNNING

if TYPE_CHECKING:
    from ..backends.qdrant.manifest import Descriptor
    from ..config.options import MemoryConfig
    from ..entry import MemoryEntry
    from ..store.base import MemoryStore

PROBE_USER: Final = "crewai-memory-doctor"
"""The user of the probe. No application recalls its memory."""

PATIENCE: Final = 3.0
"""Seconds that the store is waited for, at the start and for each request."""

PATIENCE_WITH_MEM0: Final = 20.0
"""Seconds until Mem0 Cloud, which works in the background, has the probe."""


@dataclass
class Examined:
    """What one report is about. The store is opened by :meth:`open`, and is ``None`` before that and if it failed.

    Attributes:
        config: the options; ``None`` if they are wrong, or the store is somebody else's.
        wrong: why there is no configuration.
        given: an open store of the caller's.
        crew: a crew of the caller's.
        user: whose memory is looked for.
        peer: the address, or the folder, of another replica.
        peer_key: the key for it.
        read_only: nothing is written.
        environment: the environment as it was before CrewAI's side of this package was imported, which changes it.
    """

    config: MemoryConfig | None = None
    wrong: PersistentMemoryError | None = None
    given: MemoryStore | None = None
    crew: Any = None
    user: str | None = None
    peer: str | None = None
    peer_key: str | None = None
    read_only: bool = False
    machine: Machine = field(default_factory=lambda: Machine.here())
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    store: MemoryStore | None = field(default=None, init=False)
    probe: MemoryEntry | None = field(default=None, init=False)
    """The probe, while it is in the store."""
    cannot_open: bool = field(default=False, init=False)
    """The store is there, or may be, and could not be opened."""
    started: float = field(default_factory=time.monotonic, init=False)
    in_project: int | None = field(default=None, init=False)
    """Entries of the project; ``None`` while they are not counted, and for a store that cannot count them."""
    has_ended: bool = field(default=False, init=False)

    @property
    def project(self) -> tuple[str | None, str]:
        """The organisation and the project."""
        if self.config is not None:
            binding = self.config.binding()
        else:
            binding = ScopeBinding() if self.given is None else self.given.binding
        return binding.org_id, binding.project_id or DEFAULT_PROJECT

    @property
    def probe_scope(self) -> Scope:
        """Where the probe is written."""
        org_id, project_id = self.project
        return Scope(PROBE_USER, project_id, org_id=org_id)

    @property
    def is_empty(self) -> bool:
        """Whether the project is known to have no memories."""
        return self.in_project == 0 or (self.store is None and not self.cannot_open)

    @property
    def is_mem0(self) -> bool:
        """Whether memories are kept in Mem0."""
        return self.config is not None and self.config.mem0 is not None

    @property
    def is_embedded(self) -> bool:
        """Whether memories are kept in a folder of this machine."""
        return self.config is not None and self.config.server is None and not self.is_mem0

    def open(self) -> None:
        """Open the store as it is, without its embedder and its outbox, and create none.

        Raises:
            PersistentMemoryError: it cannot be opened.
        """
        store: MemoryStore | None = None
        if self.config is not None:
            store = opened(impatient(self.config, self.probe_scope))
        elif self.given is not None:
            binding, middleware = ScopeBinding.of(self.probe_scope), self.given.middleware
            store = type(self.given)(self.given.backend, binding, middleware=middleware, owns_backend=False)
        if self.has_ended and store is not None:  # it took too long, and nobody waits for it any more
            store.close()
        else:
            self.store = store

    def descriptor(self) -> Descriptor | None:
        """What the open store says of itself; ``None`` for Mem0 and a store of somebody else's."""
        from ..backends.qdrant.backend import QdrantBackend
        from ..backends.qdrant.engine_requests import Describe
        from ..io.steps import run

        backend = None if self.store is None else self.store.backend
        if not isinstance(backend, QdrantBackend):
            return None
        connection = backend.connection
        return run(connection.ask(Describe(), connection.route(*self.project))).descriptor

    @contextmanager
    def closed_meanwhile(self) -> Iterator[None]:
        """Leave the folder of a local store to another process for a while."""
        is_local = self.config is not None and self.config.server is None
        if self.config is not None and self.config.mem0 is not None:
            is_local = self.config.mem0.local_mem0_config is not None
        if is_local and self.store is not None:
            self.store.close()
            self.store = None
            try:
                yield
            finally:
                self._open_again()
        else:
            yield

    def _open_again(self) -> None:
        """Open the folder, which another process may have taken for a moment.

        Raises:
            StoreInUseError: it has kept it.
        """
        deadline = time.monotonic() + PATIENCE
        while self.store is None and not self.has_ended:
            try:
                self.open()
            except StoreInUseError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def close(self) -> None:
        """Take the probe back, if it is there still, and close the store."""
        if self.store is None and self.probe is not None:
            # It was interrupted while a second process had the folder.
            for process in list(RUNNING):
                process.kill()
            with suppress(PersistentMemoryError):
                self._open_again()
        self.has_ended = True
        if self.store is None:
            return
        if self.probe is not None:
            with suppress(PersistentMemoryError):  # the check of the probe has said so
                self.store.delete(self.probe.id, for_good=True)
        self.store.close()
        self.store = None


def opened(config: MemoryConfig) -> MemoryStore:
    """The store of a configuration, by words and as it is.

    Raises:
        StoreMissingError: there is none; nothing was created.
        PersistentMemoryError: it cannot be opened.
    """
    from ..store.factory import open_configured

    store = open_configured(config, by_words=True, existing=True)
    try:
        health = store.health()  # some stores are opened with their first use
        if health.get("status") == "not created":  # a project's own collection
            raise StoreMissingError(f"there is no collection {health.get('collection')!r} at {health.get('url')}")
    except BaseException:
        store.close()
        raise
    return store


def impatient(config: MemoryConfig, scope: Scope) -> MemoryConfig:
    """A configuration for the probe: in its scope, without an outbox, and with short waits."""
    mem0 = config.mem0
    if mem0 is not None:
        waits = {"timeout": min(mem0.timeout, PATIENCE), "startup_timeout": PATIENCE, "retry_for": 0.0}
        mem0 = mem0.model_copy(
            update={
                **waits,
                "startup_check": True,
                "wait": True,
                "wait_timeout": min(mem0.wait_timeout, PATIENCE_WITH_MEM0),
            }
        )
    return config.changed(
        user_id=None,
        project_id=None,
        run_id=None,
        agent_id=None,
        org_id=None,
        scope=scope,
        include_shared=False,
        language=None,  # the store's; another one is what the check of the embedder finds
        durability="store",
        timeout=min(config.timeout, PATIENCE),
        startup_timeout=PATIENCE,
        startup_check=True,
        retry_for=0.0,
        wait=True,
        filter_fields=(),
        mem0=mem0,
    )

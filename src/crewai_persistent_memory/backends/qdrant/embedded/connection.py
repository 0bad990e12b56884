"""Opening embedded stores: one shard per path and process, shared by all its handles, closed with the last one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from ....embedding import Embedder, KeywordEncoder
from ....errors import StoreClosedError
from ....filter_fields import FilterField
from ....io.shared import Shared
from ....io.steps import Steps, Work
from ..embedder_choice import BY_WORDS, settle
from ..engine_requests import (
    BeginVectors,
    Describe,
    EndVectors,
    FinishMove,
    HasId,
    NoteAccess,
    Profile,
    Request,
    SetPayload,
    SetPayloads,
)
from ..manifest import EXTERNAL, LAYOUT
from ..schema import field_indexes
from .deletions import Deletions
from .directory import StoreDirectory
from .engine import EmbeddedEngine
from .errors import engine_errors
from .exchange import finish
from .flushing import STRICTEST_FIRST, Fsync
from .opening import create_shard, open_shard, stored_descriptor
from .rebuild import finish_swap

T = TypeVar("T")


class EmbeddedConnection:
    """One caller's share of an open shard, and the embedder that this caller reads it with."""

    def __init__(
        self,
        engine: EmbeddedEngine,
        embedder: Embedder | None,
        filter_fields: Sequence[FilterField],
        *,
        uses_no_embedder: bool = False,
    ) -> None:
        self._engine = engine
        self._opened_at = engine.generation
        self._uses_no_embedder = uses_no_embedder
        self._closed = False
        self._embedder = embedder
        self._encoder = KeywordEncoder(engine.descriptor.language)
        self._filter_fields = filter_fields

    def route(self, org_id: str | None, project_id: str) -> int:
        """There is one collection and one shard. What differs is the embedder by which an operation begins."""
        return self._engine.generation

    @property
    def embedder(self) -> Embedder | None:
        """The one that it was opened with, or the one that has taken its place since."""
        changed = self._engine.generation != self._opened_at and not self._uses_no_embedder
        return self._engine.successor if changed else self._embedder

    def ask(self, request: Request[T], route: int | None = None) -> Steps[T]:
        if self._closed:  # the engine may be open for other handles
            raise StoreClosedError(f"the memory store at {self._engine.path} is closed: open it again")
        if isinstance(request, NoteAccess):
            self._engine.note_access(request)
            return cast(T, None)
        if isinstance(request, Describe):
            engine = self._engine
            profile = Profile(engine.descriptor, self.embedder, self._encoder, engine.said_before, self._filter_fields)
            return cast(T, profile)
        if isinstance(request, BeginVectors):
            self._engine.collecting.begin(request)
            return cast(T, True)
        if isinstance(request, FinishMove):
            return cast(T, None)  # the vectors are exchanged in place
        if isinstance(request, EndVectors):
            return cast(T, self._engine.collecting.end())
        if isinstance(request, SetPayloads):
            # One by one, so that reads and other writes come in between.
            for ids, payload in request.writes:
                each = SetPayload((*request.where, HasId(tuple(ids))), payload)
                yield Work(partial(self._engine.execute, each))
            return cast(T, None)
        return cast(T, (yield Work(partial(self._engine.execute, request, route))))

    def create_indexes(self) -> None:
        """Create the indexes of this caller's filter fields."""
        if self._filter_fields:
            self._engine.create_indexes(field_indexes(self._filter_fields))

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            _engines.release(self._engine.path, self._engine)

    async def aclose(self) -> None:
        await asyncio.to_thread(self.close)

    def __repr__(self) -> str:
        return repr(self._engine)


def open_embedded(
    path: str | os.PathLike[str],
    *,
    embedder: Any,
    language: str | None = None,
    fsync: Fsync = "interval",
    filter_fields: Sequence[FilterField] = (),
) -> EmbeddedConnection:
    """Open the store at ``path``, creating it if there is none; shared with other handles of this process.

    Raises:
        StorePathError, StoreInUseError, StoreCorruptedError, SchemaVersionError, StoreFullError: about the path.
        EmbedderMismatchError, EmbedderUnavailableError: about the embedder, see :func:`settle`.
        ConfigurationError: a filter field is of another kind in this store.
    """
    real = Path(os.path.realpath(os.path.expanduser(path)))
    built: Embedder | None = None

    def create() -> EmbeddedEngine:
        nonlocal built
        directory = StoreDirectory(real)
        directory.acquire()
        try:
            finish(directory)
            finish_swap(directory)
            stored = stored_descriptor(directory)
            descriptor, built = settle(stored, embedder, language, str(real))
            with engine_errors(real):
                if stored is None:
                    descriptor = descriptor.with_layout(LAYOUT, embedded=True)
                    shard, deletions = create_shard(directory, descriptor), Deletions()
                else:
                    shard, descriptor, deletions = open_shard(directory, descriptor)
                directory.make_private()
        except BaseException:
            directory.release()
            raise
        return EmbeddedEngine(directory, shard, descriptor, fsync, deletions=deletions)

    def join(engine: EmbeddedEngine) -> None:
        nonlocal built
        _, built = settle(engine.descriptor, embedder, language, str(real))
        # Handles share one shard; the strictest of what they were promised holds for all.
        engine.disk.policy = min(engine.disk.policy, fsync, key=STRICTEST_FIRST.index)

    connection = EmbeddedConnection(
        _engines.acquire(real, create, join),
        built,
        filter_fields,
        uses_no_embedder=embedder is BY_WORDS or embedder is EXTERNAL,
    )
    try:
        connection.create_indexes()
    except BaseException:
        connection.close()
        raise
    return connection


def _abandon(engine: EmbeddedEngine) -> bool:
    engine.abandon_after_fork()
    return False


_engines: Shared[Path, EmbeddedEngine] = Shared(EmbeddedEngine.shut_down, exclusive=True, after_fork=_abandon)

"""An embedded store in a temporary folder, which is removed afterwards."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from ..store.base import MemoryStore
from ..store.factory import open_store

if TYPE_CHECKING:
    from ..adapters.memory import PersistentMemory

_PLACES = ("path", "url", "mem0", "store")


@contextmanager
def temporary_store(**options: Any) -> Iterator[MemoryStore]:
    """An empty store on disk, embedded, closed and removed at the end of the block. It needs no CrewAI.

    Args:
        options: of :func:`open_store`, but for where it is. ``embedder`` is ``None``, keywords only, if left out.

    Raises:
        ConfigurationError: an option is wrong, or says where the store is.
    """
    with _folder(options) as path, open_store(**{"embedder": None, **options, "path": path}) as store:
        yield store


@contextmanager
def temporary_memory(**options: Any) -> Iterator[PersistentMemory]:
    """A ``PersistentMemory`` over an empty store on disk, closed and removed at the end of the block.

    Args:
        options: of :class:`PersistentMemory`, but for where its store is. ``embedder`` is ``None``, keywords only, if
            left out. Without ``user_id`` each use of it needs ``use_scope``, as in a service.

    Raises:
        ConfigurationError: an option is wrong, or says where the store is.
        UnsupportedCrewAIError: the installed CrewAI is not supported.
    """
    from ..adapters.memory import PersistentMemory  # imports CrewAI

    with _folder(options) as path, PersistentMemory(**{"embedder": None, **options, "path": path}) as memory:
        yield memory


@contextmanager
def _folder(options: dict[str, Any]) -> Iterator[Path]:
    given = [name for name in _PLACES if options.get(name) is not None]
    if given:
        raise ConfigurationError(
            f"{given[0]}= is given, and a temporary store has a folder of its own: leave it out, or use open_store() "
            "or PersistentMemory() themselves"
        )
    # A file that is still held open cannot be removed on Windows. The system removes its temporary files.
    with tempfile.TemporaryDirectory(prefix="crewai-memory-test-", ignore_cleanup_errors=True) as folder:
        yield Path(folder, "store")

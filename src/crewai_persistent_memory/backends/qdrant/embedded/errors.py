"""Map errors of the embedded engine to this package's errors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ....errors import (
    DimensionMismatchError,
    EngineError,
    PersistentMemoryError,
    StoreClosedError,
    StoreCorruptedError,
    StoreFullError,
)
from .directory import in_use, not_allowed


def is_not_allowed(error: BaseException) -> bool:
    """Whether the system forbade it: nothing is damaged then."""
    return isinstance(error, PermissionError) or any(
        words in str(error) for words in ("Permission denied", "os error 13", "PermissionDenied", "os error 30)")
    )


@contextmanager
def engine_errors(path: Path) -> Iterator[None]:
    """Convert every error of the engine to this package's errors."""
    try:
        yield
    except (PersistentMemoryError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        # The engine's panics are BaseException (pyo3_runtime.PanicException) and slip through "except Exception".
        text = str(error)
        if match := re.search(r"expected dim: (\d+), got (\d+)", text):
            raise DimensionMismatchError(int(match[1]), int(match[2])) from error
        if "No space left" in text or "os error 28" in text or "os error 122" in text:
            raise StoreFullError(f"the disk of {path} is full: {text}") from error
        if "WouldBlock" in text:
            raise in_use(path) from error
        if is_not_allowed(error):
            raise not_allowed(path, text) from error
        if "not initialized" in text:
            raise StoreClosedError(f"the memory store at {path} is closed: open it again") from error
        if not isinstance(error, Exception):
            raise StoreCorruptedError(f"the engine of {path} panicked: {text}. Reopen the store") from error
        raise EngineError(f"the engine of {path} failed: {text}") from error

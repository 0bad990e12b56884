"""What the drivers of vector stores raise, as a failure. No driver is imported: its errors are known by their names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from ....errors import ConfigurationError, InvalidEntryError, Outcome, StoreFullError, StorePermissionError
from ....io.retry import Failure
from ....io.statuses import RequestInfo

_BEFORE: Final = (
    "Connection refused",
    "connection failed",
    "connection timeout",
    "could not connect",
    "could not translate host name",
    "failed to resolve host",
    "timeout expired",
    "the database system is",
)
"""In the text of psycopg's error: the connection was never there."""

_BUSY: Final = ("53300", "53400", "55P03", "40001", "40P01")
"""SQLSTATEs after which nothing was done: too many connections, a lock, a deadlock."""

_DRIVERS: Final = ("psycopg", "psycopg2", "chromadb")
_LENGTHS: Final = re.compile(
    r"expected (\d+) dimensions, not (\d+)"
    r"|different vector dimensions (\d+) and (\d+)"
    r"|embedding with dimension of (\d+), got (\d+)"
)
"""In pgvector's errors of writing and of searching, and in Chroma's: the store's, and the embedder's."""

_FULL: Final = ("53100", "53200")
_FORBIDDEN: Final = ("42501", "28000", "28P01", "25006")
_UNTRANSLATABLE: Final = ("22P05", "22021")


def failure_of(chain: Sequence[BaseException], text: str, request: RequestInfo) -> Failure | None:
    """The failure that a driver tells of; ``None`` if no driver does.

    Args:
        chain: an error, and what it was raised from.
        text: for the message, without secrets.
        request: the call that failed.
    """
    for error in chain:
        names = {each.__name__ for each in type(error).__mro__}
        library = type(error).__module__.partition(".")[0]
        lengths = _LENGTHS.search(str(error)) if library in _DRIVERS else None
        if lengths is not None:
            there, given = (int(number) for number in lengths.groups() if number is not None)
            return Failure(wrong_length(given, there), Outcome.REFUSED, cause=error)
        if library in ("psycopg", "psycopg2", "psycopg_pool"):
            return _of_postgres(error, names, text, request)
        if library in ("redis", "valkey"):
            return _of_redis(error, names, text, request, library)
    return None


def wrong_length(given: int, there: int) -> ConfigurationError:
    """The embedder's vectors have another length than those of the store."""
    return ConfigurationError(
        f"local_mem0_config: the embedder's vectors have {given} numbers, and the vector store is for {there}: use the "
        "embedder that its memories were stored with, or another collection_name, with embedding_model_dims of "
        "vector_store where it has this setting (1536 unless given)"
    )


def _of_postgres(error: BaseException, names: set[str], text: str, request: RequestInfo) -> Failure | None:
    state = str(getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or "")
    if state in _UNTRANSLATABLE or "contain NUL" in str(error):
        refused = InvalidEntryError(f"{request.server}: Postgres keeps no text with a NUL character (\\x00)")
        return Failure(refused, Outcome.REFUSED, cause=error)
    if state in _FORBIDDEN or "password authentication failed" in str(error):
        forbidden = StorePermissionError(
            f"{request.server} did not permit {request.doing}: {text}. Check the user and the password of vector_store"
        )
        return Failure(forbidden, Outcome.REFUSED, cause=error)
    if state in _FULL:
        full = StoreFullError(f"{request.server} has no room for {request.doing}: {text}")
        return Failure(full, Outcome.REFUSED, cause=error)
    if state in _BUSY or "PoolError" in names:
        return request.busy(text, None, error)
    if "PoolTimeout" in names or state == "57P03" or any(each in str(error) for each in _BEFORE):
        return request.unreached(text, error)
    if names & {"OperationalError", "InterfaceError"} and state[:2] in ("", "08", "57"):
        return request.unanswered(text, error)
    return None


def _of_redis(error: BaseException, names: set[str], text: str, request: RequestInfo, library: str) -> Failure | None:
    said = str(error).lower()
    if "BusyLoadingError" in names or "no such index" in said:  # another process makes it
        return request.busy(text, None, error)
    if "unknown command" in said and "ft." in said:
        wrong = ConfigurationError(
            f"local_mem0_config: the server of the vector store {library!r} has no search module. Start it with one, "
            "or use qdrant or pgvector"
        )
        return Failure(wrong, Outcome.REFUSED, cause=error)
    if names & {"AuthenticationError", "NoPermissionError"}:
        forbidden = StorePermissionError(
            f"{request.server} did not permit {request.doing}: {text}. Check the user and the password of {library}_url"
        )
        return Failure(forbidden, Outcome.REFUSED, cause=error)
    if "OutOfMemoryError" in names:
        full = StoreFullError(f"{request.server} has no room for {request.doing}: {text}")
        return Failure(full, Outcome.REFUSED, cause=error)
    if names & {"ConnectionError", "TimeoutError"}:
        is_refused = "refused" in str(error)
        return request.unreached(text, error) if is_refused else request.unanswered(text, error)
    return None

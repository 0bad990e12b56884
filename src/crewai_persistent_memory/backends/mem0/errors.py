"""What Mem0's clients and the libraries behind Mem0 OSS raise, as a failure: the error for the caller, and what became
of the request.

``mem0`` wraps what happened in classes that differ by version; what it wrapped is still there as ``__cause__`` or
``__context__``, and that is what is looked at. What a status means is decided in ``io/statuses.py``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import httpx

from ...errors import (
    EngineError,
    Outcome,
    PersistentMemoryError,
    StoreBusyError,
    StoreInUseError,
)
from ...io.retry import Effect, Failure
from ...io.statuses import RequestInfo, retry_after
from ...redaction import redact
from .vector_stores import driver_errors

_UNREACHED: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, ConnectionRefusedError)
_LOST: Final = (httpx.TransportError, ConnectionError, TimeoutError)
_LONGEST_TEXT: Final = 500


def request_info(server: str, doing: str, effect: Effect) -> RequestInfo:
    """A call for messages.

    Args:
        server: which Mem0.
        doing: what for, such as ``a search``.
        effect: what it does to make the call twice.
    """
    return RequestInfo(server, doing, effect, "Check the key (api_key= or MEM0_API_KEY)")


def classify(error: Exception, request: RequestInfo) -> Failure:
    """What an error means.

    Args:
        error: as the client or the library raised it.
        request: the call that failed; see :func:`request_info`.

    Raises:
        PersistentMemoryError: Mem0 wrapped an error of this package, which says all there is to say.
    """
    chain = list(_chain(error))
    for each in chain:
        if isinstance(each, PersistentMemoryError):
            raise each
    response = next((found for each in chain if (found := _response(each)) is not None), None)
    if response is not None:
        status, text, after = response
        return request.answered(status, redact(text), after, error)
    text = redact(f"{type(error).__name__}: {error}"[:_LONGEST_TEXT])
    told = driver_errors.failure_of(chain, text, request)
    if told is not None:
        return told
    if any(isinstance(each, _UNREACHED) for each in chain):
        return request.unreached(text, error)
    if any(isinstance(each, _LOST) for each in chain):
        return request.unanswered(text, error)
    return Failure(_by_words(text, request), Outcome.REFUSED, cause=error)


def is_away(error: BaseException) -> bool:
    """Whether a server did not answer, whatever the error is that a library made of it."""
    return any(isinstance(each, (*_UNREACHED, *_LOST)) for each in _chain(error))


def _by_words(text: str, request: RequestInfo) -> PersistentMemoryError:
    server = request.server
    if "database is locked" in text:
        return StoreBusyError(f"{server}: its history database is locked by another process: {text}")
    if "already accessed by another instance" in text:
        return StoreInUseError(
            f"{server}: its local Qdrant folder is open in another process, and takes one at a time: let "
            'vector_store be a Qdrant server ({"host": ..., "port": ...})'
        )
    return EngineError(f"{server} failed {request.doing}: {text}")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _response(error: BaseException) -> tuple[int, str, float | None] | None:
    """Status, message and Retry-After of an HTTP answer that an error carries, httpx's or of a library above it."""
    response: Any = getattr(error, "response", None)
    status = getattr(response, "status_code", None) or getattr(error, "status_code", None)
    if not isinstance(status, int):
        return None
    headers = getattr(response, "headers", None) or getattr(error, "headers", None) or {}
    content = getattr(response, "text", None)
    return status, _message(content) if content else str(error)[:_LONGEST_TEXT], retry_after(headers)


def _message(content: str) -> str:
    try:
        answer = json.loads(content)
    except ValueError:
        return content[:_LONGEST_TEXT].strip()
    if isinstance(answer, dict):
        found = next((answer[key] for key in ("detail", "error", "message") if answer.get(key)), answer)
        details = answer.get("details")
        answer = f"{found}: {details}" if details and found is not answer else found
    return (answer if isinstance(answer, str) else json.dumps(answer))[:_LONGEST_TEXT]

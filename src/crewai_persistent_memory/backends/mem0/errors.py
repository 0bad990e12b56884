"""What Mem0's clients and the libraries behind Mem0 OSS throw, as this package's errors.

``mem0`` wraps what happened in classes that differ by version; what it wrapped is still there as ``__cause__`` or
``__context__``, and that is what is looked at.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any, Final

import httpx

from ...embedding import redact
from ...errors import (
    EngineError,
    InvalidEntryError,
    PersistentMemoryError,
    StoreBusyError,
    StoreFullError,
    StoreInUseError,
    StoreMissingError,
    StorePermissionError,
    StoreUnavailableError,
)

_UNREACHED: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, ConnectionRefusedError)
_LOST: Final = (httpx.TransportError, ConnectionError, TimeoutError)
_LONGEST_TEXT: Final = 500


class Repeat(Enum):
    """When asking again may help."""

    ALWAYS = "nothing was done"
    IF_SAFE = "it may have been done"
    NEVER = "the answer would be the same"


@dataclass(frozen=True)
class Judged:
    ours: PersistentMemoryError
    repeat: Repeat
    retry_after: float | None = None


def judged(error: Exception, *, where: str, doing: str, writes: bool) -> Judged:
    """What an error means, and what to tell the caller."""
    chain = list(_chain(error))
    for each in chain:
        if isinstance(each, PersistentMemoryError):
            return Judged(each, Repeat.NEVER)
    response = next((found for each in chain if (found := _response(each)) is not None), None)
    if response is not None:
        return _by_status(*response, where=where, doing=doing, writes=writes)
    text = _words(chain)
    if any(isinstance(each, _UNREACHED) for each in chain):
        return Judged(StoreUnavailableError(f"{where} cannot be reached for {doing}: {text}"), Repeat.ALWAYS)
    if any(isinstance(each, _LOST) for each in chain):
        unsure = ". It may have been done all the same: look before you do it again" if writes else ""
        return Judged(StoreUnavailableError(f"{where} did not answer {doing}: {text}{unsure}"), Repeat.IF_SAFE)
    if "\\u0000 cannot be converted to text" in text:
        return Judged(InvalidEntryError(f"{where}: Postgres keeps no text with a NUL character (\\x00)"), Repeat.NEVER)
    if "database is locked" in text:
        return Judged(
            StoreBusyError(f"{where}: its history database is locked by another process: {text}"), Repeat.NEVER
        )
    if "already accessed by another instance" in text:
        return Judged(
            StoreInUseError(
                f"{where}: its local Qdrant folder is open in another process, and takes one at a time: let "
                'vector_store be a Qdrant server ({"host": ..., "port": ...})'
            ),
            Repeat.NEVER,
        )
    return Judged(EngineError(f"{where} failed {doing}: {text}"), Repeat.NEVER)


def _by_status(status: int, text: str, after: float | None, *, where: str, doing: str, writes: bool) -> Judged:
    text = redact(text)
    if status in (401, 403):
        ours: PersistentMemoryError = StorePermissionError(
            f"{where} did not permit {doing}: {text}. Check the key (api_key= or MEM0_API_KEY)"
        )
    elif status == 429:
        wish = f" (it asks for {after:g} s of patience)" if after is not None else ""
        return Judged(StoreBusyError(f"{where} is too busy for {doing}{wish}: {text}", after), Repeat.ALWAYS, after)
    elif status == 404:
        ours = StoreMissingError(f"{where} has not found what {doing} was about: {text}")
    elif status in (402, 413, 507):
        ours = StoreFullError(f"{where} has no room for {doing}: {text}")
    elif status in (400, 409, 422):
        ours = InvalidEntryError(f"{where} refused {doing}: {text}")
    elif status in (408, 500, 502, 503, 504):
        unsure = ". It may have been done all the same: look before you do it again" if writes else ""
        return Judged(StoreUnavailableError(f"{where} failed {doing}: {status} {text}{unsure}"), Repeat.IF_SAFE, after)
    else:
        ours = EngineError(f"{where} failed {doing}: {status} {text}")
    return Judged(ours, Repeat.NEVER)


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
    return status, _message(content) if content else str(error)[:_LONGEST_TEXT], _retry_after(headers)


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


def _retry_after(headers: Any) -> float | None:
    value = headers.get("retry-after") or headers.get("Retry-After")
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(str(value))
    except ValueError:
        return None
    # "-0000" is UTC of unknown origin, and comes without a zone.
    moment = moment.replace(tzinfo=moment.tzinfo or timezone.utc)
    return max(0.0, (moment - datetime.now(timezone.utc)).total_seconds())


def _words(chain: list[BaseException]) -> str:
    return redact(f"{type(chain[0]).__name__}: {chain[0]}"[:_LONGEST_TEXT])

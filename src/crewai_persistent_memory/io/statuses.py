"""Maps HTTP statuses and gRPC codes to errors, and parses ``Retry-After``.

All backends use this table, so that a status gives the same error everywhere. A backend overrides it if the text of
the answer is more precise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Final

from ..errors import (
    EngineError,
    Outcome,
    PersistentMemoryError,
    RequestRefusedError,
    StoreBusyError,
    StoreFullError,
    StoreMissingError,
    StorePermissionError,
    StoreUnavailableError,
)
from .retry import Effect, Failure

REFUSED, NOT_DONE, UNKNOWN = Outcome.REFUSED, Outcome.NOT_DONE, Outcome.UNKNOWN

NO_ROOM: Final = 507
"""The status of a full disk. It replaces the reported status."""

_BY_STATUS: Final[Mapping[int, tuple[Outcome, type[PersistentMemoryError]]]] = {
    400: (REFUSED, RequestRefusedError),
    401: (REFUSED, StorePermissionError),
    402: (REFUSED, StoreFullError),  # the plan's quota
    403: (REFUSED, StorePermissionError),
    404: (REFUSED, StoreMissingError),
    408: (UNKNOWN, StoreUnavailableError),
    409: (REFUSED, RequestRefusedError),
    413: (REFUSED, StoreFullError),
    422: (REFUSED, RequestRefusedError),
    429: (NOT_DONE, StoreBusyError),
    501: (REFUSED, EngineError),
    505: (REFUSED, EngineError),
    NO_ROOM: (REFUSED, StoreFullError),
}

_BY_GRPC_CODE: Final[Mapping[str, int]] = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "ABORTED": 500,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
    "CANCELLED": 504,
}
"""The keys are the names of ``grpc.StatusCode``, so that grpc need not be imported."""


def meaning_of(status: int) -> tuple[Outcome, type[PersistentMemoryError]]:
    """The outcome of a request and the class of its error, from the HTTP status of a failed answer.

    An unlisted status of 500 or more may come from a proxy, or from a cluster that executed a part of the request.
    """
    rest = (UNKNOWN, StoreUnavailableError) if status >= 500 else (REFUSED, EngineError)
    return _BY_STATUS.get(status, rest)


def status_of_grpc(code: str | None) -> int:
    """The HTTP status that corresponds to a gRPC code, such as ``"NOT_FOUND"``."""
    return _BY_GRPC_CODE.get(code or "", 500)


def retry_after(headers: Mapping[str, str] | None) -> float | None:
    """Seconds to wait according to the header ``Retry-After`` (a number or a date); ``None`` without a valid value."""
    for name, value in (headers or {}).items():
        if name.lower() == "retry-after":
            return seconds_of(str(value))
    return None


def seconds_of(value: str) -> float | None:
    """Seconds from now for a value of ``Retry-After``; 0 for a time in the past, ``None`` if it is malformed."""
    try:
        seconds = float(value)
    except ValueError:
        try:
            moment = parsedate_to_datetime(value)
        except ValueError:
            return None
        # "-0000" is UTC of unknown origin, and comes without a zone.
        moment = moment.replace(tzinfo=moment.tzinfo or timezone.utc)
        seconds = (moment - datetime.now(timezone.utc)).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None


@dataclass(frozen=True)
class RequestInfo:
    """The request and its target, for messages.

    Attributes:
        server: such as ``Qdrant at http://localhost:6333``.
        doing: such as ``a search``.
        effect: the effect of sending it twice.
        key: the remedy if the API key is refused.
    """

    server: str
    doing: str
    effect: Effect
    key: str

    def answered(self, status: int, text: str, after: float | None, cause: BaseException) -> Failure:
        """The failure for a status, with the server's text."""
        outcome, kind = meaning_of(status)
        if kind is StoreBusyError:
            return self.busy(text, after, cause)
        if kind is StoreUnavailableError:
            return self.unanswered(f"{status} {text}", cause, after)
        messages: dict[type[PersistentMemoryError], str] = {
            StorePermissionError: f"{self.server} did not permit {self.doing}: {text}. {self.key}",
            StoreFullError: f"{self.server} has no room for {self.doing}: {text}",
            StoreMissingError: f"{self.server} has not found what {self.doing} was about: {text}",
        }
        message = messages.get(kind, f"{self.server} refused {self.doing}: {text}")
        return Failure(kind(message), outcome, cause=cause)

    def busy(self, text: str, after: float | None, cause: BaseException) -> Failure:
        """The server is overloaded, and the request had no effect."""
        wish = "" if after is None else f" (it asks for {after:g} s of patience)"
        error = StoreBusyError(f"{self.server} is too busy for {self.doing}{wish}: {text}")
        return Failure(error, NOT_DONE, after, cause)

    def unreached(self, text: str, cause: BaseException) -> Failure:
        """The request did not arrive."""
        error = StoreUnavailableError(f"{self.server} cannot be reached for {self.doing}: {text}")
        return Failure(error, NOT_DONE, cause=cause)

    def unanswered(self, text: str, cause: BaseException, after: float | None = None) -> Failure:
        """The request may have taken effect. The answer is missing, or reports that a part failed."""
        doubt = {
            Effect.READ: "",
            Effect.IDEMPOTENT: ". It may have been done all the same; doing it again is safe",
            Effect.ONCE: ". It may have been done all the same; look before you do it again",
        }[self.effect]
        error = StoreUnavailableError(f"{self.server} did not answer {self.doing}: {text}{doubt}")
        return Failure(error, UNKNOWN, after, cause)

"""What ``qdrant-client`` throws, as this package's errors, and whether asking again may help.

Its errors come in families: ``UnexpectedResponse`` (an HTTP status), ``ResourceExhaustedResponse`` (429 with
Retry-After), ``ResponseHandlingException`` (httpx, nothing or nonsense came back) and ``grpc.RpcError``.
"""

from __future__ import annotations

import json
import re
import ssl
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import grpc  # type: ignore[import-untyped]
import httpx
from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from ....errors import (
    DimensionMismatchError,
    EmbedderMismatchError,
    EngineError,
    Outcome,
    PersistentMemoryError,
    StoreBusyError,
    StoreFullError,
    StoreMissingError,
    StorePermissionError,
    StoreUnavailableError,
)
from ....io.retry import Effect, Failure
from ....redaction import redact
from .strict_mode import StrictModeError


class AlreadyExists(EngineError):
    """What was to be created is there."""


class PointMissing(EngineError):
    """What was to be changed is not there."""


class Trouble(Enum):
    """What went wrong, as far as it matters for asking again."""

    BUSY = "busy"
    """Refused before anything was done: too many requests."""
    UNREACHED = "unreached"
    """The request never arrived."""
    LOST = "lost"
    """It may have arrived and been done; the answer is missing, or says that a part failed."""
    REFUSED = "refused"
    """The server said no, and will say so again."""


@dataclass(frozen=True)
class Verdict:
    trouble: Trouble
    text: str
    status: int | None = None
    retry_after: float | None = None


_GRPC_STATUS: Final = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.INTERNAL: 500,
}
_NO_SPACE: Final = re.compile(
    r"no space left|not enough (free )?(disk )?space|disk.{0,40}(full|quota|usage)|os error 28", re.I
)


_STRICT: Final = re.compile(
    r"limit exceeded|exact search disabled|condition size limit|filter condition limit|strict mode", re.I
)


def verdict_on(error: Exception) -> Verdict:
    """What a client's error means."""
    if isinstance(error, ResourceExhaustedResponse):
        return Verdict(Trouble.BUSY, str(error), 429, float(error.retry_after_s))
    if isinstance(error, QdrantException) and "Retry-After" in str(error):
        return Verdict(Trouble.BUSY, str(error), 429)  # a date, which the client cannot read
    if isinstance(error, UnexpectedResponse):
        return _from_status(error.status_code or 0, _text_of(error.content), error.headers)
    if isinstance(error, ResponseHandlingException):
        return _from_transport(error.source)
    if isinstance(error, grpc.RpcError):
        return _from_grpc(error)
    return Verdict(Trouble.REFUSED, f"{type(error).__name__}: {error}")


def _from_status(status: int, text: str, headers: Any) -> Verdict:
    if _NO_SPACE.search(text) or status == 507:
        return Verdict(Trouble.REFUSED, text, 507)
    if status == 429:
        return Verdict(Trouble.BUSY, text, 429)
    if status in (408, 502, 503, 504):
        after = headers.get("retry-after") if headers is not None else None
        return Verdict(Trouble.LOST, f"{status} {text}", status, float(after) if after and after.isdigit() else None)
    # A cluster answers 500 when some copies did not, or could not be asked ("3 out of 6 shards failed", "0 of 0").
    return Verdict(Trouble.LOST if status >= 500 and status != 501 else Trouble.REFUSED, text, status)


def _from_transport(source: object) -> Verdict:
    text = f"{type(source).__name__}: {source}".rstrip(": ")
    if tls := _tls_problem(source):
        return Verdict(Trouble.REFUSED, tls, None)
    if isinstance(source, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)):
        return Verdict(Trouble.UNREACHED, text)
    if isinstance(source, (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.LocalProtocolError)):
        return Verdict(Trouble.REFUSED, text)
    return Verdict(Trouble.LOST, text)


def _tls_problem(error: object) -> str | None:
    while isinstance(error, BaseException):
        if isinstance(error, ssl.SSLError):
            return f"TLS: {error}"
        if "CERTIFICATE_VERIFY_FAILED" in str(error) or "SSL:" in str(error):
            return f"TLS: {error}"
        error = error.__cause__ or error.__context__
    return None


def _from_grpc(error: grpc.RpcError) -> Verdict:
    code = error.code() if hasattr(error, "code") else None
    text = str(error.details() or code) if hasattr(error, "details") else str(error)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return Verdict(Trouble.REFUSED, text, 507) if _NO_SPACE.search(text) else Verdict(Trouble.BUSY, text, 429)
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED):
        if "CERTIFICATE_VERIFY_FAILED" in text or "SSL" in text or "handshake" in text.lower():
            return Verdict(Trouble.REFUSED, f"TLS: {text}")
        unreached = re.search(r"failed to connect|connection refused|DNS resolution|name resolution", text, re.I)
        return Verdict(Trouble.UNREACHED if unreached else Trouble.LOST, text)
    if code in _GRPC_STATUS:
        return _from_status(_GRPC_STATUS[code], text, None)
    return Verdict(Trouble.LOST, text)


def _text_of(content: bytes) -> str:
    try:
        status = json.loads(content)["status"]
        return str(status["error"] if isinstance(status, dict) else status)
    except (ValueError, KeyError, TypeError):
        return content.decode(errors="replace")[:300].strip()


def as_ours(verdict: Verdict, *, where: str, doing: str, writes: bool, repeatable: bool) -> PersistentMemoryError:
    """The error for the caller: what was asked, of whom, in the server's words, and what can be done."""
    text, status = redact(verdict.text), verdict.status
    if match := re.search(r"expected dim: (\d+), got (\d+)", text):
        return DimensionMismatchError(int(match[1]), int(match[2]))
    if status in (401, 403):
        return StorePermissionError(
            f"Qdrant at {where} did not permit {doing}: {text}. Give a key that may, as api_key= or QDRANT_API_KEY"
        )
    if status == 507:
        return StoreFullError(f"Qdrant at {where} has no room for {doing}: {text}")
    if status == 404 and re.search(r"collection .*(doesn't exist|not found)|not found: collection", text, re.I):
        return StoreMissingError(
            f"{doing} failed: {text} (Qdrant at {where}). If it was deleted, restore it from a snapshot, or open the "
            "memory anew to start with an empty one"
        )
    if status == 404 and "No point with id" in text:
        return PointMissing(f"{doing} failed: {text} (Qdrant at {where})")
    if status == 409 or "already exists" in text:
        return AlreadyExists(f"{doing} failed: {text} (Qdrant at {where})")
    if "Not existing vector name" in text:
        return EmbedderMismatchError(
            f"{doing} failed: the collection has other vectors than expected: {text} ({where})"
        )
    if status == 400 and _STRICT.search(text):
        return StrictModeError(f"Qdrant at {where} refused {doing} in its strict mode: {text}")
    if verdict.trouble is Trouble.BUSY:
        after = f" (it asks for {verdict.retry_after:g} s of patience)" if verdict.retry_after else ""
        return StoreBusyError(f"Qdrant at {where} is too busy for {doing}{after}: {text}", verdict.retry_after)
    if verdict.trouble is Trouble.UNREACHED:
        return StoreUnavailableError(f"Qdrant at {where} cannot be reached for {doing}: {text}")
    if verdict.trouble is Trouble.LOST:
        unsure = ""
        if writes:
            again = "doing it again is safe" if repeatable else "look before you do it again"
            unsure = f". It may have been done all the same; {again}"
        return StoreUnavailableError(f"Qdrant at {where} did not answer {doing}: {text}{unsure}")
    if text.startswith("TLS: "):
        return StoreUnavailableError(
            f"no secure connection to Qdrant at {where}: {text[5:]}. Give the CA that signed its certificate as "
            "ca_cert=, and its name as in the certificate"
        )
    return EngineError(f"Qdrant at {where} refused {doing}: {text}")


def classify(error: Exception, *, where: str, doing: str, effect: Effect) -> Failure:
    """What a client's error means for asking again, and for the caller."""
    verdict = verdict_on(error)
    outcome = {
        Trouble.BUSY: Outcome.NOT_DONE,
        Trouble.UNREACHED: Outcome.NOT_DONE,
        Trouble.LOST: Outcome.UNKNOWN,
        Trouble.REFUSED: Outcome.REFUSED,
    }[verdict.trouble]
    ours = as_ours(
        verdict,
        where=where,
        doing=doing,
        writes=effect is not Effect.READ,
        repeatable=effect is not Effect.ONCE,
    )
    return Failure(ours, outcome, verdict.retry_after, error)

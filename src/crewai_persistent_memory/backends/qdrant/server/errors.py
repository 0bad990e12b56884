"""Convert errors of ``qdrant-client`` to failures: the error for the caller, and the outcome of the request.

Its errors come in families: ``UnexpectedResponse`` (an HTTP status), ``ResourceExhaustedResponse`` (429 with
Retry-After), ``ResponseHandlingException`` (httpx, no answer or a malformed one) and ``grpc.RpcError``. What a status
means is decided in ``io/statuses.py``; here is only what Qdrant's own words add to it.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Mapping
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
    RequestRefusedError,
    StoreMissingError,
    StoreUnavailableError,
)
from ....io.retry import Effect, Failure
from ....io.statuses import NO_ROOM, RequestInfo, retry_after, seconds_of, status_of_grpc
from ....redaction import redact
from .strict_mode import StrictModeError


class AlreadyExists(RequestRefusedError):
    """The object to create already exists."""


class PointMissing(EngineError):
    """The object to change does not exist."""

    outcome = Outcome.REFUSED


_NO_SPACE: Final = re.compile(
    r"no space left|not enough (free )?(disk )?space|disk.{0,40}(full|quota|usage)|os error 28", re.I
)
_STRICT: Final = re.compile(
    r"limit exceeded|exact search disabled|condition size limit|filter condition limit|strict mode|"
    r"index required",
    re.I,
)
_NO_COLLECTION: Final = re.compile(r"collection .*(doesn't exist|not found)|not found: collection", re.I)
_GRPC_UNREACHED: Final = re.compile(r"failed to connect|connection refused|DNS resolution|name resolution", re.I)
_GRPC_TLS: Final = re.compile(r"CERTIFICATE_VERIFY_FAILED|SSL|(?i:handshake)")
_NOT_AN_INTEGER: Final = "Retry-After header value is not a valid integer: "
_NOT_QDRANT: Final = "no answer of a Qdrant: "
_ALSO_QDRANTS: Final = (401, 402, 403, 408, 413, 429)
"""Statuses that Qdrant, or a gateway in its place, answers without JSON, and that say what they mean."""


def request_info(address: str, doing: str, effect: Effect) -> RequestInfo:
    """A call for messages.

    Args:
        address: of the node that receives the request.
        doing: what for, such as ``a search``.
        effect: what it does to make the call twice.
    """
    return RequestInfo(f"Qdrant at {address}", doing, effect, "Give a key that may, as api_key= or QDRANT_API_KEY")


def classify(error: Exception, request: RequestInfo) -> Failure:
    """Classify a client's error.

    Args:
        error: as the client raised it.
        request: the call that failed; see :func:`request_info`.
    """
    if isinstance(error, ResourceExhaustedResponse):
        return request.busy(redact(str(error)), float(error.retry_after_s), error)
    if isinstance(error, QdrantException) and (text := str(error)).startswith(_NOT_AN_INTEGER):
        # 429 with a fraction of a second or a date, which the client cannot read.
        return request.busy(text, seconds_of(text[len(_NOT_AN_INTEGER) :]), error)
    if isinstance(error, UnexpectedResponse):
        return _answered(error.status_code or 0, _text_of(error.content), retry_after(error.headers), request, error)
    if isinstance(error, ResponseHandlingException):
        return _from_transport(error.source, request, error)
    if isinstance(error, grpc.RpcError):
        return _from_grpc(error, request)
    if isinstance(error, json.JSONDecodeError):
        # 200, and a page: of a gateway, perhaps for a while.
        told = StoreUnavailableError(
            f"{request.doing} failed: {_NOT_QDRANT}{error} ({request.server}). Is it the address of a Qdrant (url=)?"
        )
        return Failure(told, Outcome.REFUSED, cause=error)
    return _refused(EngineError, request, f"{type(error).__name__}: {error}", error)


def _answered(status: int, text: str, after: float | None, request: RequestInfo, error: Exception) -> Failure:
    text = redact(text)
    if _NO_SPACE.search(text):
        status = NO_ROOM
    told = _by_words(status, text, request)
    if told is None:
        return request.answered(status, text, after, error)
    return Failure(told, Outcome.REFUSED, cause=error)


def _by_words(status: int, text: str, request: RequestInfo) -> PersistentMemoryError | None:
    """The error where Qdrant's words say more than the status."""
    failed = f"{request.doing} failed: {text} ({request.server})"
    if match := re.search(r"expected dim: (\d+), got (\d+)", text):
        return DimensionMismatchError(int(match[1]), int(match[2]))
    if status == 404 and _NO_COLLECTION.search(text):
        return StoreMissingError(
            f"{failed}. If it was deleted, restore it from a snapshot, or open the memory anew to start with an empty "
            "one"
        )
    if status == 404 and "No point with id" in text:
        return PointMissing(failed)
    if text.startswith(_NOT_QDRANT) and status not in _ALSO_QDRANTS and status < 500:
        # A gateway, perhaps for a while. Not "the collection is missing": it would then be created, by something that
        # is no Qdrant. And nothing about the request: it may be right.
        return StoreUnavailableError(f"{failed}. Is it the address of a Qdrant (url=)?", outcome=Outcome.REFUSED)
    if status == 409 or "already exists" in text:
        return AlreadyExists(failed)
    if "Not existing vector name" in text:
        return EmbedderMismatchError(f"{request.doing} failed: the collection has other vectors than expected: {text}")
    if status == 400 and _STRICT.search(text):
        return StrictModeError(f"{request.server} refused {request.doing} in its strict mode: {text}")
    return None


def _from_transport(source: object, request: RequestInfo, error: Exception) -> Failure:
    text = redact(f"{type(source).__name__}: {source}".rstrip(": "))
    if tls := _tls_problem(source):
        return _insecure(tls, request, error)
    if isinstance(source, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)):
        return request.unreached(text, error)
    if isinstance(source, (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.LocalProtocolError)):
        return _refused(EngineError, request, text, error)
    return request.unanswered(text, error)


def _tls_problem(error: object) -> str | None:
    while isinstance(error, BaseException):
        if isinstance(error, ssl.SSLError):
            return str(error)
        if "CERTIFICATE_VERIFY_FAILED" in str(error) or "SSL:" in str(error):
            return str(error)
        error = error.__cause__ or error.__context__
    return None


def _from_grpc(error: grpc.RpcError, request: RequestInfo) -> Failure:
    code = error.code() if hasattr(error, "code") else None
    text = str(error.details() or code) if hasattr(error, "details") else str(error)
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED):
        if _GRPC_TLS.search(text):
            return _insecure(text, request, error)
        if _GRPC_UNREACHED.search(text):
            return request.unreached(redact(text), error)
    name = None if code is None else code.name
    return _answered(status_of_grpc(name), text, retry_after(_metadata_of(error)), request, error)


def _metadata_of(error: Any) -> Mapping[str, str]:
    trailing = error.trailing_metadata() if hasattr(error, "trailing_metadata") else None
    return {str(key): str(value) for key, value in trailing or ()}


def _text_of(content: bytes) -> str:
    try:
        status = json.loads(content)["status"]
        return str(status["error"] if isinstance(status, dict) else status)
    except (ValueError, KeyError, TypeError):
        return _NOT_QDRANT + content.decode(errors="replace")[:300].strip()


def _insecure(text: str, request: RequestInfo, error: Exception) -> Failure:
    told = StoreUnavailableError(
        f"no secure connection to {request.server}: {redact(text)}. Give the CA that signed its certificate as "
        "ca_cert=, and its name as in the certificate"
    )
    return Failure(told, Outcome.REFUSED, cause=error)


def _refused(kind: type[PersistentMemoryError], request: RequestInfo, text: str, error: Exception) -> Failure:
    return Failure(kind(f"{request.server} refused {request.doing}: {redact(text)}"), Outcome.REFUSED, cause=error)

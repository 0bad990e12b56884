"""What ``qdrant-client`` raises, over REST and gRPC, as the error for the caller. No server is asked."""

from __future__ import annotations

import ssl
from typing import Any

import grpc  # type: ignore[import-untyped]
import httpx
import pytest
from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from crewai_persistent_memory import (
    DimensionMismatchError,
    EmbedderMismatchError,
    EngineError,
    Outcome,
    StoreBusyError,
    StoreFullError,
    StoreMissingError,
    StorePermissionError,
    StoreUnavailableError,
)
from crewai_persistent_memory.backends.qdrant.server.errors import (
    AlreadyExists,
    PointMissing,
    classify,
    request_info,
)
from crewai_persistent_memory.backends.qdrant.server.strict_mode import StrictModeError
from crewai_persistent_memory.io.retry import Effect, Failure

SAVE = request_info("http://here:6333", "a save", Effect.IDEMPOTENT)


class GrpcError(grpc.RpcError):  # type: ignore[misc]
    def __init__(self, code: grpc.StatusCode, details: str = "made by the test", **metadata: str) -> None:
        super().__init__()
        self._code, self._details, self._metadata = code, details, metadata

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details

    def trailing_metadata(self) -> Any:
        return tuple((name.replace("_", "-"), value) for name, value in self._metadata.items())


def over_rest(status: int, text: str, **headers: str) -> Failure:
    body = b'{"status": {"error": "%s"}}' % text.encode()
    fields = httpx.Headers({name.replace("_", "-"): value for name, value in headers.items()})
    return classify(UnexpectedResponse(status, "reason", body, fields), SAVE)


def over_grpc(code: grpc.StatusCode, text: str, **metadata: str) -> Failure:
    return classify(GrpcError(code, text, **metadata), SAVE)


@pytest.mark.parametrize(
    ("status", "code", "text", "error", "outcome"),
    [
        (400, "INVALID_ARGUMENT", "expected dim: 64, got 32", DimensionMismatchError, Outcome.REFUSED),
        (400, "INVALID_ARGUMENT", "Not existing vector name error: dense", EmbedderMismatchError, Outcome.REFUSED),
        (400, "INVALID_ARGUMENT", "Limit exceeded 11 > 10 for limit", StrictModeError, Outcome.REFUSED),
        (400, "INVALID_ARGUMENT", "because", EngineError, Outcome.REFUSED),
        (403, "PERMISSION_DENIED", "Write access required", StorePermissionError, Outcome.REFUSED),
        (404, "NOT_FOUND", "Not found: Collection `m` doesn't exist!", StoreMissingError, Outcome.REFUSED),
        (404, "NOT_FOUND", "Not found: No point with id 7 found", PointMissing, Outcome.REFUSED),
        (409, "ALREADY_EXISTS", "Collection `m` already exists!", AlreadyExists, Outcome.REFUSED),
        (500, "INTERNAL", "2 out of 6 shards failed", StoreUnavailableError, Outcome.UNKNOWN),
        (500, "INTERNAL", "No space left on device", StoreFullError, Outcome.REFUSED),
        (501, "UNIMPLEMENTED", "what?", EngineError, Outcome.REFUSED),
        (503, "UNAVAILABLE", "starting", StoreUnavailableError, Outcome.UNKNOWN),
        (504, "DEADLINE_EXCEEDED", "Deadline Exceeded", StoreUnavailableError, Outcome.UNKNOWN),
        (429, "RESOURCE_EXHAUSTED", "too many", StoreBusyError, Outcome.NOT_DONE),
        (507, "RESOURCE_EXHAUSTED", "disk usage is above its quota", StoreFullError, Outcome.REFUSED),
    ],
)
def test_rest_and_grpc_mean_the_same(
    status: int, code: str, text: str, error: type[Exception], outcome: Outcome
) -> None:
    for failure in (over_rest(status, text), over_grpc(getattr(grpc.StatusCode, code), text)):
        assert type(failure.error) is error or error is EngineError
        assert isinstance(failure.error, error)
        assert failure.outcome is outcome
        assert "doing it again is safe" in str(failure.error) or outcome is not Outcome.UNKNOWN


def test_retry_after_over_rest_and_grpc() -> None:
    """Over both qdrant-client reads whole seconds only."""
    assert over_rest(503, "starting", retry_after="1.5").retry_after == 1.5
    assert over_grpc(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many", retry_after="1.5").retry_after == 1.5
    assert classify(ResourceExhaustedResponse("too many", 3), SAVE).retry_after == 3.0
    with pytest.raises(QdrantException) as raised:
        ResourceExhaustedResponse("too many", "1.5")  # type: ignore[arg-type]
    failure = classify(raised.value, SAVE)
    assert isinstance(failure.error, StoreBusyError)
    assert failure.retry_after == 1.5


@pytest.mark.parametrize(
    "error",
    [
        ResponseHandlingException(httpx.ConnectError("Connection refused")),
        ResponseHandlingException(httpx.PoolTimeout("no free connection")),
        GrpcError(grpc.StatusCode.UNAVAILABLE, "failed to connect to all addresses"),
    ],
)
def test_what_never_arrived(error: Exception) -> None:
    failure = classify(error, SAVE)
    assert failure.outcome is Outcome.NOT_DONE
    assert "cannot be reached for a save" in str(failure.error)


def test_an_answer_that_was_cut() -> None:
    failure = classify(ResponseHandlingException(httpx.RemoteProtocolError("peer closed")), SAVE)
    assert failure.outcome is Outcome.UNKNOWN
    assert failure.may_repeat(Effect.IDEMPOTENT)
    assert not failure.may_repeat(Effect.ONCE)


@pytest.mark.parametrize(
    "error",
    [
        ResponseHandlingException(ssl.SSLCertVerificationError("certificate verify failed")),
        GrpcError(grpc.StatusCode.UNAVAILABLE, "Ssl handshake failed: CERTIFICATE_VERIFY_FAILED"),
    ],
)
def test_no_secure_connection_is_not_tried_again(error: Exception) -> None:
    failure = classify(error, SAVE)
    assert failure.outcome is Outcome.REFUSED
    assert "ca_cert=" in str(failure.error)


def test_a_404_of_something_else_is_no_missing_collection() -> None:
    """The collection would then be created, at an address that is no Qdrant."""
    answer = UnexpectedResponse(404, "Not Found", b"<html>nginx</html>", httpx.Headers())
    failure = classify(answer, SAVE)
    assert not isinstance(failure.error, StoreMissingError)
    assert "url=" in str(failure.error)


def test_no_key_in_an_error() -> None:
    failure = over_rest(403, "api-key: sk-proj-abcdefghijklmnopqrstuvwx is wrong")
    assert "abcdefghijklmnopqrstuvwx" not in str(failure.error)

"""What an answer's status and its Retry-After mean, for every backend."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import grpc  # type: ignore[import-untyped]
import httpx
import pytest

from crewai_persistent_memory.errors import (
    EngineError,
    InvalidEntryError,
    Outcome,
    StoreBusyError,
    StoreFullError,
    StoreMissingError,
    StorePermissionError,
    StoreUnavailableError,
)
from crewai_persistent_memory.io.retry import Effect
from crewai_persistent_memory.io.statuses import RequestInfo, meaning_of, retry_after, seconds_of, status_of_grpc


@pytest.mark.parametrize(
    ("status", "error", "outcome"),
    [
        (301, EngineError, Outcome.REFUSED),
        (400, InvalidEntryError, Outcome.REFUSED),
        (400, EngineError, Outcome.REFUSED),
        (401, StorePermissionError, Outcome.REFUSED),
        (402, StoreFullError, Outcome.REFUSED),
        (403, StorePermissionError, Outcome.REFUSED),
        (404, StoreMissingError, Outcome.REFUSED),
        (405, EngineError, Outcome.REFUSED),
        (408, StoreUnavailableError, Outcome.UNKNOWN),
        (409, InvalidEntryError, Outcome.REFUSED),
        (413, StoreFullError, Outcome.REFUSED),
        (422, InvalidEntryError, Outcome.REFUSED),
        (429, StoreBusyError, Outcome.NOT_DONE),
        (500, StoreUnavailableError, Outcome.UNKNOWN),
        (501, EngineError, Outcome.REFUSED),
        (502, StoreUnavailableError, Outcome.UNKNOWN),
        (503, StoreUnavailableError, Outcome.UNKNOWN),
        (504, StoreUnavailableError, Outcome.UNKNOWN),
        (507, StoreFullError, Outcome.REFUSED),
        (529, StoreUnavailableError, Outcome.UNKNOWN),
    ],
)
def test_http(status: int, error: type[Exception], outcome: Outcome) -> None:
    told, kind = meaning_of(status)
    assert told is outcome
    assert issubclass(kind, error)


def test_every_grpc_code_means_something() -> None:
    """Names that grpc knows, and no other."""
    from crewai_persistent_memory.io import statuses

    assert set(statuses._BY_GRPC_CODE) <= {code.name for code in grpc.StatusCode}
    assert status_of_grpc("NOT_FOUND") == 404
    assert status_of_grpc("DATA_LOSS") == status_of_grpc(None) == 500


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("30", 30.0), ("1.5", 1.5), ("0", 0.0), ("-3", 0.0), ("soon", None), ("", None), ("nan", None), ("inf", None)],
)
def test_retry_after_as_a_number(value: str, seconds: float | None) -> None:
    assert seconds_of(value) == seconds


@pytest.mark.parametrize("zone", ["GMT", "-0000", "+0200"])
def test_retry_after_as_a_date(zone: str) -> None:
    moment = datetime.now(timezone.utc) + timedelta(hours=1)
    if zone == "+0200":
        moment = moment.astimezone(timezone(timedelta(hours=2)))
    text = format_datetime(moment, usegmt=zone == "GMT").replace("+0000", "-0000")
    assert seconds_of(text) == pytest.approx(3600, abs=5)
    assert seconds_of("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0


def test_retry_after_among_headers() -> None:
    assert retry_after(httpx.Headers({"Retry-After": "1.5"})) == 1.5
    assert retry_after({"retry-AFTER": "2"}) == 2.0
    assert retry_after({"Content-Length": "2"}) is None
    assert retry_after({}) is None
    assert retry_after(None) is None


@pytest.mark.parametrize(
    ("effect", "doubt"),
    [
        (Effect.READ, None),
        (Effect.IDEMPOTENT, "It may have been done all the same; doing it again is safe"),
        (Effect.ONCE, "It may have been done all the same; look before you do it again"),
    ],
)
def test_a_message_tells_whether_a_write_may_have_been_done(effect: Effect, doubt: str | None) -> None:
    info = RequestInfo("Qdrant at http://here", "a save", effect, "Give a key")
    cause = ValueError()
    for failure in (info.answered(503, "starting", 2.0, cause), info.unanswered("no answer", cause, 2.0)):
        assert str(failure.error).startswith("Qdrant at http://here did not answer a save: ")
        assert str(failure.error).endswith(doubt or ("starting", "no answer")[failure.error.args[0].endswith("answer")])
        assert (failure.outcome, failure.retry_after, failure.cause) == (Outcome.UNKNOWN, 2.0, cause)
    for failure in (info.unreached("refused", cause), info.busy("too many", 3.0, cause)):
        assert "may have been done" not in str(failure.error)
        assert failure.outcome is Outcome.NOT_DONE


def test_the_servers_wish_is_told() -> None:
    info = RequestInfo("Mem0", "a search", Effect.READ, "Check the key")
    assert "(it asks for 1.5 s of patience)" in str(info.answered(429, "slow down", 1.5, ValueError()).error)
    assert str(info.answered(403, "who are you", None, ValueError()).error).endswith("who are you. Check the key")

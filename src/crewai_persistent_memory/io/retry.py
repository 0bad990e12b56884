"""The one way of trying again: which failures, how often, after how long, and which error the caller gets at the end.

A failed request is classified by its :class:`Outcome` and by the :class:`Effect` of doing it twice:

| outcome | READ | IDEMPOTENT | ONCE |
| --- | --- | --- | --- |
| ``REFUSED`` | error | error | error |
| ``NOT_DONE`` | again | again | again |
| ``UNKNOWN`` | again | again | error |
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol, TypeVar

from tenacity import RetryCallState, Retrying, wait_exponential, wait_random

from ..errors import Outcome, PersistentMemoryError
from .steps import Pause, Step, Steps

T = TypeVar("T")

FIRST_PAUSE: Final = 0.1
"""Seconds before the second attempt; each further pause is twice as long."""
LONGEST_PAUSE: Final = 2.0
"""Seconds at most between two attempts, unless the server requests more."""
JITTER: Final = 0.1
"""Seconds at most that are added by chance, so that many workers do not ask all at once."""

QUIET: Final[ContextVar[bool]] = ContextVar("crewai_persistent_memory_quiet", default=False)
"""Whether attempts that fail are not logged, because somebody tells of the outage as a whole."""

logger = logging.getLogger("crewai_persistent_memory")


class Effect(Enum):
    """Effect of sending a request twice."""

    READ = "read"
    """It changes nothing."""
    IDEMPOTENT = "idempotent"
    """Twice has the effect of once."""
    ONCE = "once"
    """Twice may have another effect than once: a second copy, or the loss of what was stored in between."""


@dataclass(frozen=True)
class Failure:
    """One attempt that failed.

    Attributes:
        error: the error that the caller gets.
        outcome: what became of the request.
        retry_after: seconds that the server requests before a retry.
        cause: what the client raised.
    """

    error: PersistentMemoryError
    outcome: Outcome
    retry_after: float | None = None
    cause: BaseException | None = None

    def may_repeat(self, effect: Effect) -> bool:
        """Whether the same request may be sent again: see the table above."""
        if self.outcome is Outcome.UNKNOWN:
            return effect is not Effect.ONCE
        return self.outcome is Outcome.NOT_DONE


class Deadline(Protocol):
    """A time by which several requests together are to be done."""

    @property
    def left(self) -> float:
        """Seconds, 0 when it is over."""


def retried(
    attempt: Callable[[], Step[T]],
    classify: Callable[[Exception], Failure],
    effect: Effect,
    retry_for: float,
    deadline: Deadline | None = None,
) -> Steps[T]:
    """Send a request, and send it again while that is safe and may help.

    Args:
        attempt: makes the step of one attempt.
        classify: makes a failure of what the step raised.
        effect: what it does to send the request twice.
        retry_for: seconds after the first failure during which another attempt begins; 0: one attempt.
        deadline: no other attempt begins after it.

    Returns:
        The step's answer.

    Raises:
        PersistentMemoryError: of the most cautious of the failures; see :func:`most_cautious`.
    """
    try:
        return (yield attempt())  # type: ignore[no-any-return]
    except PersistentMemoryError:
        raise  # our own code refused, which it would do again
    except Exception as error:  # noqa: BLE001 - classified
        failures = [classify(error)]
    backoff = _Backoff(retry_for, deadline)
    while (pause := backoff.pause_after(failures[-1], effect)) is not None:
        if len(failures) == 1 and not QUIET.get():
            logger.warning("%s; asking again for up to %g s", failures[0].error, retry_for)
        yield Pause(pause)
        try:
            return (yield attempt())  # type: ignore[no-any-return]
        except PersistentMemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - classified
            failures.append(classify(error))
    reported = most_cautious(failures, effect)
    raise reported.error from reported.cause


def most_cautious(failures: Sequence[Failure], effect: Effect) -> Failure:
    """The failure to report: that the last attempt did not arrive must not hide that an earlier one may have been done.

    The error of the result has the outcome of all attempts together. That of a request which only reads is never
    ``UNKNOWN``: there is nothing that may have been done.
    """
    last = reported = failures[-1]
    in_doubt = [each for each in failures if each.outcome is Outcome.UNKNOWN]
    outcome = last.outcome
    if effect is Effect.READ:
        outcome = Outcome.NOT_DONE if last in in_doubt else last.outcome
    elif in_doubt:
        outcome = Outcome.UNKNOWN
        if last.outcome is Outcome.NOT_DONE:
            reported = in_doubt[-1]  # what refuses for good is the answer that the caller needs
    reported.error.outcome = outcome
    reported.error.retryable = last.may_repeat(effect)
    reported.error.retry_after = last.retry_after
    return reported


class _Backoff:
    """The pauses between attempts: exponential with jitter, or as long as the server says, for a limited time."""

    def __init__(self, retry_for: float, deadline: Deadline | None) -> None:
        longest = LONGEST_PAUSE
        if deadline is not None:
            retry_for = min(retry_for, deadline.left)
            longest = min(longest, retry_for / 4)
        self._retry_for = retry_for
        self._start = time.monotonic()
        self._pauses = wait_exponential(multiplier=FIRST_PAUSE, max=longest) + wait_random(0, JITTER)
        # tenacity's strategies do not wait themselves: they only need the number of the attempt.
        self._state = RetryCallState(Retrying(), None, (), {})

    def pause_after(self, failure: Failure, effect: Effect) -> float | None:
        """Seconds until the next attempt; ``None`` if no attempt is left."""
        passed = 0.0 if self._state.attempt_number == 1 else time.monotonic() - self._start
        left = self._retry_for - passed
        if left <= 0 or not failure.may_repeat(effect):
            return None
        if failure.retry_after is not None and failure.retry_after > left:
            return None
        pause = self._pauses(self._state)
        self._state.prepare_for_next_attempt()
        return min(pause, left) if failure.retry_after is None else failure.retry_after

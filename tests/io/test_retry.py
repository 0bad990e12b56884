"""What is tried again, when, for how long, and which error is told at the end. Nothing here waits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from crewai_persistent_memory.errors import Outcome, PersistentMemoryError, StoreClosedError, StoreUnavailableError
from crewai_persistent_memory.io import retry
from crewai_persistent_memory.io.retry import Effect, Failure, most_cautious, retried
from crewai_persistent_memory.io.steps import Pause, Step, Work, arun, run

REFUSED, NOT_DONE, UNKNOWN = Outcome.REFUSED, Outcome.NOT_DONE, Outcome.UNKNOWN


class Lost(Exception):
    """What a client raised, with what it means."""

    def __init__(self, outcome: Outcome, text: str = "", after: float | None = None) -> None:
        super().__init__(text or outcome.value)
        self.outcome = outcome
        self.after = after


def classify(error: Exception) -> Failure:
    assert isinstance(error, Lost)
    return Failure(StoreUnavailableError(str(error)), error.outcome, error.after, error)


class Played:
    """Attempts by a script, and a clock that the pauses between them move on."""

    def __init__(self, *script: Any, seconds_each: float = 0.0) -> None:
        self.script = iter(script)
        self.now = 100.0
        self.pauses: list[float] = []
        self.attempts = 0
        self.seconds_each = seconds_each

    def attempt(self) -> Step[Any]:
        return Work(self._once)

    def _once(self) -> Any:
        self.attempts += 1
        self.now += self.seconds_each
        outcome = next(self.script)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def play(self, effect: Effect = Effect.READ, retry_for: float = 10.0, deadline: Any = None) -> Any:
        steps = retried(self.attempt, classify, effect, retry_for, deadline)
        step = next(steps)
        while True:
            try:
                if isinstance(step, Pause):
                    self.pauses.append(step._seconds)
                    self.now += step._seconds
                    step = steps.send(None)
                    continue
                try:
                    answer = step.wait()
                except Exception as error:  # noqa: BLE001 - as a driver does
                    step = steps.throw(error)
                else:
                    step = steps.send(answer)
            except StopIteration as stop:
                return stop.value


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Played]:
    def make(*script: Any, **options: Any) -> Played:
        made = Played(*script, **options)
        monkeypatch.setattr(retry, "time", SimpleNamespace(monotonic=lambda: made.now))
        return made

    return make


@pytest.mark.parametrize("effect", list(Effect))
@pytest.mark.parametrize("outcome", list(Outcome))
def test_what_is_tried_again(played: Any, effect: Effect, outcome: Outcome) -> None:
    again = outcome is NOT_DONE or (outcome is UNKNOWN and effect is not Effect.ONCE)
    script = played(Lost(outcome), "answer")
    if again:
        assert script.play(effect) == "answer"
        return
    with pytest.raises(StoreUnavailableError) as raised:
        script.play(effect)
    assert script.attempts == 1
    assert raised.value.outcome == outcome
    assert not raised.value.retryable
    assert isinstance(raised.value.__cause__, Lost)


def test_it_is_tried_for_so_long_and_no_longer(played: Any) -> None:
    script = played(*[Lost(NOT_DONE)] * 100)
    with pytest.raises(StoreUnavailableError) as raised:
        script.play(retry_for=5.0)
    assert script.now - 100 == pytest.approx(5.0)
    assert script.pauses[0] <= 0.2
    assert max(script.pauses) <= retry.LONGEST_PAUSE + retry.JITTER
    assert 5 <= script.attempts <= 9
    assert raised.value.retryable


def test_time_spent_in_attempts_counts(played: Any) -> None:
    script = played(*[Lost(NOT_DONE)] * 100, seconds_each=3.0)
    with pytest.raises(StoreUnavailableError):
        script.play(retry_for=5.0)
    assert script.attempts == 3


def test_no_retry_for_is_one_attempt(played: Any) -> None:
    script = played(Lost(NOT_DONE))
    with pytest.raises(StoreUnavailableError):
        script.play(retry_for=0)
    assert (script.attempts, script.pauses) == (1, [])


def test_the_servers_wish_is_kept_to(played: Any) -> None:
    script = played(Lost(NOT_DONE, after=1.5), Lost(NOT_DONE, after=0.25), "answer")
    assert script.play(retry_for=2.0) == "answer"
    assert script.pauses == [1.5, 0.25]


def test_a_wish_as_long_as_the_patience_is_kept_to(played: Any) -> None:
    assert played(Lost(NOT_DONE, after=1.0), "answer").play(retry_for=1.0) == "answer"


@pytest.mark.parametrize("earlier", [[], [Lost(NOT_DONE, after=6.0)]])
def test_a_wish_beyond_the_time_that_is_left_ends_it_at_once(played: Any, earlier: list[Lost]) -> None:
    script = played(*earlier, Lost(NOT_DONE, after=6.0 if earlier else 30.0))
    with pytest.raises(StoreUnavailableError) as raised:
        script.play(retry_for=10.0)
    assert len(script.pauses) == len(earlier)
    assert raised.value.retry_after == (6.0 if earlier else 30.0)


def test_a_deadline_ends_it(played: Any) -> None:
    class Deadline:
        left = 0.4

    script = played(*[Lost(NOT_DONE)] * 100)
    with pytest.raises(StoreUnavailableError):
        script.play(retry_for=10.0, deadline=Deadline())
    assert script.now - 100 == pytest.approx(0.4)
    Deadline.left = 0.0
    script = played(Lost(NOT_DONE))
    with pytest.raises(StoreUnavailableError):
        script.play(retry_for=10.0, deadline=Deadline())


def test_an_error_of_our_own_is_not_tried_again(played: Any) -> None:
    script = played(StoreClosedError("closed"))
    with pytest.raises(StoreClosedError):
        script.play()
    script = played(Lost(NOT_DONE), StoreClosedError("closed meanwhile"))
    with pytest.raises(StoreClosedError):
        script.play()


def test_an_interrupt_is_no_failure(played: Any) -> None:
    """Cancelled tasks and Ctrl-C: whoever they stop is not asked again."""
    steps = retried(played(KeyboardInterrupt()).attempt, classify, Effect.READ, 10.0)
    next(steps)
    with pytest.raises(KeyboardInterrupt):
        steps.throw(KeyboardInterrupt())


@pytest.mark.parametrize(
    ("effect", "outcomes", "told", "outcome", "retryable"),
    [
        (Effect.IDEMPOTENT, [UNKNOWN, NOT_DONE], 0, UNKNOWN, True),
        (Effect.IDEMPOTENT, [UNKNOWN, UNKNOWN, NOT_DONE, NOT_DONE], 1, UNKNOWN, True),
        (Effect.IDEMPOTENT, [NOT_DONE, UNKNOWN], 1, UNKNOWN, True),
        (Effect.IDEMPOTENT, [NOT_DONE, NOT_DONE], 1, NOT_DONE, True),
        # The refusal is what the caller can act on. Whether an earlier attempt was done it does not say.
        (Effect.IDEMPOTENT, [UNKNOWN, REFUSED], 1, UNKNOWN, False),
        (Effect.IDEMPOTENT, [NOT_DONE, REFUSED], 1, REFUSED, False),
        (Effect.ONCE, [NOT_DONE, UNKNOWN], 1, UNKNOWN, False),
        (Effect.READ, [UNKNOWN, NOT_DONE], 1, NOT_DONE, True),
        (Effect.READ, [NOT_DONE, UNKNOWN], 1, NOT_DONE, True),
        (Effect.READ, [UNKNOWN, REFUSED], 1, REFUSED, False),
    ],
)
def test_the_most_cautious_failure_is_told(
    effect: Effect, outcomes: list[Outcome], told: int, outcome: Outcome, retryable: bool
) -> None:
    failures = [Failure(PersistentMemoryError(str(i)), each) for i, each in enumerate(outcomes)]
    reported = most_cautious(failures, effect)
    assert reported is failures[told]
    assert (reported.error.outcome, reported.error.retryable) == (outcome, retryable)


def test_it_is_said_once_that_it_is_tried_again(played: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert played(*[Lost(NOT_DONE, "no answer")] * 4, "answer").play() == "answer"
    assert caplog.messages == ["no answer; asking again for up to 10 s"]


def test_both_drivers_come_to_the_same() -> None:
    def steps(*script: Any) -> Any:
        return retried(Played(*script).attempt, classify, Effect.IDEMPOTENT, 0.001)

    for script, answer in (([Lost(UNKNOWN), "b"], "b"), (["a"], "a")):
        assert run(steps(*script)) == answer
        assert asyncio.run(arun(steps(*script))) == answer
    for drive in (run, lambda made: asyncio.run(arun(made))):
        with pytest.raises(StoreUnavailableError, match="lost"):
            drive(steps(Lost(UNKNOWN, "lost"), Lost(NOT_DONE, "refused connection")))

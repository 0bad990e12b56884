"""Another order of the best entries, by a reranker: a function, or a cross-encoder in this process.

It is off by default. A reranker that is late or fails changes nothing: the entries keep their order, and the log says
so, once a minute at most.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from inspect import isawaitable
from itertools import islice
from threading import BoundedSemaphore, Thread
from typing import Any, Final

from ..entry import MemoryEntry
from ..io.steps import Call, Steps
from ..redaction import redact
from ..text.passages import LONGEST
from .budget import Candidate, fitted

Scorer = Callable[[str, Sequence[str]], Any]
"""Takes a query and texts, and returns one number for each text: more for what matters more. It may be ``async``."""

MOST: Final = 20
"""Entries that are reranked. Those behind them keep their places."""

_AT_ONCE: Final = 8
"""Calls of one reranker at a time. Late ones go on in their threads, because a thread cannot be stopped. More calls
wait for their turn until their deadline."""

_LOGGED_EVERY: Final = 60.0
"""Seconds."""

logger = logging.getLogger("crewai_persistent_memory")


class Reranker:
    """A function that scores texts, with a deadline.

    Args:
        scorer: the function. It is called in a thread of its own, an ``async`` one on an event loop of its own.
        timeout: seconds after which the entries keep their order.
    """

    def __init__(self, scorer: Scorer, timeout: float) -> None:
        self._scorer = scorer
        self._timeout = timeout
        self._free = BoundedSemaphore(_AT_ONCE)
        self._process = os.getpid()
        self._logged_at = -math.inf

    def rerank(self, entries: Sequence[MemoryEntry], query: str, min_score: float = 0.0) -> Steps[list[MemoryEntry]]:
        """The entries in the reranker's order; in the order given, if it is late or fails.

        Of a long text, the reranker gets the passages that have the words of the query.

        Args:
            entries: best first.
            query: what was asked.
            min_score: entries with a lower score keep their places, behind the others.
        """
        best = [entry for entry in entries[:MOST] if (entry.score or 0.0) >= min_score]
        others = entries[len(best) :]
        if len(best) < 2:
            return list(entries)
        texts = [_shortened(entry.content, query) for entry in best]
        try:
            scores: list[float] = yield self._asked(query, texts)
        except (TimeoutError, asyncio.TimeoutError):
            self._log(f"did not answer within {self._timeout} s (reranker_timeout)")
            return list(entries)
        except Exception as error:  # noqa: BLE001 - whatever the function raises, the agent gets its memories
            self._log(f"failed: {type(error).__name__}: {redact(str(error))}")
            return list(entries)
        order = sorted(range(len(best)), key=lambda at: -scores[at])
        return [*(best[at] for at in order), *others]

    def _asked(self, query: str, texts: Sequence[str]) -> Call[Any]:
        started = time.monotonic()

        def left() -> float:
            return max(0.0, self._timeout - (time.monotonic() - started))

        async def awaiting() -> Any:
            return await asyncio.wait_for(asyncio.wrap_future(self._start(query, texts, left())), left())

        return Call(lambda: _result(self._start(query, texts, left()), left()), awaiting)

    def _start(self, query: str, texts: Sequence[str], timeout: float) -> Future[list[float]]:
        if self._process != os.getpid():  # the threads of late calls are not in this process
            self._free, self._process = BoundedSemaphore(_AT_ONCE), os.getpid()
        answer: Future[list[float]] = Future()
        context = contextvars.copy_context()
        # A daemon: a call that never ends does not keep the process from ending.
        arguments = (self._score, query, texts, answer, timeout)
        Thread(target=context.run, args=arguments, daemon=True, name="reranker").start()
        return answer

    def _score(self, query: str, texts: Sequence[str], answer: Future[list[float]], timeout: float) -> None:
        free = self._free
        started = free.acquire(timeout=timeout)
        try:
            # False: whoever waited for it has given up.
            if answer.set_running_or_notify_cancel() and started:
                # Here, and not where it is waited for: the scores may be an iterator that computes each of them.
                answer.set_result(_checked(_awaited(self._scorer(query, list(texts))), len(texts)))
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            answer.set_exception(_as_failure(error))
        finally:
            if started:
                free.release()

    def _log(self, what: str) -> None:
        if time.monotonic() - self._logged_at >= _LOGGED_EVERY:
            self._logged_at = time.monotonic()
            logger.warning("the reranker %s. The memories keep their order", what)

    def __deepcopy__(self, memo: dict[int, Any]) -> Reranker:
        return self


def _as_failure(error: BaseException) -> Exception:
    """The same as an error that only says that the function failed. ``SystemExit`` would end the crew's process, a
    ``CancelledError`` would cancel the task that waits, a ``StopIteration`` cannot be raised there, and a
    ``TimeoutError`` would mean the deadline of the call."""
    if isinstance(error, Exception) and not isinstance(error, (StopIteration, TimeoutError, asyncio.TimeoutError)):
        return error
    return RuntimeError(f"{type(error).__name__}: {error}")


def _result(answer: Future[Any], timeout: float) -> Any:
    try:
        return answer.result(timeout)
    except TimeoutError:
        raise
    except Exception as error:
        # Until Python 3.10 the timeout of a future is another class.
        if type(error).__name__ == "TimeoutError" and not answer.done():
            raise TimeoutError from None
        raise


def _awaited(answer: Any) -> Any:
    return asyncio.run(_await(answer)) if isawaitable(answer) else answer


async def _await(answer: Awaitable[Any]) -> Any:
    return await answer


def _shortened(text: str, query: str) -> str:
    if len(text) <= LONGEST:
        return text
    [shown] = fitted([Candidate(text, 1.0)], query, LONGEST)
    return shown or text[:LONGEST]


def _checked(scores: Any, count: int) -> list[float]:
    """The scores as numbers.

    Raises:
        ValueError: another number of scores than texts, or a score that is not finite.
    """
    numbers = list(map(float, islice(scores, count + 1)))
    if len(numbers) != count:
        more = "more than " if len(numbers) > count else ""
        raise ValueError(f"it returned {more}{min(len(numbers), count)} scores for {count} texts")
    if not all(map(math.isfinite, numbers)):
        raise ValueError("a score is not a finite number")
    return numbers

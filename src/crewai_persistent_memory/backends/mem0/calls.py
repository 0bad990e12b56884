"""What a Mem0 service is asked, and the two ways of asking: blocking and awaiting, again where that is safe."""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import stamina

from ...errors import PersistentMemoryError, StoreClosedError
from .errors import Repeat, judged

T = TypeVar("T")

logger = logging.getLogger("crewai_persistent_memory")


@dataclass(frozen=True)
class Call:
    """One call of a client.

    Attributes:
        method: its name.
        arguments: by keyword.
        doing: what for, in words for messages.
        writes: it changes something.
        repeatable: doing it twice comes to the same; what only reads always is.
    """

    method: str
    arguments: Mapping[str, Any] = field(repr=False)
    doing: str
    writes: bool = False
    repeatable: bool = True


@dataclass(frozen=True)
class Pause:
    """Ask on after some seconds."""

    seconds: float


Calls = Generator[Call | Pause, Any, T]


class _Failed(Exception):
    def __init__(self, ours: PersistentMemoryError, again: bool | float) -> None:
        super().__init__(str(ours))
        self.ours = ours
        self.again = again


class Asking(ABC):
    """Runs calls against a client."""

    where: str
    """Which Mem0, for messages."""

    def __init__(self, retry_for: float) -> None:
        self._retry_for = retry_for
        self._is_closed = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.where})"

    @abstractmethod
    def _client(self) -> Any:
        """The blocking client."""

    @abstractmethod
    async def _aclient(self) -> Any:
        """What the running loop awaits."""

    async def _acalled(self, call: Call) -> Any:
        return await getattr(await self._aclient(), call.method)(**call.arguments)

    def _called(self, call: Call) -> Any:
        return getattr(self._client(), call.method)(**call.arguments)

    def run(self, calls: Calls[T], retry_for: float | None = None) -> T:
        """Wait for each call."""
        send: Callable[[Any], Any] = calls.send
        answer: Any = None
        try:
            while True:
                step = send(answer)
                send, answer = calls.send, None
                if isinstance(step, Pause):
                    time.sleep(step.seconds)
                    continue
                try:
                    answer = self._ask(step, self._retry_for if retry_for is None else retry_for)
                except PersistentMemoryError as error:
                    send, answer = calls.throw, error
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]

    async def arun(self, calls: Calls[T], retry_for: float | None = None) -> T:
        """Await each call."""
        send: Callable[[Any], Any] = calls.send
        answer: Any = None
        try:
            while True:
                step = send(answer)
                send, answer = calls.send, None
                if isinstance(step, Pause):
                    await asyncio.sleep(step.seconds)
                    continue
                try:
                    answer = await self._aask(step, self._retry_for if retry_for is None else retry_for)
                except PersistentMemoryError as error:
                    send, answer = calls.throw, error
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]

    def _ask(self, call: Call, retry_for: float) -> Any:
        self._refuse_when_closed()
        first: list[_Failed] = []
        try:
            # The first attempt outside of the retrying, which would cost every call a tenth of a millisecond.
            return self._once(call, retry_for)
        except _Failed as failed:
            if failed.again is False or retry_for == 0:
                raise failed.ours from failed.__cause__
            first.append(failed)
        try:
            for attempt in _attempts(retry_for):
                with attempt:
                    if first:
                        raise first.pop()
                    return self._once(call, retry_for)
        except _Failed as failed:
            raise failed.ours from failed.__cause__

    def _once(self, call: Call, retry_for: float) -> Any:
        try:
            return self._called(call)
        except Exception as error:
            raise self._failed(error, call, retry_for) from error

    async def _aask(self, call: Call, retry_for: float) -> Any:
        self._refuse_when_closed()
        first: list[_Failed] = []
        try:
            # The first attempt outside of the retrying, which would cost every call a tenth of a millisecond.
            return await self._aonce(call, retry_for)
        except _Failed as failed:
            if failed.again is False or retry_for == 0:
                raise failed.ours from failed.__cause__
            first.append(failed)
        try:
            async for attempt in _attempts(retry_for):
                with attempt:
                    if first:
                        raise first.pop()
                    return await self._aonce(call, retry_for)
        except _Failed as failed:
            raise failed.ours from failed.__cause__

    async def _aonce(self, call: Call, retry_for: float) -> Any:
        try:
            return await self._acalled(call)
        except Exception as error:
            raise self._failed(error, call, retry_for) from error

    def _refuse_when_closed(self) -> None:
        if self._is_closed:
            raise StoreClosedError("this store was closed: open it again with open_store()")

    def _failed(self, error: Exception, call: Call, retry_for: float) -> _Failed:
        only_once = call.writes and not call.repeatable
        verdict = judged(error, where=self.where, doing=call.doing, writes=only_once)
        again: bool | float = verdict.repeat is Repeat.ALWAYS or (verdict.repeat is Repeat.IF_SAFE and not only_once)
        if again and verdict.retry_after is not None:
            again = verdict.retry_after if verdict.retry_after <= retry_for else False
        if again is not False and retry_for > 0:
            logger.warning("%s; asking again for up to %g s", verdict.ours, retry_for)
        return _Failed(verdict.ours, again)


def _attempts(retry_for: float) -> Any:
    def again(error: Exception) -> bool | float:
        return error.again if isinstance(error, _Failed) else False

    return stamina.retry_context(again, attempts=None, timeout=retry_for, wait_initial=0.1, wait_max=2.0)

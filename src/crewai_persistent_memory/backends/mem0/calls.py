"""Calls of a Mem0 client, as steps that are repeated where that is safe."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ...errors import Outcome, StoreClosedError
from ...io.retry import Effect, Failure, retried
from ...io.steps import Call as Step
from ...io.steps import Steps
from .errors import Repeat, judged


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

    def ask(self, call: Call, retry_for: float | None = None) -> Steps[Any]:
        """The answer to a call, which is made again where that is safe."""
        if self._is_closed:
            raise StoreClosedError("this store was closed: open it again with open_store()")
        step = Step(lambda: self._called(call), lambda: self._acalled(call))
        effect = Effect.READ if not call.writes else Effect.IDEMPOTENT if call.repeatable else Effect.ONCE
        classify = partial(self._failure, call=call)
        return retried(lambda: step, classify, effect, self._retry_for if retry_for is None else retry_for)

    def _failure(self, error: Exception, call: Call) -> Failure:
        only_once = call.writes and not call.repeatable
        verdict = judged(error, where=self.where, doing=call.doing, writes=only_once)
        outcome = {
            Repeat.ALWAYS: Outcome.NOT_DONE,
            Repeat.IF_SAFE: Outcome.UNKNOWN,
            Repeat.NEVER: Outcome.REFUSED,
        }[verdict.repeat]
        return Failure(verdict.ours, outcome, verdict.retry_after, error)

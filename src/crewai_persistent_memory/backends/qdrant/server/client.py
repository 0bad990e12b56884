"""The methods of ``qdrant-client``, called again where that is safe."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, TypeVar

from ....errors import Outcome, StoreBusyError, StoreMissingError
from ....io.retry import Effect, Failure, retried
from ....io.steps import Pause, Step, Steps, Work
from .deadline import Deadline
from .engine import ServerEngine
from .errors import classify

T = TypeVar("T")

_WRITES: Final = frozenset(
    ("upsert", "delete", "set_payload", "overwrite_payload", "update_vectors", "delete_vectors", "batch_update_points")
)


class RetryingClient:
    """What one request of a caller asks of a server: several calls, each as steps."""

    def __init__(self, engine: ServerEngine, doing: str, retry_for: float, deadline: Deadline | None = None) -> None:
        """
        Args:
            engine: whose clients are used.
            doing: what for, in messages.
            retry_for: seconds after a call's first failure during which it is made again.
            deadline: for all calls together.
        """
        self._engine = engine
        self._doing = doing
        self._retry_for = retry_for
        self._deadline = deadline

    def call(
        self, method: str, arguments: Mapping[str, Any] | None = None, *, repeatable: bool = True, large: bool = False
    ) -> Steps[Any]:
        """One method of the client.

        Args:
            method: its name.
            arguments: by keyword.
            repeatable: doing it twice has the outcome of doing it once. What only reads always is.
            large: making its request takes longer than an event loop may be held up.

        Raises:
            StoreError: the server failed or refused; see the subclasses.
        """
        effect = Effect.READ
        if method in _WRITES:
            effect = Effect.IDEMPOTENT if repeatable else Effect.ONCE
        attempt = _Attempt(self._engine, method, arguments or {}, self._deadline, large)
        judge = partial(attempt.failure, doing=self._doing, effect=effect)
        return retried(lambda: attempt, judge, effect, self._retry_for, self._deadline)

    def work(self, function: Callable[[], T]) -> Step[T]:
        """Something of ours between calls. The deadline does not count it."""
        return Work(function if self._deadline is None else partial(self._deadline.uncounted, function))

    def pause(self, seconds: float) -> Step[None]:
        """Wait for another worker. The deadline does not count it."""
        if self._deadline is not None:
            self._deadline.extend(seconds)
        return Pause(seconds)


class _Attempt(Step[Any]):
    """One call, as often as it is made."""

    def __init__(
        self,
        engine: ServerEngine,
        method: str,
        arguments: Mapping[str, Any],
        deadline: Deadline | None,
        large: bool,
    ) -> None:
        self._engine = engine
        self._method = method
        self._arguments = arguments
        self._deadline = deadline
        self._large = large
        self._node = 0

    def wait(self) -> Any:
        self._node, client = self._engine.clients.blocking()
        if self._deadline is None:
            return getattr(client, self._method)(**self._arguments)
        function = partial(getattr(client, self._method), **self._arguments)
        # Creating a collection may take the server long.
        creates = self._method.startswith("create_") or self._method == "upsert"
        return self._deadline.call(function, creates=creates, nodes=len(self._engine.settings.urls))

    async def awaited(self) -> Any:
        if self._large:
            return await asyncio.to_thread(self.wait)
        self._node, client = await self._engine.clients.awaiting()
        return await getattr(client, self._method)(**self._arguments)

    def failure(self, error: Exception, *, doing: str, effect: Effect) -> Failure:
        """What an error of the last attempt means; the next one goes to another node where this one was not reached."""
        engine = self._engine
        failure = classify(error, where=engine.settings.urls[self._node], doing=doing, effect=effect)
        if failure.outcome is not Outcome.REFUSED and not isinstance(failure.error, StoreBusyError):
            engine.clients.fail_over(self._node)
        if isinstance(failure.error, StoreMissingError):
            # Whoever opens it next shall look again.
            engine.descriptors.pop(str(self._arguments.get("collection_name")), None)
        return failure

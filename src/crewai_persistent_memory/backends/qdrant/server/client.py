"""The methods of ``qdrant-client``, called again where that is safe."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, TypeVar

from typing_extensions import Self

from ....errors import Outcome, StoreBusyError, StoreMissingError
from ....io.retry import Effect, Failure, retried
from ....io.steps import Pause, Step, Steps, Work
from .clients import Clients
from .deadline import Deadline
from .errors import classify, request_info

T = TypeVar("T")

_WRITES: Final = frozenset(
    ("upsert", "delete", "set_payload", "overwrite_payload", "update_vectors", "delete_vectors", "batch_update_points")
)


class RetryingClient:
    """The server calls of one caller's request, each as steps."""

    def __init__(
        self,
        clients: Clients,
        forget: Callable[[str], None],
        doing: str,
        retry_for: float,
        deadline: Deadline | None = None,
    ) -> None:
        """
        Args:
            clients: of the server's nodes.
            forget: is called with the name of a collection that is not there.
            doing: what for, in messages.
            retry_for: seconds after a call's first failure during which it is made again.
            deadline: for all calls together.
        """
        self._clients = clients
        self._forget = forget
        self._doing = doing
        self._retry_for = retry_for
        self._deadline = deadline

    def again(self, doing: str) -> Self:
        """The same client for something else, without a deadline."""
        return type(self)(self._clients, self._forget, doing, self._clients.settings.retry_for)

    def call(
        self, method: str, arguments: Mapping[str, Any] | None = None, *, repeatable: bool = True, large: bool = False
    ) -> Steps[Any]:
        """One method of the client.

        Args:
            method: its name.
            arguments: by keyword.
            repeatable: the call is idempotent. A read always is.
            large: making its request takes longer than an event loop may be held up.

        Raises:
            StoreError: the server failed or refused; see the subclasses.
        """
        effect = Effect.READ
        if method in _WRITES:
            effect = Effect.IDEMPOTENT if repeatable else Effect.ONCE
        attempt = _Attempt(self._clients, method, arguments or {}, self._deadline, large)

        def judge(error: Exception) -> Failure:
            failure = classify(error, request_info(attempt.address, self._doing, effect))
            if failure.outcome is not Outcome.REFUSED and not isinstance(failure.error, StoreBusyError):
                attempt.fail_over()
            if isinstance(failure.error, StoreMissingError):
                # Whoever opens it next shall look again.
                self._forget(str((arguments or {}).get("collection_name")))
            return failure

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
    """One call, as often as it is made; each time of the node that is in use then."""

    def __init__(
        self, clients: Clients, method: str, arguments: Mapping[str, Any], deadline: Deadline | None, large: bool
    ) -> None:
        self._clients = clients
        self._method = method
        self._arguments = arguments
        self._deadline = deadline
        self._large = large
        self._node = 0

    @property
    def address(self) -> str:
        return self._clients.settings.urls[self._node]

    def fail_over(self) -> None:
        """The node did not answer: the next attempt goes to another one."""
        self._clients.fail_over(self._node)

    def wait(self) -> Any:
        self._node, client = self._clients.blocking()
        if self._deadline is None:
            return getattr(client, self._method)(**self._arguments)
        function = partial(getattr(client, self._method), **self._arguments)
        # Creating a collection may take the server long.
        creates = self._method.startswith("create_") or self._method == "upsert"
        return self._deadline.call(function, creates=creates, nodes=len(self._clients.settings.urls))

    async def awaited(self) -> Any:
        if self._large:
            return await asyncio.to_thread(self.wait)
        self._node, client = await self._clients.awaiting()
        return await getattr(client, self._method)(**self._arguments)

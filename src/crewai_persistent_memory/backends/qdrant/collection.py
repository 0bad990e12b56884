"""Where the requests of an operation go."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from ...io.steps import Steps
from .backlog import Backlog
from .engine_requests import Request

T = TypeVar("T")


class Connection(Protocol):
    """Executes requests: the embedded engine, or a server through its client."""

    def route(self, org_id: str | None, project_id: str) -> Any:
        """Where the requests of a project go: among several collections, and to which shard."""

    def ask(self, request: Request[T], route: Any) -> Steps[T]:
        """Answer a request.

        Raises:
            StoreClosedError: the connection is closed.
            StoreError: the engine failed; see its subclasses.
        """

    def close(self) -> None:
        """Give back what it holds. Closing again does nothing."""

    async def aclose(self) -> None: ...


class Asks(Protocol):
    """``answer = yield from ask(request)``."""

    def __call__(self, request: Request[T], /) -> Steps[T]: ...


@dataclass(frozen=True)
class Collection:
    """One project's collection, as one operation reaches it.

    Attributes:
        ask: asks the collection for an answer.
        backlog: what is known about entries without a vector.
    """

    ask: Asks
    backlog: Backlog = field(repr=False)

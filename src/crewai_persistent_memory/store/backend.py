"""What a store is made of: a backend answers operations, and says what it can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from ..io.steps import Steps
from .operations import Operation

T = TypeVar("T")


@dataclass(frozen=True)
class Capabilities:
    """What a backend can do. Whoever needs to know asks here, and never what class a store is of.

    Attributes:
        extracts: it takes messages and decides itself what to remember of them (:class:`~.operations.AddMessages`).
        vectors: it stores and shows vectors, and finds by them (:class:`~.operations.Nearest`).
        ranking: it ranks by the weights it is given.
        keywords: words alone find an entry.
        access_times: it keeps when an entry was last read.
        filters_first: filters are applied before the limit, however much is stored.
        counts_scopes: it can count across scopes (:class:`~.operations.CountScopes`).
        compacts: it can remove deleted text from its files on demand.
    """

    extracts: bool = False
    vectors: bool = False
    ranking: bool = False
    keywords: bool = False
    access_times: bool = False
    filters_first: bool = False
    counts_scopes: bool = False
    compacts: bool = False


class Execute(Protocol):
    """Answers an operation: a backend's own method, or that with middleware around it."""

    def __call__(self, operation: Operation[T], /) -> Steps[T]: ...


class Backend(ABC):
    """Answers operations over one kind of store.

    A backend applies the scope of an operation as a filter of its engine, and checks every result once more
    (``DESIGN.md``, invariant 4). It waits for nothing: what takes time is a step that it yields.
    """

    capabilities: Capabilities

    @abstractmethod
    def execute(self, operation: Operation[Any], /) -> Steps[Any]:
        """Answer one operation. Operations that its capabilities exclude are never given to it.

        Raises:
            StoreError, EmbedderError: see their subclasses.
            InvalidEntryError: a field cannot be stored; nothing was written.
        """

    @abstractmethod
    def close(self) -> None:
        """Flush and close. Closing again does nothing."""

    async def aclose(self) -> None:
        """:meth:`close`, awaited."""
        self.close()

"""The backend interface: a backend executes operations and declares its capabilities."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from ..io.steps import Steps
from .operations import Operation

T = TypeVar("T")


@dataclass(frozen=True)
class Capabilities:
    """Features of a backend. Callers check these flags, never the class of a store.

    Attributes:
        extracts: it takes messages and decides itself what to remember of them (:class:`~.operations.AddMessages`).
        vectors: it stores and shows vectors, and finds by them (:class:`~.operations.Nearest`).
        ranking: it ranks by the weights it is given.
        keywords: words alone find an entry.
        access_times: it keeps when an entry was last read.
        filters_first: filters are applied before the limit, however much is stored.
        counts_scopes: it can count, scan and erase across scopes (:class:`~.operations.CountScopes`,
            :class:`~.operations.ScanScopes`, :class:`~.operations.EraseScopes`).
        scans_users: it can do so across the scopes of one user, who is named.
        backs_up: it can copy the whole store into a folder (:class:`~.operations.BackUp`).
        compacts: it can remove deleted text from its files on demand.
        stores_fields: it stores the values of filter fields beside entries (:class:`~.operations.CompleteFields`).
        expires: it keeps when an entry expires, and from then on no read of it finds the entry
            (:class:`~.operations.PurgeExpired` deletes it).
        undoes_deletes: it keeps what is deleted for a while (:class:`~.operations.UndoDelete`).
        keeps_history: it keeps the earlier texts of a changed entry.
        repeatable: a save that is sent twice has the effect of one. Elsewhere the store must be looked at first.
        outbox: accepted writes are kept here until the store takes them (:class:`~.operations.Flush`).
    """

    extracts: bool = False
    vectors: bool = False
    ranking: bool = False
    keywords: bool = False
    access_times: bool = False
    filters_first: bool = False
    counts_scopes: bool = False
    scans_users: bool = False
    backs_up: bool = False
    compacts: bool = False
    stores_fields: bool = False
    expires: bool = False
    undoes_deletes: bool = False
    keeps_history: bool = False
    repeatable: bool = False
    outbox: bool = False

    def reaches(self, scope: Mapping[str, object]) -> bool:
        """Whether it can count, scan and erase all scopes that have these fields."""
        return self.counts_scopes or (self.scans_users and bool(scope.get("user_id")))


class Execute(Protocol):
    """Executes an operation: a backend's own method, or that method wrapped in middleware."""

    def __call__(self, operation: Operation[T], /) -> Steps[T]: ...


class Backend(ABC):
    """Answers operations over one kind of store.

    A backend applies the scope of an operation as a filter of its engine. Every entry that it returns carries its
    scope: one that the operation's scope must not see is dropped, whatever backend returned it. A backend never blocks:
    it yields a step for each call that takes time.
    """

    capabilities: Capabilities

    @abstractmethod
    def execute(self, operation: Operation[Any], /) -> Steps[Any]:
        """Execute one operation. Callers never pass an operation that the capabilities exclude.

        Raises:
            StoreError, EmbedderError: see their subclasses.
            InvalidEntryError: a field cannot be stored; nothing was written.
        """

    def untold_outage(self) -> str | None:
        """Why recalls are answered in part, for the first one in this process who asks; each outage is told once."""
        return None

    @abstractmethod
    def close(self) -> None:
        """Flush and close. Closing again does nothing."""

    async def aclose(self) -> None:
        """:meth:`close`, awaited."""
        self.close()

"""The requests of :class:`Mem0Backend` to Mem0: one protocol for Mem0 Cloud and Mem0 OSS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any, Protocol, TypeVar

from ...io.retry import retried
from ...io.statuses import RequestInfo
from ...io.steps import Step, Steps
from ...scope import Scope, ScopeBinding
from ...store.operations import Message
from .codec import Record
from .ends import OwnersWithEnds
from .errors import classify

T = TypeVar("T")


@dataclass(frozen=True)
class Extraction:
    """Instructions for the extraction: what to remember of a conversation, and what not."""

    includes: str | None = None
    excludes: str | None = None
    custom_categories: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True)
class Added:
    """The result of an add: the memories that exist now, or the event that will create them."""

    memories: tuple[Mapping[str, Any], ...] = ()
    pending: bool = False
    event_id: str | None = None


@dataclass(frozen=True)
class Found:
    """The result of a search, best first; ``complete`` if Mem0 has no more than these."""

    records: list[Record]
    complete: bool


class Mem0Api(Protocol):
    """Each request to Mem0 as steps. Owners are scopes, by which Mem0 filters; what comes back is checked."""

    most_results: int
    """How many results one search can have."""
    changes_last_day: bool
    """Whether the last day of a memory can be changed, and a listing can be asked for memories after it."""
    ends: OwnersWithEnds
    """Whose memories have ended, or will. What a read comes upon is noted there."""

    def add(
        self,
        messages: Sequence[Message],
        owner: Scope,
        metadata: Mapping[str, Any],
        *,
        infer: Extraction | None,
        expires: date | None,
        wait: bool,
    ) -> Steps[Added]:
        """``infer=None`` keeps the messages as they are."""

    def outcome(self, event_id: str) -> Steps[Added]:
        """Wait for what comes of an add that is :attr:`Added.pending`."""

    def search(self, query: str, owners: Sequence[Scope], limit: int, min_score: float) -> Steps[Found]:
        """Over all owners."""

    def everything(
        self, owners: Sequence[Scope], entry_id: str | None = None, *, with_expired: bool = False
    ) -> Steps[list[Record]]:
        """All memories, or those that were added under an entry's id; also expired ones only to delete them."""

    def of_user(self, scope: Mapping[str, str | None]) -> Steps[list[Record]]:
        """A user's memories in all projects and runs, also those that were stored without this package.

        Args:
            scope: ``user_id``, and perhaps other fields, which the memories have.
        """

    def owners_of_user(self, scope: Mapping[str, str | None]) -> Steps[dict[Scope, int]]:
        """Each owner that has these fields, of whom Mem0 keeps anything, with how many memories: expired ones too.

        Args:
            scope: ``user_id``, and perhaps other fields.
        """

    def erase_user(self, scope: Mapping[str, str | None]) -> Steps[int]:
        """Delete all that :meth:`owners_of_user` counts, and what else Mem0 keeps of these owners. Returns how many
        memories there were."""

    def by_mem0_id(self, id: str, owners: Sequence[Scope]) -> Steps[Record | None]:
        """The memory with an id that Mem0 gave it."""

    def update(
        self, record: Record, content: str | None, metadata: Mapping[str, Any], expires: date | None
    ) -> Steps[None]:
        """Replace its metadata, its last day, and its text if one is given."""

    def delete(self, records: Sequence[Record], emptied: Sequence[Scope] = ()) -> Steps[None]:
        """Delete memories, and what else Mem0 keeps of them.

        Args:
            records: the memories.
            emptied: owners of whom nothing at all is to be left.
        """

    def health(self, binding: ScopeBinding, retry_for: float | None = None) -> Steps[dict[str, Any]]:
        """Whether Mem0 answers and takes the key.

        Args:
            binding: whose memory is opened.
            retry_for: seconds, in place of the option's.
        """

    def close(self) -> None: ...

    async def aclose(self) -> None: ...


def sent(step: Step[T], request: RequestInfo, retry_for: float) -> Steps[T]:
    """Send a request, again where ``io/retry.py`` has it sent again."""
    return retried(lambda: step, partial(classify, request=request), request.effect, retry_for)

"""A store that takes what was said and decides itself what to remember of it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict

from typing_extensions import Unpack

from ..entry import EntryFields, MemoryEntry
from .base import MemoryStore
from .operations import Steps


class Message(TypedDict):
    """One turn of a conversation."""

    role: Literal["user", "assistant", "system"]
    content: str


@dataclass(frozen=True)
class AddedMessages:
    """What became of messages.

    Attributes:
        entries: what was remembered, if that is known already. Nothing worth remembering leaves it empty.
        pending: the store took the messages and is still at work on them.
        event_id: the store's name for that work.
    """

    entries: tuple[MemoryEntry, ...] = ()
    pending: bool = False
    event_id: str | None = None


class TextNativeStore(MemoryStore):
    """A :class:`MemoryStore` with an extraction of its own. ``add`` and ``put`` keep texts as they are."""

    def add_messages(
        self, messages: Sequence[Message], *, wait: bool | None = None, **about: Unpack[EntryFields]
    ) -> AddedMessages:
        """Let the store's LLM extract what is worth remembering.

        Args:
            messages: the conversation, oldest first.
            wait: return when it is done, with the outcome. Left out: as the store was opened.
            about: ``path``, ``categories``, ``metadata``, ``importance``, ``source``, ``private``, ``kind``, for every
                memory that comes of it.

        Raises:
            InvalidEntryError: a message or a field cannot be stored.
            StoreError: the store failed; see its subclasses.
        """
        return self._complete(self._add_messages(messages, wait, about))

    async def aadd_messages(
        self, messages: Sequence[Message], *, wait: bool | None = None, **about: Unpack[EntryFields]
    ) -> AddedMessages:
        return await self._arun(self._add_messages(messages, wait, about))

    @abstractmethod
    def _add_messages(
        self, messages: Sequence[Message], wait: bool | None, about: EntryFields
    ) -> Steps[AddedMessages]: ...

"""Saving: by CrewAI's pipeline, by a store that extracts memories itself, or as it was said.

- Without ``infer`` a text is kept as it is, at once, by any store.
- With ``infer`` on Qdrant, CrewAI's LLM extracts, analyses and consolidates, in the background.
- With ``infer`` on a text-native store (Mem0), that store is given the messages, in the background; CrewAI's LLM is not
  asked, for the text would be interpreted twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crewai.memory.types import MemoryRecord

from ...entry import EntryFields
from ...io.bridge import in_thread
from ...storable import storable_metadata, storable_text
from ...validation import text_tuple
from ..events import logged, save_events
from ..saving import keep, storable_fields
from ..transcript import handed_over, memory_texts, messages_of
from .hosted_memory import HostedMemory
from .records import to_record


class SavingMemory(HostedMemory):
    """The saving half of :class:`PersistentMemory`."""

    def remember(
        self,
        content: str,
        scope: str | None = None,
        categories: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        importance: float | None = None,
        source: str | None = None,
        private: bool = False,
        agent_role: str | None = None,
        root_scope: str | None = None,
    ) -> MemoryRecord | None:
        """Remember a text; when this returns, it is kept.

        Returns:
            The memory; of several that a store made of it, the first. While the store is still at work on it (Mem0):
            the text and the fields as they were given, under an id that no entry has. ``None`` if the memory is
            read-only, or if the store has found nothing worth remembering.

        Raises:
            InvalidEntryError, ScopeError, StoreError, EmbedderError: nothing was stored.
        """
        said: dict[str, Any] = {"scope": scope, "categories": categories, "metadata": metadata}
        said.update(importance=importance, source=source, private=private, agent_role=agent_role, root_scope=root_scope)
        if self._infers_by_crewai:
            with logged("remember", self):
                given = _given(said)
                return in_thread(super(SavingMemory, self._bound()).remember, storable_text(content), **given)
        return next(iter(self._save([content], said)), None)

    def remember_many(
        self,
        contents: list[str],
        scope: str | None = None,
        categories: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        importance: float | None = None,
        source: str | None = None,
        private: bool = False,
        agent_role: str | None = None,
        root_scope: str | None = None,
    ) -> list[MemoryRecord]:
        """Remember several texts.

        With ``infer`` they are analysed and saved in the background, and the list is empty; :meth:`recall` waits for
        it. Without, they are kept when this returns.
        """
        said: dict[str, Any] = {"scope": scope, "categories": categories, "metadata": metadata}
        said.update(importance=importance, source=source, private=private, agent_role=agent_role, root_scope=root_scope)
        if self._infers_by_crewai:
            with logged("remember", self):
                texts, given = list(map(storable_text, contents)), _given(said)
                return in_thread(super(SavingMemory, self._bound()).remember_many, texts, **given)
        if not self._bridge.infer:
            return self._save(contents, said)
        if contents and not self._is_read_only:
            self._submit_save(self._bound()._save, contents, said)
        return []

    @property
    def _infers_by_crewai(self) -> bool:
        return self._bridge.infer and not self.store.capabilities.extracts

    def _save(self, contents: list[str], said: dict[str, Any]) -> list[MemoryRecord]:
        if self._is_read_only or not contents:
            return []
        messages = [message for content in contents for message in messages_of(content)]  # of the texts as handed over
        # Before CrewAI's events see it: pydantic takes no unpaired surrogates, and no keys but text.
        contents, about = list(map(storable_text, contents)), storable_fields(self._about(said))
        with save_events(self, _summary(contents), said["metadata"] and dict(about["metadata"]), said["agent_role"]):
            entries = keep(self.store, contents, messages, about, infer=self._bridge.infer)
        return [to_record(entry) for entry in entries]

    def _about(self, said: dict[str, Any]) -> EntryFields:
        importance = said["importance"]
        return {
            "path": self._path(said["scope"], said["root_scope"]) or "/",
            "categories": text_tuple("categories", said["categories"] or ()),
            "metadata": said["metadata"] or {},
            "importance": self._config.default_importance if importance is None else importance,
            "source": said["source"],
            "private": said["private"],
        }

    def extract_memories(self, content: str) -> list[str]:
        """The memories in a text: by the LLM with ``infer``; without, the text itself, freed of prompt wrapping. For a
        store that extracts them itself it stays whole."""
        if self._infers_by_crewai:
            return in_thread(super().extract_memories, storable_text(content))
        if self._bridge.infer:
            return handed_over(content)
        return memory_texts(content)


def _summary(contents: list[str]) -> str:
    return str(contents[0] if len(contents) == 1 else f"{len(contents)} memories")


def _given(said: Mapping[str, Any]) -> dict[str, Any]:
    """Only what was given: crewai 1.10 does not know ``root_scope``."""
    given = {name: value for name, value in said.items() if value is not None}
    if "metadata" in given:
        given["metadata"] = dict(storable_metadata(given["metadata"]))
    return given

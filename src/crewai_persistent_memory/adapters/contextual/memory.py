"""``PersistentMemory`` for CrewAI until 1.9.3: a ``crewai`` ``ExternalMemory`` that also replaces short-term and entity
memory.

Contracts of CrewAI this relies on (seen in 0.203.2, 1.0.0, 1.6.1, 1.9.3):

- If the crew has a long-term and an entity memory, the agent's executor evaluates each final answer with an LLM call,
  and saves the results in both.
- The executor then saves the answer in the external memory.
- A memory that is not passed is not used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from typing_extensions import Self, Unpack

from ...config.environment import refuse_unknown
from ...entry import MEMORY
from ...errors import ConfigurationError
from ...io.steps import Call, Steps
from ...redaction import seal
from ...store.base import MemoryStore
from ..current_run import OnError
from ..memory_api import MemoryApi
from ..memory_operations.parts import MemoryParts
from ..memory_operations.searching import CREWAI_THRESHOLD
from ..memory_options import OUR_OPTIONS, PersistentMemoryOptions
from ..scope_views import View
from ..storage import PersistentStorage
from .companion_memories import SharedExternalMemory, replaced_memories
from .results import RESULTS

_STORAGE_OPTIONS = OUR_OPTIONS | {"store", "read_only", "root_scope", "on_error"}
_UNIFIED_ONLY = frozenset(PersistentMemoryOptions.__annotations__) - _STORAGE_OPTIONS


class PersistentMemory(MemoryApi, SharedExternalMemory):
    """A persistent memory for a crew. The class for CrewAI >= 1.10 takes the same arguments.

    Args:
        llm: for CrewAI >= 1.10; refused here.
        infer: let the store extract memories from the text (Mem0). Default: ``True`` on such a store.
        store: an open store handle, in place of ``path``, ``url`` and the scope fields. The caller closes it.
        on_error: the crew's reaction when its memory fails. ``"warn"``: it continues, with an event and a log message.
            ``"raise"``: it fails. A missing user always fails the crew, before its first LLM call.
        options: the scope, the store, the embedder and the ranking (:class:`MemoryConfig`), ``read_only``,
            ``root_scope``.

    Raises:
        ConfigurationError: an option is unknown, malformed, contradicts another, or needs CrewAI >= 1.10.
        ScopeError: a scope field is wrong. A missing user is reported at the first call, because ``use_scope`` may
            set one.
        StoreError, EmbedderError: the store cannot be opened.
    """

    def __init__(
        self, *, llm: Any = None, infer: bool | None = None, **options: Unpack[PersistentMemoryOptions]
    ) -> None:
        seal(options)
        refuse_unknown(options, set(_STORAGE_OPTIONS | _UNIFIED_ONLY | {"llm", "infer"}), "option")
        newer = sorted({name for name in options if name in _UNIFIED_ONLY} | ({"llm"} if llm is not None else set()))
        if newer:
            raise ConfigurationError(
                f"{', '.join(newer)} is for the memory of crewai >= 1.10, and an older one is installed: leave it out"
            )
        storage_options: dict[str, Any] = dict(options)
        super().__init__(storage=PersistentStorage(infer=infer, **storage_options))

    @property
    def store(self) -> MemoryStore:
        store: MemoryStore = self.storage.store
        return store

    @property
    def on_error(self) -> OnError:
        policy: OnError = self.storage.on_error
        return policy

    def crew_kwargs(self, *, long_term: bool = True) -> dict[str, Any]:
        return {"external_memory": self, "memory": False, **replaced_memories(self.storage, long_term=long_term)}

    # -- hooks of the API ------------------------------------------------------------------------------------------

    @property
    def _parts(self) -> MemoryParts:
        parts: MemoryParts = self.storage.parts_for(self, RESULTS, MEMORY)
        return parts

    def _over(self, store: MemoryStore) -> Self:
        return self._with(self.storage.over(store))

    def _viewing(self, view: View) -> Self:
        return self._with(self.storage.viewing(view))

    def _closing(self) -> Steps[None]:
        if self.storage.owns_store:
            yield Call(self.store.close, self.store.aclose)

    def _with(self, storage: PersistentStorage) -> Self:
        copied: Self = super().__deepcopy__()
        copied.storage = storage
        return copied

    # -- living inside CrewAI's class ------------------------------------------------------------------------------

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        return self._with(self.storage.over(self.store))  # closing it closes nothing

    def __repr__(self) -> str:
        return f"PersistentMemory({self.store!r})"

    __str__ = __repr__

    # CrewAI's own methods. They report to its event bus, with the agent and the task, and call the storage. Since 1.7
    # the async ones exist too.

    def save(self, value: Any, metadata: Mapping[str, Any] | None = None) -> None:
        SharedExternalMemory.save(self, value, metadata)

    def search(self, query: str, limit: int = 5, score_threshold: float = CREWAI_THRESHOLD) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = SharedExternalMemory.search(self, query, limit, score_threshold)
        return found

    if hasattr(SharedExternalMemory, "asave"):

        async def asave(self, value: Any, metadata: Mapping[str, Any] | None = None) -> None:
            await SharedExternalMemory.asave(self, value, metadata)

        async def asearch(
            self, query: str, limit: int = 5, score_threshold: float = CREWAI_THRESHOLD
        ) -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = await SharedExternalMemory.asearch(self, query, limit, score_threshold)
            return found

    else:

        async def asave(self, value: Any, metadata: Mapping[str, Any] | None = None) -> None:
            await self.storage.asave(value, metadata)

        async def asearch(
            self, query: str, limit: int = 5, score_threshold: float = CREWAI_THRESHOLD
        ) -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = await self.storage.asearch(query, limit, score_threshold)
            return found

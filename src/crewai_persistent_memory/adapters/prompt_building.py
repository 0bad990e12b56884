"""Which recalls CrewAI makes to build a prompt, and how much memory that prompt may have.

CrewAI asks for a fixed number of results: ``recall(query, limit=5)`` before a task, 10 in a ``LiteAgent``, 20 in
``Agent.kickoff`` (1.10.1 to 1.15.30), ``search(query)`` until 1.9.3. Nobody chose these numbers for this memory. There
the budget decides how many memories are given, and in every other call the caller's ``limit``.

Until 1.9.3 ``ContextualMemory`` asks short-term, entity and external memory for one prompt. They share one budget.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from types import FrameType
from typing import Any, Final, NamedTuple

from ..entry import ENTITY, MemoryEntry
from ..io.context import setting
from ..store.base import MemoryStore
from .scope_views import Paths
from .version import is_unified

HEADING: Final = 32
"""Characters. The longest line that CrewAI writes above the memories in a prompt is shorter ("External memories:")."""

_BUILDERS: Final = ("crewai.agent.", "crewai.agents.", "crewai.lite_agent")
_SHARES: Final = {ENTITY: 1}
_SHARE: Final = 3
_SHARING: Final = "__shares_a_budget__"


def builds_a_prompt(caller: FrameType | None) -> bool:
    """Whether a frame is of CrewAI's code that puts memories into a prompt (>= 1.10)."""
    return caller is not None and str(caller.f_globals.get("__name__")).startswith(_BUILDERS)


class Place(NamedTuple):
    """Where the entries of a memory are. Two memories with the same can be asked in one request."""

    store: int
    paths: Paths


class Search(NamedTuple):
    """A search in a place of a prompt's memories."""

    kind: str
    query: str
    limit: int


class PromptBudget:
    """The budget of one prompt, for the memories that CrewAI until 1.9.3 asks one after another, or at once.

    Whoever is asked first asks the store for all of them at once (:meth:`beside`), for a request to a server takes much
    longer than to answer it. Memories that are asked at once, in tasks, ask for themselves.

    Args:
        memories: what is going to be asked: the kind of entries, and where they are.
        at_once: whether they are asked at once.
    """

    def __init__(self, memories: list[tuple[str, Place]], *, at_once: bool = False) -> None:
        self._memories = memories
        self._at_once = at_once
        self._waiting = [kind for kind, _ in memories]
        self._shares = sum(map(_share, self._waiting))
        self._used = 0
        self._found: dict[Search, list[list[MemoryEntry]]] = {}
        self._questions: dict[str, str] = {}

    def question(self, query: str, question_of: Callable[[str], str]) -> str:
        """What a query of this prompt asks. Its memories are asked with the same query, one after another."""
        if query not in self._questions:
            self._questions[query] = question_of(query)
        return self._questions[query]

    def beside(self, kind: str, place: Place) -> list[str]:
        """The other kinds that are going to be asked for in the same place."""
        if self._at_once:
            return []
        return [other for other, where in self._memories if other in self._waiting and other != kind and where == place]

    def keep(self, search: Search, found: list[list[MemoryEntry]]) -> None:
        """Keep what was found for a memory that has not been asked yet."""
        self._found[search] = found

    def take(self, search: Search) -> list[list[MemoryEntry]] | None:
        """What was found for this memory already; ``None`` if nobody has asked."""
        return self._found.pop(search, None)

    def of(self, kind: str, budget: int) -> int:
        """The characters for a memory of this kind: what the others have left, but for the shares of those that have
        not been asked yet."""
        if kind in self._waiting:
            self._waiting.remove(kind)
        reserved = budget * sum(map(_share, self._waiting)) // max(self._shares, 1)
        return max(0, budget - self._used - reserved)

    def spend(self, characters: int) -> None:
        self._used += characters


def _share(kind: str) -> int:
    return _SHARES.get(kind, _SHARE)


prompt_budget: Final[ContextVar[PromptBudget | None]] = ContextVar(
    "crewai_persistent_memory_prompt_budget", default=None
)
"""The budget of the prompt that CrewAI until 1.9.3 is building; ``None`` outside of that."""


def install() -> None:
    """Share a budget between the memories of one prompt (until 1.9.3). Idempotent."""
    if is_unified():
        return
    from crewai.memory.contextual.contextual_memory import ContextualMemory  # type: ignore[import-not-found]

    for name, wrap in (("build_context_for_task", _blocking), ("abuild_context_for_task", _awaited)):
        method = vars(ContextualMemory).get(name)
        if method is not None and not hasattr(method, _SHARING):
            sharing = wrap(method)
            setattr(sharing, _SHARING, True)
            setattr(ContextualMemory, name, sharing)


def _blocking(build: Callable[..., str]) -> Callable[..., str]:
    @functools.wraps(build)
    def built(self: Any, *args: Any, **kwargs: Any) -> str:
        with setting(prompt_budget, _budget_of(self)):
            return build(self, *args, **kwargs)

    return built


def _awaited(build: Callable[..., Coroutine[Any, Any, str]]) -> Callable[..., Coroutine[Any, Any, str]]:
    @functools.wraps(build)
    async def built(self: Any, *args: Any, **kwargs: Any) -> str:
        with setting(prompt_budget, _budget_of(self, at_once=True)):
            return await build(self, *args, **kwargs)

    return built


def _budget_of(contextual: Any, *, at_once: bool = False) -> PromptBudget:
    storages: list[Any] = [getattr(getattr(contextual, name, None), "storage", None) for name in ("stm", "em", "exm")]
    ours = [storage for storage in storages if hasattr(storage, "recall_budget")]
    return PromptBudget([(each.kind, place_of(each.store, each.paths)) for each in ours], at_once=at_once)


def place_of(store: MemoryStore, paths: Paths) -> Place:
    """The place of a memory's entries."""
    return Place(id(store), paths)

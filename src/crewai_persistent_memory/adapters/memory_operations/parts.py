"""What a memory consists of, for its operations."""

from __future__ import annotations

from dataclasses import dataclass

from ...entry import DEFAULT_IMPORTANCE, MEMORY
from ...recall.rerank import Reranker
from ...store.base import MemoryStore
from ..llm_pipeline import Pipeline
from ..record_conversion import ResultTypes
from ..scope_views import WHOLE, Paths


@dataclass(frozen=True)
class MemoryParts:
    """One memory, or a view of one, as its operations need it.

    Attributes:
        store: the store handle, bound to the memory's scope.
        source: CrewAI's memory (or storage), the source of events and failures.
        results: the types of the results.
        read_only: save, change and delete nothing.
        touches: whether a recall updates the access times of its results.
        infers: whether the store receives messages and extracts memories itself.
        paths: the paths of the store at which entries are saved and found.
        kind: the kind of entries that :func:`.saving.save` saves and :func:`.searching.search` finds.
        default_importance: importance of an entry without one, 0…1.
        pipeline: CrewAI's LLM flows, if this CrewAI has them.
        budget: the characters that one recall gives; 0: whole texts, no bound.
        min_score: the least score of a memory that is given, 0…1.
        reranker: another order of what was found.
        for_a_prompt: CrewAI is building a prompt: the budget decides how many memories are given, not the limit, and
            each says when it was said.
    """

    store: MemoryStore
    source: object
    results: ResultTypes
    read_only: bool = False
    touches: bool = True
    infers: bool = False
    paths: Paths = WHOLE
    kind: str = MEMORY
    default_importance: float = DEFAULT_IMPORTANCE
    pipeline: Pipeline | None = None
    budget: int = 0
    min_score: float = 0.0
    reranker: Reranker | None = None
    for_a_prompt: bool = False

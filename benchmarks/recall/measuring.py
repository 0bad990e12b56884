"""Store a set, ask its questions, and count."""

from __future__ import annotations

import math
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from crewai_persistent_memory import MemoryEntry, MemoryStore, PersistentMemory, open_store

from .asking import FORMS, WORDINGS, ask_all, refuse_failures
from .cases import Cases, Question, moved_to_now

DEPTHS = (5, 10, 20)

Figures = dict[str, float]


@dataclass(frozen=True)
class Setting:
    """How a store is opened.

    Attributes:
        store: options of the store, and of the memory over it.
        memory: further options of the memory.
        moved: store the memories as if the newest of each user was an hour old.
    """

    store: Mapping[str, Any]
    memory: Mapping[str, Any]
    moved: bool = False


@contextmanager
def stored(cases: Cases, setting: Setting) -> Iterator[tuple[MemoryStore, Path, Figures]]:
    """The set in a new store on disk, with the CPU time of storing it."""
    if setting.moved:
        cases = moved_to_now(cases, datetime.now(timezone.utc).replace(tzinfo=None))
    folder = Path(tempfile.mkdtemp(prefix="memory-recall-"))
    try:
        with open_store(path=folder, project_id="benchmark", **setting.store) as store:
            start = time.process_time()
            for owner in cases.owners:
                store.scoped(user_id=owner.user).put(
                    [
                        MemoryEntry(id=each.key, content=each.text, created_at=each.when, last_accessed=each.when)
                        for each in owner.memories
                    ]
                )
            spent = time.process_time() - start
            characters = sum(len(memory.text) for owner in cases.owners for memory in owner.memories)
            yield store, folder, {"store µs/char": spent * 1e6 / max(characters, 1)}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def bare(cases: Cases, store: MemoryStore) -> Figures:
    """What ``open_store().search`` finds for the questions themselves."""
    recalls: dict[int, list[float]] = {depth: [] for depth in DEPTHS}
    gains, times = [], []
    for owner in cases.owners:
        mine = store.scoped(user_id=owner.user)
        for question in owner.questions:
            start = time.process_time()
            found = [entry.id for entry in mine.search(question.text, limit=max(DEPTHS))]
            times.append(time.process_time() - start)
            for depth in DEPTHS:
                recalls[depth].append(len(question.keys & set(found[:depth])) / len(question.keys))
            gains.append(_ndcg(found[:10], question))
    return {
        **{f"recall@{depth}": _mean(values) for depth, values in recalls.items()},
        "nDCG@10": _mean(gains),
        "search ms": statistics.median(times) * 1000 if times else math.nan,
    }


def _ndcg(found: list[str], question: Question) -> float:
    gain = sum(1 / math.log2(at + 2) for at, key in enumerate(found) if key in question.keys)
    return gain / sum(1 / math.log2(at + 2) for at in range(min(len(question.keys), 10)))


@dataclass
class Asked:
    """Sums over the questions asked in one wording and form."""

    wording: str
    form: str
    shares: list[float]
    characters: list[int]
    in_order: list[bool]

    @property
    def evidence(self) -> float:
        return _mean(self.shares)


def as_a_crew(cases: Cases, memory: PersistentMemory, wordings: Iterable[str] = WORDINGS) -> list[Asked]:
    """The evidence in the agent's prompt, for each wording of the task and each form."""
    rows = []
    for wording in wordings:
        for form in FORMS:
            row = Asked(wording, form, [], [], [])
            for owner in cases.owners:
                texts = [question.text for question in owner.questions]
                blocks = ask_all(memory, owner.user, texts, wording, form)
                for question, block in zip(owner.questions, blocks, strict=True):
                    row.shares.append(share_in(block, question))
                    row.characters.append(len(block))
                    if question.outdated:
                        row.in_order.append(newest_first(block, question))
            rows.append(row)
    return rows


def share_in(block: str, question: Question) -> float:
    """The part of a question's evidence whose text stands in a prompt. Blanks count as one."""
    held = plain(block)
    return sum(plain(each.text) in held for each in question.evidence) / len(question.evidence)


def newest_first(block: str, question: Question) -> bool:
    """Whether the evidence stands in a prompt, and before what was true earlier."""
    held = plain(block)
    at, before = held.find(plain(question.evidence[0].text)), held.find(plain(question.outdated))
    return at >= 0 and (before < 0 or at < before)


def plain(text: str) -> str:
    return " ".join(text.split())


def measure(
    cases: Cases, setting: Setting, sample: int, wordings: Iterable[str] = WORDINGS
) -> tuple[Figures, list[Asked]]:
    """A set in one setting, bare and as a crew asks.

    Args:
        cases: the set.
        setting: how the store is opened.
        sample: about so many questions of the set are asked by a crew; 0: all.
        wordings: of the task.
    """
    with stored(cases, setting) as (store, folder, figures):
        figures |= bare(cases, store)
        options = {**setting.store, **setting.memory}
        with PersistentMemory(path=folder, project_id="benchmark", read_only=True, **options) as memory:
            asked = as_a_crew(cases.sample(sample), memory, wordings)
    refuse_failures()
    return {**figures, **overall(asked)}, asked


def overall(asked: list[Asked]) -> Figures:
    """Over every wording and form."""
    characters = [each for row in asked for each in row.characters]
    in_order = [each for row in asked for each in row.in_order]
    if not characters:
        return {}
    return {
        "evidence": _mean([share for row in asked for share in row.shares]),
        "characters": _mean(characters),
        "most characters": max(characters),
        **({"newest first": _mean(in_order)} if in_order else {}),
    }


def _mean(values: list[Any]) -> float:
    return statistics.fmean(values) if values else math.nan

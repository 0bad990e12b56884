"""What is stored, what is asked, and which texts answer it: one form for every set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from statistics import median
from typing import Final, TypeVar

LONGEST: Final = 700
"""Characters of one passage."""


@dataclass(frozen=True)
class Memory:
    """A text to be stored.

    Attributes:
        key: unique within its owner; evidence refers to it.
        when: naive UTC.
    """

    key: str
    text: str
    when: datetime


@dataclass(frozen=True)
class Evidence:
    """A text that answers a question.

    Attributes:
        key: the memory that holds it.
        text: the part of the memory that has to stand in the prompt.
    """

    key: str
    text: str


@dataclass(frozen=True)
class Question:
    """A question and its evidence.

    Attributes:
        text: the question.
        evidence: the texts that answer it.
        kind: for tables.
        outdated: a text that was true before; it must not stand before the evidence.
    """

    text: str
    evidence: tuple[Evidence, ...]
    kind: str = ""
    outdated: str = ""

    @property
    def keys(self) -> frozenset[str]:
        return frozenset(each.key for each in self.evidence)


@dataclass(frozen=True)
class Owner:
    """One user: what is remembered of it, and what is asked."""

    user: str
    memories: tuple[Memory, ...]
    questions: tuple[Question, ...]


@dataclass(frozen=True)
class Cases:
    """A set: its users, and what it is about."""

    name: str
    about: str
    owners: tuple[Owner, ...] = field(repr=False)

    @property
    def sizes(self) -> tuple[int, int]:
        """The number of memories, and of questions."""
        return sum(len(o.memories) for o in self.owners), sum(len(o.questions) for o in self.owners)

    @property
    def long(self) -> bool:
        """Whether most memories are split into passages."""
        lengths = [len(memory.text) for owner in self.owners for memory in owner.memories]
        return median(lengths) > LONGEST

    def sample(self, most: int) -> Cases:
        """At most about ``most`` questions, as many of each owner and spread evenly; 0: all."""
        if not most:
            return self
        each = -(-most // len(self.owners))
        owners = [replace(o, questions=tuple(_spread(o.questions, each))) for o in _spread(self.owners, most)]
        return replace(self, owners=tuple(owners))

    def half(self, which: int) -> Cases:
        """Every second question: the even ones (0) or the odd ones (1). Of users with one question, every second."""
        if all(len(owner.questions) < 2 for owner in self.owners):
            return replace(self, owners=self.owners[which::2])
        return replace(self, owners=tuple(replace(o, questions=o.questions[which::2]) for o in self.owners))


T = TypeVar("T")


def _spread(items: Sequence[T], most: int) -> list[T]:
    """At most ``most`` of them, evenly."""
    if len(items) <= most:
        return list(items)
    return [items[at * len(items) // most] for at in range(most)]


def moved_to_now(cases: Cases, now: datetime) -> Cases:
    """The same set with the newest memory of each owner an hour old, as in a store that is in use.

    Ranking weighs the age of a memory. Dates of years ago would all weigh nothing.
    """
    owners = []
    for owner in cases.owners:
        shift = now - timedelta(hours=1) - max(memory.when for memory in owner.memories)
        owners.append(replace(owner, memories=tuple(replace(m, when=m.when + shift) for m in owner.memories)))
    return replace(cases, owners=tuple(owners))

"""What is stored, what is asked, and which texts answer it: one form for every set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta


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
    text: str
    evidence: tuple[Evidence, ...]
    kind: str = ""

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

    def sample(self, most: int) -> Cases:
        """At most about ``most`` questions, as many of each owner and spread evenly; 0: all. The memories stay."""
        each = -(-most // len(self.owners))
        return replace(self, owners=tuple(replace(o, questions=tuple(_spread(o.questions, each))) for o in self.owners))

    def half(self, which: int) -> Cases:
        """Every second question: the even ones (0) or the odd ones (1)."""
        return replace(self, owners=tuple(replace(o, questions=o.questions[which::2]) for o in self.owners))


def _spread(questions: Sequence[Question], most: int) -> list[Question]:
    if not most or len(questions) <= most:
        return list(questions)
    return [questions[at * len(questions) // most] for at in range(most)]


def moved_to_now(cases: Cases, now: datetime) -> Cases:
    """The same set with the newest memory of each owner an hour old, as in a store that is in use.

    Ranking weighs the age of a memory. Dates of years ago would all weigh nothing.
    """
    owners = []
    for owner in cases.owners:
        shift = now - timedelta(hours=1) - max(memory.when for memory in owner.memories)
        owners.append(replace(owner, memories=tuple(replace(m, when=m.when + shift) for m in owner.memories)))
    return replace(cases, owners=tuple(owners))

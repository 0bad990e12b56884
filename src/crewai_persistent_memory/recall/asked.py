"""What is asked, as statements are compared with it."""

from __future__ import annotations

from functools import cached_property
from operator import itemgetter
from typing import Final

from .long_texts import told_of
from .looks import marks_in, names_in
from .marks import marks_of
from .relations import RELATIONS, STOP
from .statements import Statement, statement
from .stems import stem

_MOST_SENTENCES: Final = 3
_place: Final = itemgetter(1)


class Asked:
    """What is asked, as statements are compared with it.

    Only what tells most pairs of statements apart is made at once: of most questions nothing else is needed.

    Attributes:
        text: the question.
        names: its words that are names.
        name_stems: their stems.
        marks: a bit for each of its stems, see :func:`.marks.marks_of`.
        subject_marks: the same, with its names.
    """

    def __init__(self, query: str) -> None:
        self.text = query
        self.marks = marks_in(query)
        self.names = names_in(query)
        self.name_stems = set(map(stem, self.names))
        self.subject_marks = self.marks | marks_of(self.name_stems)

    @cached_property
    def whole(self) -> Statement:
        return statement(self.text)

    @cached_property
    def stems(self) -> frozenset[str]:
        return self.whole.stems

    @cached_property
    def relations(self) -> frozenset[str]:
        return self.whole.relations

    @cached_property
    def topic(self) -> set[str]:
        """Its stems without those of relations."""
        return set(map(stem, self.whole.set - STOP - RELATIONS.keys()))

    def told_in(self, text: str) -> list[str]:
        """The sentences of a long text that have most words of the question, in their order."""
        told = told_of(text)
        scored = []
        for at in told.sentences_with(self.stems):
            if common := (told.marks(at) & self.marks).bit_count():
                scored.append((-common, at))
        best = sorted(scored)[:_MOST_SENTENCES]
        return [told.sentences[at] for at in sorted(map(_place, best))]

    def subject_of(self, older: Statement, newer: Statement) -> set[str] | None:
        """The stems of the subject that the question and both statements have; ``None`` if there is none."""
        common = self.name_stems & older.stems & newer.stems
        if common:
            return common
        own = (self.whole.is_about_itself, older.is_about_itself, newer.is_about_itself)
        if all(own) or (all(own[1:]) and not self.names):
            return set()
        if self.names and any(name in older.stems or name in newer.stems for name in self.name_stems):
            return None
        return set(self.stems & older.stems & newer.stems) or None

"""Unanswered requests that state only what a newer one states too: they go behind, as what states nothing does.

A program that writes the question into a text of its own ("The shop ships on Mondays. Question: ...") has the same
sentences in the record of each task, and no template tells them from the question. A fact that a user states with
several questions is the same: the newest of these requests tells it, at its own place.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from ..text.kept import Kept
from .asking import LONGEST_REQUEST, asks, sentences_of
from .empty import LONGEST_ANSWER, RESULT, is_no_answer
from .found import Found

_LONGEST: Final = LONGEST_REQUEST + LONGEST_ANSWER
_TAG: Final = re.compile(r"</?[A-Za-z][\w-]*>")


def last_what_is_told_again(found: Sequence[Found]) -> list[Found]:
    """The entries; behind those that state something, the unanswered requests whose statements stand in newer ones.

    Args:
        found: the entries, those that state nothing behind the others.
    """
    told = [(each.entry.created_at, at) for at, each in enumerate(found) if not each.is_empty and _told_by(each)]
    if len(told) < 2:
        return list(found)
    known: set[str] = set()
    again: set[int] = set()
    for _, at in sorted(told, reverse=True):
        statements = _told_by(found[at])
        if statements <= known:
            again.add(at)
        known |= statements
    if not again:
        return list(found)
    stated = [each for at, each in enumerate(found) if not each.is_empty and at not in again]
    repeated = [found[at]._replace(is_empty=True) for at in sorted(again)]
    return [*stated, *repeated, *(each for each in found if each.is_empty)]


def _told_by(found: Found) -> frozenset[str]:
    text = found.entry.content
    return _told[text] if len(text) <= _LONGEST and RESULT in text else frozenset()


def _statements(content: str) -> frozenset[str]:
    """The sentences of an unanswered request that do not ask; none, if there is an answer."""
    request, _, answer = content.partition(RESULT)
    if not is_no_answer(answer, request):
        return frozenset()
    sentences = sentences_of(_TAG.sub("\n", request))
    return frozenset(" ".join(each.split()) for each in sentences if not asks(each.replace("’", "'")))


_told: Final = Kept(_statements, 4_000_000)

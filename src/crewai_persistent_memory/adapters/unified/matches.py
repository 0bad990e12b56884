"""A match of CrewAI >= 1.10 whose text in a prompt has a bound.

CrewAI writes all of a record's metadata into the prompt, whatever its size (1.10.1 to 1.15.30).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from crewai.memory.types import MemoryMatch

from ...entry import MemoryEntry
from ...transfer.sources import MARKS

MOST_DETAILS: Final = 300
"""Characters of categories and metadata that are shown with one memory."""

_BEGINNING: Final = "- (score="
_NO_BEGINNING: Final = "* (score="
_LEAD: Final = len("- (score=0.00) \n")


class BoundedMatch(MemoryMatch):
    """A match as CrewAI's, which shows at most :data:`MOST_DETAILS` characters of categories and metadata."""

    def format(self) -> str:
        """This match as lines of a prompt."""
        # A text must not look like several memories. The length stays, which the budget counts.
        content = self.record.content.replace(f"\n{_BEGINNING}", f"\n{_NO_BEGINNING}")
        lead = f"{_BEGINNING}{self.score:.2f}) {content}"
        return lead + _details(self.record.categories, self.record.metadata)


def around(entries: Sequence[MemoryEntry]) -> list[int]:
    """The number of characters that :meth:`BoundedMatch.format` puts around the content of each entry."""
    lengths = []
    for each in entries:
        details = len(_details(each.categories, each.metadata)) if each.categories or each.metadata else 0
        lengths.append(_LEAD + details)
    return lengths


def _details(categories: Sequence[str], metadata: Mapping[str, Any]) -> str:
    shown = ""
    for line in _lines(categories, metadata):
        if len(shown) + len(line) > MOST_DETAILS:
            return f"{shown}{line}"[: MOST_DETAILS - 1] + "…"
        shown += line
    return shown


def _lines(categories: Sequence[str], metadata: Mapping[str, Any]) -> Iterator[str]:
    if categories:
        yield f"\n  categories: {', '.join(categories)}"
    for key, value in metadata.items():
        if value is not None and key not in MARKS:
            yield f"\n  {key}: {value}"

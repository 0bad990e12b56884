"""Ask every question in one setting after the other, and count what was found."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean, median
from typing import TYPE_CHECKING, Any, Final

from ...errors import ConfigurationError
from ...text.normal_form import normal_form
from ...text.passages import passages_of
from ..output import one_line
from ..short_ids import named
from .questions import Question

if TYPE_CHECKING:
    from ...entry import MemoryEntry
    from ...store.base import MemoryStore

DEPTHS: Final = (5, 10)

CHARACTERS_PER_TOKEN: Final = 4
"""An estimate, for English. Other languages have fewer."""

TEMPLATES: Final = (
    "{question}",
    "A message of the user has come in. Read it with care, find out what the user wants to know, and write a friendly "
    "answer of at most five sentences. Message: {question} Do not invent anything: if you do not know the answer, say "
    "so.",
)
"""The descriptions of the tasks in which the questions are asked, unless others are given."""


@dataclass(frozen=True)
class Wanted:
    """A question, with the entries and words that should be found."""

    question: str
    entries: tuple[MemoryEntry, ...]
    words: tuple[str, ...]

    def found_in(self, entries: Sequence[MemoryEntry]) -> float:
        """The part of it that these entries have, 0…1."""
        ids = {entry.id for entry in entries}
        texts = [plain(entry.content) for entry in entries]
        return self._share([e.id in ids for e in self.entries] + [_stands(word, texts) for word in self.words])

    def stands_in(self, prompt: str) -> float:
        """The part of it that stands in a prompt, 0…1. Of an entry, one passage is enough."""
        texts = [plain(prompt)]
        return self._share(
            [any(_stands(part, texts) for part in _parts_of(entry.content)) for entry in self.entries]
            + [_stands(word, texts) for word in self.words]
        )

    @staticmethod
    def _share(found: list[bool]) -> float:
        return sum(found) / len(found)


@dataclass(frozen=True)
class Setting:
    """How the questions are asked.

    Attributes:
        name: for the table.
        options: of ``PersistentMemory``.
        by_words: without the store's embedder.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    by_words: bool = False


@dataclass(frozen=True)
class Figures:
    """The result in one setting. Shares are 0…1, means over all questions and tasks.

    Attributes:
        setting: its name.
        found: by depth, the part of what should be found in so many results of a search for the question alone.
        in_prompt: the part of what should be found that stands in the agent's prompt.
        characters: of memory in the prompt.
        most_characters: the most in one prompt.
        search_ms: the median time of a search, CPU.
    """

    setting: str
    found: dict[int, float]
    in_prompt: float
    characters: float
    most_characters: int
    search_ms: float

    @property
    def tokens(self) -> float:
        return self.characters / CHARACTERS_PER_TOKEN

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "tokens": self.tokens}


def wanted_of(store: MemoryStore, questions: Iterable[Question]) -> list[Wanted]:
    """The questions with their entries.

    Raises:
        ConfigurationError: an id is no entry of this scope, or is the short id of several.
    """
    by_name: dict[str, str] | None = None
    found = []
    for question in questions:
        entries = []
        for given in question.ids:
            entry = store.get(given)
            if entry is None:
                if by_name is None:
                    by_name = {one_line(each.id): each.id for each in store.scan(page_size=1_000)}
                try:
                    name = named(given, list(by_name))
                except ConfigurationError as error:
                    raise ConfigurationError(f"{question.where}, field ids: {error}") from None
                entry = None if name is None else store.get(by_name[name])
            if entry is None:
                raise ConfigurationError(
                    f"{question.where}, field ids: no entry of this scope has the id {one_line(given)!r}"
                )
            entries.append(entry)
        found.append(Wanted(question.text, tuple(entries), question.words))
    return found


def measure(
    store: MemoryStore,
    wanted: Sequence[Wanted],
    templates: Sequence[str],
    setting: Setting,
    progress: Callable[[int], None] = lambda count: None,
) -> Figures:
    """Search for each question, and let a crew ask it in each task. Nothing is written, access times neither.

    Args:
        store: with the memories.
        wanted: the questions.
        templates: descriptions of tasks.
        setting: how they are asked.
        progress: is told how many tasks the crew has done.

    Raises:
        StoreError, EmbedderError, ConfigurationError: a search failed.
    """
    from ...adapters.memory import PersistentMemory
    from .asking import prompts

    found: dict[int, list[float]] = {depth: [] for depth in DEPTHS}
    times = []
    for each in wanted:
        start = time.process_time()
        entries = store.search(each.question, limit=max(DEPTHS))
        times.append(time.process_time() - start)
        for depth in DEPTHS:
            found[depth].append(each.found_in(entries[:depth]))
    memory = PersistentMemory(store=store, read_only=True, on_error="raise", **setting.options)
    shares, lengths = [], []
    for template in templates:
        texts = prompts(memory, template, [each.question for each in wanted])
        for each, prompt in zip(wanted, texts, strict=True):
            shares.append(each.stands_in(prompt))
            lengths.append(len(prompt))
            progress(len(lengths))
    return Figures(
        setting.name,
        {depth: fmean(values) for depth, values in found.items()},
        fmean(shares),
        fmean(lengths),
        max(lengths),
        median(times) * 1000,
    )


def plain(text: str) -> str:
    """A text for comparing: the normal form, without regard to case, and each run of blanks as one."""
    return " ".join(normal_form(text).casefold().split())


def _stands(part: str, texts: Sequence[str]) -> bool:
    return any(plain(part) in text for text in texts)


def _parts_of(text: str) -> list[str]:
    return [text[passage.start : passage.end] for passage in passages_of(text)]

"""Facts that change, and pairs that both stay true, made from templates (``changing_facts.json``).

Each case is a question and two statements, with distractors about the same and other subjects said between them and
after them. One half is for choosing rules, the other one, with other relations and phrasings, for checking them.
"""

from __future__ import annotations

import itertools
import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_TEMPLATES: Final = Path(__file__).with_suffix(".json")
CASES: Final = 200


@dataclass(frozen=True)
class Case:
    """A question and what was said, oldest first.

    Attributes:
        question: what is asked.
        older: the earlier of the two statements.
        newer: the later one.
        said: all statements in the order in which they were said, the two among them.
    """

    question: str
    older: str
    newer: str
    said: tuple[str, ...]


def changing(half: str, cases: int = CASES) -> list[Case]:
    """Cases in which the later statement takes the place of the earlier one.

    Args:
        half: ``"choosing"`` or ``"held_out"``.
        cases: how many.
    """
    templates = _templates()
    chance = random.Random(half)
    made = []
    combined = [
        (relation, *each)
        for relation in templates[half]
        for each in itertools.product(relation["q"], relation["old"], relation["new"])
    ]
    chance.shuffle(combined)
    for relation, question, old, new in itertools.islice(itertools.cycle(combined), cases):
        first, second = chance.sample(relation["values"], 2)
        made.append(_case(templates, chance, question, old, new, first, second))
    return made


def both_true(half: str, cases: int = CASES) -> list[Case]:
    """Cases in which both statements stay true; the earlier one answers the question."""
    templates = _templates()
    chance = random.Random(half)
    pairs = itertools.cycle(templates["both_true"][half])
    cities = ["Paris", "Rome", "Oslo", "Lisbon", "Vienna", "Dublin"]
    return [_case(templates, chance, *pair, *chance.sample(cities, 2)) for pair in itertools.islice(pairs, cases)]


def _case(templates: Any, chance: random.Random, question: str, old: str, new: str, first: str, second: str) -> Case:
    name, *others = chance.sample(templates["names"], 6)
    question, old, new = (text.format(n=name, a=first, b=second) for text in (question, old, new))
    own = [text.format(n=name) for text in chance.sample(templates["distractors"], 5)]
    foreign = [text.format(n=chance.choice(others)) for text in chance.sample(templates["distractors"], 5)]
    around = own + foreign
    chance.shuffle(around)
    said = (*around[:3], old, *around[3:7], new, *around[7:])
    return Case(question, old, new, said)


def _templates() -> Any:
    return json.loads(_TEMPLATES.read_text(encoding="utf-8"))

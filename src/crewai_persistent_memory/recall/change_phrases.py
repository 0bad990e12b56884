"""Phrases that tell of a change: "no longer", "was moved to"."""

from __future__ import annotations

import re
from typing import Final

_PHRASE: Final = re.compile(
    r"\b(?:these days|no longer|any ?more|as of|from (?:now|today|tonight|tomorrow|next|this|\d{4})"
    r"|put\b.{1,30}\bback|(?:bring|brought|push|pushed)\b.{1,30}\b(?:forward|back)"
    r"|ha[sd] been(?! to\b)|t(?:akes?|aken|ook) (?:over|up)|(?:passed|handed|went|gone) (?:on |over )?to"
    r"|called off|g[ai]ven? up|up to|down to|anstelle von|ab sofort)\b",
    re.IGNORECASE,
)
_BECAME: Final = re.compile(
    r"\b(?:was|were|been|got|wurden?) \w+(?:ed|en|wn) (?:back |over |up |down )?(?:in)?to\b",
)
_OPENING: Final = """
    these no any anymore as from put bring brought push pushed has had take takes taken took passed handed went gone
    called give given gave gaven up down anstelle ab was were been got wurde wurden
"""
_OPENING_WORDS: Final = frozenset(_OPENING.split())
_PARTS: Final = re.compile("[-'’]")


def may_open(written: str) -> bool:
    """Whether a phrase of a change may begin in a word. If it does in no word of a text, the text has none."""
    return not _OPENING_WORDS.isdisjoint(_PARTS.split(written.lower()))


def tells_a_change(text: str) -> bool:
    return changes_to(text) or bool(_PHRASE.search(text))


def changes_to(text: str) -> bool:
    """Whether a text says what became of its subject: "was moved to Oslo"."""
    return bool(_BECAME.search(text))

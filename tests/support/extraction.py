"""The script of an LLM that extracts memories: what it keeps, and what it finds not worth it."""

from __future__ import annotations

import re

_WORTH = re.compile(r"\b(allerg\w+|lives? in|likes?|prefers?|hates?|secret|moved|recommended|code-\w+)\b", re.I)


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]{4,}", text.lower().replace("_", " ")))


def facts_in(text: str, includes: str = "", excludes: str = "") -> list[str]:
    """Sentences with something lasting in them (the nut allergy is kept, the rain is not)."""
    sentences = [each.strip() for each in re.split(r"(?<=[.!?])\s+|\n", text) if each.strip()]
    wanted, unwanted = words(includes), words(excludes)
    return [
        each.rstrip(".!")
        for each in sentences
        if (_WORTH.search(each) or words(each) & wanted) and not words(each) & unwanted
    ]

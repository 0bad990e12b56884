"""How many pairs of facts come in the right order: ``python -m benchmarks.recall.pairs``.

Of facts that changed the newer one must come first, whatever the scores are; of two that both stay true, the one that
was found first. A pair is given as a search finds it: the older one, which has more words of the question, first.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from crewai_persistent_memory import MemoryEntry
from crewai_persistent_memory.recall.found import Found
from crewai_persistent_memory.recall.what_holds import newest_first

_SETS: Final = Path(__file__).with_name("sets")
_FIRST_DAY: Final = datetime(2026, 3, 1)
_PARTS: Final = {
    "own": "written for this project; most served to choose the rules",
    "choosing": "by four other writers; served to choose the rules",
    "look_alikes": "by a fifth one, whose later facts look alike; 0.78 and 0.79 before anybody looked at them",
    "free_words": 'by a sixth writer, in words of no pattern ("Payroll sits with Declan."), not looked at',
}

_HEAD: Final = """## What holds now

Of two statements about the same subject, which comes first: the newer one, if it says another value; else the one that
was found first. Only the words of both and of the question decide, on every store. With an embedder the newer one is
found more often; which comes first is decided in the same way. `python -m benchmarks.recall.pairs` prints this table,
and a test compares it.

| pairs | changed | newest first | both true | order kept |
| --- | ---: | ---: | ---: | ---: |"""


def in_order(question: str, older: str, newer: str, *, changed: bool) -> bool:
    """Whether two statements come in the right order for a question."""
    found = [
        Found(MemoryEntry(id=str(at), content=text, created_at=_FIRST_DAY + timedelta(days=40 * at)), 0.9 - at / 100)
        for at, text in enumerate((older, newer))
    ]
    return (newest_first(found, question)[0].entry.content == newer) is changed


@lru_cache(maxsize=1)
def shares() -> dict[str, tuple[int, float, int, float]]:
    """By part: the pairs that changed, the share of them in the right order, and the same of those that stay true."""
    sets: dict[str, Any] = json.loads((_SETS / "pairs_by_others.json").read_text(encoding="utf-8"))
    sets["own"] = json.loads((_SETS / "pairs.json").read_text(encoding="utf-8"))
    table = {}
    for part in _PARTS:
        row: list[Any] = []
        for kind, changed in (("changing", True), ("both_true", False)):
            pairs = sets[part][kind]
            row += [len(pairs), sum(in_order(*pair, changed=changed) for pair in pairs) / len(pairs)]
        table[part] = (row[0], row[1], row[2], row[3])
    return table


def section() -> str:
    """The section of ``docs/recall.md``."""
    rows = [
        f"| {_PARTS[part]} | {changed} | {first:.2f} | {both} | {kept:.2f} |"
        for part, (changed, first, both, kept) in shares().items()
    ]
    return "\n".join([_HEAD, *rows, ""])


def main() -> None:
    print(section())


if __name__ == "__main__":
    main()

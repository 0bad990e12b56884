"""Words without their endings: two forms of one word mostly have the same stem."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from ..text.kept import kept_calls

_ENDINGS: Final = ((("ies", "s"), 3), (("ing", "en", "er", "ed"), 3), (("e", "y", "t", "n"), 4), (("e",), 3))


def _stem(word: str) -> str:
    """A word without its endings, cheaply; two forms of one word mostly have the same."""
    for endings, least in _ENDINGS:
        for ending in endings:
            if word.endswith(ending) and len(word) - len(ending) >= least:
                word = word[: -len(ending)]
                break
    if len(word) > 3 and word[-1] == word[-2]:
        word = word[:-1]
    return word[:9]


stem: Final = kept_calls(_stem, 8_192)


def have_one(stems: Collection[str], some: Collection[str]) -> bool:
    """Whether there is one of these stems, or the beginning of one: "insured", "insurance"."""
    return any(each in stems for each in some) or any(
        (len(one) > 4 and each.startswith(one)) or (len(each) > 4 and one.startswith(each))
        for each in some
        for one in stems
    )


def have(stems: Collection[str], one: str) -> bool:
    """Whether there is this stem, or one that begins with it: "deploy", "deployment"."""
    return one in stems or (len(one) > 4 and any(each.startswith(one) for each in stems))

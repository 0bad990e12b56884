"""Signs that tell something: "C#", "-18", "50 €", "✅". Punctuation and Markdown tell nothing."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from ..text.kept import kept_calls

_UNTOLD: Final = (
    r"\s.,;:!…\"'‘’‚“”„«»‹›`´()\[\]{}<>*_|~^/\\#¿¡•·。、，；：！「」『』《》（）【】‐‑‒–—―\-"
    r"\u00ad\u200b-\u200f\u2060\ufe0e\ufe0f\ufeff"
)
WORD_OR_SIGN: Final = re.compile(
    rf"[^\W_]+|(?<=\w)#|(?<![\w-])-(?=\d)|[<>](?=\s?\d)|(?<=\d)[/:](?=\d)|~~|[^\w{_UNTOLD}]"
)
"""A word, a number, or a sign that tells something."""

OF_NUMBERS: Final = frozenset("+-<>/:")
"""Signs before a number, or inside of one."""


MAY_BE_MIXED: Final = re.compile(r"[a-zß-öø-ÿ][A-ZÀ-ÖØ-Þ]")
"""A text without it has no word that :func:`is_mixed`."""
_MIXED: Final = re.compile(rf"[^\W_]*{MAY_BE_MIXED.pattern}")


def is_mixed(word: str) -> bool:
    """Whether the case of a word tells something, as in "apiKey": a small letter stands before a capital."""
    return not (word.islower() or word.isupper()) and _MIXED.match(word) is not None


class _Signs(NamedTuple):
    """The signs of a text.

    Attributes:
        words: all its words, in lower case.
        of_words: the signs of a word or a number: "#" of "C#", "-" of "-18", "€" of "50 €" and of "€50".
        pictures: signs beside a word that is no number, in their order: "✅".
    """

    words: frozenset[str]
    of_words: dict[str, str]
    pictures: str


def differ_in_signs(one: str, other: str) -> bool:
    """Whether a word or a number that both texts have has another sign in each, or both have pictures, and others."""
    first, second = _signs_of(one), _signs_of(other)
    if first.pictures and second.pictures and first.pictures != second.pictures:
        return True
    return any(
        first.of_words.get(word) != second.of_words.get(word)
        for word in first.of_words.keys() | second.of_words.keys()
        if word in first.words and word in second.words
    )


def _signs_in(text: str) -> _Signs:
    text = text.lower()
    tokens = list(WORD_OR_SIGN.finditer(text))
    words = frozenset(token[0] for token in tokens if token[0].isalnum())
    of_words: dict[str, str] = {}
    pictures = ""
    for at, token in enumerate(tokens):
        sign = token[0]
        if sign.isalnum() or sign == "?":
            continue
        before = tokens[at - 1][0] if at else ""
        after = tokens[at + 1][0] if at + 1 < len(tokens) else ""
        is_joined = token.start() > 0 and text[token.start() - 1] == sign  # the second "+" of "C++"
        if (at and tokens[at - 1].end() == token.start() and before.isalnum()) or (is_joined and before == sign):
            own = next((each[0] for each in reversed(tokens[:at]) if each[0].isalnum()), "")
        elif after[:1].isdigit():
            own = after
        elif before[:1].isdigit():
            own = before
        else:
            pictures += sign
            continue
        of_words[own] = of_words.get(own, "") + sign
    return _Signs(words, of_words, pictures)


_signs_of: Final = kept_calls(_signs_in, 4_096)

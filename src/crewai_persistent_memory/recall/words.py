"""Which words of a query a passage has: cheap enough for every passage of every entry that a search found.

It is done here, on the entries that were found, and asks no engine. Words are compared in lower case and without
accents. Of a long word only the beginning counts, in place of a stemmer; a number or a code is compared whole.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from string import ascii_lowercase
from typing import Final

from ..text.words import SPACED, UNSPACED, for_query

MOST_WORDS: Final = 32
"""Words of a query that are looked for. Of a longer query, those at its beginning and at its end."""

_MOST_QUERY: Final = 8_000
_STEM: Final = 6
_WHOLE: Final = 3
"""Letters. A word of so few is compared whole."""

_WORD: Final = re.compile(r"[^\W_]+")
_BETWEEN: Final = re.compile(r"[\W_]+")
_OTHER: Final = UNSPACED + SPACED
_BESIDE: Final = re.compile(f"(?<=[a-z0-9])(?=[{_OTHER}])|(?<=[{_OTHER}])(?=[a-z0-9])")
"""Between a Latin word and a character of a script that writes none apart from it."""
_ACCENTS: Final = re.compile("[\u0300-\u036f]+")
_ASCII: Final = bytes(ord(chr(code).lower() if code < 128 and chr(code).isalnum() else " ") for code in range(256))
"""Letters in lower case, digits, and blanks for all else."""

_ASCII_LINES: Final = _ASCII[:10] + b"\n" + _ASCII[11:]
_DIGITS: Final = bytes.maketrans(b"123456789", b"000000000")

_COMMON: Final = """
    a about after all also am an and any are as at be because been before being but by can could did do does doing done
    down each else for from get give go had has have having he her here hers him his how i if in into is it its just let
    many may me might more most much must my no not now of off on one only or other our out over please said say says
    she should so some such than that the their them then there these they this those to too under until up us very was
    we were what when where which while who whom whose why will with would you your yours
"""
_STOP_WORDS: Final = frozenset(_COMMON.split())


class QueryWords:
    """The words of a query that say something.

    Args:
        query: what is asked.
    """

    def __init__(self, query: str) -> None:
        query = asked_by(query)
        words = _telling(_plain(query))
        self.terms = tuple(map(_term, words))
        forms = {_beginning(word): at for at, word in enumerate(words)}
        if not query.isascii():
            # As they are written, with accents: a long text is looked through without a normal form.
            forms |= {_beginning(word): at for at, word in enumerate(_telling(query.lower())) if at < len(words)}
        self._forms = tuple(forms.items())
        self._numbered = tuple(enumerate(self.terms))

    def __len__(self) -> int:
        return len(self.terms)

    def found_in(self, passage: str) -> list[int]:
        """The numbers of the words that the passage has."""
        return self.in_index(index_of(passage))

    def in_index(self, index: str) -> list[int]:
        """The numbers of the words that a passage has, by its :func:`index_of`."""
        return [at for at, term in self._numbered if term in index]

    def roughly_in(self, passage: str) -> list[int]:
        """The same, in a fifth of the time where the passage is not ASCII, and with words inside of words."""
        if passage.isascii():
            return self.found_in(passage)
        return self.in_lower_case(passage.lower())

    def in_lower_case(self, low: str) -> list[int]:
        """The numbers of the words that are anywhere in a text in lower case."""
        return list({at: at for form, at in self._forms if form in low})


def index_of(passage: str) -> str:
    """The words of a passage, as a query's words are compared with them."""
    return f" {_plain(passage)} "


def indexes_of(lines: Sequence[str]) -> list[str]:
    """:func:`index_of` of each of these texts, which have no line break."""
    joined = "\n".join(lines)
    if not lines or not joined.isascii():
        return list(map(index_of, lines))
    return [f" {line} " for line in joined.encode().translate(_ASCII_LINES).decode().split("\n")]


def with_zeros(text: str) -> str:
    """The text with every digit as a zero."""
    if text.isascii():
        return text.encode().translate(_DIGITS).decode()
    # Not str.translate(), which takes 70 ms for a megabyte, and keeps the interpreter's lock.
    for digit in "123456789":
        text = text.replace(digit, "0")
    return text


def asked_by(query: str) -> str:
    """The part of a query whose words are compared: of a long one its beginning and its end."""
    half = _MOST_QUERY // 2
    return query if len(query) <= _MOST_QUERY else f"{query[:half]} {query[-half:]}"


def _telling(query: str) -> list[str]:
    """The words of a query that say something, each once."""
    words = list(dict.fromkeys(_WORD.findall(for_query(query))))
    telling = [word for word in words if word not in _STOP_WORDS and word not in ascii_lowercase] or words
    if len(telling) > MOST_WORDS:
        telling = telling[: MOST_WORDS // 2] + telling[-MOST_WORDS // 2 :]
    return telling


def _term(word: str) -> str:
    """A word as it stands in a text with one blank between words."""
    if not word.isascii() and for_query(word) != word:
        return word  # a group of characters, of a script without blanks
    return f" {word} " if len(word) <= _WHOLE or _has_digit(word) else f" {word[:_STEM]}"


def _beginning(word: str) -> str:
    """What of a word is looked for: all of a number or a code, whose last digits make the difference."""
    return word if _has_digit(word) else word[:_STEM]


def _has_digit(word: str) -> bool:
    return any(map(str.isdigit, word))


def _plain(text: str) -> str:
    """A text in lower case, without accents, with one or more blanks between words."""
    if text.isascii():
        return text.encode().translate(_ASCII).decode()
    plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", text)).lower()
    return _BETWEEN.sub(" ", _BESIDE.sub(" ", plain))

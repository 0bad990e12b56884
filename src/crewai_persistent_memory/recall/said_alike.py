"""Short texts that say the same: the same words and signs in the same order, apart from what leads in.

"Summary: John likes tea.", "Hi team, John likes tea!" and "John likes tea" say the same. Every other word tells, an
article too ("a few", "few"): what is taken for a repetition is not given, and may be a fact.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Final
from unicodedata import normalize

from .signs import MAY_BE_MIXED, WORD_OR_SIGN, is_mixed

_LEADS_IN: Final = re.compile(
    r"(?:(?:summary|final answer|note|noted|fyi|heads[- ]up|reminder|key finding|zusammenfassung|hinweis|notiz|résumé"
    r"|réponse finale|resumen|respuesta final|nota)\*{0,2}:"
    r"|(?:hi|hello|hey)[,!.]|(?:hi|hello|hey|dear) (?:all|team|everyone|everybody|colleagues|there)[,!]"
    r"|(?:hallo|liebe) (?:zusammen|alle|kollegen)[,!]|(?:hallo|bonjour|hola)[,!.]|bonjour à tous[,!]|hola a todos[,!]"
    r"|good (?:morning|afternoon|evening)(?: (?:all|team|everyone))?[,!.]|guten (?:morgen|tag|abend)[,!.]"
    r"|buenos días[,!.:]|please note that\b|(?:to sum up|in short|as requested|for your information|by the way|btw),"
    r"|(?:according to|based on) (?:the|my|our) (?:memory|memories|notes|records?|context),"
    r"|the answer to your question is:?"
    r")",
    re.IGNORECASE,
)
_MARKS: Final = " \t\r\n*_#"
_LEAST_LEFT: Final = 3
"""Words that must be left of a text: "Note: yes" is no "yes"."""

_MOST_LEADS: Final = 3

_SHORT: Final = tuple(
    (re.compile(short, re.IGNORECASE), whole)
    for short, whole in (
        (r"\bcan't\b|\bcannot\b", "can not"),
        (r"\bwon't\b", "will not"),
        (r"n't\b", " not"),
        (r"\bi'm\b", "i am"),
        (r"'ll\b", " will"),
        (r"'ve\b", " have"),
        (r"'re\b", " are"),
    )
)


_JOINED: Final = re.compile(r"[^\W_]+(?:[-._/\\@]+[^\W_]+)+")
"""Words with signs between them, and no blank: an address, a path, a name in code, a range; "co-operate" too."""
_JOINS: Final = re.compile(r"[._/\\@\d]")
_SIGN_OF_CODE: Final = re.compile(r"(?<![\w!])!(?=\w)|(?<!~)~(?=\d)|(?<=\S )--?(?=[a-z])|(?<=(?<!\w)[A-Z])-(?![\w-])")
"""Of "!ready", "~5", "rm -r", and of the grade "A-"."""
_BETWEEN_WORDS: Final = "-_/\\@"
_OF_CODE: Final = "!~-"
_SHORTENED: Final = frozenset(["t", "not", "cannot", "m", "am", "ll", "will", "ve", "have", "re", "are"])
"""Last words that may be those of one form: "I don't", "I do not"."""

_END: Final = 32


def ending_of(text: str) -> str:
    """The last word or sign of a text. Texts that say the same have the same, and it is found in a tenth of the
    time."""
    end = text[-_END:]
    words = WORD_OR_SIGN.findall(end if end.isascii() else normalize("NFC", end))
    if len(words) <= 1 and len(text) > _END:
        words = WORD_OR_SIGN.findall(normalize("NFC", text))  # the last word may begin before
    last: str = words[-1].lower() if words else ""
    return "" if last in _SHORTENED else last


def form_of(text: str) -> str:
    """The words and signs of a short text in one form. Texts with the same form say the same."""
    text = _without_leads(normalize("NFC", text).replace("’", "'"))
    if "'" in text or "cannot" in text.lower():
        for short, whole in _SHORT:
            text = short.sub(whole, text)
    # "aBc12" and "aBc" are codes. Most texts have neither these nor what follows, and are looked through once.
    words = WORD_OR_SIGN.findall(text)
    if MAY_BE_MIXED.search(text):
        words = [word.lower() if word.isalpha() and not is_mixed(word) else word for word in words]
    else:
        words = [word.lower() if word.isalpha() else word for word in words]
    if any(map(text.__contains__, _BETWEEN_WORDS)) or _has_an_inner_dot(text):
        # "anna.berg@x.io" is not "anna-berg@x.io", while "check-in" is "check in".
        words += [each.lower() for each in _JOINED.findall(text) if _JOINS.search(each)]
    if any(map(text.__contains__, _OF_CODE)):
        words += _SIGN_OF_CODE.findall(text)
    return " ".join(words) or text


def _has_an_inner_dot(text: str) -> bool:
    return text.count(".") > text.count(". ") + text.count(".\n") + text.endswith(".")


def key_of(text: str) -> int:
    """A number for :func:`form_of`: of 128 bits, so that no two forms have the same."""
    form = form_of(text).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(form, digest_size=16).digest(), "big")


def _without_leads(text: str) -> str:
    left = text
    for _ in range(_MOST_LEADS):
        start = left.lstrip(_MARKS)
        lead = _LEADS_IN.match(start)
        if lead is None or len(start[lead.end() :].split(maxsplit=_LEAST_LEFT)) < _LEAST_LEFT:
            break
        left = start[lead.end() :]
    return left

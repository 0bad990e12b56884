"""Short texts that say the same: apart from what leads in, from articles, and from how money and units are written.

"Summary: The user likes tea.", "user likes tea", and "The user likes tea. Thanks!" say the same. Every other word,
number and sign tells, and so does its place: what is taken for a repetition is not given, and may be a fact.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Final
from unicodedata import normalize

from .signs import WORD_OR_SIGN

_LEADS_IN: Final = re.compile(
    r"(?:(?:summary|final answer|note|noted|fyi|heads[- ]up|reminder|key finding|zusammenfassung|hinweis|notiz|résumé"
    r"|réponse finale|resumen|respuesta final|nota)\*{0,2}:"
    r"|(?:hi|hello|hey|dear)(?: (?:all|team|everyone|everybody|colleagues|there))?[,!]"
    r"|(?:hallo|liebe)(?: (?:zusammen|alle|team|kollegen))?[,!]|(?:bonjour|hola)(?: (?:à tous|a todos))?[,!]"
    r"|good (?:morning|afternoon|evening)(?: (?:all|team|everyone))?[,!.]|guten (?:morgen|tag|abend)[,!.]"
    r"|buenos días[,!.:]|please note that\b|just so you know,|sure[!,]"
    r"|(?:to sum up|in short|as requested|for your information|by the way|btw),"
    r"|(?:according to|based on) (?:the|my|our) (?:memory|memories|notes|records?|context),"
    r"|the answer to your question is:?"
    r")",
    re.IGNORECASE,
)
_MARKS: Final = " \t\r\n*_#>\"'“”„"
_LEADS_OUT: Final = re.compile(
    r"(?<=[.!?])\s(?:thanks(?: a lot| in advance)?|thank you(?: very much)?|danke(?: schön)?|merci|gracias|saludos)"
    r"[.!]?$",
    re.IGNORECASE,
)
_LONGEST_LEAD_OUT: Final = 40
_LEAST_LEFT: Final = 3
"""Words that must be left of a text: "Answer: yes" is no "yes"."""

_SHORT: Final = tuple(
    (re.compile(short, re.IGNORECASE), whole)
    for short, whole in (
        (r"\bcan'?t\b|\bcannot\b", "can not"),
        (r"\bwon't\b", "will not"),
        (r"n't\b", " not"),
        (r"\bi'm\b", "i am"),
        (r"'ll\b", " will"),
        (r"'ve\b", " have"),
        (r"'re\b", " are"),
        (r"(?<=\d)(?=(?:km|kg|gb|mb|tb|cm|mm|ms)\b)", " "),
    )
)
_WORDS: Final = "the a an der die das ein eine le la les un une el los las"
_ARTICLES: Final = frozenset(_WORDS.split())
_FIRST_ARTICLES: Final = frozenset(_WORDS.title().split()) - {"A"}
"""Articles at the beginning of a text. "A" is a letter, or a grade, as often."""

_WRITTEN: Final = {
    **dict.fromkeys(["euro", "euros", "eur"], "€"),
    **dict.fromkeys(["dollar", "dollars", "usd"], "$"),
    **dict.fromkeys(["percent", "prozent"], "%"),
    **dict.fromkeys(["kilometre", "kilometres", "kilometer", "kilometers"], "km"),
    **dict.fromkeys(["kilo", "kilos", "kilogram", "kilograms", "kilogramm"], "kg"),
}
_MONEY: Final = frozenset("€$")


def form_of(text: str) -> str:
    """The words and signs of a short text in one form. Texts with the same form say the same."""
    text = _without_leads(normalize("NFC", text).replace("’", "'"))
    for short, whole in _SHORT:
        text = short.sub(whole, text)
    found = WORD_OR_SIGN.findall(text)
    words: list[str] = []
    for at, (each, after) in enumerate(zip(found, [*found[1:], ""], strict=True)):
        if (each in _ARTICLES or (not at and each in _FIRST_ARTICLES)) and after[:1].isalpha():
            continue
        is_code = not each.isalpha() and not each.isdigit()  # "aBc12"
        word = each if is_code else each.lower()
        word = _WRITTEN.get(word, word)
        is_behind_money = word[0].isdigit() and words[-1:] and words[-1] in _MONEY
        if is_behind_money and not (len(words) > 1 and words[-2][0].isdigit()):
            words.insert(-1, word)  # "€ 450" is "450 €"
        else:
            words.append(word)
    return " ".join(words) or text


def key_of(text: str) -> int:
    """A number for :func:`form_of`: of 128 bits, so that no two forms have the same."""
    form = form_of(text).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(form, digest_size=16).digest(), "big")


def _without_leads(text: str) -> str:
    left = text.lstrip(_MARKS)
    while (lead := _LEADS_IN.match(left)) and len(left[lead.end() :].split()) >= _LEAST_LEFT:
        left = left[lead.end() :].lstrip(_MARKS)
    end = left.rstrip()[-_LONGEST_LEAD_OUT:]
    out = _LEADS_OUT.search(end)
    return left.rstrip()[: out.start() - len(end)] if out else left

"""Short texts that say the same: apart from what leads in, from articles, and from how a number is written.

"Summary: The user likes tea.", "user likes tea", and "The user likes tea. Thanks!" say the same. So do "In May I moved
to Cork" and "I moved to Cork in May": one part stands at another place. Every other word, number and sign tells.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple
from unicodedata import normalize
from zlib import crc32

from .phrases import NEGATION, QUANTITIES
from .relations import NUMBERS
from .signs import WORD_OR_SIGN
from .wordlists import ARTICLES

_LEADS_IN: Final = re.compile(
    r"\W*(?:"
    r"(?:summary|final answer|answer|result|note|noted|fyi|heads[- ]up|reminder|key finding|decision|update|info"
    r"|zusammenfassung|ergebnis|antwort|hinweis|notiz|réponse(?: finale)?|résumé|résultat|note|respuesta(?: final)?"
    r"|resumen|resultado|nota)\W*:"
    r"|(?:the )?user(?: said| says| told me)?\s*:|(?:hi|hello|hey|dear|hallo|bonjour|hola)(?: \w+){0,2}\s*[,!:]"
    r"|good (?:morning|afternoon|evening|day)(?: \w+){0,2}\s*[,!.:]|guten (?:morgen|tag|abend)(?: \w+){0,2}\s*[,!.:]"
    r"|buenos días(?: \w+){0,2}\s*[,!.:]|please note(?: that)?\b|just so you know,?|ok(?:ay)?,|sure[!,.]"
    r"|(?:to sum up|in short|as requested|for your information|by the way|btw|sadly|unfortunately),"
    r"|(?:according to|based on) (?:the|my|our|what i) (?:memory|memories|notes|records?|context|remember)\s*,"
    r"|the answer to your question is:?|(?:sir|madam),|fyi,"
    r")\s*",
    re.IGNORECASE,
)
_LEADS_OUT: Final = re.compile(
    r"\s*(?:thanks(?: a lot| in advance)?|thank you(?: very much)?|cheers|regards|best regards|danke(?: schön)?|merci"
    r"|gracias|saludos)\W*$",
    re.IGNORECASE,
)
_THOUSANDS: Final = re.compile(r"(?<=\d),(?=\d{3}\b)")
_ORDINAL: Final = re.compile(r"\b(\d+)(?:st|nd|rd|th)\b")
_UNIT_BEHIND: Final = re.compile(r"(?<=\d)(?=(?:km|kg|gb|mb|tb|kb|cm|mm|ms|am|pm)\b)", re.IGNORECASE)
_SHORT: Final = (
    (re.compile(r"\bcan['’]?t\b|\bcannot\b"), "can not"),
    (re.compile(r"\bwon['’]t\b"), "will not"),
    (re.compile(r"n['’]t\b"), " not"),
    (re.compile(r"\bi['’]m\b"), "i am"),
    (re.compile(r"['’]ll\b"), " will"),
    (re.compile(r"['’]ve\b"), " have"),
    (re.compile(r"['’]re\b"), " are"),
    (re.compile(r"\b(it|that|there|here|he|she|what|who|where)['’]s\b"), r"\1 is"),
)
_WRITTEN: Final = {
    **dict.fromkeys(["euro", "euros", "eur"], "€"),
    **dict.fromkeys(["dollar", "dollars", "usd"], "$"),
    **dict.fromkeys(["pound", "pounds", "gbp"], "£"),
    **dict.fromkeys(["percent", "prozent"], "%"),
    **dict.fromkeys(["kilometre", "kilometres", "kilometer", "kilometers"], "km"),
    **dict.fromkeys(["kilo", "kilos", "kilogram", "kilograms", "kilogramm"], "kg"),
    **dict.fromkeys(["metre", "metres", "meter", "meters"], "m"),
    **dict.fromkeys(["minute", "minutes"], "min"),
    "max": "maximum",
    "min": "minimum",
}
_MONEY: Final = frozenset("€$£")
_LEAST_WORDS: Final = 3
_BY_PLACE: Final = "only just even also first then not no never both"
_TELLS_BY_PLACE: Final = frozenset(_BY_PLACE.split()) | QUANTITIES


class Form(NamedTuple):
    """A short text as it is compared.

    Attributes:
        words: its words and signs in one form.
        bag: the number of all of them together, in any order.
    """

    words: tuple[str, ...]
    bag: int


def form_of(text: str) -> Form:
    """The form of a short text."""
    text = normalize("NFC", text)
    start = 0
    while (lead := _LEADS_IN.match(text, start)) and lead.end() > start and text[lead.end() :].strip(" .!?,;:"):
        start = lead.end()
    text = _LEADS_OUT.sub("", text[start:]) or text
    lowered = _ORDINAL.sub(r"\1", _UNIT_BEHIND.sub(" ", _THOUSANDS.sub("", text)))
    capitals = set(re.findall(r"(?<=[\w,;] )[A-Z]\b(?!['’])", lowered))
    lowered = lowered.lower().replace("ß", "ss")
    for short, whole in _SHORT:
        lowered = short.sub(whole, lowered)
    words: list[str] = []
    for word in WORD_OR_SIGN.findall(lowered):
        if word in ARTICLES and word.upper() not in capitals:
            continue
        word = _WRITTEN.get(word, NUMBERS.get(word, word))
        if word[0].isdigit() and words and words[-1] in _MONEY:
            words.insert(-1, word)  # "€ 450" is "450 €"
        else:
            words.append(word)
    of_text = tuple(words) or (text,)
    return Form(of_text, crc32(" ".join(sorted(of_text)).encode("utf-8", "surrogatepass")))


def say_the_same(one: Form, other: Form) -> bool:
    """Whether two forms with the same words have them in the same order, or one part of them at another place."""
    return one.words == other.words or _is_moved(one.words, other.words)


def _is_moved(one: Sequence[str], other: Sequence[str]) -> bool:
    if len(one) != len(other) or len(one) < _LEAST_WORDS:
        return False
    if any(word in _TELLS_BY_PLACE or NEGATION.fullmatch(word) for word in one):
        return False
    start, end = 0, len(one)
    while start < end and one[start] == other[start]:
        start += 1
    while end > start and one[end - 1] == other[end - 1]:
        end -= 1
    a, b = list(one[start:end]), list(other[start:end])
    return any(a[at:] + a[:at] == b for at in range(1, len(a)))

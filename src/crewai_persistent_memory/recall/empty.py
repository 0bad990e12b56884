"""Entries that state nothing: a question without an answer, or an answer that was "I do not know".

Such an entry has the words of the question, so it is found before the statement that answers it. A recall puts it
behind all that state something. In doubt an entry states something.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from ..text.kept import Kept
from . import other_languages
from .found import Found
from .phrases import (
    ABOUT_THE_AGENT,
    BARE,
    GREETS,
    INSTRUCTS,
    NO_ANSWER,
    OPENS_QUESTION,
    OTHER_QUESTION,
    POLITE,
    POLITE_REST,
    REASON,
    STATES,
    VERB,
    WORDS_OF_NO_ANSWER,
)

RESULT: Final = "\nResult:"
"""Between the request and the answer, in the record of a finished task."""

LONGEST_ANSWER: Final = 600
LONGEST_REQUEST: Final = 4_000
"""Characters. A longer text states something."""

_MOST_NEW_WORDS: Final = 3
"""How many words an answer that says nothing may have, beside those of the question and of the lists below."""


def last_what_is_empty(found: Sequence[Found]) -> list[Found]:
    """The entries, those that state nothing behind the others; otherwise in their order."""
    empty = []
    for each in found:
        text = each.entry.content
        empty.append(_says_nothing[text] if len(text) <= _SHORT else says_nothing(text))
    if not any(empty):
        return list(found)
    kept = [each for each, is_empty in zip(found, empty, strict=True) if not is_empty]
    return kept + [each._replace(is_empty=True) for each, is_empty in zip(found, empty, strict=True) if is_empty]


def says_nothing(content: str) -> bool:
    """Whether a text states nothing.

    Args:
        content: the content of an entry: ``"<request>\\nResult: <answer>"``, or any text.

    Returns:
        Whether the request only asks, and the answer only says that there is none. A request that states a fact and
        asks too states something, and so does an answer that has information.
    """
    request, mark, answer = content.partition(RESULT)
    if not mark:
        text = content.strip()
        return not text or _is_no_answer(text, "") or (text.endswith(_ASKS) and only_asks(text))
    return _is_no_answer(answer, request) and only_asks(request)


_SHORT: Final = 1_000
_says_nothing: Final = Kept(says_nothing, 6_000_000)
"""Of a short text."""


def _is_no_answer(answer: str, request: str) -> bool:
    answer = answer.strip()
    if not answer:
        return True
    if len(answer) > LONGEST_ANSWER:
        return False
    answer = answer.replace("’", "'")
    lowered = answer.lower()
    if BARE.fullmatch(lowered):
        return True
    if not NO_ANSWER.search(lowered):
        return other_languages.says_no(answer, request)
    clauses = [clause for clause in _CLAUSE.split(lowered) if clause.strip(" .!…*-\"'")]
    says_no = [bool(NO_ANSWER.search(clause)) for clause in clauses]
    if not all(no or POLITE.search(clause) for clause, no in zip(clauses, says_no, strict=True)):
        return False
    if REASON.search(lowered):
        return False
    known = set(_words(request.lower())) | WORDS_OF_NO_ANSWER
    new = {word for word in _words(POLITE_REST.sub(" ", lowered)) if word not in known}
    if any(character.isdigit() for word in new for character in word):
        return False
    # A name that nobody has asked about is information.
    capitalised = {word.lower() for word in _CAPITALISED.findall(answer)}
    return not (new & capitalised) and len(new) <= _MOST_NEW_WORDS


def only_asks(request: str) -> bool:
    request = request.strip().replace("’", "'")
    if len(request) > LONGEST_REQUEST:
        return False
    return all(asks(sentence) for sentence in sentences_of(request))


def asks(sentence: str) -> bool:
    """Whether a sentence is a question or an instruction, and states nothing beside it."""
    # "Question: ...", "The guest asks: ...", "1. ...".
    text = _LABEL.sub("", sentence.strip(" \t\"'“”„«»*-–•>#")).strip(" \"'“”„«»*")
    lowered = text.lower()
    if not lowered:
        return True
    if STATES.search(lowered):
        return False
    is_question = lowered.endswith(_ASKS)
    if is_question and (OPENS_QUESTION.match(lowered) or "¿" in lowered or OTHER_QUESTION.fullmatch(lowered)):
        return True
    if INSTRUCTS.match(lowered) or ABOUT_THE_AGENT.match(lowered) or GREETS.fullmatch(lowered.strip(" .!,")):
        return True
    if other_languages.asks(lowered):
        return True
    # "Hi John, which seat ...?", "And the hotel, where is it?"
    return is_question and any(
        OPENS_QUESTION.match(clause.strip()) and len(before.split()) <= 3 and not VERB.search(before)
        for before, _, clause in [lowered.partition(",")]
    )


def sentences_of(text: str) -> list[str]:
    return [part for part in _SENTENCE.split(text) if part.strip(" \t.\"'“”*-")]


def _words(text: str) -> list[str]:
    return _WORD.findall(text)


_ASKS: Final = ("?", "？", "؟", '?"', "?'", "?“", "?”", "?*")
_WORD: Final = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_CAPITALISED: Final = re.compile(r"(?<![.!?:\n] )(?<!^)(?<![\"“„*])\b[A-ZÄÖÜÉÈÁÍÓÚÑ][^\W_]+")
_SENTENCE: Final = re.compile(r"(?<=[.!?？؟])[\"'“”*]*\s+|(?<=[。！？])|\n+")
_CLAUSE: Final = re.compile(
    r"[.!?;\n]+|,?\s+(?:but|however|although|though|so|and|aber|jedoch|doch|und|mais|cependant|et|pero"
    r"|sin embargo|y)\s+"
    r"|,\s+(?=(?:please|bitte|merci|por favor|could|can|if|wenn|falls|si)\b)"
)
_LABEL: Final = re.compile(
    r"^(?:\d+[.)]\s*)?(?:(?:current )?(?:question|request|task|query|input|user|guest|customer|human|frage"
    r"|anfrage|aufgabe"
    r"|nutzer|benutzer|gast|kunde|demande|tâche|pregunta|consulta|tarea)"
    r"(?: (?:asks?|asked|says?|said|wants to know|fragt|demande|pregunta))?"
    r"|the (?:user|guest|customer|client|person)(?:'s question)?(?: (?:is|asks?|asked|wants to know))?"
    r"|(?:der|die) (?:nutzer|nutzerin|benutzer|gast|kunde|kundin)(?: fragt| möchte wissen)?)\s*:\s*",
    re.IGNORECASE,
)

"""Requests that only ask: what they have is the question, and no statement of who asks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from . import other_languages
from .phrases import (
    ABOUT_THE_AGENT,
    ASKS_WITH_A_FACT,
    GREETS,
    INSTRUCTS,
    OPENS_QUESTION,
    OTHER_QUESTION,
    STATES,
    VERB,
)

LONGEST_REQUEST: Final = 4_000
"""Characters. A longer request states something."""

ASKS_AT_THE_END: Final = ("?", "？", "؟", '?"', "?'", "?“", "?”", "?*")
"""Ends of a question."""

_SENTENCE: Final = re.compile(r"(?<=[.!?？؟])[\"'“”*]*\s+|(?<=[。！？])|\n+")
_NO_WORD: Final = " \t.\"'“”*-"
_LONGEST_QUESTION: Final = 400
_STEP: Final = re.compile(r"\d{1,2}[.)]|(?:mr|mrs|ms|dr|prof)\.")
"""The number of a step, or a title, which stands as a sentence of its own before what follows."""
_WHO_ASKS: Final = re.compile(
    r"(?:(?:[Tt]he |[Aa] )?(?:[Gg]uest|[Uu]ser|[Cc]ustomer|[Cc]lient|[Mm]ember|[Vv]isitor|[Pp]atient|[Ss]tudent"
    r"|[Cc]aller) )?"
    r"(?:[A-ZÀ-Þ][\w'’-]*|\d{1,9})(?: [A-ZÀ-Þ][\w'’-]*){0,2} (?:asks|asked|is asking|wants to know"
    r"|would like to know)(?: me| us| you)?\s*[:,]?\s+"
    r"|(?:[Gg]uest|[Uu]ser|[Cc]ustomer|[Cc]lient|[Mm]ember) (?:[A-ZÀ-Þ][\w'’-]*|#?\d{1,9})\s*:\s*"
    r"|\[[^\]\n]{1,40}\]\s*"
)
"""Who asks, by name: that tells nothing of what is asked."""
_WANTS_TO_KNOW: Final = re.compile(
    r"(?:i|we)(?:['’]d| would)?(?: (?:really|just|also))? (?:like|love|want|need|wish)(?:ed)? to (?:know|ask|find out)"
    r"(?: (?:about|whether|if))?[:,]?\s*"
)
_NEEDS_IT: Final = re.compile(
    r"(?:i|we) (?:need|want|am looking for|are looking for) (?:the|your|his|her|their) [^,.;:?\d]{3,80}[,.;:]?"
    r" (?:and )?(?:what|where|which|when|who|do you|can you|could you)\b[^?,]{0,30}"
    r"\b(?:it|them|that|this)\b[^?,]{0,15}\?"
)
"""A need of what is asked for: "I need the code of the door, what is it?"."""
_RELATIVE: Final = re.compile(r",\s*(?:who|which|whose)\b[^,?]{2,80},")
"""What is said of somebody beside the question: "Zoe, who is vegan, asks"."""
_HAS_DIGIT: Final = re.compile(r"\d")
_LABEL: Final = re.compile(
    r"^(?:\d+[.)]\s*)?(?:(?:current )?(?:question|request|task|query|input|user|guest|customer|human|frage"
    r"|anfrage|aufgabe"
    r"|nutzer|benutzer|gast|kunde|demande|tâche|pregunta|consulta|tarea)"
    r"(?: (?:asks?|asked|says?|said|wants to know|fragt|demande|pregunta))?"
    r"|the (?:user|guest|customer|client|person)(?:'s question)?(?: (?:is|asks?|asked|wants to know))?"
    r"|(?:(?:the|this) )?(?:new |current |next )*(?:question|request|query|message|e-?mail)(?: (?:no\.? ?|#)?\d{1,9})?"
    r"(?: (?:of|from|by) (?:the |our )?(?:user|guest|customer|client|member|visitor|caller|patient|student|person))?"
    r"|(?:der|die) (?:nutzer|nutzerin|benutzer|gast|kunde|kundin)(?: fragt| möchte wissen)?)\s*:\s*",
    re.IGNORECASE,
)


def only_asks(request: str) -> bool:
    """Whether every sentence of a request asks or instructs."""
    request = request.strip().replace("’", "'")
    if len(request) > LONGEST_REQUEST:
        return False
    return all(asks(sentence) for sentence in sentences_of(request))


def asks(sentence: str) -> bool:
    """Whether a sentence is a question or an instruction, and states nothing beside it."""
    # "Question: ...", "The guest asks: ...", "1. ...".
    text = _LABEL.sub("", sentence.strip(" \t\"'“”„«»*-–•>#")).strip(" \"'“”„«»*")
    named = _WHO_ASKS.match(text)
    text = text[named.end() :].strip(" \"'“”„«»*") if named else text
    lowered = text.lower()
    if not lowered or _STEP.fullmatch(lowered):
        return True
    if wish := _WANTS_TO_KNOW.match(lowered):
        lowered = lowered[wish.end() :]
    if _NEEDS_IT.fullmatch(lowered):
        return True
    if (named or wish) and not lowered.endswith(ASKS_AT_THE_END):
        # "Mr. Kern asks what the code is", "I'd like to know the code of the door".
        if any(each.search(lowered) for each in (STATES, ASKS_WITH_A_FACT, _RELATIVE, _HAS_DIGIT)):
            return False
        return bool(wish or OPENS_QUESTION.match(lowered))
    if STATES.search(lowered) or (len(lowered) <= _LONGEST_QUESTION and ASKS_WITH_A_FACT.search(lowered)):
        return False
    is_question = lowered.endswith(ASKS_AT_THE_END)
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
        if not _RELATIVE.search(lowered)
    )


def sentences_of(text: str) -> Iterator[str]:
    start = 0
    for between in _SENTENCE.finditer(text):
        sentence = text[start : between.start()]
        start = between.end()
        if sentence.strip(_NO_WORD):
            yield sentence
    if text[start:].strip(_NO_WORD):
        yield text[start:]

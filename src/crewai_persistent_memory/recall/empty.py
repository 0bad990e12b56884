"""Entries that state nothing: a question without an answer, or an answer that was "I do not know".

Such an entry has the words of the question, so it is found before the statement that answers it. A recall puts it
behind all that state something. In doubt an entry states something.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final

from ..text.kept import Kept
from . import other_languages
from .asking import ASKS_AT_THE_END, LONGEST_REQUEST, only_asks
from .found import Found
from .frames import Frame, told_in
from .phrases import (
    BARE,
    NO_ANSWER,
    OF_KNOWING,
    POLITE,
    POLITE_REST,
    REASON,
    SIGNS_OF_NO_ANSWER,
    WORDS_OF_NO_ANSWER,
)

RESULT: Final = "\nResult:"
"""Between the request and the answer, in the record of a finished task."""

LONGEST_ANSWER: Final = 600
"""Characters. A longer answer states something."""

_MOST_NEW_WORDS: Final = 3
"""How many words an answer that says nothing may have, beside those of the question and of the lists below."""


def last_what_is_empty(found: Sequence[Found], query: str = "", frames: Sequence[Frame] = ()) -> list[Found]:
    """The entries, those that state nothing behind the others; otherwise in their order.

    Args:
        found: the entries.
        query: what was asked. An answer that there is none may repeat its words.
        frames: the templates of the current run's tasks. Their own text states nothing.
    """
    empty = []
    asked: frozenset[str] | None = None
    for each in found:
        text = each.entry.content
        if frames and RESULT in text and _only_asks_in(frames, text):
            empty.append(True)
            continue
        if len(text) > _SHORT:
            empty.append(says_nothing(text))
            continue
        beside = _beside[text]
        if asked is None and beside and beside is not _STATES_SOMETHING:
            # Asked whether something is so, "no" is an answer.
            asked = frozenset() if _WHETHER.match(query) else frozenset(_words(query.lower()))
        empty.append(beside is not _STATES_SOMETHING and _is_little(beside, asked or frozenset()))
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
        return not text or is_no_answer(text, "") or (text.endswith(ASKS_AT_THE_END) and only_asks(text))
    return is_no_answer(answer, request) and only_asks(request)


def _only_asks_in(frames: Sequence[Frame], content: str) -> bool:
    """Whether the record of a task with one of these templates only asks, and has no answer."""
    told = told_in(content.partition(RESULT)[0], frames)
    return told is not None and only_asks(told) and _has_no_answer[content]


_has_no_answer: Final = Kept(
    lambda content: is_no_answer(content.partition(RESULT)[2], content.partition(RESULT)[0]), 2_000_000
)
_SHORT: Final = 1_000
_STATES_SOMETHING: Final = frozenset(["", "."])
"""In place of words: the text states something."""


def _words_beside(content: str) -> frozenset[str]:
    """Of a text that says nothing, no words; of an answer that says nothing but of what, the words for that."""
    if says_nothing(content):
        return frozenset()
    lowered = content.lower().replace("’", "'")
    if RESULT in content or not (_may_deny(lowered) and OF_KNOWING.search(lowered)):
        return _STATES_SOMETHING
    beside = _beside_no_answer(content)
    return _STATES_SOMETHING if beside is None else beside


_beside: Final = Kept(_words_beside, 6_000_000)
"""Of a short text."""


def _is_little(beside: frozenset[str], asked: frozenset[str]) -> bool:
    """Whether these words of an answer are those of the question, or few: no number and no name among them."""
    new = {word for word in beside if word.lower() not in asked}
    return len(new) <= _MOST_NEW_WORDS and not any(word != word.lower() or any(map(str.isdigit, word)) for word in new)


def is_no_answer(answer: str, request: str) -> bool:
    """Whether an answer to this request only says that there is none."""
    answer = answer.strip()
    if not answer:
        return True
    if len(answer) > LONGEST_ANSWER:
        return False
    if request and "have" in answer:
        answer = _HAS_NOT.sub(lambda has: _without_what_was_asked(has, _asked_by(request)), answer)
    beside = _beside_no_answer(answer)
    if beside is None:
        return not answer.startswith("{") and other_languages.says_no(answer, request)
    return not beside or _is_little(beside, _asked_by(request))


def _asked_by(request: str) -> frozenset[str]:
    return frozenset(_words(request[:LONGEST_REQUEST].lower().replace("’", "'")))


def _without_what_was_asked(has: re.Match[str], asked: frozenset[str]) -> str:
    """ "I don't have the information", for "I don't have the code of the door", if that was asked for."""
    words = {word.removesuffix("'s") for word in _words(has[2].lower().replace("’", "'"))} - WORDS_OF_NO_ANSWER
    is_asked = words and words <= {word.removesuffix("'s") for word in asked}
    return f"{has[1]} the information" if is_asked else has[0]


def _beside_no_answer(answer: str) -> frozenset[str] | None:
    """The words that an answer that says nothing has beside the usual ones, a name with its capital letter; ``None`` if
    it says something."""
    answer = answer.strip().replace("’", "'")
    if answer.startswith("{") and answer.endswith("}"):
        return frozenset() if _is_empty_json(answer) else None
    answer = _without_labels(answer)
    lowered = answer.lower()
    may_deny, is_form = _may_deny(lowered), len(lowered.splitlines()) > 1
    if may_deny or is_form:
        answer = _TITLE.sub(r"\1", answer)
        lowered = answer.lower()
    if BARE.fullmatch(lowered) or (is_form and all(map(_UNKNOWN.fullmatch, lowered.splitlines()))):
        return frozenset()
    if not may_deny or not NO_ANSWER.search(lowered):
        return None
    clauses = [clause for clause in _CLAUSE.split(lowered) if clause.strip(" .!…*-\"'#=")]
    says_no = [bool(NO_ANSWER.search(clause)) for clause in clauses]
    if not all(no or POLITE.search(clause) for clause, no in zip(clauses, says_no, strict=True)):
        return None
    if REASON.search(lowered):
        return None
    new = {word for word in _words(POLITE_REST.sub(" ", lowered)) if word not in WORDS_OF_NO_ANSWER}
    # A name that nobody has asked about is information.
    names = {word.lower(): word for word in _CAPITALISED.findall(answer)}
    return frozenset(names.get(word, word) for word in new)


def _may_deny(lowered: str) -> bool:
    """Whether :data:`NO_ANSWER` may find something in a text in lower case, with straight apostrophes."""
    return any(map(lowered.__contains__, SIGNS_OF_NO_ANSWER))


def _without_labels(answer: str) -> str:
    """An answer without "Final Answer:" before it."""
    while label := _ANSWER_LABEL.match(answer):
        answer = answer[label.end() :]
    return answer


def _is_empty_json(answer: str) -> bool:
    """Whether an answer is an object of JSON with no answer in it: ``{"status": "no_result", "answer": null}``.

    Any other value is one: ``{"open": false}``, ``{"errors": 0}``, ``{"allergies": []}``.
    """
    try:
        values = dict(json.loads(answer))
    except (ValueError, TypeError, RecursionError):
        return False
    answers = [values.pop(key) for key in list(values) if key.lower() in _ANSWERS]
    if not answers or not all(each is None or (isinstance(each, str) and _is_bare(each)) for each in answers):
        return False
    return all(each is None or each == [] or each in _NO_RESULT for each in values.values())


def _is_bare(text: str) -> bool:
    lowered = text.strip().lower()
    return not lowered or bool(BARE.fullmatch(lowered))


def _words(text: str) -> list[str]:
    return _WORD.findall(text)


_HAS_NOT: Final = re.compile(
    r"\b(I (?:\w+ )?(?:do not|don['’]t|did not|didn['’]t) (?:\w+ )?have) (?:the|that|this|your|their|his|her)"
    r" ((?:[^\W_][\w'’-]*)(?: [^\W_][\w'’-]*){0,11})"
)
"""What an agent has not. "I don't have a dog" is an answer, of whoever was asked."""
_WHETHER: Final = re.compile(
    r"\W*(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|should|ist|sind|hat|haben|kann)\b",
    re.IGNORECASE,
)
_ANSWERS: Final = frozenset(["answer", "final_answer", "result", "response", "output"])
_NO_RESULT: Final = ("no_result", "no_results", "not_found")

_ANSWER_LABEL: Final = re.compile(
    r"\W*(?:(?:final )?answer|thought|observation|conclusion|task output|result|reason|respuesta(?: final)?|antwort"
    r"|réponse(?: finale)?)\W{0,3}:\W{0,3}\s*",
    re.IGNORECASE,
)
_TITLE: Final = re.compile(r"\b(Mrs?|Ms|Dr|Prof|St|No)\.")
_UNKNOWN: Final = re.compile(r"[ *•-]*\w[\w /]{0,40}:\s{0,4}(?:unknown|n/a|not (?:known|specified|provided))[.!]?\s*")
"""A line of a form of which nothing is known. "None" and "not available" are answers."""

_WORD: Final = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_CAPITALISED: Final = re.compile(r"(?<![.!?:\n] )(?<!^)(?<![\"“„*])\b[A-ZÄÖÜÉÈÁÍÓÚÑ][^\W_]+")
_CLAUSE: Final = re.compile(
    r"[.!?;\n]+|,?\s+(?:but|however|although|though|so|and|aber|jedoch|doch|und|mais|cependant|et|pero"
    r"|sin embargo|y)\s+"
    r"|,\s+(?=(?:please|bitte|merci|por favor|could|can|if|wenn|falls|si)\b)"
)

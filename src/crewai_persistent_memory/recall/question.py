"""The question inside a task: what a memory is searched for when a crew asks it with a whole task description.

What every task of a crew has in common does not count as the question. It is found in four ways, the surest first:

- The template of the task, before the inputs were written into it: what was inserted is the question.
- The words that nearly all earlier queries of the crew have: what is left is the question.
- The sentences in which CrewAI and the agent's wording tell how to work: they are left out.
- A question in the text (a sentence with a question mark, a text behind "Question:", or in quotes) stands for the
  whole text, with the names, the numbers and the sentences about the user beside it.

If nothing remains, the whole text counts.
"""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterable, Sequence
from threading import Lock
from typing import Final

from .frames import inserted
from .relations import STOP

LEAST_QUERIES: Final = 5
"""So many different queries of a crew must be known before their common words are left out."""

SHARE: Final = 0.8
"""The part of the queries that have a common word."""

MOST_QUERIES: Final = 12
"""The newest queries of a user's crew that are kept."""

_MOST_WORDS: Final = 2_000
_LONGEST_FOCUSED: Final = 4_000
"""Characters. In a longer text a question is part of the material, and not what is asked."""

_MOST_QUESTIONS: Final = 4
_LEAST_WORDS: Final = 2
_TOPIC: Final = 3
"""Words that tell something, and that all queries of a user have because they are about one thing. A frame has more."""
_PARAMETER: Final = 4
"""Words. Inputs of fewer words, none of them a question, are parameters of the request, and not the request."""

_WORD: Final = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_UNSPACED: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
_SENTENCE: Final = re.compile(r"(?<=[.!?？؟])[\"'“”»*]*\s+|(?<=[。！？])|\n+")
_QUESTION_END: Final = re.compile(r"[?？؟][\"'“”»*)\s]*$")
_QUOTED: Final = re.compile(r"[\"“„«»]([^\"“”„«»]{8,1000})[\"”“»«]|(?<!\w)'([^'\n]{8,1000})'(?!\w)")
_LABEL: Final = re.compile(
    r"(?:^|\n)\W*(?:(?:the |current |new )*(?:user|guest|customer|client)?(?:'s)? ?"
    r"(?:question|request|query|message|input)"
    r"|frage|anfrage|nachricht|demande|pregunta)(?: (?:of|from|by|von) [^:\n]{1,60})?\W{0,3}:\W{0,3}\s*(.+)",
    re.IGNORECASE,
)
_WORDING: Final = (
    "This is the expected criteria for your final answer:",
    "This is the expect criteria for your final answer:",
    "you MUST return the actual complete content as the final answer, not a summary.",
    "Current Task:",
    "This is the context you're working with:",
    "Begin! This is VERY important to you, use the tools available and give your best Final Answer, your job depends "
    "on it!",
    "Provide your complete response:",
)
"""CrewAI's own sentences around a task (0.203 to 1.15)."""
_OWN: Final = re.compile(r"\b(?:i|i'm|i've|my|me|mine|ich|mein\w*|mir|mich|je|mon|ma|mes|yo|mi|mis)\b", re.IGNORECASE)
_REFERRING: Final = frozenset({"it", "they", "them", "es"})
_HOW: Final = """
    you your yourself answer answers answering question questions following follows reply replies respond response
    responses request requests message remember remembered memory memories past earlier previous conversation
    conversations know known short brief concise precise polite friendly helpful complete correct sentence sentences
    word words use using used everything anything user user's users customer customers guest guests client please find
    invent make keep give given tell write written based context information relevant task tasks final expected tone
    openly say above below look through check assistant agent report paragraph paragraphs statement details detail
    gast gastes gäste gästen kunde kunden concierge
    tu es vous êtes réponds répondez réponse brièvement poliment question client clients
    eres responde contesta pregunta cliente clientes amabilidad brevemente huésped
    du dein deine sie ihr ihre beantworte antworte antwort antworten folgende folgenden frage fragen nutzer nutzers
    nutze kurz freundlich erfinde gespräch gespräche gesprächen früheren erinnerung erinnerungen weißt aufgabe
"""
_TELLS_HOW: Final = frozenset(_HOW.split())
"""Words of sentences that tell an agent how to work."""


class EarlierQueries:
    """The words of the newest queries of each user's crew: bounded, in memory, and never returned.

    Args:
        crews: the largest number of crews that are remembered, each user's for itself.
    """

    def __init__(self, crews: int = 256) -> None:
        self._crews = crews
        self._lock = Lock()
        self._words: OrderedDict[object, OrderedDict[str, frozenset[str]]] = OrderedDict()

    def common_words(self, crew: object, query: str) -> frozenset[str]:
        """The words that nearly all earlier queries of this crew have. The query is one of those of later calls."""
        words = frozenset(_words(query)[:_MOST_WORDS])
        with self._lock:
            queries = self._words.setdefault(crew, OrderedDict())
            self._words.move_to_end(crew)
            earlier = [each for text, each in queries.items() if text != query]
            queries[query] = words
            queries.move_to_end(query)
            while len(queries) > MOST_QUERIES:
                queries.popitem(last=False)
            while len(self._words) > self._crews:
                self._words.popitem(last=False)
        if len(earlier) < LEAST_QUERIES:
            return frozenset()
        counts = Counter(word for each in earlier for word in each)
        return frozenset(word for word in words if counts[word] >= SHARE * len(earlier))


def question_in(
    query: str, *, template: str | None = None, wording: Sequence[str] = (), common: Collection[str] = ()
) -> str:
    """What the query asks.

    Args:
        query: the text of a task, and what CrewAI wrote around it.
        template: the text of the task before its inputs were written into it.
        wording: the agent's own texts, such as its role and its goal.
        common: the words that nearly all queries of the crew have.
    """
    text = query
    parts = None if template is None else inserted(query, template)
    if parts is not None and _is_request(inputs := "\n".join(filter(None, parts))):
        return inputs
    for each in (*_WORDING, *wording):
        if len(each.split()) > 1:
            text = text.replace(each.strip(), " ")
    return _or_whole(_focused(text, common), query)


def _or_whole(text: str, query: str) -> str:
    text = text.strip()
    return text if _words(text) else query


def _is_request(inputs: str) -> bool:
    return "?" in inputs or len(inputs.split()) >= _PARAMETER


def _without(text: str, common: Collection[str]) -> str:
    """The text without these words; empty if too little is left."""
    rest = _WORD.sub(lambda word: "" if word[0].lower() in common else word[0], text)
    rest = " ".join(part for part in rest.split() if any(character.isalnum() for character in part))
    return rest if len(_words(rest)) >= _LEAST_WORDS else ""


def _focused(text: str, common: Collection[str]) -> str:
    """The question in a text, with the names, the numbers and the other sentences that do not tell how to work.

    In a text without a question: what is left without the common words, or else without the words that tell how to
    work.
    """
    picked = [] if len(text) > _LONGEST_FOCUSED or _is_bare(text) else _questions(text)
    if all(map(_refers_to_the_text, picked)):
        picked = []
    if not picked or len(picked) > _MOST_QUESTIONS:
        if (rest := _without(text, common)) and _is_a_frame(text, common) and _telling(_words(rest)):
            return rest
        return text if len(text) > _LONGEST_FOCUSED or _is_bare(text) else _without(text, _TELLS_HOW) or text
    rest = text
    for each in picked:
        rest = rest.replace(each, "\n")
    beside = [_told_beside(sentence) for sentence in _SENTENCE.split(rest)]
    told = " ".join(each for each in beside if each)
    return " ".join([*picked, _without(told, common) if common else told])


def _is_a_frame(text: str, common: Collection[str]) -> bool:
    """Whether the common words of a text are more than a topic. Five questions about one flight all have "flight" and
    "Oslo", and ask nothing without these words."""
    return len(_telling(word for word in _words(text) if word in common)) > _TOPIC


def _telling(words: Iterable[str]) -> set[str]:
    return {word for word in words if word not in STOP and word not in _TELLS_HOW}


def _is_bare(text: str) -> bool:
    """Whether a text is one sentence, with nothing around what it says."""
    return len(_SENTENCE.split(text.strip())) == 1 and ":" not in text and not _QUOTED.search(text)


def _questions(text: str) -> list[str]:
    found = [match[1].strip() for match in _LABEL.finditer(text)]
    found += [quoted for match in _QUOTED.finditer(text) if len((quoted := match[1] or match[2]).split()) > 2]
    for sentence in _SENTENCE.split(text):
        if _QUESTION_END.search(sentence):
            _, mark, after = sentence.replace("：", ": ").rpartition(": ")
            question = (after if mark and _length(after) > _LEAST_WORDS else sentence).strip()
            if not any(question in each or each in question for each in found):
                found.append(question)
    return [each for each in dict.fromkeys(found) if _length(each) >= _LEAST_WORDS]


def _refers_to_the_text(question: str) -> bool:
    """Whether a question asks about something that stands before it: "Write to Anna about the delay. Is it polite?"."""
    words = _WORD.findall(question)
    names = any(word != word.lower() or any(map(str.isdigit, word)) for word in words[1:])
    return not names and not _REFERRING.isdisjoint(word.lower() for word in words)


def _told_beside(sentence: str) -> str:
    """A sentence beside the question, if it does not tell how to work; of one that does, the names and numbers."""
    words = _WORD.findall(sentence)
    if not any(word[0].isalpha() for word in words):
        return ""  # the number of a step
    leads = sentence.rstrip().endswith((":", "："))
    if _OWN.search(sentence) or (not leads and _TELLS_HOW.isdisjoint(word.lower() for word in words)):
        return sentence.strip()
    named = (word for word in words[1:] if word != word.lower() or any(map(str.isdigit, word)))
    return " ".join(word for word in named if word.lower() not in _TELLS_HOW)


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _length(text: str) -> int:
    """The number of words; in Chinese and Japanese, two characters count as one."""
    return len(_words(text)) + len(_UNSPACED.findall(text)) // 2

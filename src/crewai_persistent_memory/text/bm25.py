"""BM25 keywords: texts as sparse vectors, by the engine's own tokenizer, in steps that hold up no other thread."""

from __future__ import annotations

import math
from typing import Any, Final, Protocol

from ..errors import ConfigurationError
from .normal_form import normal_form
from .words import Grouping, as_before, for_document, for_query, pieces_of, shorter_groups

K: Final = 1.2
B: Final = 0.75
AVERAGE_LENGTH: Final = 256.0

MOST_QUERY_LENGTH: Final = 16_384
"""Characters of a query that are looked for. Of a longer one the beginning and the end: there a task says what is to be
done, and between them what it is to be done with."""

MOST_QUERY_TERMS: Final = 4_096

SHORTER_GROUPS: Final = (0.02, 0.002)
"""The weights of shorter groups of characters in a query. A text that has the longer ones comes first."""

OLDER_FORM: Final = 0.02
"""The weight of a query's terms in the form before the normal one, where that is another. It may be parts of words."""

MANY_TERMS: Final = 100_000
MOST_TERMS: Final = 150_000
"""Different terms of a document, from which on of scripts without blanks only the longest groups of characters are
terms, and then only characters. The engine takes 0.15 ms for a thousand terms, with the interpreter's lock held."""

# Saturates so late that the weight is nearly the number of occurrences, from which that number is computed back.
_COUNTING_K: Final = 1e7


class SparseVector(Protocol):
    """Token ids and their weights, in whatever object the encoder made: the embedded engine takes it as it is."""

    @property
    def indices(self) -> list[int]: ...

    @property
    def values(self) -> list[float]: ...


class KeywordEncoder:
    """BM25 term weights as sparse vectors, the same numbers Qdrant's server computes for ``qdrant/bm25``.

    ``k = 1.2``, ``b = 0.75``, an expected length of 256 tokens, lower case, accents folded, and the stop words
    and stemmer of ``language`` (``"none"`` for neither). IDF is applied by the engine at query time.

    Every text is brought into one form first (:mod:`.normal_form`).

    Three things differ from the server's numbers, because its tokenizer takes every run of letters for one word:
    scripts without blanks (Chinese, Japanese, Thai, ...) become groups of characters; a Latin word is apart from the
    Hangul, Arabic, Hebrew or Indic letters beside it; a word longer than 1,024 characters (Base64) becomes several.
    """

    def __init__(self, language: str = "english") -> None:
        from qdrant_edge import Bm25, Bm25Config, DisabledStemmer, StopwordsSet

        try:
            options: dict[str, Any] = {"ascii_folding": True, "avg_len": AVERAGE_LENGTH}
            if language == "none":
                options.update(stemmer=DisabledStemmer(), stopwords=StopwordsSet())
            else:
                options["language"] = language
            self._model = Bm25(Bm25Config(k=K, b=B, **options))
            self._counter = Bm25(Bm25Config(k=_COUNTING_K, b=0.0, **options))
        except ValueError as error:
            raise ConfigurationError(
                f"language {language!r} is not supported: {error}. Use a language such as 'english' or 'german', "
                "or 'none' for no stop words and no stemming"
            ) from error

    def document(self, text: str) -> SparseVector:
        """The weights of a text's terms. It counts a long text piece by piece: the engine's tokenizer holds the
        interpreter's lock, for 350 ms over 1 MB of Base64."""
        pieces = pieces_of(normal_form(text))
        if len(pieces) == 1:
            return self._model.embed_document(for_document(pieces[0], Grouping.ALL))
        from qdrant_edge import SparseVector as EngineVector

        counts: dict[int, int] = {}
        for piece in pieces:
            found = self._counter.embed_document(for_document(piece, _grouping(len(counts))))
            for term, weight in zip(found.indices, found.values, strict=True):
                # weight = count × (k + 1) / (count + k)
                count = round(weight * _COUNTING_K / (_COUNTING_K + 1.0 - weight))
                counts[term] = counts.get(term, 0) + count
        # As the model does it: weight = count × (k + 1) / (count + k × (1 - b + b × length / average length))
        saturation = K * (1.0 - B + B * sum(counts.values()) / AVERAGE_LENGTH)
        return EngineVector(list(counts), [count * (K + 1.0) / (count + saturation) for count in counts.values()])

    def query(self, text: str, *, older: bool = True) -> SparseVector:
        """The terms to look for, each with weight 1, but for groups of few characters; of a long text those of its
        beginning and its end.

        Args:
            text: in any form.
            older: with the terms that entries have which were written before there was a normal form.
        """
        kept = MOST_QUERY_LENGTH
        while True:
            if len(text) > kept:
                tail = kept // 4
                text = f"{text[: kept - tail]} {text[-tail:]}"
            found = self._query(text, older=older)
            if len(found.indices) <= MOST_QUERY_TERMS:
                return found
            kept = min(kept, len(text)) * 3 // 4

    def _query(self, text: str, *, older: bool = True) -> SparseVector:
        form = normal_form(text)
        found = self._model.embed_query(for_query(form))
        others = list(zip(SHORTER_GROUPS, shorter_groups(form), strict=False))
        if older and form is not text and (before := as_before(text)) != for_query(form):
            others.append((OLDER_FORM, before))
        if not others:
            return found
        from qdrant_edge import SparseVector as EngineVector

        weights = dict.fromkeys(found.indices, 1.0)
        for weight, terms in others:
            for term in self._model.embed_query(terms).indices:
                weights.setdefault(term, weight)
        return EngineVector(list(weights), list(weights.values()))

    def similarity(self, a: str, b: str) -> float:
        """Cosine of the two texts' sets of terms, 0…1: how much they say with the same words."""
        terms_a, terms_b = (set(self.query(text, older=False).indices) for text in (a, b))
        if not terms_a or not terms_b:
            return 0.0
        return len(terms_a & terms_b) / math.sqrt(len(terms_a) * len(terms_b))


def _grouping(terms: int) -> Grouping:
    """How characters are grouped in what follows, when there are so many terms."""
    if terms < MANY_TERMS:
        return Grouping.ALL
    return Grouping.LONGEST if terms < MOST_TERMS else Grouping.CHARACTERS

"""BM25 keywords: texts as sparse vectors, made by the engine's own tokenizer in steps that block no other thread."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple, Protocol

from ..errors import ConfigurationError
from .kept import kept_calls
from .normal_form import normal_form
from .passages import is_one_passage, passages_of
from .words import (
    LONGEST_WORD,
    Grouping,
    Piece,
    as_before,
    for_document,
    for_query,
    pieces_of,
    shorter_groups,
    within_run,
)

K: Final = 1.2
B: Final = 0.75
_TIMES: Final = K + 1.0
AVERAGE_LENGTH: Final = 256.0

MOST_QUERY_LENGTH: Final = 16_384
"""Characters of a query that are used. For a longer query, its beginning and its end are used, because a task states
its goal there and has its data in between."""

MOST_QUERY_TERMS: Final = 4_096

SHORTER_GROUPS: Final = (0.02, 0.002)
"""The weights of shorter character groups in a query. A text with the longer groups ranks higher."""

OLDER_FORM: Final = 0.02
"""The weight of a query's terms in the form used before the normal form existed, if it differs. Such a term may be a
part of a word."""

MANY_TERMS: Final = 100_000
MOST_TERMS: Final = 150_000
"""Maximum number of different terms of a document. For scripts without blanks, the terms are first reduced to the
longest character groups, and then to single characters. The engine needs 0.15 ms per thousand terms, and holds the
interpreter lock."""

CONTEXT: Final = 0.3
"""What an occurrence of a term in each of the texts before counts, beside one in the text itself."""

# Two terms of one vocabulary differ by just this only by chance, of one in four thousand million.
_CONTEXT_MASK: Final = 0x5BD1E995

_FIRST_WORD: Final = re.compile(r"[^\W_]+")

# With this k the weight is almost the number of occurrences, so that the number can be computed from it.
_COUNTING_K: Final = 1e7


class SparseVector(Protocol):
    """Token ids and their weights. The embedded engine accepts the encoder's own object."""

    @property
    def indices(self) -> list[int]: ...

    @property
    def values(self) -> list[float]: ...


class _Counts(NamedTuple):
    """How often terms occur in a text.

    Attributes:
        terms: the terms.
        counts: the occurrences of each.
        length: the occurrences of all.
        by_context_term: the same by the ids that the terms have in the texts after this one.
    """

    terms: list[int]
    counts: list[float]
    length: float
    by_context_term: dict[int, float]


class _CountOf(dict[float, float]):
    """The number of occurrences by the weight of the counting model. There are few: they are kept."""

    def __missing__(self, weight: float) -> float:
        # weight = count × (k + 1) / (count + k)
        self[weight] = count = float(round(weight * _COUNTING_K / (_COUNTING_K + 1.0 - weight)))
        return count


_count_of: Final = _CountOf()


class KeywordEncoder:
    """BM25 term weights as sparse vectors, with the numbers that Qdrant's server computes for ``qdrant/bm25``.

    ``k = 1.2``, ``b = 0.75``, an expected length of 256 tokens, lower case, accents folded, and the stop words
    and stemmer of ``language`` (``"none"`` for neither). The engine applies IDF at query time.

    Every text is first converted to the normal form (:mod:`.normal_form`).

    The server's tokenizer treats every run of letters as one word. The numbers therefore differ in three cases:

    - Scripts without blanks (Chinese, Japanese, Thai, ...) are split into character groups.
    - A Latin word is separated from adjacent Hangul, Arabic, Hebrew or Indic letters.
    - A word longer than 1,024 characters (Base64) is split.
    """

    def __init__(self, language: str = "english") -> None:
        from qdrant_edge import Bm25, Bm25Config, DisabledStemmer, StopwordsSet
        from qdrant_edge import SparseVector as EngineVector

        try:
            options: dict[str, Any] = {"ascii_folding": True, "avg_len": AVERAGE_LENGTH}
            if language == "none":
                options.update(stemmer=DisabledStemmer(), stopwords=StopwordsSet())
            else:
                options["language"] = language
            self._model = Bm25(Bm25Config(k=K, b=B, **options))
            self._counter = Bm25(Bm25Config(k=_COUNTING_K, b=0.0, **options))
            self._vector: Callable[[list[int], list[float]], SparseVector] = EngineVector
            # Each text is counted once as itself, and found here when it is one of those before the next two of its
            # user. A process serves many users in turn, and a text takes 6 kB.
            self._counts = kept_calls(self._count, 2_048)
        except ValueError as error:
            raise ConfigurationError(
                f"language {language!r} is not supported: {error}. Use a language such as 'english' or 'german', "
                "or 'none' for no stop words and no stemming"
            ) from error

    def document(self, text: str, before: Sequence[str] = ()) -> SparseVector:
        """The weights of a text's terms, and of those of the texts before it in a conversation.

        A long text is weighed passage by passage (:mod:`.passages`): a term has the weight that it has in its best
        passage. So a fact is found in a long report as it is found in a note, and no average over the text matters.

        The terms of ``before`` are in the vector under other ids (:data:`_CONTEXT_MASK`), so a query decides what they
        count. Their weight is what the whole weighs more if they occur :data:`CONTEXT` times as often as they do.

        Args:
            text: in any form.
            before: the texts before it, each one passage long.
        """
        if before and is_one_passage(text):
            return self._in_context(text, before)
        if is_one_passage(text):
            return self._model.embed_document(for_document(Piece(normal_form(text)), Grouping.ALL))
        best: dict[int, float] = {}
        for part in _parts(normal_form(text)):
            found = self._model.embed_document(for_document(part, _grouping(len(best))))
            for term, weight in zip(found.indices, found.values, strict=True):
                if weight > best.get(term, 0.0):
                    best[term] = weight
        return self._vector(list(best), list(best.values()))

    def _in_context(self, text: str, before: Sequence[str]) -> SparseVector:
        # No call and no loop for each term, but for those in both: this is done for every short text that is saved.
        own = self._counts(text)
        occurrences: dict[int, float] = {}
        length = own.length
        for each in map(self._counts, before):
            length += CONTEXT * each.length
            in_both = occurrences.keys() & each.by_context_term.keys()
            sums = [(term, occurrences[term] + each.by_context_term[term]) for term in in_both] if in_both else ()
            occurrences.update(each.by_context_term)
            occurrences.update(sums)
        alone, together = _saturation(own.length), _saturation(length)
        weight = {count: count * _TIMES / (count + alone) for count in set(own.counts)}
        weights = map(weight.__getitem__, own.counts)
        added = {count: CONTEXT * count * _TIMES / (CONTEXT * count + together) for count in set(occurrences.values())}
        more = dict(zip(occurrences, map(added.__getitem__, occurrences.values()), strict=True))
        for term in own.by_context_term.keys() & more.keys():
            # A term of the text itself weighs a little more or, because the whole is longer, a little less.
            count = own.by_context_term[term]
            whole = count + CONTEXT * occurrences[term]
            more[term] = whole * _TIMES / (whole + together) - weight[count]
            if more[term] <= 0.0:
                del more[term]
        return self._vector([*own.terms, *more], [*weights, *more.values()])

    def _count(self, text: str) -> _Counts:
        """How often each term occurs in a short text."""
        found = self._counter.embed_document(for_document(Piece(normal_form(text)), Grouping.ALL))
        terms, counts = found.indices, [_count_of[weight] for weight in found.values]
        in_context = [term ^ _CONTEXT_MASK for term in terms]
        return _Counts(terms, counts, sum(counts), dict(zip(in_context, counts, strict=True)))

    def query(self, text: str, *, context: bool = True) -> SparseVector:
        """The terms of a query. Each has weight 1, except short character groups. A long query is reduced to its
        beginning and its end.

        Args:
            text: the query, in any form.
            context: whether to find the terms in what was said before an entry, too.
        """
        found = self._cut_query(text, older=True)
        if not context or not found.indices:
            return found
        terms, weights = found.indices, found.values
        return self._vector([*terms, *map(_CONTEXT_MASK.__xor__, terms)], [*weights, *weights])

    def _cut_query(self, text: str, *, older: bool) -> SparseVector:
        """
        Args:
            text: the query, in any form.
            older: whether to add the terms of entries that were written before the normal form existed.
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

    def _query(self, text: str, *, older: bool) -> SparseVector:
        if len(text) <= LONGEST_WORD and text.isascii():
            return self._model.embed_query(text)  # it is its own normal form, and has words between blanks only
        form = normal_form(text)
        found = self._model.embed_query(for_query(form))
        others = list(zip(SHORTER_GROUPS, shorter_groups(form), strict=False))
        if older and form is not text and (before := as_before(text)) != for_query(form):
            others.append((OLDER_FORM, before))
        if not others:
            return found
        weights = dict.fromkeys(found.indices, 1.0)
        for weight, terms in others:
            for term in self._model.embed_query(terms).indices:
                weights.setdefault(term, weight)
        return self._vector(list(weights), list(weights.values()))

    def similarity(self, a: str, b: str) -> float:
        """Cosine of the two texts' sets of terms, 0…1."""
        terms_a, terms_b = (set(self._cut_query(text, older=False).indices) for text in (a, b))
        if not terms_a or not terms_b:
            return 0.0
        return len(terms_a & terms_b) / math.sqrt(len(terms_a) * len(terms_b))


def _grouping(terms: int) -> Grouping:
    """The grouping of characters in the next pieces, given the number of terms so far."""
    if terms < MANY_TERMS:
        return Grouping.ALL
    return Grouping.LONGEST if terms < MOST_TERMS else Grouping.CHARACTERS


def _saturation(length: float) -> float:
    """Of a text with so many terms. The model weighs a term by count × (k + 1) / (count + saturation)."""
    return K * (1.0 - B + B * length / AVERAGE_LENGTH)


def _parts(text: str) -> Iterator[Piece]:
    """The passages of a text, and each word that is in two of them, whole."""
    whole = 0
    for start, end in passages_of(text):
        repeated = within_run(text, start) if start else 0
        yield Piece(text[start - repeated : end], repeated)
        # A word in several passages is taken once.
        if start > whole and not repeated and text[start - 1].isalnum() and text[start].isalnum():
            first = start
            while first and text[first - 1].isalnum():
                first -= 1
            after = _FIRST_WORD.match(text, start)
            whole = after.end() if after else start
            yield from pieces_of(text[first:whole])

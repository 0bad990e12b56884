"""Token vectors: one vector for each token of a text, for late interaction (MaxSim), as ColBERT has it.

Khattab and Zaharia, 2020: each token of the question looks for the nearest token of a text, and the text's score is
the sum of these cosines. An embedder gives token vectors by a method ``embed_tokens``; see :class:`TokenFunction`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import chain
from typing import Any, Final, Protocol, runtime_checkable

from ..errors import (
    ConfigurationError,
    DimensionMismatchError,
    EmbedderError,
    EmbedderUnavailableError,
)
from ..ranking import CosineSpread
from ..redaction import redact
from ..storable import storable_text
from .batches import Verdict, verdict_on
from .checked import check_answer, check_vector
from .fingerprint import PROBE_TEXT
from .limits import cut, mean
from .spread import SENTENCES, spread_of_maxsim
from .vector_cache import VECTORS, owner_of

MOST_OF_A_TEXT: Final = 128
MOST_OF_A_QUERY: Final = 64
"""Token vectors that are stored for one text, and that one query is asked with. Of more tokens, several in a row have
one vector together, their mean. With 384 dimensions, 128 vectors take 98 kB, and a short text's 20 take 15 kB."""

MOST_CHARACTERS: Final = 8_192
"""Of a text. What comes after them has no token vectors: it is found by keywords and by passages."""

QUERY_BYTES: Final = 256
QUERY_PIECES: Final = 8
"""Of a longer query, so many pieces at equal distances get token vectors. A recall waits for them: of 10,000 Chinese
characters the model of a laptop takes seconds."""

_BATCH: Final = 32
"""Texts in one call."""

TokenVectors = Sequence[Sequence[float]]

logger = logging.getLogger("crewai_persistent_memory")


@runtime_checkable
class TokenFunction(Protocol):
    """What an embedder has that gives token vectors."""

    def embed_tokens(self, texts: list[str], *, is_query: bool = False) -> Any:
        """One list of vectors for each text, tokens × dimensions, in the order of the tokens.

        Args:
            texts: not blank.
            is_query: the texts are questions. Some models embed those in another way than what is stored.
        """


class TokenEmbedder:
    """Makes the token vectors of an embedder, checked and bounded.

    Args:
        function: the embedder's function.
        name: the embedder as messages name it.

    Attributes:
        dimensions: length of a token vector; 0 before :meth:`probe`.

    Raises:
        ConfigurationError: the function has no method ``embed_tokens``.
    """

    def __init__(self, function: Any, name: str) -> None:
        if not isinstance(function, TokenFunction):
            raise ConfigurationError(
                f"reranker: 'maxsim' needs an embedder with token vectors, and {name} has no method "
                "embed_tokens(texts, is_query=False): give a 'local' model or an object with this method, or leave "
                "reranker out"
            )
        self._function = function
        self._name = name
        self._owner = owner_of(function)
        self._fails = False
        self._spread: CosineSpread | None = None
        self.dimensions = 0

    def probe(self) -> int:
        """The length of a token vector, from those of a short fixed text.

        Raises:
            EmbedderUnavailableError, EmbedderError: see :meth:`embed`.
        """
        try:
            [vectors] = self._ask([PROBE_TEXT], queries=False)
        except EmbedderError:
            raise
        except Exception as error:
            raise self._unavailable(error) from error
        if not vectors:
            raise EmbedderError(f"embed_tokens of {self._name} returned no vector for a plain English sentence")
        self.dimensions = len(vectors[0])
        return self.dimensions

    def embed(self, texts: Sequence[str], *, queries: bool = False) -> list[TokenVectors]:
        """The token vectors of each text; none for a blank text, and for one that the embedder refuses.

        Raises:
            EmbedderUnavailableError: the embedder does not answer, or answers only with errors.
            DimensionMismatchError: its vectors have another length than before.
            EmbedderError: it refuses these texts but no others; or it returns a wrong number of lists, vectors of
                several lengths, or numbers that are not finite.
        """
        read = _of_a_query if queries else _of_a_text
        wanted = [(index, read(storable_text(text))) for index, text in enumerate(texts) if text.strip()]
        found: list[TokenVectors] = [[] for _ in texts]
        try:
            made = self._of_queries(wanted) if queries else self._made([text for _, text in wanted], queries=False)
        except EmbedderError as error:
            if not self._fails:  # once until it answers again: a crew that goes on would fill the log
                self._fails = True
                logger.warning("%s. Until it answers, memories are found without token vectors", error)
            raise
        self._fails = False
        for (index, _), vectors in zip(wanted, made, strict=True):
            found[index] = vectors
        return found

    def spread(self) -> CosineSpread | None:
        """The MaxSim of unrelated sentences, as a mean over the tokens of the question. It is measured once.

        Raises:
            EmbedderUnavailableError, EmbedderError: see :meth:`embed`.
        """
        if self._spread is None:
            self._spread = spread_of_maxsim(self.embed(SENTENCES, queries=True), self.embed(SENTENCES))
        return self._spread

    def _of_queries(self, wanted: Sequence[tuple[int, str]]) -> list[TokenVectors]:
        """CrewAI asks for one task several times, so these are kept for a while. A cache holds flat vectors."""

        def flat(texts: list[str]) -> list[list[float]]:
            return [list(chain.from_iterable(vectors)) for vectors in self._made(texts, queries=True)]

        size = self.dimensions
        kept = VECTORS.embed(self._owner, "tokens of a query", [text for _, text in wanted], flat) if wanted else []
        return [[numbers[start : start + size] for start in range(0, len(numbers), size)] for numbers in kept]

    def _made(self, texts: list[str], *, queries: bool) -> list[TokenVectors]:
        most = MOST_OF_A_QUERY if queries else MOST_OF_A_TEXT
        refusals: list[EmbedderError] = []
        made: list[TokenVectors] = []
        for start in range(0, len(texts), _BATCH):
            made += self._some(texts[start : start + _BATCH], refusals, queries=queries)
        if refusals and not any(made):
            raise refusals[0]
        if refusals:
            logger.warning("%s: %d of %d texts have no token vectors", refusals[0], len(refusals), len(texts))
        return [_at_most(vectors, most) for vectors in made]

    def _some(self, texts: list[str], refusals: list[EmbedderError], *, queries: bool) -> list[TokenVectors]:
        """The token vectors of texts. If the embedder refuses a call, each half is asked for by itself."""
        try:
            return self._ask(texts, queries=queries)
        except Exception as error:  # noqa: BLE001 - whatever the function raises
            failure = self._refusal(error, known=bool(refusals), queries=queries)
            if len(texts) == 1:
                refusals.append(failure)
                return [[]]
        half = len(texts) // 2
        first = self._some(texts[:half], refusals, queries=queries)
        return first + self._some(texts[half:], refusals, queries=queries)

    def _refusal(self, error: Exception, *, known: bool, queries: bool) -> EmbedderError:
        """The error for a text that the embedder refuses.

        Raises:
            EmbedderUnavailableError: it answers for no text.
            EmbedderError: it answers wrongly for every text.
        """
        if not isinstance(error, EmbedderError) and verdict_on(error) is Verdict.AWAY:
            raise self._unavailable(error) from error
        if not known:
            try:
                self._ask([PROBE_TEXT], queries=queries)
            except Exception as failure:  # noqa: BLE001 - whatever the function raises
                raise (failure if isinstance(failure, EmbedderError) else self._unavailable(error)) from error
        if isinstance(error, EmbedderError):
            return error
        return EmbedderError(
            f"embed_tokens of {self._name} refused a text: {type(error).__name__}: {redact(str(error))}"
        )

    def _ask(self, texts: list[str], *, queries: bool) -> list[TokenVectors]:
        answer = check_answer(self._function.embed_tokens(texts, is_query=queries))
        if len(answer) != len(texts):
            raise EmbedderError(f"embed_tokens of {self._name} returned {len(answer)} lists for {len(texts)} texts")
        return [self._checked(vectors) for vectors in answer]

    def _checked(self, vectors: Any) -> TokenVectors:
        name = f"a token vector of {self._name}"
        if isinstance(vectors, (str, bytes)) or not (hasattr(vectors, "tolist") or hasattr(vectors, "__iter__")):
            raise EmbedderError(
                f"embed_tokens of {self._name} must return a list of vectors for each text, and not "
                f"{type(vectors).__name__}"
            )
        rows = vectors.tolist() if hasattr(vectors, "tolist") else vectors
        if not hasattr(rows, "__iter__"):  # an array of no dimension
            raise EmbedderError(
                f"a token vector of {self._name} is not a sequence of numbers but {type(rows).__name__}"
            )
        checked = [check_vector(name, row) for row in rows]
        # Some models fill shorter texts up with vectors of zeros, which are near to nothing.
        kept = [row for row in checked if any(row)]
        lengths = sorted({len(row) for row in kept})
        if len(lengths) > 1:
            raise EmbedderError(f"embed_tokens of {self._name} returned vectors of several lengths: {lengths}")
        if lengths and self.dimensions and lengths != [self.dimensions]:
            raise DimensionMismatchError(self.dimensions, lengths[0])
        return kept

    def _unavailable(self, error: Exception) -> EmbedderUnavailableError:
        return EmbedderUnavailableError(
            f"embed_tokens of {self._name} failed: {type(error).__name__}: {redact(str(error))}"
        )


def _of_a_text(text: str) -> str:
    return text[:MOST_CHARACTERS]


def _of_a_query(query: str) -> str:
    return "".join(cut(query, QUERY_BYTES, QUERY_PIECES)) if len(query) > QUERY_BYTES else query


def _at_most(vectors: TokenVectors, most: int) -> TokenVectors:
    """Vectors in the order of their tokens, and several in a row as one if there are more than ``most``."""
    if len(vectors) <= most:
        return vectors
    step = -(-len(vectors) // most)
    groups = [vectors[start : start + step] for start in range(0, len(vectors), step)]
    return [mean(group, [1.0] * len(group)) for group in groups]

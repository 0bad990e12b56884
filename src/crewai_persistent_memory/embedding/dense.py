"""Dense embedders: CrewAI's specs or any callable, with their limits and errors handled."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from ..errors import ConfigurationError, EmbedderError, EmbedderUnavailableError
from ..ranking import CosineSpread
from ..redaction import redact
from ..storable import storable_text
from .batches import Batches
from .checked import check_answer, check_vector
from .fingerprint import PROBE_TEXT, Fingerprint, normalize_spec, public_spec
from .keys import missing_key, with_key
from .limits import MOST_PIECES, limits_of
from .names import LOCAL, spec_of_name
from .token_vectors import TokenEmbedder
from .vector_cache import VECTORS, owner_of

EmbeddingFunction = Callable[[list[str]], Any]
"""Takes texts, returns one sequence of floats (or numpy array) per text. An empty sequence means "no vector"."""

EMBEDDER_HELP = (
    'give "local", "provider/model" such as "openai/text-embedding-3-small", a CrewAI spec such as {"provider": '
    '"openai", "config": {"model_name": "text-embedding-3-small"}}, a callable that takes a list of texts, or None for '
    "keywords only"
)

logger = logging.getLogger("crewai_persistent_memory")


class Embedder:
    """A dense embedder with a fingerprint. A call embeds texts. Its ``repr`` names the model and no secret.

    Attributes:
        fingerprint: what identifies it.
        dimensions: length of the vectors; ``None`` if that is not known yet.
        spread: the cosines that it gives to unrelated sentences, once they were measured.
        tokens: makes the token vectors of texts; ``None`` unless they were asked for, see :meth:`with_tokens`.
    """

    def __init__(self, function: EmbeddingFunction, fingerprint: Fingerprint, dimensions: int | None = None) -> None:
        self._function = function
        self.fingerprint = fingerprint
        self.dimensions = dimensions
        self.spread: CosineSpread | None = None
        self.tokens: TokenEmbedder | None = None
        self._limits = getattr(function, "limits", None) or limits_of(fingerprint.spec)
        self._owner = owner_of(function)
        self._is_away = False

    @classmethod
    def build(cls, embedder: Mapping[str, Any] | EmbeddingFunction | str) -> Embedder:
        """Build from ``"provider/model"``, a CrewAI spec (``{"provider": ..., "config": {...}}``) or a callable.

        A callable is called once with a short fixed text, to learn its dimensions and fingerprint.

        Raises:
            ConfigurationError: the value is none of these.
            EmbedderUnavailableError: the embedder cannot be built or called.
        """
        if isinstance(embedder, Embedder):
            return embedder
        if isinstance(embedder, str):
            embedder = spec_of_name(embedder)
        if isinstance(embedder, Mapping):
            spec = normalize_spec(embedder)
            if spec["provider"] == LOCAL:
                from .local import local_model  # numpy is imported where it is first needed

                model = local_model(spec)
                return cls(model, model.fingerprint, model.dimensions)
            public = public_spec(spec)
            function = _build_from_spec(spec)
            if public is not None:
                return cls(function, Fingerprint(spec=public))
        elif callable(embedder):
            function = embedder
        else:
            raise ConfigurationError(f"embedder is a {type(embedder).__name__}: {EMBEDDER_HELP}")
        vector = cls(function, Fingerprint()).probe()
        if not vector:
            raise EmbedderUnavailableError("the embedder returned no vector for a plain English sentence")
        return cls(function, Fingerprint.of_probe(vector), dimensions=len(vector))

    def with_tokens(self) -> Embedder:
        """The same embedder, which also makes a vector for each token of a text.

        Raises:
            ConfigurationError: the function has no method ``embed_tokens``.
            EmbedderUnavailableError, EmbedderError: the method fails for a short text, or gives no token vectors.
        """
        if self.tokens is not None:
            return self
        tokens = TokenEmbedder(self._function, repr(self))
        fingerprint = replace(self.fingerprint, tokens=tokens.probe())
        embedder = Embedder(self._function, fingerprint, self.dimensions)
        embedder.spread, embedder.tokens = self.spread, tokens
        return embedder

    def without_tokens(self) -> Embedder:
        """The same embedder, which makes no token vectors."""
        if self.tokens is None:
            return self
        embedder = Embedder(self._function, replace(self.fingerprint, tokens=None), self.dimensions)
        embedder.spread = self.spread
        return embedder

    def probe(self) -> list[float]:
        """The vector of a short fixed text, which identifies the embedder.

        Raises:
            EmbedderUnavailableError, EmbedderError: see :meth:`embed`.
        """
        try:
            [vector] = self._ask([PROBE_TEXT])
        except EmbedderError:
            raise
        except Exception as error:
            raise self._unavailable(error) from error
        return vector

    def embed(
        self, texts: Sequence[str], *, most_pieces: int = MOST_PIECES, queries: bool = False
    ) -> list[list[float]]:
        """One vector per text; empty for a blank text, and for a text without a vector from the embedder.

        A text that was embedded lately is not embedded again, see ``vector_cache``.

        A text above the embedder's limit is cut into pieces, and its vector is the mean of their vectors. A call has at
        most as many texts as the embedder accepts. If the embedder refuses a call, the refused text is searched for:
        the other texts still get their vectors, and a text that is too long is cut into smaller pieces.

        Args:
            texts: texts of any length.
            most_pieces: maximum number of embedded pieces of one text. For a longer text, pieces at equal distances.
            queries: the texts are questions. Some models embed those in another way than what is stored.

        Raises:
            EmbedderUnavailableError: the embedder does not answer, or answers only with errors.
            EmbedderError: the embedder refuses these texts but no others, returns a wrong number of vectors, or
                returns numbers that are not finite.
        """
        wanted = [(index, storable_text(text)) for index, text in enumerate(texts) if text.strip()]
        vectors: list[list[float]] = [[] for _ in texts]
        if not wanted:
            return vectors
        refusals: list[Exception] = []
        # A text that is hardly longer than the limit has few pieces, so their maximum number does not matter.
        pieces = most_pieces if any(len(text) > self._limits.text for _, text in wanted) else 0
        kind = f"{'query' if queries and hasattr(self._function, 'queries') else 'text'} {pieces}"
        make = partial(self._embed, most_pieces=most_pieces, queries=queries, refusals=refusals)
        found = VECTORS.embed(self._owner, kind, [text for _, text in wanted], make)
        if refusals and not any(found):
            raise self._refused(refusals[0]) from refusals[0]
        for (index, _), vector in zip(wanted, found, strict=True):
            vectors[index] = vector
        return vectors

    def _embed(
        self, texts: list[str], *, most_pieces: int, queries: bool, refusals: list[Exception]
    ) -> list[list[float]]:
        """Call the embedder. The errors of texts that it refuses are added to ``refusals``.

        Raises:
            EmbedderError: see :meth:`embed`.
        """
        batches = Batches(partial(self._ask, queries=queries), self._limits, most_pieces)
        try:
            found = batches.embed(texts)
        except Exception as error:  # noqa: BLE001
            failure = error if isinstance(error, EmbedderError) else self._unavailable(error)
            self._note_outage(failure)
            raise failure from (error if failure is not error else error.__cause__)
        self._note_end_of_outage()
        self._limits = batches.limits
        if batches.refusals:
            refusals += batches.refusals
            without = sum(not vector for vector in found)
            logger.warning("%s: %d of %d texts have no vector", self._refused(refusals[0]), without, len(found))
        return found

    def __call__(self, texts: list[str]) -> list[list[float]]:
        return self.embed(texts)

    def __repr__(self) -> str:
        return f"Embedder({self.fingerprint.describe()})"

    def __deepcopy__(self, memo: dict[int, Any]) -> Embedder:
        # Its clients hold sockets and locks. A copied crew shares the embedder.
        return self

    def _ask(self, texts: list[str], queries: bool = False) -> list[list[float]]:
        """One call of the function.

        Raises:
            EmbedderError: the answer is not a list of vectors.
            Exception: the function's own error.
        """
        function = getattr(self._function, "queries", self._function) if queries else self._function
        answer = check_answer(function(texts))
        if len(answer) != len(texts):
            raise EmbedderError(f"{self!r} returned {len(answer)} vectors for {len(texts)} texts")
        return [check_vector("the embedder's vector", vector) for vector in answer]

    def _unavailable(self, error: Exception) -> EmbedderUnavailableError:
        return EmbedderUnavailableError(f"{self!r} failed: {type(error).__name__}: {redact(str(error))}")

    def _refused(self, error: Exception) -> EmbedderError:
        """The error for a refused text, while the embedder accepts others."""
        if isinstance(error, EmbedderError):
            return error
        return EmbedderError(f"{self!r} refused a text: {type(error).__name__}: {redact(str(error))}")

    def _note_outage(self, error: EmbedderError) -> None:
        # Log once per outage and not per call. A crew that continues would otherwise fill the log.
        if not self._is_away:
            self._is_away = True
            logger.warning("%s. Until it answers, memories are found by their words only", error)

    def _note_end_of_outage(self) -> None:
        if self._is_away:
            self._is_away = False
            logger.warning("%r answers again", self)


def _build_from_spec(spec: Mapping[str, Any]) -> EmbeddingFunction:
    from crewai.rag.embeddings.factory import build_embedder

    keyed = with_key(spec)
    try:
        function: EmbeddingFunction = build_embedder(dict(keyed))
    except Exception as error:
        variable = missing_key(spec)
        reason = f"no key was given, and {variable} is not set" if variable else redact(str(error)).rstrip(". ")
        raise EmbedderUnavailableError(
            f"embedder {spec['provider']!r} cannot be built: {reason}. Set its key or install its "
            "package, or pass another embedder= (left out, a new store goes by keywords)"
        ) from error
    return function

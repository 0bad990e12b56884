"""Splits a list of texts into calls within an embedder's limits, and finds the texts that the embedder refuses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from typing import Final

from ..errors import EmbedderError
from .fingerprint import PROBE_TEXT
from .limits import Limits, cut, mean, size_of

MOST_FAILURES: Final = 64
"""Maximum number of failed calls in the search for refused texts in one list."""

SMALLEST_PIECE: Final = 256
"""Bytes. If the embedder refuses a shorter text, its length is not the reason."""

_TOO_LONG: Final = re.compile(
    r"context length|too (long|large|many tokens)|max\w*\W+(\w+\W+){0,3}(token|length|input|context)"
    r"|token limit|exceed|context window|sequence length",
    re.IGNORECASE,
)
_AWAY_BY_NAME: Final = re.compile(r"timeout|connect|ratelimit|authenticat|permission|unavailable|internalserver", re.I)


class Verdict(Enum):
    """The meaning of an embedder's error."""

    AWAY = "away"
    """The embedder is unavailable for all texts."""
    TOO_LONG = "too long"
    """The embedder reports that a text is too long."""
    UNCLEAR = "unclear"
    """The error may concern a text of this call, or all calls."""


def verdict_on(error: BaseException) -> Verdict:
    """The meaning of an embedder's error, from its status, its class, and its text."""
    for each in _chain(error):
        status = _status(each)
        if status in (401, 403, 404, 408, 429) or (status is not None and status >= 500):
            return Verdict.AWAY
        if status == 413 or _TOO_LONG.search(str(each)):
            return Verdict.TOO_LONG
        if isinstance(each, (OSError, ImportError)) or _AWAY_BY_NAME.search(type(each).__name__):
            return Verdict.AWAY
    return Verdict.UNCLEAR


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(5):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def _status(error: BaseException) -> int | None:
    response = getattr(error, "response", None)
    for holder, name in ((error, "status_code"), (error, "code"), (error, "status"), (response, "status_code")):
        value = getattr(holder, name, None)
        if isinstance(value, int) and not isinstance(value, bool) and 100 <= value < 600:
            return value
    return None


class Batches:
    """Embeds one list of texts in several calls.

    Attributes:
        limits: the embedder's limits. They are lowered when the embedder refuses a text because of its length.
        refusals: the errors of the texts, or pieces of texts, without a vector.
    """

    def __init__(self, ask: Callable[[list[str]], list[list[float]]], limits: Limits, most_pieces: int) -> None:
        self._ask = ask
        self._most_pieces = most_pieces
        self.limits = limits
        self.refusals: list[Exception] = []
        self._failures = 0
        self._answers_others = False

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector per text; empty if none of its pieces has one.

        Raises:
            Exception: the embedder's own error, if it answers no call at all.
        """
        if self._are_one_call(texts):
            return self._vectors(list(texts))
        found: list[list[tuple[int, list[float]]]] = [[] for _ in texts]
        for batch in self._calls(texts):
            vectors = self._vectors([piece for _, piece in batch])
            for (index, piece), vector in zip(batch, vectors, strict=True):
                if vector:
                    found[index].append((size_of(piece), vector))
        return [self._combined(pieces) for pieces in found]

    def _are_one_call(self, texts: Sequence[str]) -> bool:
        """Whether the texts certainly fit into one call, without counting bytes. A character has up to 4 bytes."""
        limits = self.limits
        longest = max(map(len, texts))
        return len(texts) <= limits.inputs and 4 * longest <= min(limits.text, limits.request // len(texts))

    def _combined(self, pieces: Sequence[tuple[int, list[float]]]) -> list[float]:
        if len({len(vector) for _, vector in pieces}) > 1:
            self.refusals.append(EmbedderError("the embedder returned vectors of several lengths for one text"))
            return []
        return mean([vector for _, vector in pieces], [size for size, _ in pieces]) if pieces else []

    def _calls(self, texts: Sequence[str]) -> Iterator[list[tuple[int, str]]]:
        batch: list[tuple[int, str]] = []
        size = 0
        for index, text in enumerate(texts):
            for piece in cut(text, self.limits.text, self._most_pieces):
                bytes_ = size_of(piece)
                if batch and (len(batch) >= self.limits.inputs or size + bytes_ > self.limits.request):
                    yield batch
                    batch, size = [], 0
                batch.append((index, piece))
                size += bytes_
        if batch:
            yield batch

    def _vectors(self, pieces: list[str]) -> list[list[float]]:
        if any(4 * len(piece) > self.limits.text and size_of(piece) > self.limits.text for piece in pieces):
            return self._cut_further(pieces)
        try:
            vectors = self._ask(pieces)
        except Exception as error:  # noqa: BLE001
            return self._after(error, pieces)
        self._answers_others = True
        return vectors

    def _cut_further(self, pieces: list[str]) -> list[list[float]]:
        """The vectors of pieces that exceed the limit, because it was lowered after they were cut."""
        parts = [cut(piece, self.limits.text, self._most_pieces) for piece in pieces]
        flat = [part for each in parts for part in each]
        vectors: list[list[float]] = []
        for start in range(0, len(flat), self.limits.inputs):
            vectors += self._vectors(flat[start : start + self.limits.inputs])
        found = iter(vectors)
        of_parts = [[(size_of(part), next(found)) for part in each] for each in parts]
        return [self._combined([(size, vector) for size, vector in each if vector]) for each in of_parts]

    def _after(self, error: Exception, pieces: list[str]) -> list[list[float]]:
        """The vectors after a failed call. If a text may be the cause, each half is embedded separately."""
        verdict = Verdict.UNCLEAR if isinstance(error, EmbedderError) else verdict_on(error)
        if verdict is Verdict.AWAY:
            raise error
        self._failures += 1
        if not self._answers_others:
            self._require_an_answer(error)
        if self._failures > MOST_FAILURES:
            self.refusals.append(error)
            return [[] for _ in pieces]
        if len(pieces) > 1:
            half = len(pieces) // 2
            return self._vectors(pieces[:half]) + self._vectors(pieces[half:])
        [piece] = pieces
        size = size_of(piece)
        if size < SMALLEST_PIECE or isinstance(error, EmbedderError):
            self.refusals.append(error)
            return [[]]
        smaller = size // 2 + 4
        halves = cut(piece, smaller, self._most_pieces)
        vectors = [(size_of(half), vector) for half in halves for vector in self._vectors([half]) if vector]
        if verdict is Verdict.TOO_LONG and len(vectors) == len(halves):
            # The limit is known now. Later texts are cut to it before they are sent.
            self.limits = self.limits._replace(text=min(self.limits.text, smaller))
        return [self._combined(vectors)]

    def _require_an_answer(self, error: Exception) -> None:
        """Raise ``error`` if the embedder refuses a probe text too. The error then does not concern these texts."""
        try:
            self._ask([PROBE_TEXT])
        except Exception:  # noqa: BLE001
            raise error from None
        self._answers_others = True

"""The dense vectors of points, all together: by their names, their lengths, their sizes; and requests without them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol, TypeVar

from ...errors import DimensionMismatchError, EmbedderMismatchError
from .engine_requests import Change, Request, Search, SearchMany, SetVectors, Upsert
from .manifest import Descriptor
from .schema import DENSE, PASSAGES, TOKENS

T = TypeVar("T")
Vectors = Sequence[Sequence[float]]

_BYTES: Final = 12
"""Bytes that a number of a vector takes in a request or in an engine's log and storage, about."""


class WithVectors(Protocol):
    """A point to write, or a change of one."""

    @property
    def dense(self) -> Sequence[float] | None: ...
    @property
    def passages(self) -> Vectors: ...
    @property
    def tokens(self) -> Vectors: ...


def dense_vectors(of: WithVectors) -> dict[str, Any]:
    """The vectors that there are, by their names, as both engines take them."""
    vectors: dict[str, Any] = {}
    if of.dense:
        vectors[DENSE] = list(of.dense)
    if of.passages:
        vectors[PASSAGES] = [list(vector) for vector in of.passages]
    if of.tokens:
        vectors[TOKENS] = [list(vector) for vector in of.tokens]
    return vectors


def dense_names(descriptor: Descriptor) -> list[str]:
    """The names of the dense vectors that a point of the collection may have."""
    names = [DENSE, PASSAGES] if descriptor.passages else [DENSE]
    return names if descriptor.tokens is None else [*names, TOKENS]


def lengths_of(points: Iterable[WithVectors]) -> set[int]:
    """The lengths of the vectors of texts and passages."""
    return {len(each) for point in points for each in (point.dense, *point.passages) if each}


def check_tokens(points: Iterable[WithVectors], descriptor: Descriptor, where: str) -> None:
    """Check the lengths of token vectors before a write.

    Raises:
        EmbedderMismatchError: the collection has no token vectors.
        DimensionMismatchError: a token vector has another length than the collection's.
    """
    for length in sorted({len(each) for point in points for each in point.tokens}):
        if descriptor.tokens is None:
            raise EmbedderMismatchError(
                f"the store at {where} was created without token vectors and takes none: open it without "
                "reranker='maxsim', or use another path or collection"
            )
        if length != descriptor.tokens:
            raise DimensionMismatchError(descriptor.tokens, length)


def bytes_of(of: WithVectors) -> int:
    """About how many bytes the vectors take in a request, and in the engine's log and storage."""
    dense = len(of.dense or ())
    return _BYTES * (dense * (1 + len(of.passages)) + sum(map(len, of.tokens)))


def without_dense(request: Request[T]) -> Request[T]:
    """The request without dense vectors: another embedder made them than that of the collection. A text is then found
    by its words, and embedded later."""
    changed: Any = request
    if isinstance(request, Upsert):
        bare = [point._replace(dense=None, passages=(), tokens=()) for point in request.points]
        changed = replace(request, points=bare)
    elif isinstance(request, Change):
        changed = replace(request, dense=None, passages=(), tokens=())
    elif isinstance(request, SetVectors):
        changed = replace(request, vectors=())
    elif isinstance(request, Search):
        changed = _by_words(request)
    elif isinstance(request, SearchMany):
        changed = SearchMany([_by_words(search) for search in request.searches])
    result: Request[T] = changed
    return result


def _by_words(search: Search) -> Search:
    return replace(search, dense=None, by_passages=False, tokens=())

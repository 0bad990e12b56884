"""The vectors of a request, checked before anything is written or asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ....errors import DimensionMismatchError, EmbedderMismatchError, InvalidEntryError
from ..engine_requests import Change, PointData, Request, Search, SetVectors, Upsert
from ..manifest import KEYWORDS as KEYWORDS_ONLY
from ..manifest import Descriptor
from ..point_vectors import WithVectors, check_tokens, lengths_of


def admit(request: Request[Any], descriptor: Descriptor, where: str) -> None:
    """Check the vectors of a request before anything is written or asked for.

    Raises:
        EmbedderMismatchError: the collection was created with keywords only.
        DimensionMismatchError: a vector to write has another length than the collection's.
    """
    if isinstance(request, Search):
        lengths = {len(request.dense)} if request.dense else set()
    else:
        points = _with_vectors(request)
        check_tokens(points, descriptor, where)
        lengths = lengths_of(points)
    if lengths and descriptor.vectors == KEYWORDS_ONLY:
        raise EmbedderMismatchError(
            f"the collection at {where} was created with keywords only and takes no vectors: use another collection "
            "for an embedder"
        )
    if not isinstance(request, Search) and descriptor.dimensions is not None:
        for length in sorted(lengths - {descriptor.dimensions}):
            raise DimensionMismatchError(descriptor.dimensions, length)


def _with_vectors(request: Request[Any]) -> Sequence[WithVectors]:
    """What a request writes that may have vectors."""
    if isinstance(request, Upsert):
        return request.points
    if isinstance(request, SetVectors):
        return request.vectors
    return [request] if isinstance(request, Change) else []


def first_length(points: Sequence[PointData]) -> int:
    """The length of the first vector, which decides for a new collection.

    Raises:
        InvalidEntryError: there is none.
    """
    for point in points:
        if point.dense:
            return len(point.dense)
    raise InvalidEntryError(
        "embedding: the first entry of a new collection on a server needs a vector, whose length is then the "
        "collection's: give one, or say the length with dimensions="
    )

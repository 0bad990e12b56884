"""What an embedder returns, checked and as lists of numbers."""

from __future__ import annotations

import math
from typing import Any

from ..errors import EmbedderError


def check_vector(name: str, vector: Any) -> list[float]:
    """A vector as a list of finite floats.

    Raises:
        EmbedderError: it is not a sequence of finite numbers.
    """
    values: list[float] = list(vector.tolist() if hasattr(vector, "tolist") else _sequence(name, vector))
    try:
        # One pass in C: a sum of finite floats is finite unless it overflows, which does not happen for embeddings.
        finite = math.isfinite(math.fsum(values))
    except (TypeError, ValueError, OverflowError) as error:
        raise EmbedderError(f"{name} is not a sequence of numbers: {error}") from error
    if not finite:
        raise EmbedderError(f"{name} has a number that is not finite: check the embedder's input and output")
    return values


def _sequence(name: str, vector: Any) -> Any:
    if isinstance(vector, (str, bytes)) or not hasattr(vector, "__iter__"):
        raise EmbedderError(f"{name} is not a sequence of numbers but {type(vector).__name__}")
    return vector

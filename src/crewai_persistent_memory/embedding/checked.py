"""What an embedder returns, checked and as lists of numbers."""

from __future__ import annotations

import inspect
import math
from typing import Any, Final

from ..errors import EmbedderError

LONGEST: Final = 1e19
"""The largest length of a vector. The engine sums the squares of its numbers in floats of 32 bits. Of a longer vector
the sum is infinite, and then every search that meets the vector fails."""


def check_answer(answer: Any) -> list[Any]:
    """What an embedder returned, as a list with one item for each text.

    Raises:
        TypeError: it is a coroutine, or not iterable. The embedder then counts as one that does not answer.
        Exception: of an iterator, the embedder's own error.
    """
    if inspect.iscoroutine(answer):
        answer.close()
        raise TypeError("it is asynchronous: give a function that returns a list, and not a coroutine")
    if not hasattr(answer, "__iter__"):
        raise TypeError(f"it must return a list with an item for each text, and not {type(answer).__name__}")
    return list(answer)


def check_vector(name: str, vector: Any) -> list[float]:
    """A vector as a list of finite floats.

    Raises:
        EmbedderError: it is not a sequence of finite numbers, or longer than :data:`LONGEST`.
    """
    values: list[float] = list(vector.tolist() if hasattr(vector, "tolist") else _sequence(name, vector))
    try:
        # One pass in C. The length is not finite if a number is not, or if it overflows.
        length = math.hypot(*values)
    except (TypeError, ValueError, OverflowError) as error:
        raise EmbedderError(f"{name} is not a sequence of numbers: {error}") from error
    if not length < LONGEST:
        wrong = "numbers that are too large" if all(map(math.isfinite, values)) else "a number that is not finite"
        raise EmbedderError(f"{name} has {wrong}: check the embedder's input and output")
    return values


def _sequence(name: str, vector: Any) -> Any:
    if isinstance(vector, (str, bytes)) or not hasattr(vector, "__iter__"):
        raise EmbedderError(f"{name} is not a sequence of numbers but {type(vector).__name__}")
    return vector

"""What is made of a text, kept for the next recall: crews are given the same memories again and again."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, ParamSpec, TypeVar
from weakref import ref

P = ParamSpec("P")
T = TypeVar("T")

_BESIDE: Final = 200
"""Characters. What is kept of a text takes as much space beside it, about."""


_ALL: Final[list[Kept[Any]]] = []
_CALLS: Final[list[ref[Any]]] = []
"""Without a lock, which a fork might find held: a list is changed and copied at once."""


def forget_texts() -> None:
    """Keep nothing of any text that was asked for until now, in this process: somebody's texts were erased."""
    for kept in _ALL:
        kept.forget()
    for each in _CALLS.copy():
        if (cached := each()) is not None:
            cached.cache_clear()


def kept_calls(make: Callable[P, T], most: int) -> Callable[P, T]:
    """The function, with its results of the last ``most`` texts kept until :func:`forget_texts`."""
    cached = lru_cache(maxsize=most)(make)
    _CALLS.append(ref(cached, _CALLS.remove))
    return cached  # type: ignore[return-value]  # lru_cache loses the names of the parameters


class Kept(dict[str, T]):
    """What a function makes of texts: ``kept[text]``, without a call where it is known.

    The function must depend on the text alone, so what is kept for one user is the same for every other. It must not
    return ``None``.

    Args:
        make: the function.
        most: the characters of the texts that were asked for lately, at most. As many older ones may be kept beside
            them.
    """

    def __init__(self, make: Callable[[str], T], most: int) -> None:
        self._make = make
        self._most = most
        self._characters = 0
        self._before: dict[str, T] = {}
        _ALL.append(self)

    def forget(self) -> None:
        """Keep nothing of what was asked for until now."""
        self.clear()
        self._before = {}
        self._characters = 0

    def __missing__(self, text: str) -> T:
        made = self._before.get(text)
        if made is None:
            made = self._make(text)
        length = len(text) + _BESIDE
        if self._characters + length > self._most:
            # The older ones go at once: to order them by use would take a call for each text. A second thread in here
            # loses what is kept, and nothing else.
            self._before = self.copy()
            self.clear()
            self._characters = 0
        self._characters += length
        self[text] = made
        return made

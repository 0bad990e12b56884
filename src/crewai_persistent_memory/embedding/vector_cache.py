"""The vectors that embedders have made lately, so that a text is embedded once.

CrewAI asks for one task several times, until 1.9.3 twice at once; a fact is looked for and then saved; a delivery that
failed is repeated. A text is known by a keyed hash and not kept. A vector tells something of its text, so it is used
for ten minutes only, and all are dropped when anything is deleted.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from array import array
from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any, Final, NamedTuple
from weakref import WeakValueDictionary

MOST_VECTORS: Final = 2_000
MOST_BYTES: Final = 16 * 2**20
"""2,000 vectors of 1,536 numbers with 4 bytes each are 12 MB."""
SECONDS: Final = 600.0
"""For which a vector is used. So it also bounds how long a process uses what another process has deleted."""

Ask = Callable[[list[str]], Sequence[list[float]]]


_Key = tuple[int, str, bytes]
_numbers = itertools.count()


class Owner:
    """What vectors belong to: one embedding function, for as long as an embedder of this process uses it."""

    def __init__(self, function: Any) -> None:
        self.function = function  # held, so that no other object gets its id
        self.number = next(_numbers)


class _Kept(NamedTuple):
    until: float
    numbers: array[float]


class VectorCache:
    """Vectors by owner, kind and text; for the threads of a process, blocking and awaiting."""

    def __init__(
        self, most_vectors: int = MOST_VECTORS, most_bytes: int = MOST_BYTES, seconds: float = SECONDS
    ) -> None:
        self._most_vectors = most_vectors
        self._most_bytes = most_bytes
        self._seconds = seconds
        self._secret = os.urandom(32)
        self._start()

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[_Key, _Kept] = OrderedDict()
        self._bytes = 0
        self._cleared = 0

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def size(self) -> int:
        """Bytes of the vectors."""
        return self._bytes

    def embed(self, owner: Owner, kind: str, texts: Sequence[str], ask: Ask) -> list[list[float]]:
        """The vector of each text, exactly as the embedder made it. Two threads may ask for one text at the same time.

        Args:
            owner: whose vectors these are.
            kind: what else decides how the texts are embedded.
            texts: any number.
            ask: makes the vectors of the texts that are not known, each once. An empty one is not kept.

        Raises:
            Exception: that of ``ask``.
        """
        keys = [(owner.number, kind, self._hash(text)) for text in texts]
        now = time.monotonic()
        with self._lock:
            cleared = self._cleared
            kept = {key: found.numbers for key in keys if (found := self._kept.get(key)) and found.until > now}
        vectors = {key: numbers.tolist() for key, numbers in kept.items()}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in vectors}
        if missing:
            made = dict(zip(missing, ask(list(missing.values())), strict=True))
            vectors |= made
            self._keep({key: _packed(vector) for key, vector in made.items() if vector}, cleared)
        return [vectors[key] for key in keys]

    def clear(self) -> None:
        """Drop all vectors, and keep none of those that are being made."""
        with self._lock:
            self._cleared += 1
            self._kept.clear()
            self._bytes = 0

    def after_fork(self) -> None:
        """Another thread of the parent may have held the lock."""
        self._start()

    def _keep(self, made: dict[_Key, array[float]], cleared: int) -> None:
        now = time.monotonic()
        with self._lock:
            if cleared != self._cleared:
                return
            for key, numbers in made.items():
                self._drop(key)
                self._kept[key] = _Kept(now + self._seconds, numbers)
                self._bytes += _size(numbers)
            while self._kept and (
                len(self._kept) > self._most_vectors
                or self._bytes > self._most_bytes
                or next(iter(self._kept.values())).until <= now
            ):
                self._drop(next(iter(self._kept)))

    def _drop(self, key: _Key) -> None:
        found = self._kept.pop(key, None)
        if found is not None:
            self._bytes -= _size(found.numbers)

    def _hash(self, text: str) -> bytes:
        return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16, key=self._secret).digest()


def _packed(vector: Sequence[float]) -> array[float]:
    """In 4 bytes a number, if nothing is lost by it."""
    for part in (vector[:8], vector):  # most vectors that need 8 bytes are known by their first numbers
        short = array("f", part)
        if short.tolist() != part:
            return array("d", vector)
    return short


def _size(numbers: array[float]) -> int:
    return len(numbers) * numbers.itemsize


VECTORS: Final = VectorCache()
"""Of this process."""

_owners: WeakValueDictionary[int, Owner] = WeakValueDictionary()


def owner_of(function: Any) -> Owner:
    """The owner of a function's vectors. Two embedders with one function have one; no two functions have the same."""
    owner = _owners.get(id(function))
    if owner is None:
        owner = _owners.setdefault(id(function), Owner(function))
    return owner


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=VECTORS.after_fork)

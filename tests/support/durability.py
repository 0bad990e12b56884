"""Stores that wait for each write, for tests that look at the store itself after a call, or at what a call raises."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def writes_wait_in(request: pytest.FixtureRequest, *, but: Collection[str] = ()) -> Iterator[None]:
    """While a module's tests run, unless it is one of ``but``: those have stores as users open them."""
    with pytest.MonkeyPatch.context() as environment:
        if request.module.__name__.rpartition(".")[2] not in but:
            environment.setenv("CREWAI_MEMORY_DURABILITY", "store")
        yield

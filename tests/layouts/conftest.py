from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def writes_wait_for_the_store() -> Iterator[None]:
    """These tests look at the server itself."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CREWAI_MEMORY_DURABILITY", "store")
        yield

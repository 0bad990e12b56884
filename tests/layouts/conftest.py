from __future__ import annotations

from collections.abc import Iterator

import pytest

from ..support.durability import writes_wait_in


@pytest.fixture(scope="module", autouse=True)
def writes_wait_for_the_store(request: pytest.FixtureRequest) -> Iterator[None]:
    """These tests look at the server itself."""
    with writes_wait_in(request):
        yield

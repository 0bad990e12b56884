from __future__ import annotations

import pytest

from ..support.engines import VARIANTS

REFUSED_BY_THE_STORE = [
    "TestBadEntries",
    "test_bad_ones_are_named",
    "test_bad_input_names_the_field",
    "test_a_malformed_cursor_is_named",
]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Variants of an engine, and Mem0, are called blocking and awaiting; from threads, the others are enough. What is
    refused before an engine is asked is not tried on its variants. What CrewAI's storage backend promises is about
    vectors, which Mem0 does not take: it is for Qdrant only."""
    kept, left = [], []
    for item in items:
        params = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        in_mem0 = str(params.get("open_any")).startswith("mem0-")
        is_variant = params.get("open_any") in VARIANTS
        threads = (is_variant or in_mem0) and params.get("do") == "thread"
        refused = is_variant and any(name in item.nodeid for name in REFUSED_BY_THE_STORE)
        no_vectors = in_mem0 and "test_backend" in item.nodeid
        (left if threads or refused or no_vectors else kept).append(item)
    items[:] = kept
    if left:
        config.hook.pytest_deselected(items=left)

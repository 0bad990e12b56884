from __future__ import annotations

import pytest

from ..support.engines import VARIANTS


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Variants of an engine are called blocking and awaiting; from threads, the engine itself is enough. What
    CrewAI's storage backend promises is about vectors, which Mem0 does not take: it is for Qdrant only."""
    kept, left = [], []
    for item in items:
        params = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        variant = params.get("open_any") in VARIANTS and params.get("do") == "thread"
        no_vectors = str(params.get("open_any")).startswith("mem0-") and "test_backend" in item.nodeid
        (left if variant or no_vectors else kept).append(item)
    items[:] = kept
    if left:
        config.hook.pytest_deselected(items=left)

from __future__ import annotations

import pytest

from ..support.engines import VARIANTS


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Variants of an engine are called blocking and awaiting; from threads, the engine itself is enough."""
    kept, left = [], []
    for item in items:
        params = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        variant = params.get("open_any") in VARIANTS and params.get("do") == "thread"
        (left if variant else kept).append(item)
    items[:] = kept
    if left:
        config.hook.pytest_deselected(items=left)

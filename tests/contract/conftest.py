from __future__ import annotations

from typing import Any

import pytest

from crewai_persistent_memory.adapters.version import is_unified

from ..support.engines import VARIANTS
from ..support.thorough import IS_THOROUGH, part_of

REFUSED_BY_THE_STORE = ["TestBadEntries", "test_bad_ones_are_named", "test_bad_input_names_the_field"]
AWAITS_BY_ITSELF = {"embedded", "server", "server-grpc", "mem0-cloud"}
"""The stores whose way of awaiting is their own: a thread, two clients of Qdrant's, one of Mem0's. The other ones await
like one of these."""
OF_AN_ENGINE = [
    *("contract/test_store.py", "contract/test_isolation.py", "contract/test_page"),
    *("contract/test_undo.py", "contract/test_history.py", "contract/test_expiry.py", "contract/test_said_before.py"),
    "contract/test_token_vectors.py",
]
"""Engines are the same beside every CrewAI, and are tested beside the newest. Beside an older one there is an older
Mem0."""
FROM_THREADS = "TestScopes"
"""What may differ in another thread is whose memory it is."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Everything is called blocking on every store, and in another way where that can make a difference.

    An operation is written once, and a driver waits for its steps in one of two ways: ``tests/io`` drives every
    operation both ways. What is refused before an engine is asked is not tried on the engine's variants. What CrewAI's
    storage backend promises is about vectors, which Mem0 does not take: it is for Qdrant only. What CrewAI's older
    storage makes of a conversation comes before the store, and is not tried on variants either. Of the pairs of
    filters, variants and Mem0 have those with a path. Of the variants that differ in version, transport or shards, each
    test has one; random operations are on all of them.
    """
    kept, left = [], []
    for item in items:
        params = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        (left if is_left_out(item.nodeid, params) else kept).append(item)
    items[:] = kept
    if left:
        config.hook.pytest_deselected(items=left)


ONE_OF = sorted(VARIANTS - {"server-outbox"})


def is_left_out(test: str, params: dict[str, Any]) -> bool:
    store, way = str(params.get("open_any")), str(params.get("do") or getattr(params.get("way"), "__name__", ""))
    is_variant, in_mem0 = store in VARIANTS, store.startswith("mem0-")
    return (
        (not is_unified() and not in_mem0 and any(name in test for name in OF_AN_ENGINE))
        or (way == "thread" and (is_variant or in_mem0 or FROM_THREADS not in test))
        or (way in ("async", "Awaited") and store not in AWAITS_BY_ITSELF)
        or (is_variant and ("test_storage" in test or any(name in test for name in REFUSED_BY_THE_STORE)))
        or (in_mem0 and "test_backend" in test)
        or (not IS_THOROUGH and (is_variant or in_mem0) and is_beside_the_sample(test, store, params))
    )


def is_beside_the_sample(test: str, store: str, params: dict[str, Any]) -> bool:
    if "test_alone_and_combined" in test and len(params["names"]) > 1 and "path" not in params["names"]:
        return True
    if store not in ONE_OF or "test_isolation" in test:
        return False
    return ONE_OF[part_of(test.replace(store, ""), len(ONE_OF))] != store

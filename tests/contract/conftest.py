from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
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
    *("contract/test_search_scopes.py", "contract/test_token_vectors.py"),
]
"""Engines are the same beside every CrewAI, and are tested beside the newest. Beside an older one there is an older
Mem0."""
AWAITED = {"async", "Awaited", "ascan", "apages"}
"""Parameters that await."""
DROPPED = "outside the scope of the call"
"""In the message of each check that drops an entry."""
FROM_THREADS = "TestScopes"
"""What may differ in another thread is whose memory it is."""
WHO_SEES_WHAT = ["test_isolation", "TestScopes", "scope"]
"""Parts of the names of tests that the ordinary run has in every cell: a leak in one cell is a leak."""

BLOCKING = [{"server", *(VARIANTS - {"server-outbox"})}, {"mem0-cloud", "mem0-oss"}]
"""Stores that differ below the backend: one server by version, transport and shards; one Mem0 by its client. The
ordinary run has each test on one of each set, on the embedded engine, and every second test with an outbox."""
AWAITING = [AWAITS_BY_ITSELF]
"""What is awaited is a step of an operation, and dozens of tests have the same steps: the ordinary run awaits each test
on one of the stores that await by themselves."""
REFUSED = [{"embedded", "server", "mem0-cloud", "mem0-oss"}]
"""What is refused before an engine is asked is refused for all of them by the same lines: one store is enough."""


@pytest.fixture(autouse=True)
def the_engine_filters(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """What an engine returns against the rule is dropped and logged, so a reader does not see that it does not filter.
    Then less than there is may be found. A test about such an engine says ``dropped`` in its name."""
    yield
    leaked = [text for record in caplog.get_records("call") if DROPPED in (text := record.getMessage())]
    assert not leaked or "dropped" in request.node.name, leaked[:3]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Everything is called blocking on every engine, and in another way where that can make a difference.

    An operation is written once, and a driver waits for its steps in one of two ways: ``tests/io`` drives every
    operation both ways. What is refused before an engine is asked is not tried on the engine's variants. What CrewAI's
    storage backend promises is about vectors, which Mem0 does not take: it is for Qdrant only. What CrewAI's older
    storage makes of a conversation comes before the store, and is not tried on variants either. Of the pairs of
    filters, variants and Mem0 have those with a path.

    Of what is left, the ordinary run takes a sample, the same one each time: see ``BLOCKING``, ``AWAITING`` and
    ``REFUSED``. With ``THOROUGH=1`` it takes all.
    """
    asked = [item for item in items if not is_left_out(item.nodeid, params_of(item))]
    kept = asked if IS_THOROUGH else sampled(asked)
    left = set(items) - set(kept)
    items[:] = kept
    if left:
        config.hook.pytest_deselected(items=[*left])


def params_of(item: pytest.Item) -> dict[str, Any]:
    return item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}


def name_of(parameter: Any) -> str:
    return str(getattr(parameter, "__name__", parameter or ""))


def is_left_out(test: str, params: dict[str, Any]) -> bool:
    """Whether this cell cannot differ from one that is tried."""
    store, way = str(params.get("open_any")), name_of(params.get("do") or params.get("way"))
    is_variant, in_mem0 = store in VARIANTS, store.startswith("mem0-")
    return (
        (not is_unified() and not in_mem0 and any(name in test for name in OF_AN_ENGINE))
        or (way == "thread" and (is_variant or in_mem0 or FROM_THREADS not in test))
        or (way in ("async", "Awaited") and store not in AWAITS_BY_ITSELF)
        or (is_variant and ("test_storage" in test or any(name in test for name in REFUSED_BY_THE_STORE)))
        or (in_mem0 and "test_backend" in test)
    )


def sampled(items: list[pytest.Item]) -> list[pytest.Item]:
    """Without the cells of a test that lie beside the sample."""
    stores_of: dict[str, set[str]] = defaultdict(set)
    for item in items:
        stores_of[without_store(item)].add(str(params_of(item).get("open_any")))
    return [item for item in items if is_in_the_sample(item, stores_of[without_store(item)])]


def without_store(item: pytest.Item) -> str:
    """A test and its other parameters."""
    store = str(params_of(item).get("open_any"))
    return re.sub(rf"(?<=[\[-]){re.escape(store)}(?=[-\]])", "", item.nodeid)


def is_in_the_sample(item: pytest.Item, stores: set[str]) -> bool:
    """Whether a cell is one of those that the ordinary run has, of a test that has all these stores."""
    params, test = params_of(item), without_store(item)
    store = str(params.get("open_any"))
    if "open_any" not in params or any(name in item.nodeid for name in WHO_SEES_WHAT):
        return True
    if (store in VARIANTS or store.startswith("mem0-")) and "test_alone_and_combined" in test:
        names = params["names"]
        if len(names) > 1 and "path" not in names:
            return False
    if store == "server-outbox":
        return part_of(test, 2) == 0
    if any(name in test for name in REFUSED_BY_THE_STORE):
        chosen_from = REFUSED
    else:
        chosen_from = AWAITING if any(name_of(each) in AWAITED for each in params.values()) else BLOCKING
    for set_of_stores in chosen_from:
        if store in set_of_stores:
            there = sorted(stores & set_of_stores)
            return store == there[part_of(test, len(there))]
    return True

"""Which tests there are. This module imports nothing that takes long: the process that deals tests out to the workers
of pytest-xdist reads it too. What it has no use for is in ``fixtures.py``."""

from __future__ import annotations

import gc
import os
from importlib.metadata import version

import pytest

from .support.thorough import IS_THOROUGH, part_of

IS_UNIFIED = tuple(map(int, version("crewai").split(".")[:2])) >= (1, 10)
OF_UNIFIED_MEMORY = ["contract/test_backend.py", "crew/test_memory_engine.py", "layouts/test_embedded_migration.py"]
# Imports make objects that stay. To look through them for garbage, again and again, takes a quarter of their time.
gc.disable()
RARELY = (20_000, 20, 50)
"""When garbage is collected: 700 objects are made by a single request."""

collect_ignore = [] if IS_UNIFIED else OF_UNIFIED_MEMORY


PART = os.environ.get("PART_OF_CREWS", "")
"""Which third of the tests of crews this run has; without it, every test. ``noxfile.py`` deals the thirds out to the
versions of CrewAI between the two ends."""
EVERYWHERE = ["crew/test_crews.py", "crew/test_register.py", "crew/test_external_memory.py"]
"""Run on each of them. Every other test is run on one of each generation."""
STORAGE_CONTRACTS = ["contract/test_storage.py", "contract/test_backend.py"]
"""What CrewAI asks of a storage comes before the engine: between the two ends it is tried on one engine."""
MEM0 = version("mem0ai").partition(".")[0]
"""The generation of Mem0: "0", "1" or "2"."""


@pytest.hookimpl(tryfirst=True)  # a sample is one of what is left here
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    kept, left = [], []
    for item in items:
        (kept if is_run_here(item) else left).append(item)
    items[:] = kept
    if left:
        config.hook.pytest_deselected(items=left)


def is_run_here(item: pytest.Item) -> bool:
    """Whether the run beside this CrewAI has this test."""
    if item.get_closest_marker("newest"):
        return IS_UNIFIED and not PART
    if is_left_to_another_mem0(item.nodeid):
        return False
    # What a CrewAI does with a crew, the tests beside it show in this process, without an embedder or a server.
    if item.get_closest_marker("repeated") and not IS_THOROUGH and (PART or not IS_UNIFIED):
        return False
    return not PART or is_of_crews(item)


WHO_SEES_WHAT = ["contract/test_isolation.py", "mem0/test_scopes.py", "mem0/test_each_vector_store.py"]
"""Run beside each Mem0."""


def is_left_to_another_mem0(test: str) -> bool:
    """Whether another older Mem0 has this test: 0.1, beside CrewAI 1.9.3, has one half, and 1.x the other one."""
    is_older = (MEM0 == "0" and not PART) or MEM0 == "1"
    if IS_THOROUGH or not is_older or any(name in test for name in WHO_SEES_WHAT):
        return False
    is_of_mem0 = "tests/mem0/" in test or (not PART and "tests/contract/" in test)
    return is_of_mem0 and part_of(test, 2) != int(MEM0)


def is_of_crews(item: pytest.Item) -> bool:
    """Whether a run between the two ends has this test."""
    test = item.nodeid
    if any(name in test for name in STORAGE_CONTRACTS):
        return "embedded" in test
    if MEM0 == "1" and "tests/mem0/" in test:
        return True
    if not item.get_closest_marker("crew") or item.get_closest_marker("ends"):
        return False
    return IS_THOROUGH or any(name in test for name in EVERYWHERE) or part_of(test, 3) == int(PART)


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(*RARELY)
    gc.enable()


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        config.pluginmanager.import_plugin("tests.fixtures")


def pytest_report_header() -> list[str]:
    versions = f"crewai {version('crewai')}, mem0ai {version('mem0ai')}, qdrant-client {version('qdrant-client')}"
    left = [f"not collected, for CrewAI since 1.10 only: {', '.join(collect_ignore)}"] if collect_ignore else []
    return [versions, *left]

"""Which tests there are. This module imports nothing that takes long: the process that deals tests out to the workers
of pytest-xdist reads it too. What it has no use for is in ``fixtures.py``."""

from __future__ import annotations

from importlib.metadata import version

import pytest

IS_UNIFIED = tuple(map(int, version("crewai").split(".")[:2])) >= (1, 10)
OF_UNIFIED_MEMORY = ["contract/test_backend.py", "crew/test_memory_engine.py", "layouts/test_embedded_migration.py"]
collect_ignore = [] if IS_UNIFIED else OF_UNIFIED_MEMORY


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        config.pluginmanager.import_plugin("tests.fixtures")


def pytest_report_header() -> list[str]:
    versions = f"crewai {version('crewai')}, mem0ai {version('mem0ai')}, qdrant-client {version('qdrant-client')}"
    left = [f"not collected, for CrewAI since 1.10 only: {', '.join(collect_ignore)}"] if collect_ignore else []
    return [versions, *left]

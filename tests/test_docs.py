"""The code in ``docs/scaling.md`` is what the package understands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from crewai_persistent_memory.server_config import CollectionSettings

SCALING = (Path(__file__).parents[1] / "docs" / "scaling.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", SCALING, re.DOTALL)


def test_the_profiles_are_settings() -> None:
    profiles = [code for code in PYTHON if code.startswith("settings =")]
    assert len(profiles) == 3
    for code in profiles:
        names: dict[str, Any] = {}
        exec(code, names)
        CollectionSettings.model_validate(names["settings"])
    for name in re.findall(r"^\| `(\w+)` \|", SCALING, re.MULTILINE):
        assert name in CollectionSettings.model_fields


def test_every_snippet_is_run_somewhere() -> None:
    """The fourth one, ``dedicate_project``, needs a cluster: ``tests/server/test_cluster.py``."""
    assert len(PYTHON) == 4

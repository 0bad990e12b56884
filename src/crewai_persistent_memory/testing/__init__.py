"""A test kit for crews with persistent memory: for your own CI, without a key, a model or a server.

Importing this module imports neither ``crewai`` nor ``pytest``. The fixtures are in ``pytest_plugin``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..expiry import clock_set_to
    from .backend_contract import BackendContract
    from .fake_embedder import FakeEmbedder
    from .isolation import assert_isolated
    from .restart import assert_survives_restart
    from .scripted_llm import ScriptedLLM, memories_in
    from .temporary import temporary_memory, temporary_store
    from .workers import assert_shared_by_workers

_HOME = {
    "BackendContract": ".backend_contract",
    "FakeEmbedder": ".fake_embedder",
    "ScriptedLLM": ".scripted_llm",
    "assert_isolated": ".isolation",
    "assert_shared_by_workers": ".workers",
    "assert_survives_restart": ".restart",
    "clock_set_to": "..expiry",
    "memories_in": ".scripted_llm",
    "temporary_memory": ".temporary",
    "temporary_store": ".temporary",
}

__all__ = [
    "BackendContract",
    "FakeEmbedder",
    "ScriptedLLM",
    "assert_isolated",
    "assert_shared_by_workers",
    "assert_survives_restart",
    "clock_set_to",
    "memories_in",
    "temporary_memory",
    "temporary_store",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

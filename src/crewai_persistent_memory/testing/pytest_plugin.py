"""The pytest plugin: fixtures for tests of crews with memory.

pytest loads it in every run of an environment that has this package. So importing it imports nothing else: neither
``crewai`` nor an engine before a test asks for a fixture. It has no hooks and no fixture that is used by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ..adapters.memory import PersistentMemory
    from ..store.base import MemoryStore
    from .fake_embedder import FakeEmbedder
    from .scripted_llm import ScriptedLLM


@pytest.fixture
def fake_embedder() -> FakeEmbedder:
    """An embedder without a model, see :class:`crewai_persistent_memory.testing.FakeEmbedder`."""
    from .fake_embedder import FakeEmbedder

    return FakeEmbedder()


@pytest.fixture
def scripted_llm() -> ScriptedLLM:
    """An LLM that answers "noted", see :class:`crewai_persistent_memory.testing.ScriptedLLM`. ``when()`` adds rules."""
    from .scripted_llm import ScriptedLLM

    return ScriptedLLM()


@pytest.fixture
def persistent_memory(fake_embedder: FakeEmbedder) -> Iterator[PersistentMemory]:
    """A ``PersistentMemory`` over an empty embedded store of this test. Name the user with ``use_scope`` or
    ``scoped()``, as in a service."""
    from .temporary import temporary_memory

    with temporary_memory(embedder=fake_embedder) as memory:
        yield memory


@pytest.fixture
def memory_store(fake_embedder: FakeEmbedder) -> Iterator[MemoryStore]:
    """An empty embedded store of this test, without CrewAI. Name the user with ``use_scope`` or ``scoped()``."""
    from .temporary import temporary_store

    with temporary_store(embedder=fake_embedder) as store:
        yield store

"""What a kind of store is to the contract suite."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import MemoryConfig


@dataclass(frozen=True)
class Kind:
    """A kind of store: the options that open the one that belongs to a test's folder, and how to remove it."""

    options: Callable[[pytest.FixtureRequest, Path], dict[str, Any]]
    remove: Callable[[pytest.FixtureRequest, Path], None] = lambda request, folder: None
    empty: Callable[[pytest.FixtureRequest, Path], None] | None = None
    """Deletes every entry, whoever's it is. Without it each test has a store of its own."""
    external: Mapping[str, Any] = field(default_factory=dict)
    """Options for vectors from outside."""
    cannot: Mapping[str, str] = field(default_factory=dict)
    """What the store declares it cannot do: part of a test's name, and why."""
    embeds_itself: bool = False

    def config(self, request: pytest.FixtureRequest, folder: Path, **given: Any) -> MemoryConfig:
        if self.embeds_itself:
            given.pop("embedder", None)
        return MemoryConfig.build(**self.options(request, folder), **given)

    def gap(self, test: str) -> str | None:
        return next((reason for part, reason in self.cannot.items() if part in test), None)


def collection_of(folder: Path) -> str:
    return "t-" + hashlib.blake2b(str(folder).encode(), digest_size=8).hexdigest()

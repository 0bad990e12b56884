"""Requests about the collection itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ....embedding import Embedder, KeywordEncoder
from ....filter_fields import FilterField
from ....scope import Scope
from ....store.operations import Taken
from ..manifest import Descriptor
from ..said_before import SaidBefore
from .request import Request


class Profile(NamedTuple):
    """A collection as a caller meets it. ``embedder`` is ``None`` for keywords only."""

    descriptor: Descriptor
    embedder: Embedder | None
    encoder: KeywordEncoder
    said_before: SaidBefore
    filter_fields: Sequence[FilterField] = ()


@dataclass(frozen=True)
class Describe(Request[Profile]):
    """What the collection says about itself, and how texts become its vectors."""


@dataclass(frozen=True)
class Compact(Request[bool]):
    """Remove what deleted entries left in the files; whether the engine can be made to."""


@dataclass(frozen=True)
class BackUp(Request[Taken]):
    """Copy everything into a folder of this host, which is there and empty."""

    folder: Path


@dataclass(frozen=True)
class ListProjects(Request[Sequence[Scope]]):
    """The projects that have a collection of their own on a server, each as the scope of what is shared in it."""


@dataclass(frozen=True)
class Health(Request[dict[str, Any]]):
    """Whether the engine answers, and what it is."""

"""How Mem0's vector stores differ, by provider and version of mem0ai: the one table of it.

Every line was seen by running that provider, unless it says otherwise. ``check.py`` refuses what the table does not
open. ``corrected.py`` and the modules of the providers make the rest right.

| provider | seen with mem0ai | what differs |
| --- | --- | --- |
| ``qdrant``, a folder | all | vectors of another length are numpy's ``ValueError`` |
| ``chroma`` | 0.1.116, 1.0.11 | the score is the squared distance |
| ``chroma`` | 0.1.116, 1.0.11 | reading a memory that does not exist is an ``IndexError`` |
| ``chroma`` | all | two processes on a folder: a search fails |
| ``chroma`` | all, chromadb 1.1.1 and 1.5.9 | a search with a filter finds fewer than there are |
| ``chroma`` | all | some keys of metadata are refused |
| ``pgvector`` | 0.1.116, 1.0.11 | the score is the cosine distance |
| ``pgvector`` | 0.1.116 | one connection and one cursor for all threads; a read leaves a transaction open |
| ``pgvector`` | all | an index is searched before it is filtered by user: of 300 users, 260 recall nothing |
| ``pgvector`` | all | a NUL character cannot be stored; a lost connection is psycopg's ``OperationalError`` |
| ``faiss`` | 2.2.1 | Mem0 filters the nearest rows of all users: of 300 users, 180 recall nothing |
| ``faiss`` | 2.2.1 | two processes on a folder lose each other's memories, threads lose updates |
| ``faiss`` | 2.2.1 | what cannot be written is lost, without an error; a crash leaves files that do not fit |
| ``redis`` | 2.2.1 | users are compared without case; our ids are not found; 10,000 results at most |
| ``redis`` | 2.2.1, RediSearch 2.10.5 | what was stored for an owner of more than 4,096 bytes is not found |
| ``valkey`` | 2.2.1 | the same; 10 results of Mem0 at most; a new collection is not opened (with RediSearch) |
| ``supabase`` | 2.2.1 | 1,000 rows of all users are listed at most; reading one and changing metadata fail |
| ``langchain`` | 2.2.1 | our ids are not found |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True)
class Provider:
    """What is known of one provider.

    Attributes:
        since: the oldest mem0ai with which it is opened.
        why_not_before: why it is not opened with an older one.
        refused: why no version is opened.
        score_of: what a distance is worth, between 0 and 1. Below mem0ai 2.0 the store's score is a distance.
        in_turn_below: versions of mem0ai with which calls must take turns.
        most: results of one request at most.
        needs_a_place: the configuration must name a path or an address, because Mem0 would take a folder in ``/tmp``.
        locks_folder: one process at a time.
    """

    since: tuple[int, ...] = (0, 1, 100)
    why_not_before: str = ""
    refused: str | None = None
    score_of: Callable[[float], float] | None = None
    in_turn_below: tuple[int, ...] = ()
    most: int | None = None
    needs_a_place: bool = False
    locks_folder: bool = False


def _of_cosine_distance(distance: float) -> float:
    return max(0.0, 1.0 - distance)


def _of_squared_distance(distance: float) -> float:
    return 1.0 / (1.0 + distance)


_EVERY_VERSION: Final = (1_000,)
_NEVER_TRIED: Final = "below mem0ai 2.2 it was not made right"

PROVIDERS: Final[Mapping[str, Provider]] = {
    "qdrant": Provider(needs_a_place=True),
    "chroma": Provider(score_of=_of_squared_distance, needs_a_place=True, locks_folder=True),
    "pgvector": Provider(score_of=_of_cosine_distance, in_turn_below=(1,)),
    "faiss": Provider(
        since=(2, 2),
        why_not_before=_NEVER_TRIED,
        in_turn_below=_EVERY_VERSION,
        needs_a_place=True,
        locks_folder=True,
    ),
    "redis": Provider(since=(2, 2), why_not_before=_NEVER_TRIED, most=10_000),
    "valkey": Provider(since=(2, 2), why_not_before=_NEVER_TRIED, most=10_000),
    "langchain": Provider(
        refused="Mem0 does not find memories by our ids there: one id becomes two entries, get finds none, and delete "
        "deletes none"
    ),
    "supabase": Provider(since=(2, 2), why_not_before=_NEVER_TRIED),
}
"""``check.py`` refuses what is not in it, unless the caller wants it all the same."""


def known(provider: str) -> Provider:
    """What is known of a provider: nothing of one that was never tried."""
    return PROVIDERS.get(provider, Provider())


def folder_of(provider: str, settings: Mapping[str, Any]) -> str | None:
    """The folder of a store that takes one process at a time. Qdrant's own client locks its folder."""
    if not known(provider).locks_folder or settings.get("client") or settings.get("api_key"):
        return None
    if settings.get("host") and settings.get("port"):
        return None
    return str(settings["path"])


def settings_of(config: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """The provider of the vector store and its settings; settings of another form are left to Mem0 to refuse."""
    return named(config, "vector_store")


def named(config: Mapping[str, Any], part: str) -> tuple[str, Mapping[str, Any]]:
    """The provider of a part of a ``local_mem0_config``, and its settings."""
    found = config[part]
    settings = found.get("config")
    return str(found.get("provider")), settings if isinstance(settings, Mapping) else {}

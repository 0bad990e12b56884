"""A child of the damage tests: opens each store that it is told, and says what it found. It may crash of one.

A line of its input is the folder of a store, and whether the store has keywords alone.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

from crewai_persistent_memory import PersistentMemoryError, open_store


def embed(texts: list[str]) -> list[list[float]]:
    return [[1.0, len(text) / 100] for text in texts]


def look(path: str, options: dict[str, Any]) -> list[object]:
    """Every text by its id, the ids of what was lost, how many are found by a word, and how many there are with one
    that is added; or the error and what it says."""
    try:
        with open_store(path=path, user_id="john", **options) as store:
            found = {entry.id: entry.content for entry in store.list(limit=10_000)}
            words = store.search("fact", limit=10)
            lost = (store.health()["lost"] or {}).get("entries", [])
            store.add("written after it", id="new")
            return [found, lost, len(words), store.count()]
    except PersistentMemoryError as error:
        return [type(error).__name__, str(error)]


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    for line in sys.stdin:
        path, of_words = json.loads(line)
        print(json.dumps(look(path, {} if of_words else {"embedder": embed})), flush=True)

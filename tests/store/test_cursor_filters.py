"""A cursor holds for the filters of its page only."""

from __future__ import annotations

from pathlib import Path

import pytest

from crewai_persistent_memory import InvalidArgumentError, open_store


def test_a_cursor_is_refused_with_other_filters(tmp_path: Path) -> None:
    with open_store(path=tmp_path / "store", embedder=None, user_id="john") as store:
        for number in range(4):
            store.add(f"tea {number}", categories=["tea"], metadata={"n": 1})
        first = store.page(limit=2, categories=["tea"])
        assert len(store.page(limit=2, cursor=first.cursor, categories=["tea"]).entries) == 2
        for other in ({}, {"categories": ["coffee"]}, {"categories": ["tea"], "metadata": {"n": 1}}):
            with pytest.raises(InvalidArgumentError, match=r"^cursor "):
                store.page(limit=2, cursor=first.cursor, **other)  # type: ignore[arg-type]

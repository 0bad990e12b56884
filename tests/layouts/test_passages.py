"""Long texts of an embedded store that an earlier version has made: by a command their passages get vectors."""

from __future__ import annotations

from pathlib import Path

import pytest

from crewai_persistent_memory import ConfigurationError, MemoryStore, open_store
from crewai_persistent_memory.admin import reembed
from crewai_persistent_memory.text.passages import is_one_passage

from .embedder import letters
from .kept import assert_holds, expected, scopes, unpack
from .test_layouts import OLDER_LAYOUTS

NAME = "embedded-dense"


def scores(store: MemoryStore, content: str) -> dict[str, float]:
    """The relevance of the entries with this text, for its end. The words are none, so vectors alone find it."""
    query = " ".join(content[-200:].replace(" ", ""))
    return {entry.id: entry.score or 0.0 for entry in store.search(query, limit=1_000) if entry.content == content}


@pytest.mark.parametrize("layout", OLDER_LAYOUTS)
def test_they_are_found_as_those_that_are_saved_now(layout: int, tmp_path: Path) -> None:
    folder, kept = unpack(layout, NAME, tmp_path), expected(layout, NAME)
    key, long = next((key, each) for key, each in kept.items() if not is_one_passage(each["content"]))
    sent: list[str] = []

    def counting(texts: list[str]) -> list[list[float]]:
        sent.extend(texts)
        return letters(texts)

    with open_store(path=folder, embedder=counting) as store:
        mine = store.scoped(scopes(kept)[key.partition("/")[0]])
        now = mine.add(long["content"], id="saved now", created_at=mine.list(ids=[long["id"]])[0].created_at).id
        found = scores(mine, long["content"])
        assert found[long["id"]] != pytest.approx(found[now], abs=1e-3)

        texts = [each["content"] for each in kept.values() if not is_one_passage(each["content"])]
        planned = reembed(store, counting, passages=True, dry_run=True)
        assert (planned.characters, planned.changed) == (sum(map(len, texts)), False)
        sent.clear()
        assert reembed(store, counting, passages=True).embedded == len(texts)
        assert not {each["content"] for each in kept.values() if is_one_passage(each["content"])} & set(sent)
        found = scores(mine, long["content"])
        assert found[long["id"]] == pytest.approx(found[now], abs=1e-3)

        sent.clear()
        again = reembed(store, counting, passages=True)
        assert (again.embedded, again.characters) == (0, 0)
        assert not set(texts) & set(sent)
        mine.delete(ids=[now])
        assert_holds(store, kept)
    with open_store(path=folder, embedder=counting) as store:
        assert store.health()["lost"] is None
        assert_holds(store, kept)


def test_by_its_own_embedder_only(tmp_path: Path) -> None:
    with (
        open_store(path=unpack(2, NAME, tmp_path), embedder=letters) as store,
        pytest.raises(ConfigurationError, match="passages: they get vectors of the embedder that the store has"),
    ):
        reembed(store, lambda texts: [[1.0, 0.0] for _ in texts], passages=True)

"""A long text is found by its best passage: each of its passages has a vector of its own."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from pathlib import Path

import pytest
import qdrant_edge as edge

from crewai_persistent_memory import MemoryStore, open_store
from crewai_persistent_memory.backends.qdrant.passage_vectors import MOST_PASSAGES, joined, parts_of

FILLER = "The committee met on a weekday and went through its agenda without a remark worth noting here. "
FACT = "Zanzibar was chosen as the venue of the congress."


def by_words(texts: list[str]) -> list[list[float]]:
    """Texts with the same words are near to each other. Of a long text, one sentence hardly matters."""
    return [_vector(text) for text in texts]


def _vector(text: str) -> list[float]:
    total = [0.0] * 64
    for word in text.lower().replace(".", " ").split():
        digest = hashlib.blake2b(word.encode(), digest_size=64).digest()
        total = [sum + byte / 127.5 - 1.0 for sum, byte in zip(total, digest, strict=True)]
    norm = math.sqrt(math.fsum(x * x for x in total)) or 1.0
    return [x / norm for x in total]


def report(fact: str) -> str:
    return "\n\n".join([FILLER * 4] * 8 + [fact] + [FILLER * 4] * 8)


@pytest.fixture
def store(tmp_path: Path) -> MemoryStore:
    return open_store(path=tmp_path / "s", user_id="john", embedder=by_words)


def cosines(store: MemoryStore) -> dict[str, list[int]]:
    """The number of vectors of passages of each entry, as they are on the disk."""
    path = store.health()["path"]
    store.close()
    shard = edge.EdgeShard.load(f"{path}/shard")
    records, _ = shard.scroll(edge.ScrollRequest(limit=100, with_payload=True, with_vector=True))
    shard.close()
    return {
        record.payload["content"][:20]: [len(record.vector.get("passages", [])), len(record.vector.get("dense", []))]
        for record in records
    }


def test_a_long_text_is_as_near_as_its_best_passage(store: MemoryStore) -> None:
    store.add(report(FACT), id="with the fact")
    for number in range(60):
        store.add(report(f"Lunch number {number} was served late."), id=f"without {number}")
    with store:
        [first, *_] = store.search(FACT, limit=3)
        assert first.id == "with the fact"
        assert first.score is not None
        assert all((entry.score or 0.0) < first.score / 2 for entry in store.search(FACT, limit=61)[1:])


def test_short_entries_have_none(store: MemoryStore) -> None:
    store.add("short", id="short")
    store.add(report(FACT), id="long")
    found = cosines(store)
    assert found["short"] == [0, 64]
    passages, dense = found[report(FACT)[:20]]
    assert passages > 5
    assert dense == 64


def test_a_changed_content_changes_them(store: MemoryStore) -> None:
    store.add(report(FACT), id="a")
    store.add(report(FACT), id="b")
    store.add("at first short", id="c")
    store.update("a", content="short now")
    store.update("b", importance=0.9)
    entry = store.get("b")
    assert entry is not None
    store.replace(replace(entry, embedding=None, source="mail"))
    store.update("c", content="long now. " + report(FACT))
    assert store.search(FACT, limit=1)[0].id in ("b", "c")
    found = cosines(store)
    assert found["short now"] == [0, 64]
    assert found["long now. The commit"][0] > 5
    assert found[report(FACT)[:20]][0] > 5


def test_the_whole_text_has_the_mean(store: MemoryStore) -> None:
    with store:
        store.add(report(FACT), id="long")
        entry = store.get("long")
        assert entry is not None
        assert entry.embedding is not None
        mean = _vector(report(FACT))
        assert math.fsum(a * b for a, b in zip(entry.embedding, mean, strict=True)) > 0.9


def test_they_are_made_later_when_the_embedder_was_away(tmp_path: Path) -> None:
    away = False

    def embedder(texts: list[str]) -> list[list[float]]:
        if away:
            raise ConnectionError("no answer")
        return by_words(texts)

    with open_store(path=tmp_path / "s", user_id="john", embedder=embedder) as store:
        away = True
        store.add(report(FACT), id="long")
        away = False
        assert store.embed_missing() == 1
    store = open_store(path=tmp_path / "s", user_id="john", embedder=embedder)
    [[passages, dense]] = cosines(store).values()
    assert passages > 5
    assert dense == 64


class TestParts:
    def test_their_number_is_bounded(self) -> None:
        text = "\n\n".join(f"{number} {FILLER * 6}" for number in range(1_000))
        parts = parts_of(text)
        assert MOST_PASSAGES // 2 < len(parts) <= MOST_PASSAGES
        assert "".join("".join(parts).split()) == "".join(text.split())

    def test_a_short_text_is_one(self) -> None:
        assert parts_of("short") == ["short"]

    def test_a_refused_part_is_left_out(self) -> None:
        [whole, refused] = joined([["a", "b", "c"], ["d"]], [[1.0, 0.0], [], [0.0, 1.0], []])
        assert len(whole.passages) == 2
        assert whole.dense == pytest.approx([0.7071, 0.7071], abs=1e-4)
        assert not refused.dense
        assert not refused.passages

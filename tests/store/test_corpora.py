"""A large store with one user: searches are cheaper there, find the same, and show nobody more."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import MemoryEntry, MemoryStore, open_store
from crewai_persistent_memory.backends.qdrant.embedded import corpora, reader, renewal
from crewai_persistent_memory.backends.qdrant.embedded.corpora import Corpora
from crewai_persistent_memory.backends.qdrant.embedded.deletions import Deletions
from crewai_persistent_memory.testing import FakeEmbedder

QUERIES = ("pasta in Rome", "Anna and the budget", "meeting 7", "nothing of it")


@pytest.fixture(params=["keywords", "vectors"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MemoryStore]:
    embedder = FakeEmbedder() if request.param == "vectors" else None
    with open_store(path=tmp_path / "s", embedder=embedder) as opened:
        yield opened


def fill(store: MemoryStore, *, more: int = 40) -> None:
    # Of different lengths, so that no two have the same score.
    about = [
        f"Anna planned meeting {n} about the budget: {' '.join(f'item{i}' for i in range(n))}" for n in range(more)
    ]
    entries = [MemoryEntry(id=f"{n}", content=text) for n, text in enumerate(about)]
    store.put([*entries, MemoryEntry(id="pasta", content="Anna likes pasta in Rome.")])


def found(store: MemoryStore) -> list[list[tuple[str, float]]]:
    answers = store.search_many(QUERIES, limit=8)
    return [[(entry.id, round(entry.score or 0.0, 5)) for entry in each] for each in answers]


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every store, and what a user has in it, counts as large."""
    monkeypatch.setattr(reader, "MANY", 1)
    monkeypatch.setattr(reader, "FEW", 0)


def test_one_user_alone_finds_the_same(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    anna = store.scoped(user_id="anna")
    fill(anna)
    with monkeypatch.context() as patched:
        patched.setattr(reader, "MANY", 1)
        patched.setattr(reader, "FEW", 0)
        asked: list[bool] = []
        is_all = Corpora.is_all
        patched.setattr(Corpora, "is_all", lambda *args: asked.append(is_all(*args)) or asked[-1])
        as_large = found(anna)
        assert asked
        assert all(asked)
    assert as_large == found(anna)
    assert as_large[0][0][0] == "pasta"


def test_few_entries_are_all_scored_at_once(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same results as if the best of each list were found first."""
    anna = store.scoped(user_id="anna")
    fill(anna, more=120)
    fill(store.scoped(user_id="bob"), more=10)
    at_once = found(anna)
    monkeypatch.setattr(reader, "FEW", 0)
    assert at_once == found(anna)
    assert at_once[0][0][0] == "pasta"


def test_few_entries_that_have_just_become_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their number is known from before for some seconds. The results are right all the same."""
    monkeypatch.setattr(corpora, "COUNTED_FOR", 60.0)
    chance = random.Random(3)
    words = [f"word{n}" for n in range(200)]

    def text() -> str:
        return " ".join(chance.choices(words, k=chance.randint(3, 12)))

    with open_store(path=tmp_path / "s", embedder=FakeEmbedder()) as store:
        anna = store.scoped(user_id="anna")
        anna.put(MemoryEntry(id=f"a{n}", content=text()) for n in range(100))
        anna.search("word1")
        anna.put(MemoryEntry(id=f"n{n}", content=text()) for n in range(1_500))
        queries = [text() for _ in range(20)]
        at_once = [{entry.id for entry in each} for each in anna.search_many(queries, limit=20)]
        monkeypatch.setattr(reader, "FEW", 0)
        assert at_once == [{entry.id for entry in each} for each in anna.search_many(queries, limit=20)]


def test_what_others_save_later_is_not_shown(store: MemoryStore, large: None) -> None:
    anna, bob = store.scoped(user_id="anna"), store.scoped(user_id="bob")
    fill(anna)
    before = found(anna)
    # More of them than a search looks at.
    bob.put([MemoryEntry(id=f"b{n}", content=f"Bob likes pasta in Rome, {n} times.") for n in range(100)])
    anna.delete(ids=[str(n) for n in range(30)])
    bob.delete(ids=[f"b{n}" for n in range(70, 100)])
    anna.put([MemoryEntry(id="new", content="Anna moved to Paris.")])
    for answers in (found(anna), found(anna.scoped(run_id="r1"))):
        assert {id for each in answers for id, _ in each} <= {"pasta", "new", *(str(n) for n in range(30, 40))}
    assert before[0][0][0] == found(anna)[0][0][0] == "pasta"
    assert {id for each in found(bob) for id, _ in each} <= {f"b{n}" for n in range(70)}


def test_what_others_save_in_the_same_moment_is_not_shown(
    store: MemoryStore, large: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    anna, bob = store.scoped(user_id="anna"), store.scoped(user_id="bob")
    fill(anna)
    alone, is_all = found(anna), Corpora.is_all
    others = [MemoryEntry(id=f"b{n}", content=f"Bob likes pasta in Rome, meeting {n}") for n in range(100)]

    def and_then_others_save(*arguments: Any) -> bool:
        answer = is_all(*arguments)
        bob.put(others)
        return answer

    with monkeypatch.context() as patched:
        patched.setattr(Corpora, "is_all", and_then_others_save)
        in_that_moment = {id for each in found(anna) for id, _ in each}
    assert not any(id.startswith("b") for id in in_that_moment)
    # The engine itself left them out: what it returns against the rule is logged.
    assert "dropped" not in caplog.text
    assert [each[0][0] for each in found(anna)[:3]] == [each[0][0] for each in alone[:3]]
    assert {id for each in found(bob) for id, _ in each} <= {entry.id for entry in others}
    bob.delete(ids=[entry.id for entry in others])
    assert [[id for id, _ in each] for each in found(anna)] == [[id for id, _ in each] for each in alone]


def test_private_entries_and_other_conditions(store: MemoryStore, large: None) -> None:
    anna = store.scoped(user_id="anna")
    fill(anna)
    found(anna)
    anna.put([MemoryEntry(id="secret", content="Anna likes pasta in Rome.", source="chef", private=True)])
    anna.put([MemoryEntry(id="trip", content="Anna likes pasta in Rome.", categories=("trips",))])
    for _ in range(2):
        public = anna.search("pasta in Rome", include_private=False)
        assert {"pasta", "trip"} <= {entry.id for entry in public}
        assert "secret" not in {entry.id for entry in public}
        assert "secret" in {entry.id for entry in anna.search("pasta in Rome", include_private=False, reader="chef")}
        assert [entry.id for entry in anna.search("pasta in Rome", categories=["trips"])] == ["trip"]


def test_a_small_store_and_one_of_several_users(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    is_all = Corpora.is_all
    monkeypatch.setattr(Corpora, "is_all", lambda *args: asked.append(is_all(*args)) or asked[-1])
    fill(store.scoped(user_id="anna"))
    found(store.scoped(user_id="anna"))
    monkeypatch.setattr(reader, "MANY", 1)
    fill(store.scoped(user_id="bob"))
    found(store.scoped(user_id="bob"))
    assert asked
    assert not any(asked)


class TestWhatOthersHaveDeleted:
    """The engine counts the words of what was deleted until the store is written anew."""

    def others_come_and_go(self, store: MemoryStore) -> None:
        jane = store.scoped(user_id="jane")
        jane.put([MemoryEntry(id=f"{n}", content=f"pasta in Rome number {n}") for n in range(60)])
        jane.reset()

    @pytest.mark.parametrize("first", ["theirs", "hers"])
    def test_it_decides_no_score(self, store: MemoryStore, monkeypatch: pytest.MonkeyPatch, first: str) -> None:
        anna = store.scoped(user_id="anna")
        if first == "theirs":
            self.others_come_and_go(store)
        fill(anna)
        if first == "hers":
            self.others_come_and_go(store)
        exact = found(anna)
        monkeypatch.setattr(reader, "MANY", 1)
        monkeypatch.setattr(reader, "FEW", 0)
        assert found(anna) == exact

    @pytest.mark.parametrize("closed", [True, False])
    def test_after_another_start(self, tmp_path: Path, large: None, closed: bool) -> None:
        """Also of a store that was not closed, which does not know what was deleted."""
        with open_store(path=tmp_path / "alone", embedder=None) as store:
            fill(store.scoped(user_id="anna"))
            exact = found(store.scoped(user_id="anna"))
        store = open_store(path=tmp_path / "s", embedder=None)
        fill(store.scoped(user_id="anna"))
        self.others_come_and_go(store)
        if closed:
            store.close()
        else:
            store.scoped(user_id="anna").flush()
            shutil.copytree(tmp_path / "s", tmp_path / "copy")
            store.close()
        with open_store(path=tmp_path / ("s" if closed else "copy"), embedder=None) as again:
            assert found(again.scoped(user_id="anna")) == exact

    def test_her_own_do_not_make_it_slow(
        self, store: MemoryStore, large: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        anna = store.scoped(user_id="anna")
        fill(anna)
        anna.delete(ids=["1", "2"])
        asked: list[bool] = []
        is_all = Corpora.is_all
        monkeypatch.setattr(Corpora, "is_all", lambda *args: asked.append(is_all(*args)) or asked[-1])
        found(anna)
        assert asked
        assert all(asked)

    def test_written_anew_it_is_forgotten(self, tmp_path: Path, large: None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(renewal, "MUCH_DELETED", 1)
        with open_store(path=tmp_path / "s", embedder=None) as store:
            self.others_come_and_go(store)
            fill(store.scoped(user_id="anna"))
        asked: list[bool] = []
        is_all = Corpora.is_all
        monkeypatch.setattr(Corpora, "is_all", lambda *args: asked.append(is_all(*args)) or asked[-1])
        with open_store(path=tmp_path / "s", embedder=None) as store:
            found(store.scoped(user_id="anna"))
        assert asked
        assert all(asked)

    def test_the_scopes_of_an_earlier_seal_are_unknown(self) -> None:
        assert Deletions.of_json({"deleted": 0}).are_all_of(["a"])
        assert not Deletions.of_json({"deleted": 3}).are_all_of(["a"])
        assert Deletions.of_json(Deletions(3, {"a"}).to_json()).are_all_of(["a", "b"])
        assert not Deletions.of_json(Deletions(3, {"a", "c"}).to_json()).are_all_of(["a", "b"])
        assert not Deletions.of_json(Deletions(3, None).to_json()).are_all_of(["a"])

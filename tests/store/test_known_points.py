"""What a search has read is read again as soon as it was written: by any handle, in any way, and while searches run."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final

import pytest

from crewai_persistent_memory import MemoryEntry, MemoryStore, open_store
from crewai_persistent_memory.admin import erase
from crewai_persistent_memory.backends.qdrant.codec import KnownPayload
from crewai_persistent_memory.backends.qdrant.embedded import known_points, renewal
from crewai_persistent_memory.backends.qdrant.embedded.known_points import KnownPoints
from crewai_persistent_memory.backends.qdrant.embedded.reader import EdgeReader
from crewai_persistent_memory.backends.qdrant.embedded.writer import EdgeWriter
from crewai_persistent_memory.errors import EngineError
from crewai_persistent_memory.io.steps import run

TEA: Final = "Anna drinks green tea."


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MemoryStore]:
    with open_store(path=tmp_path / "store", embedder=None, user_id="anna", fsync="close") as opened:
        opened.put([MemoryEntry("1", TEA, metadata={"cups": [1, 2]}, categories=("drinks",))])
        assert found(opened) == [TEA]
        yield opened


def found(store: MemoryStore, query: str = "What does Anna drink?") -> list[str]:
    """What a search finds; twice, for the second time it is known."""
    once = [each.content for each in store.search(query)]
    assert [each.content for each in store.search(query)] == once
    return once


def updated(store: MemoryStore) -> None:
    store.update("1", content="Anna drinks black tea.")


def replaced(store: MemoryStore) -> None:
    store.put([MemoryEntry("1", "Anna drinks black tea.")])


def of_a_filter(store: MemoryStore) -> None:
    store.delete(categories=["drinks"])
    store.put([MemoryEntry("2", "Anna drinks black tea.")])


def deleted_by_id(store: MemoryStore) -> None:
    store.delete(ids=["1"])
    store.put([MemoryEntry("1", "Anna drinks black tea.")])


def after_compaction(store: MemoryStore) -> None:
    store.update("1", content="Anna drinks black tea.")
    store.compact()


@pytest.mark.parametrize("write", [updated, replaced, of_a_filter, deleted_by_id, after_compaction])
def test_a_search_gives_what_was_written_last(store: MemoryStore, write: Callable[[MemoryStore], None]) -> None:
    write(store)
    assert found(store) == ["Anna drinks black tea."]


@pytest.mark.parametrize("changes", [{"importance": 0.9}, {"categories": ["hot"]}, {"metadata": {"cups": 3}}])
def test_a_changed_field_is_found(store: MemoryStore, changes: dict[str, Any]) -> None:
    store.update("1", **changes)
    [entry] = store.search("Anna drinks tea")
    for name, value in changes.items():
        assert getattr(entry, name) == (tuple(value) if name == "categories" else value)


def test_a_write_of_another_handle_counts_at_once(store: MemoryStore, tmp_path: Path) -> None:
    with open_store(path=tmp_path / "store", embedder=None, user_id="anna") as other:
        other.update("1", content="Anna drinks black tea.")
        assert found(store) == ["Anna drinks black tea."]
        other.delete(ids=["1"])
        assert found(store) == []


def test_what_a_reader_changes_in_a_result_is_its_own(store: MemoryStore) -> None:
    [entry] = store.search("Anna drinks tea")
    cups: Any = entry.metadata
    cups["cups"].append("poison")
    cups["more"] = True
    [again] = store.search("Anna drinks tea")
    assert again.metadata == {"cups": [1, 2]}
    bare = MemoryEntry("2", "Anna drinks water.")
    store.put([bare])
    for each in store.search("Anna drinks water"):
        each.metadata["poison"] = True  # type: ignore[index]  # a mapping for its type, a dict in fact
    assert all("poison" not in each.metadata for each in store.search("Anna drinks water"))


def test_access_times_are_those_that_were_written(store: MemoryStore) -> None:
    [before] = store.search("Anna drinks tea")
    store.touch(["1"])
    [after] = store.search("Anna drinks tea")
    assert after.last_accessed > before.last_accessed
    found = store.get("1")
    assert found is not None
    assert replace(after, score=None) == replace(found, score=None), "nothing else was changed"


def test_access_times_that_were_only_noted_are_found_once_they_are_written(store: MemoryStore) -> None:
    [before] = store.search("Anna drinks tea")
    run(store.steps.touch(["1"], soon=True))
    [listed] = store.list()  # a list has them written
    [after] = store.search("Anna drinks tea")
    assert after.last_accessed == listed.last_accessed > before.last_accessed


def test_two_users_with_one_id_never_get_each_other_s_text(tmp_path: Path) -> None:
    with open_store(path=tmp_path / "store", embedder=None) as store:
        users = {name: store.scoped(user_id=name) for name in ("anna", "ben")}
        for name, own in users.items():
            own.put([MemoryEntry("1", f"{name} drinks tea.")])
        for _ in range(3):
            for name, own in users.items():
                assert found(own, "Who drinks tea?") == [f"{name} drinks tea."]


def test_an_erased_user_s_texts_are_not_kept(tmp_path: Path) -> None:
    with open_store(path=tmp_path / "store", embedder=None) as store:
        store.scoped(user_id="anna").put([MemoryEntry("1", "Anna drinks 4711 teas.")])
        assert found(store.scoped(user_id="anna"))
        assert any("4711" in text for text in texts_kept())
        erase(store, user_id="anna")
        assert not any("4711" in text for text in texts_kept())


def texts_kept() -> list[str]:
    """Of all points that the process knows."""
    return [str(each) for each in gc.get_objects() if type(each) is KnownPayload]


def test_an_entry_that_expires_is_not_found_because_it_is_known(store: MemoryStore) -> None:
    store.put(
        [MemoryEntry("2", "Anna drinks lemonade.", expires_at=datetime.now(timezone.utc) + timedelta(seconds=0.3))]
    )
    waiting = threading.Event()
    while any(each.id == "2" for each in store.search("Anna drinks lemonade")):
        waiting.wait(0.02)
    assert store.get("2") is None


def test_a_search_never_gives_an_older_text_than_the_last_finished_write(store: MemoryStore) -> None:
    """Searches and writes of one entry at once: what a search began with is not kept over a write."""
    written, wrong, ended = [0], list[str](), threading.Event()

    def search() -> None:
        while not ended.is_set():
            least = written[0]
            for each in store.search("Anna drinks cups of tea"):
                if (cups := int(each.content.split()[2])) < least:
                    wrong.append(f"{cups} after {least}")

    store.put([MemoryEntry("1", "Anna drinks 0 cups of tea.")])
    readers = [threading.Thread(target=search) for _ in range(3)]
    for each in readers:
        each.start()
    for cups in range(1, 150):
        store.update("1", content=f"Anna drinks {cups} cups of tea.")
        written[0] = cups
    ended.set()
    for each in readers:
        each.join()
    assert not wrong


class _Shard:
    """A shard whose payloads a test decides."""

    def __init__(self) -> None:
        self.texts: dict[int, str] = {}
        self.beside: dict[str, Any] = {}
        self.reads: list[int] = []
        self.during: Callable[[], None] = lambda: None

    def retrieve(self, ids: list[Any], *, with_payload: object, with_vector: bool) -> list[Any]:
        records = [_Record(id, {"content": self.texts[id.int], **self.beside}) for id in ids if id.int in self.texts]
        self.reads += [id.int for id in ids]
        self.during()
        return records


class _Id:
    def __init__(self, number: int) -> None:
        self.int = number


class _Record:
    def __init__(self, id: Any, payload: dict[str, Any] | None = None) -> None:
        self.id = id
        self.payload = payload


ONE: Final = "00000000-0000-0000-0000-000000000001"
WRITTEN_SINCE: Final[list[str | None]] = ["written since"]


def asked(known: KnownPoints, shard: _Shard, *numbers: int, since: int | None = None) -> list[str | None]:
    points = [_Record(_Id(number)) for number in numbers]
    payloads = known.payloads(shard, points, None, known.writes if since is None else since)
    if payloads is None:
        return WRITTEN_SINCE
    return [None if each is None else each["content"] for each in payloads]


def test_what_is_known_is_not_read_again_and_a_deleted_point_is_left_out() -> None:
    known, shard = KnownPoints(), _Shard()
    shard.texts = {1: "one", 2: "two"}
    assert asked(known, shard, 1, 2, 3) == ["one", "two", None]
    assert asked(known, shard, 2, 1) == ["two", "one"]
    assert shard.reads == [1, 2, 3]


@pytest.mark.parametrize("is_named", [True, False])
def test_what_was_read_before_a_write_is_not_kept(is_named: bool) -> None:
    known, shard = KnownPoints(), _Shard()
    shard.texts = {1: "old"}

    def write() -> None:
        shard.during = lambda: None
        with known.written([ONE] if is_named else None):
            shard.texts[1] = "new"

    shard.during = write
    assert asked(known, shard, 1) == WRITTEN_SINCE
    assert asked(known, shard, 1) == ["new"]
    shard.texts[1] = "newer"
    with known.written([ONE] if is_named else None):
        assert asked(known, shard, 1) == WRITTEN_SINCE  # read during a write, and not kept
        shard.texts[1] = "newest"
    assert asked(known, shard, 1) == ["newest"]


EARLIER, LATER = "2026-01-01T10:00:00.000000Z", "2026-01-01T11:00:00.000000Z"


def accesses(known: KnownPoints, shard: _Shard) -> list[Any]:
    points = [_Record(_Id(1)), _Record(_Id(2))]
    return [each and each.get("last_accessed") for each in known.payloads(shard, points, None, known.writes) or ()]


def test_what_is_known_of_a_point_stays_when_only_its_access_time_is_written() -> None:
    known, shard = KnownPoints(), _Shard()
    shard.texts, shard.beside = {1: "one", 2: "two"}, {"last_accessed": EARLIER}
    assert accesses(known, shard) == [EARLIER, EARLIER]
    since = known.writes
    with known.accessed([ONE], LATER):
        shard.beside = {"last_accessed": LATER}
    assert accesses(known, shard) == [LATER, EARLIER]
    assert asked(known, shard, 1, since=since) == ["one"], "it meets the conditions of a search as before"
    assert shard.reads == [1, 2]


def test_an_access_time_that_was_read_before_it_was_written_is_not_kept() -> None:
    known, shard = KnownPoints(), _Shard()
    shard.texts, shard.beside = {1: "one", 2: "two"}, {"last_accessed": EARLIER}

    def write() -> None:
        shard.during = lambda: None
        with known.accessed([ONE], LATER):
            shard.beside = {"last_accessed": LATER}

    shard.during = write
    assert accesses(known, shard) == [EARLIER, EARLIER]
    assert accesses(known, shard) == [LATER, LATER]
    with known.accessed([ONE], LATER):
        known.forget()
        accesses(known, shard)  # read during a write
    shard.beside = {"last_accessed": "later still"}
    assert accesses(known, shard) == ["later still"] * 2


def test_an_access_time_that_could_not_be_written_is_read_again() -> None:
    known, shard = KnownPoints(), _Shard()
    shard.texts, shard.beside = {1: "one", 2: "two"}, {"last_accessed": EARLIER}
    assert accesses(known, shard) == [EARLIER, EARLIER]
    with pytest.raises(EngineError), known.accessed([ONE], LATER):
        raise EngineError("the disk is full")
    assert accesses(known, shard) == [EARLIER, EARLIER]
    assert shard.reads == [1, 2, 1]


@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize("is_named", [True, False])
def test_what_was_written_since_it_was_found_is_told_apart(is_named: bool, is_known: bool) -> None:
    known, shard = KnownPoints(), _Shard()
    shard.texts = {1: "one", 2: "two"}
    since = known.writes
    with known.written([ONE] if is_named else None):
        shard.texts[1] = "new"
    if is_known:
        asked(known, shard, 1, 2)
    assert asked(known, shard, 1, since=since) == WRITTEN_SINCE
    assert asked(known, shard, 1, 2, since=since) == WRITTEN_SINCE
    assert asked(known, shard, 2, since=since) == (["two"] if is_named else WRITTEN_SINCE)
    assert asked(known, shard, 1, 2) == ["new", "two"]


def test_what_was_written_since_is_told_apart_behind_many_other_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_points, "_MOST_NUMBERED", 10)
    known, shard = KnownPoints(), _Shard()
    shard.texts = {1: "one"}
    since = known.writes
    for number in range(1, 100):
        with known.written([f"00000000-0000-0000-0000-{number:012x}"]):
            pass
        assert asked(known, shard, 1, since=since) == WRITTEN_SINCE
    assert len(known._last_writes) <= 11
    assert asked(known, shard, 1) == ["one"]


def test_a_write_of_a_point_whose_id_is_none_bars_nothing() -> None:
    known, shard = KnownPoints(), _Shard()
    shard.texts = {1: "one"}
    with pytest.raises(ValueError, match="none"), known.written(["none"]):
        pass
    asked(known, shard, 1)
    asked(known, shard, 1)
    assert shard.reads == [1]


@pytest.mark.parametrize("long_texts", [False, True])
def test_an_entry_that_becomes_private_while_it_is_searched_for_is_not_given(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch, long_texts: bool
) -> None:
    """A search finds points first, and then reads them. In between they may be written."""
    if long_texts:
        store.put([MemoryEntry("long", "Ben sells cars. " * 20_000)])
    read = KnownPoints.payloads

    def written_first(*args: Any, **options: Any) -> Any:
        monkeypatch.undo()
        store.put([MemoryEntry("1", "Anna drinks tea in secret.", source="anna", private=True)])
        return read(*args, **options)

    for _ in range(2):
        store.put([MemoryEntry("1", TEA, source="anna")])
        monkeypatch.setattr(KnownPoints, "payloads", written_first)
        assert store.search("What does Anna drink?", include_private=False) == []
        assert [each.private for each in store.search("What does Anna drink?")] == [True]


def test_a_search_during_a_write_gives_entries_that_meet_its_filter(store: MemoryStore) -> None:
    wrong, ended = list[str](), threading.Event()

    def search() -> None:
        while not ended.is_set():
            for each in store.search("Anna drinks tea", limit=30, include_private=False):
                if each.private:
                    wrong.append(each.content)

    readers = [threading.Thread(target=search) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(200):
        is_private = number // 10 % 2 == 1
        content = "Anna drinks secret tea." if is_private else TEA
        store.put([MemoryEntry(str(number % 10), content, source="anna", private=is_private)])
    ended.set()
    for reader in readers:
        reader.join()
    assert not wrong


def test_what_was_known_before_a_write_is_not_kept_by_a_search_that_began_before_it() -> None:
    known, shard = KnownPoints(), _Shard()
    shard.texts = {1: "old", 2: "two"}
    assert asked(known, shard, 1) == ["old"]

    def write() -> None:
        with known.written([ONE]):
            shard.texts[1] = "new"

    shard.during = write  # while point 2 is read, point 1 is known already
    asked(known, shard, 1, 2)
    shard.during = lambda: None
    assert asked(known, shard, 1) == ["new"]


def test_only_so_many_characters_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_points, "MOST_KEPT", 10_000)
    known, shard = KnownPoints(), _Shard()
    shard.texts = dict.fromkeys(range(100), "text")
    shard.texts[100] = "x" * (known_points.LONGEST_KEPT + 1)
    for number in (*range(101), 100):
        asked(known, shard, number)
    assert shard.reads.count(100) == 2, "a long text is read each time"
    asked(known, shard, 99)
    asked(known, shard, 0)
    assert (shard.reads.count(99), shard.reads.count(0)) == (1, 2)
    assert len(known._known) + len(known._before) < 25


@pytest.mark.parametrize(
    "beside",
    [{"record": "x" * 5_000}, {"metadata": "x" * 5_000}, {"categories": ["x" * 50] * 100}, {"path": "x" * 5_000}],
)
def test_what_is_kept_beside_a_text_counts_too(monkeypatch: pytest.MonkeyPatch, beside: dict[str, Any]) -> None:
    monkeypatch.setattr(known_points, "MOST_KEPT", 20_000)
    known, shard = KnownPoints(), _Shard()
    shard.texts, shard.beside = dict.fromkeys(range(20), "text"), {"importance": 0.9, **beside}
    for number in range(20):
        asked(known, shard, number)
    assert 0 < len(known._known) + len(known._before) <= 6
    key, value = next(iter(beside.items()))
    shard.beside = {key: value * 5}
    shard.texts[20] = "text"
    asked(known, shard, 20)
    asked(known, shard, 20)
    assert shard.reads.count(20) == 2, "one with much beside its text is read each time"


def test_metadata_is_kept_once(store: MemoryStore) -> None:
    """As the text that it is read from, and not as what is made of it, which takes several times as much."""
    store.search("Anna drinks tea")
    gc.collect()
    kept = [each for each in gc.get_objects() if type(each) is KnownPayload and each.get("content") == TEA]
    assert kept
    assert all(not isinstance(each.fields.get("metadata"), dict) for each in kept)


@pytest.mark.parametrize("is_named", [True, False])
def test_a_write_counts_for_what_was_read_long_before(monkeypatch: pytest.MonkeyPatch, is_named: bool) -> None:
    monkeypatch.setattr(known_points, "MOST_KEPT", 4_000)
    known, shard = KnownPoints(), _Shard()
    shard.texts = dict.fromkeys(range(10), "old")
    for number in range(1, 5):
        asked(known, shard, number)
    assert 1 in {*known._before}, "an older one"
    assert 1 not in known._known
    with known.written([ONE] if is_named else None):
        shard.texts[1] = "new"
    assert asked(known, shard, 1) == ["new"]


def test_the_number_of_points_is_that_of_the_last_write() -> None:
    known, counts = KnownPoints(), [1, 2, 3, 4, 5]

    class Counted:
        during: Callable[[], None] = staticmethod(lambda: None)

        def count(self, _: object) -> int:
            count = counts.pop(0)
            self.during()
            return count

    shard = Counted()

    def write() -> None:
        shard.during = lambda: None
        with known.written():
            pass

    shard.during = write
    assert known.total(shard, None) == 1  # counted before the write
    assert known.total(shard, None) == 2
    assert known.total(shard, None) == 2
    with known.written(()):
        assert known.total(shard, None) == 3  # counted during a write, and not kept
        assert known.total(shard, None) == 4
    assert known.total(shard, None) == 5
    assert known.total(shard, None) == 5
    assert not counts


def test_a_write_that_fails_in_its_middle_leaves_nothing_that_is_wrong(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise EngineError("no space left on device")

    with monkeypatch.context() as failing:
        failing.setattr(EdgeWriter, "_note_again", fails)  # the point is written by then
        with pytest.raises(EngineError, match="no space"):
            store.update("1", content="Anna drinks black tea.")
    entry = store.get("1")
    assert entry is not None
    assert found(store) == [entry.content] == ["Anna drinks black tea."]
    reads: list[Any] = []
    monkeypatch.setattr(KnownPoints, "_keep", lambda *given: reads.append(given))
    assert found(store) == ["Anna drinks black tea."]
    assert not reads, "after a failure, too, what is read is kept"


@pytest.mark.parametrize("is_known", [True, False])
def test_metadata_that_was_updated_is_each_reader_s_own(store: MemoryStore, is_known: bool) -> None:
    store.update("1", metadata={"cups": [3, {"of": "tea"}]})
    if is_known:
        store.search("Anna drinks tea")
    for _ in range(3):
        [entry] = store.search("Anna drinks tea")
        cups: Any = entry.metadata["cups"]
        assert cups == [3, {"of": "tea"}]
        cups[1]["of"] = "poison"
        cups.append(4)
    store.update("1", metadata={})
    [entry] = store.search("Anna drinks tea")
    assert entry.metadata == {}


def test_an_entry_that_is_written_while_it_is_searched_for_is_given_whole(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = KnownPoints.payloads

    def written_first(*args: Any, **options: Any) -> Any:
        monkeypatch.undo()
        store.put([MemoryEntry("1", "Anna drinks black tea.", metadata={"cups": 3}, importance=0.9, path="/tea")])
        return read(*args, **options)

    monkeypatch.setattr(KnownPoints, "payloads", written_first)
    [entry] = store.search("What does Anna drink?")
    assert (
        entry.content,
        entry.metadata,
        entry.importance,
        entry.path,
        entry.scope.user_id if entry.scope else "",
    ) == (
        "Anna drinks black tea.",
        {"cups": 3},
        0.9,
        "/tea",
        "anna",
    )


@pytest.mark.parametrize("is_page", [True, False])
def test_an_entry_of_a_store_with_long_texts_that_becomes_private_while_it_is_listed_is_not_given(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch, is_page: bool
) -> None:
    """Such a store lists points first, and then reads them one by one."""
    store.put([MemoryEntry("long", "Ben sells cars. " * 20_000)])
    store.put([MemoryEntry("1", TEA, source="anna")])
    written, ended = EdgeReader._one, list[str]()

    def written_first(reader: EdgeReader, *args: Any) -> Any:
        if not ended:
            ended.append("1")
            store.put([MemoryEntry("1", "Anna drinks tea in secret.", source="anna", private=True)])
        return written(reader, *args)

    monkeypatch.setattr(EdgeReader, "_one", written_first)
    listed = store.scan(include_private=False) if is_page else store.list(include_private=False)
    assert [each.id for each in listed] == ["long"]
    assert ended
    assert {each.id for each in store.list()} == {"long", "1"}


@pytest.mark.parametrize("of", [{"ids": ["1"]}, {"categories": ["drinks"]}])
def test_what_was_deleted_is_not_kept_in_memory(store: MemoryStore, of: Any) -> None:
    store.put([MemoryEntry("1", "Anna drinks 4712 teas.", categories=("drinks",))])
    assert found(store)
    assert any("4712" in text for text in texts_kept())
    store.delete(**of)
    assert not any("4712" in text for text in texts_kept())


def test_nothing_is_kept_over_an_exchange_of_the_files(store: MemoryStore) -> None:
    store.put([MemoryEntry("1", "Anna drinks 4713 teas.")])
    assert found(store)
    assert any("4713" in text for text in texts_kept())
    store.compact()
    assert not any("4713" in text for text in texts_kept())
    assert found(store) == ["Anna drinks 4713 teas."]


def test_nothing_is_kept_over_an_exchange_that_fails_in_its_middle(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put([MemoryEntry("1", "Anna drinks 4714 teas.")])
    assert found(store)

    def fails(*_: object) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as failing:
        failing.setattr(renewal, "create_indexes", fails)  # the files are exchanged by then
        with pytest.raises(EngineError, match="no space"):
            store.compact()
    assert not any("4714" in text for text in texts_kept())
    assert found(store) == ["Anna drinks 4714 teas."]

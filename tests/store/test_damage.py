"""Every file of a closed store missing, cut, or with a flipped byte: nothing is lost silently, and nothing crashes.

``TEST_FLIPS=300`` flips that many bytes (a few without it), in 800 entries.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import MemoryEntry, StoreCorruptedError, open_store

FLIPS = int(os.environ.get("TEST_FLIPS", "0"))
ENTRIES = 800 if FLIPS else 60

LOOK = """
import json, logging, sys
from crewai_persistent_memory import PersistentMemoryError, open_store
logging.disable(logging.CRITICAL)
for path in sys.stdin.read().split():
    try:
        embedder = lambda texts: [[1.0, len(t) / 100] for t in texts]
        with open_store(path=path, user_id="john", embedder=embedder) as store:
            found = {entry.id: entry.content for entry in store.list(limit=10_000)}
            words = [entry.id for entry in store.search("fact", limit=10)]
            lost = (store.health()["lost"] or {}).get("entries", [])
            store.add("written after it", id="new")
            kept = store.count()
        print(json.dumps([path, found, lost, len(words), kept]), flush=True)
    except PersistentMemoryError as error:
        print(json.dumps([path, type(error).__name__, str(error)]), flush=True)
"""


@pytest.fixture(scope="module")
def whole() -> Iterator[Path]:
    # On a disk: in a file system in memory a store that was opened again takes 250 MB, and here are twenty at a time.
    with tempfile.TemporaryDirectory(prefix="crewai-memory-") as folder:
        yield made(Path(folder) / "s")


def made(path: Path) -> Path:
    with open_store(path=path, user_id="john", embedder=lambda texts: [[1.0, len(t) / 100] for t in texts]) as store:
        store.put([MemoryEntry(content=f"fact {n} of {n}", id=str(n), metadata={"n": n}) for n in range(ENTRIES + 10)])
        store.delete(ids=[str(n) for n in range(ENTRIES, ENTRIES + 10)])
        store.update("7", content="fact 7 of 7", importance=0.9)
    return path


def copy_of(whole: Path, to: Path) -> Path:
    subprocess.run(["cp", "-r", "--sparse=always", str(whole), str(to)], check=True)
    return to


def files_of(path: Path) -> list[str]:
    return sorted(str(file.relative_to(path)) for file in path.rglob("*") if file.is_file())


def look(paths: list[Path]) -> dict[str, list[Any]]:
    done = subprocess.run(
        [sys.executable, "-c", LOOK], input="\n".join(map(str, paths)), capture_output=True, text=True
    )
    answers = {line[0]: line[1:] for line in map(json.loads, done.stdout.splitlines())}
    crashed = [path for path in map(str, paths) if path not in answers]
    assert not crashed, f"{Path(crashed[0]).name}: the process ended with {done.returncode}: {done.stderr[-2000:]}"
    return answers


def judge(name: str, answer: list[Any], *, may_lose: bool) -> None:
    expected = {str(n): f"fact {n} of {n}" for n in range(ENTRIES)}
    if may_lose and answer[0] == StoreCorruptedError.__name__:
        assert "nothing of it can be read" in answer[1], name  # no text is left, and that is said
        assert "backup" in answer[1], name
        return
    assert isinstance(answer[0], dict), f"{name}: {answer}"
    found, lost, words, kept = answer
    assert found.keys() | set(lost) >= expected.keys(), f"{name}: lost without a word"
    assert all(expected.get(id) == content for id, content in found.items()), f"{name}: changed without a word"
    assert not (set(lost) and not may_lose), f"{name}: {len(lost)} lost that could be read"
    assert words == min(10, len(found)), name
    assert kept == len(found) + 1, name


def damage(file: Path, kind: str, chance: random.Random) -> None:
    size = file.stat().st_size
    if kind == "missing":
        file.unlink()
    elif kind == "cut":
        os.truncate(file, size // 2)
    elif kind == "empty":
        os.truncate(file, 0)
    else:
        flip(file, chance)


def flip(file: Path, chance: random.Random) -> None:
    """One byte of those that are not zero."""
    content = bytearray(file.read_bytes())
    places = [
        i
        for start in range(0, len(content), 4096)
        if any(content[start : start + 4096])
        for i in range(start, min(start + 4096, len(content)))
        if content[i]
    ]
    place = chance.choice(places) if places else 0
    if content:
        content[place] ^= 1 << chance.randrange(8)
    file.write_bytes(content)


@pytest.mark.parametrize("kind", ["missing", "cut", "flipped"] if FLIPS else ["missing", "cut"])
def test_every_file(whole: Path, tmp_path: Path, kind: str) -> None:
    chance = random.Random(11)
    names = files_of(whole)
    if not FLIPS:
        # One of each kind of file of the indexes, and of the vectors, is enough here, damaged in one of two ways.
        alike = [name for name in names if re.search("/payload_index/|/vector_storage-", name)]
        kinds = {(name.split("/")[3][:8], Path(name).name): name for name in alike}
        names = sorted({*names} - {*alike} | {*kinds.values()})[kind == "cut" :: 2]
    batch = 20
    for start in range(0, len(names), batch):
        copies = {}
        for number, name in enumerate(names[start : start + batch]):
            copies[name] = copy_of(whole, tmp_path / str(number))
            damage(copies[name] / name, kind, chance)
        answers = look(list(copies.values()))
        for name, path in copies.items():
            # Only where texts are is there anything to lose.
            judge(f"{name} {kind}", answers[str(path)], may_lose="payload_storage/page_" in name)
            shutil.rmtree(path)


def test_flipped_bytes(whole: Path, tmp_path: Path) -> None:
    chance = random.Random(12)
    texts = [name for name in files_of(whole) if "payload_storage/page_" in name]
    flips = FLIPS or 12
    for start in range(0, flips, 20):
        copies = {}
        for number in range(start, min(flips, start + 20)):
            name = chance.choice(texts if number % 3 else files_of(whole))
            copies[f"{number} {name}"] = copy_of(whole, tmp_path / str(number))
            flip(copies[f"{number} {name}"] / name, chance)
        answers = look(list(copies.values()))
        for name, path in copies.items():
            judge(name, answers[str(path)], may_lose="payload_storage/page_" in name)
            if isinstance(answers[str(path)][0], dict):
                assert len(answers[str(path)][1]) <= 1, "one flipped byte costs one entry at most"
            shutil.rmtree(path)


def test_an_entry_that_cannot_be_read_in_a_store_that_was_not_closed(whole: Path, tmp_path: Path) -> None:
    """Without a seal, damage shows when it is read: the entry is named, and the others stay readable."""
    path = copy_of(whole, tmp_path / "s")
    (path / "store.seal").unlink()
    [page] = path.glob("shard/segments/*/payload_storage/page_0.dat")
    content = page.read_bytes()
    at = content.index(b"fact 30 of 30")
    with open(page, "r+b") as file:
        file.seek(at - 60)
        file.write(b"\xff" * 90)
    [answer] = look([path]).values()
    found, lost, _, kept = answer
    assert lost == ["30"]
    assert found.keys() == {str(n) for n in range(ENTRIES)} - {"30"}
    assert kept == ENTRIES


@pytest.mark.parametrize("empty", [True, False], ids=["empty", "with data"])
def test_a_kill_while_the_engine_creates_a_page(tmp_path: Path, empty: bool) -> None:
    """The engine creates a page file and registers it afterwards, and does not open with one that is not registered."""
    path = tmp_path / "store"
    program = (
        "import os, signal, sys\n"
        "from crewai_persistent_memory import open_store\n"
        "store = open_store(path=sys.argv[1], user_id='john', embedder=None)\n"
        "for number in range(5):\n"
        "    store.add(f'tea {number}')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    pages = [page for page in path.glob("shard/segments/*/payload_storage/page_0.dat") if page.stat().st_size]
    assert pages
    for page in pages:
        surplus = page.with_name("page_1.dat")
        with open(surplus, "wb") as opened:
            opened.truncate(page.stat().st_size)
            if not empty:
                opened.seek(4096)
                opened.write(b"something")
    if empty:
        with open_store(path=path, user_id="john") as store:
            assert sorted(entry.content for entry in store.list()) == [f"tea {number}" for number in range(5)]
            assert store.health()["lost"] is None
    else:
        with pytest.raises(StoreCorruptedError, match="gridstore pages"):
            open_store(path=path, user_id="john")
        assert all(page.with_name("page_1.dat").exists() for page in pages)

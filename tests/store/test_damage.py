"""Every file of a closed store missing, cut, or with a flipped byte: nothing is lost silently, and nothing crashes.

``THOROUGH=1`` damages every file, and not one of each kind, in a store with vectors. ``TEST_FLIPS=300`` flips that many
bytes besides (a few without it), in 800 entries.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import MemoryEntry, StoreCorruptedError, open_store

from ..support.programs import Commanded, run_program
from ..support.thorough import IS_THOROUGH, one_of_each
from .looking import embed

FLIPS = int(os.environ.get("TEST_FLIPS", "0"))
ENTRIES = 800 if FLIPS else 60

pytestmark = pytest.mark.timeout(3600 if FLIPS or IS_THOROUGH else 600)


class Looking:
    """A process that looks at stores one after the other, and another one after it has crashed."""

    def __init__(self) -> None:
        self._child: Commanded | None = None

    def __call__(self, path: Path, *, of_words: bool = False) -> list[Any]:
        """What is in the store: see ``looking.py``."""
        if self._child is None:
            self._child = Commanded([sys.executable, "-m", "tests.store.looking"])
        self._child.tell(json.dumps([str(path), of_words]))
        line = self._child.line()
        if not line:
            done = self.end()
            assert done is not None
            pytest.fail(f"{path.name}: the process ended with {done.returncode}: {done.stderr[-2000:]}")
        answer: list[Any] = json.loads(line)
        return answer

    def end(self) -> subprocess.CompletedProcess[str] | None:
        child, self._child = self._child, None
        return child and child.close()


@pytest.fixture(scope="module")
def look() -> Iterator[Looking]:
    looking = Looking()
    yield looking
    looking.end()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("whole") / "s", embed)


@pytest.fixture(scope="module")
def of_words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store without vectors."""
    return made(tmp_path_factory.mktemp("words") / "s", None)


def made(path: Path, embedder: Any) -> Path:
    with open_store(path=path, user_id="john", embedder=embedder) as store:
        store.put([MemoryEntry(content=f"fact {n} of {n}", id=str(n), metadata={"n": n}) for n in range(ENTRIES + 10)])
        store.delete(ids=[str(n) for n in range(ENTRIES, ENTRIES + 10)])
        store.update("7", content="fact 7 of 7", importance=0.9)
    return path


def copy_of(whole: Path, to: Path) -> Path:
    subprocess.run(["cp", "-r", "--sparse=always", str(whole), str(to)], check=True)
    return to


def files_of(path: Path) -> list[str]:
    return sorted(str(file.relative_to(path)) for file in path.rglob("*") if file.is_file())


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


def kind_of(name: str) -> str:
    """Files of the indexes and of the vectors that have one name are of one kind, and are all made again alike."""
    return Path(name).name if re.search("/payload_index/|/vector_storage-", name) else name


def files_to_damage(whole: Path, of_words: Path) -> list[tuple[Path, str]]:
    """Files, each with its store. A store with vectors takes three times as long to open and to mend, so the ordinary
    run damages the files of its vectors only, and all others in a store without."""
    if IS_THOROUGH or FLIPS:
        return [(whole, name) for name in files_of(whole)]
    of_vectors = [name for name in files_of(whole) if re.search("/vector_storage-(dense|passages)/", name)]
    files = [*((of_words, name) for name in files_of(of_words)), *((whole, name) for name in of_vectors)]
    return one_of_each(files, lambda file: kind_of(file[1]))


@pytest.mark.parametrize("kind", ["missing", "cut", "flipped"] if FLIPS else ["missing", "cut"])
def test_every_file(whole: Path, of_words: Path, tmp_path: Path, look: Looking, kind: str) -> None:
    chance = random.Random(11)
    files = files_to_damage(whole, of_words)
    if not IS_THOROUGH and not FLIPS:
        files = files[kind == "cut" :: 2]
    for store, name in files:
        path = copy_of(store, tmp_path / "s")
        damage(path / name, kind, chance)
        # Only where texts are is there anything to lose.
        answer = look(path, of_words=store == of_words)
        judge(f"{name} {kind}", answer, may_lose="payload_storage/page_" in name)
        shutil.rmtree(path)


def test_flipped_bytes(whole: Path, tmp_path: Path, look: Looking) -> None:
    chance = random.Random(12)
    texts = [name for name in files_of(whole) if "payload_storage/page_" in name]
    for number in range(FLIPS or (12 if IS_THOROUGH else 6)):
        file = chance.choice(texts if number % 3 else files_of(whole))
        path = copy_of(whole, tmp_path / "s")
        flip(path / file, chance)
        answer = look(path)
        judge(f"{number} {file}", answer, may_lose="payload_storage/page_" in file)
        if isinstance(answer[0], dict):
            assert len(answer[1]) <= 1, "one flipped byte costs one entry at most"
        shutil.rmtree(path)


def test_an_entry_that_cannot_be_read_in_a_store_that_was_not_closed(
    whole: Path, tmp_path: Path, look: Looking
) -> None:
    """Without a seal, damage shows when it is read: the entry is named, and the others stay readable."""
    path = copy_of(whole, tmp_path / "s")
    (path / "store.seal").unlink()
    [page] = path.glob("shard/segments/*/payload_storage/page_0.dat")
    content = page.read_bytes()
    at = content.index(b"fact 30 of 30")
    with open(page, "r+b") as file:
        file.seek(at - 60)
        file.write(b"\xff" * 90)
    found, lost, _, kept = look(path)
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
    assert run_program([sys.executable, "-c", program, str(path)]).returncode == -signal.SIGKILL
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

"""A text of 1 MB, whatever it holds, holds up no other thread, and no event loop, for more than 50 ms.

The embedded engine and its tokenizer keep the interpreter's lock while they work; so long work is done in pieces.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice, product
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import PersistentMemory, open_store
from crewai_persistent_memory.embedding.limits import size_of
from crewai_persistent_memory.storable import storable_text

from ..support.thorough import IS_THOROUGH, sample

SIZE = 1_000_000
"""UTF-8 bytes."""

LONGEST_DELAY = 0.100
"""Seconds of this process's CPU time, twice what is promised: the same work takes longer on a machine that is busy with
something else. Waiting for a disk is not in it. The best of several tries."""
TRIES = 5

CHANCE = random.Random(1)
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def han(count: int) -> str:
    return "".join(chr(CHANCE.randrange(0x4E00, 0x9FFF)) for _ in range(count))


LARGE: dict[str, Callable[[], str]] = {
    "words": lambda: " ".join(CHANCE.choices(["tea", "crew", "memory", "running", "agents"], k=SIZE // 6)),
    "all different words": lambda: " ".join(map("".join, islice(product(LETTERS, repeat=4), SIZE // 5))),
    "one letter": lambda: "a" * SIZE,
    "one word of many letters": lambda: "".join(CHANCE.choices(LETTERS, k=SIZE)),
    "one word again and again": lambda: "tea " * (SIZE // 4),
    "han": lambda: han(SIZE // 3),
    "hebrew": lambda: "".join(CHANCE.choices(" אבגדהוזחטיכלמנ", k=SIZE // 2)),
    "accents": lambda: "".join(CHANCE.choices("àéîõü ", k=SIZE // 2)),
    "combining marks": lambda: ("e" + "\u0301" * 10) * (SIZE // 21),
    "emoji": lambda: "👩‍👩‍👧‍👦" * (SIZE // 25),
    "punctuation": lambda: ".,;" * (SIZE // 3),
    "blanks": lambda: " \n" * (SIZE // 2 - 2) + "tea",
    "nul": lambda: "\x00" * (SIZE - 3) + "tea",
    "surrogates": lambda: "a\ud800 " * (SIZE // 5),
    "json": lambda: "{" + ",".join(f'"key{i}":"value{i * 7}"' for i in range(SIZE // 25)) + "}",
}


class Longest:
    """The longest time that a thread, or a task, which has nothing to do was kept from running, in seconds."""

    delay = 0.0


@contextmanager
def another_thread() -> Iterator[Longest]:
    longest, stop = Longest(), threading.Event()

    def tick() -> None:
        last = time.process_time()
        while not stop.is_set():
            time.sleep(0.0005)
            now = time.process_time()
            longest.delay = max(longest.delay, now - last)
            last = now

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        yield longest
    finally:
        stop.set()
        thread.join()


def best(measure: Callable[[], float]) -> float:
    delays: list[float] = []
    while not delays or (min(delays) > LONGEST_DELAY and len(delays) < TRIES):
        delays.append(measure())
    return min(delays)


def few_numbers(texts: list[str]) -> list[list[float]]:
    return [[float(len(text)), *([0.5] * 383)] for text in texts]


@pytest.mark.parametrize(("embedder", "first"), [(None, 0), (few_numbers, 1)], ids=["keywords", "hybrid"])
def test_no_other_thread_is_held_up(tmp_path: Path, embedder: Any, first: int) -> None:
    """Each text with one of the two, or with both when thorough."""
    names = list(LARGE) if IS_THOROUGH else list(LARGE)[first::2]
    with PersistentMemory(path=tmp_path / "s", user_id="john", embedder=embedder) as memory:
        memory.remember("a short text")
        found: dict[str, float] = {}
        for name in names:
            text = LARGE[name]()
            assert SIZE * 0.9 < size_of(storable_text(text)) < SIZE * 1.3 or name in ("nul", "surrogates")

            def save(text: str = text) -> float:
                with another_thread() as longest:
                    memory.remember(text)
                return longest.delay

            def recall_it(query: str) -> float:
                with another_thread() as longest:
                    memory.recall(query, limit=10)
                return longest.delay

            found[f"saving {name}"] = best(save)
            found[f"a query of {name}"] = best(lambda text=text: recall_it(text))  # type: ignore[misc]
        found["recalling them"] = best(lambda: recall_it("tea crew memory running agents"))
        found["listing them"] = best(lambda: listing(memory))
    assert {name: delay for name, delay in found.items() if delay > LONGEST_DELAY} == {}


def listing(memory: PersistentMemory) -> float:
    with another_thread() as longest:
        assert memory.store.list(limit=10)
    return longest.delay


def test_the_first_recall_after_a_restart(tmp_path: Path) -> None:
    count = 10 if IS_THOROUGH else 5

    def fill_and_reopen(number: int) -> float:
        path = tmp_path / str(number)
        with open_store(path=path, user_id="john", embedder=None) as store:
            for _ in range(count):
                store.add("nuts " + "tea " * (SIZE // 4))
        with open_store(path=path, user_id="john") as store, another_thread() as longest:
            assert len(store.search("nuts", limit=10)) == count
        return longest.delay

    numbers = iter(range(TRIES))
    assert best(lambda: fill_and_reopen(next(numbers))) <= LONGEST_DELAY


@pytest.mark.parametrize("name", sample(["all different words", "one word of many letters", "han", "surrogates"], 2))
def test_an_event_loop_goes_on(tmp_path: Path, name: str) -> None:
    text = storable_text(LARGE[name]())

    async def work() -> float:
        longest = Longest()

        async def tick() -> None:
            last = time.process_time()
            while True:
                await asyncio.sleep(0.001)
                now = time.process_time()
                longest.delay = max(longest.delay, now - last)
                last = now

        ticking = asyncio.create_task(tick())
        await asyncio.sleep(0)
        await store.aadd(text, id="a")
        await store.asearch(text)
        await store.aget("a")
        ticking.cancel()
        return longest.delay

    with open_store(path=tmp_path / "s", user_id="john", embedder=few_numbers) as store:
        assert best(lambda: asyncio.run(work())) <= LONGEST_DELAY


def test_a_kill_while_a_large_text_is_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its keywords are taken away before they are written; an entry that was left without gets them back."""
    from crewai_persistent_memory.backends.qdrant.embedded import writer

    text = LARGE["all different words"]()
    with open_store(path=tmp_path / "s", user_id="john", embedder=None) as store:
        store.add(text, id="a")

        def killed(*_: Any) -> Any:
            raise OSError("killed here")

        with monkeypatch.context() as patched:
            patched.setattr(writer, "edge_point", killed)
            with pytest.raises(Exception, match="killed here"):
                store.add(text, id="a")
        assert store.search("aaab") == []
    with open_store(path=tmp_path / "s", user_id="john") as store:
        assert [entry.id for entry in store.search("aaab")] == ["a"]

"""What is made of a text is kept for the next recall: within bounds, and never another text's."""

from __future__ import annotations

import functools
import gc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crewai_persistent_memory import PersistentMemory
from crewai_persistent_memory.admin import erase
from crewai_persistent_memory.recall.words import index_of, indexes_of
from crewai_persistent_memory.text import kept
from crewai_persistent_memory.text.kept import Kept

pytestmark = pytest.mark.newest
SPACE = 200
"""Characters that are counted for an entry beside its text."""


def test_it_is_made_once() -> None:
    made: list[str] = []
    some = Kept(lambda text: made.append(text) or text.upper(), 10_000)
    assert [some["tea"], some["tea"], some["milk"]] == ["TEA", "TEA", "MILK"]
    assert made == ["tea", "milk"]


def test_what_is_false_is_kept_too() -> None:
    made: list[str] = []
    some = Kept(lambda text: made.append(text) or False, 10_000)
    assert (some["tea"], some["tea"]) == (False, False)
    assert made == ["tea"]


def test_what_was_asked_for_lately_stays() -> None:
    made: list[str] = []
    some = Kept(lambda text: made.append(text) or len(text), 10 * (SPACE + 100))
    for number in range(100):
        assert some["often"] == 5
        assert some[f"{number:0100}"] == 100
    assert made.count("often") == 1


def test_it_does_not_grow() -> None:
    most = 20 * (SPACE + 1_000)
    some = Kept(len, most)
    for number in range(500):
        assert some[f"{number:01000}"] == 1_000
        assert sum(len(text) + SPACE for text in (*some, *some._before)) <= 2 * most


def test_a_text_that_is_larger_than_all_is_made_all_the_same() -> None:
    some = Kept(len, 100)
    assert some["x" * 1_000] == 1_000
    assert some["y"] == 1


def test_threads_get_what_was_made_of_their_own_text() -> None:
    some = Kept(str.upper, 30 * (SPACE + 10))  # so few that they are thrown out all the time
    texts = [f"text {number % 97}" for number in range(20_000)]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(some.__getitem__, texts, chunksize=500)) == [text.upper() for text in texts]


def kept_now() -> list[str]:
    """Every text of which something is kept in this process."""
    return [text for each in kept._ALL for text in (*each, *each._before)] + called_with()


def called_with() -> list[str]:
    """Every text with which a function of this package was called, whose results ``functools`` keeps."""
    caches = [each for each in gc.get_objects() if isinstance(each, functools._lru_cache_wrapper)]
    ours = [each for each in caches if getattr(each, "__module__", "").startswith("crewai_persistent_memory")]
    assert ours
    texts = []
    for cache in ours:
        for referent in gc.get_referents(cache):
            if isinstance(referent, dict):
                for key in referent:
                    texts += [
                        each for each in (key if isinstance(key, list | tuple) else [key]) if isinstance(each, str)
                    ]
    return texts


def test_an_erasure_leaves_nothing_of_a_text(tmp_path: Path) -> None:
    with PersistentMemory(path=tmp_path, user_id="john", embedder=None) as memory:
        memory.remember("John's canary sings at noon. He said so twice, and once again.")
        memory.remember("John's canary no longer sings at noon.")
        memory.remember("When does the canary sing?\nResult: John's canary sings at noon.")
        memory.remember("Day 1: the canary sang. " + "All was well on this day in the house. " * 40)
        memory.remember("Day 2: the canary sang. " + "All was well on this day in the house. " * 40)
        assert memory.explain_recall("when does the canary sing?")
        assert [text for text in kept_now() if "canary" in text]
        erase(memory.store, user_id="john", settle=0)
        assert not [text for text in kept_now() if "canary" in text]


def test_a_function_that_nobody_has_any_more_is_not_kept() -> None:
    shout = kept.kept_calls(str.upper, 2)
    mine = kept._CALLS[-1]
    assert (shout("tea"), mine()) == ("TEA", shout)
    del shout
    gc.collect()
    assert not any(each is mine for each in kept._CALLS)


LINES = st.text(max_size=40).map(lambda text: text.replace("\n", " "))


@given(st.lists(st.one_of(LINES, st.text("ab1 .,'-\t\r\x0b\x0c\x1c\x85é", max_size=20)), max_size=6))
def test_the_words_of_several_lines_are_those_of_each(lines: list[str]) -> None:
    assert indexes_of(lines) == list(map(index_of, lines))

"""``reranker=``: another order of what was found, and never an error or a long wait for the agent."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import ConfigurationError, EmbedderUnavailableError, PersistentMemory
from crewai_persistent_memory.entry import MemoryEntry
from crewai_persistent_memory.io.steps import arun, run
from crewai_persistent_memory.recall.rerank import Reranker

ENTRIES = [MemoryEntry(id=str(n), content=f"tea number {n}") for n in range(30)]


def by_number(query: str, texts: Sequence[str]) -> list[float]:
    return [float(text.rpartition(" ")[2]) for text in texts]


class Gated:
    """A function that waits until a test opens its gate."""

    def __init__(self) -> None:
        self.entered, self.gate = threading.Semaphore(0), threading.Event()

    def __call__(self, query: str, texts: Sequence[str]) -> list[float]:
        self.entered.release()
        assert self.gate.wait(60)
        return by_number(query, texts)


async def later(query: str, texts: Sequence[str]) -> list[float]:
    await asyncio.sleep(0)
    return by_number(query, texts)


@pytest.mark.parametrize("scorer", [by_number, later])
@pytest.mark.parametrize("drive", [run, lambda steps: asyncio.run(arun(steps))])
def test_the_best_are_ordered_anew_and_the_others_stay(scorer: Callable[..., Any], drive: Callable[..., Any]) -> None:
    found = drive(Reranker(scorer, 5.0).rerank(ENTRIES, "tea"))
    assert [entry.id for entry in found] == [str(n) for n in [*range(19, -1, -1), *range(20, 30)]]


@pytest.mark.parametrize(
    "scores", [[1.0], [float("nan")] * 20, ["much"] * 20, None], ids=["too few", "nan", "words", "none"]
)
def test_a_wrong_answer_changes_nothing(scores: Any, caplog: pytest.LogCaptureFixture) -> None:
    reranker = Reranker(lambda query, texts: scores, 5.0)
    with caplog.at_level(logging.WARNING, "crewai_persistent_memory"):
        for _ in range(3):
            assert run(reranker.rerank(ENTRIES, "tea")) == ENTRIES
    assert len(caplog.records) == 1  # once a minute
    assert "the reranker failed" in caplog.text


@pytest.mark.parametrize("drive", [run, lambda steps: asyncio.run(arun(steps))])
@pytest.mark.parametrize(
    "error", [RuntimeError, SystemExit, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit, StopIteration]
)
@pytest.mark.parametrize("awaited", [False, True])
def test_whatever_it_raises_the_memories_keep_their_order(
    drive: Callable[..., Any], error: type[BaseException], awaited: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(query: str, texts: Sequence[str]) -> list[float]:
        raise error("no model")

    async def fails_later(query: str, texts: Sequence[str]) -> list[float]:
        return fails(query, texts)

    assert drive(Reranker(fails_later if awaited else fails, 5.0).rerank(ENTRIES, "tea")) == ENTRIES
    assert "the reranker failed" in caplog.text


@pytest.mark.parametrize("drive", [run, lambda steps: asyncio.run(arun(steps))])
def test_a_late_answer_is_not_waited_for(drive: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    end = threading.Event()
    reranker = Reranker(lambda query, texts: end.wait(60), 0.05)
    started = time.monotonic()
    try:
        for _ in range(20):  # more than run at once: those are not started
            assert drive(reranker.rerank(ENTRIES, "tea")) == ENTRIES
    finally:
        end.set()
    assert time.monotonic() - started < 20
    assert "did not answer within 0.05 s (reranker_timeout)" in caplog.text


def endless(query: str, texts: Sequence[str]) -> Iterator[float]:
    while True:
        yield 1.0


@pytest.mark.parametrize("drive", [run, lambda steps: asyncio.run(arun(steps))])
def test_scores_that_are_computed_one_by_one_have_the_deadline_too(
    drive: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    """An iterator, such as ``map(score, texts)``, computes when it is read. It is read in the reranker's thread."""
    end, threads = threading.Event(), []

    def slowly(query: str, texts: Sequence[str]) -> Iterator[float]:
        for text in texts:
            threads.append(threading.current_thread().name)
            end.wait(60)
            yield float(text.rpartition(" ")[2])

    try:
        assert drive(Reranker(slowly, 0.05).rerank(ENTRIES, "tea")) == ENTRIES
    finally:
        end.set()
    assert set(threads) == {"reranker"}
    assert "did not answer within 0.05 s" in caplog.text
    assert drive(Reranker(slowly, 60).rerank(ENTRIES, "tea"))[0].id == "19"
    assert drive(Reranker(endless, 60).rerank(ENTRIES, "tea")) == ENTRIES


def test_more_calls_than_run_at_once_wait_for_their_turn() -> None:
    scorer = Gated()
    reranker = Reranker(scorer, 60)
    with ThreadPoolExecutor(30) as pool:
        waiting = [pool.submit(lambda: run(reranker.rerank(ENTRIES, "tea"))) for _ in range(30)]
        try:
            for _ in range(8):
                assert scorer.entered.acquire(timeout=60)
        finally:
            scorer.gate.set()
        assert {each.result()[0].id for each in waiting} == {"19"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_after_a_fork_no_call_of_the_parent_is_under_way() -> None:
    scorer = Gated()
    reranker = Reranker(scorer, 5)
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(lambda: run(reranker.rerank(ENTRIES, "tea"))) for _ in range(8)]
        try:
            for _ in range(8):
                assert scorer.entered.acquire(timeout=60)
            child = os.fork()
            if not child:
                scorer.gate.set()
                os._exit(0 if run(reranker.rerank(ENTRIES, "tea"))[0].id == "19" else 1)
            assert os.waitpid(child, 0)[1] == 0
        finally:
            scorer.gate.set()
        assert {each.result()[0].id for each in waiting} == {"19"}


def test_a_recall_that_is_cancelled_leaves_no_error_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its call is not made if it has not begun."""
    failed: list[object] = []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    called: list[str] = []
    answer: Future[list[float]] = Future()
    answer.cancel()
    reranker = Reranker(lambda query, texts: called.append(query), 5)
    thread = threading.Thread(target=reranker._score, args=("tea", ["tea"], answer, 5.0))
    thread.start()
    thread.join()
    assert (failed, called) == ([], [])


def test_an_error_of_its_own_that_is_a_timeout_is_told_as_an_error(caplog: pytest.LogCaptureFixture) -> None:
    def fails(query: str, texts: Sequence[str]) -> list[float]:
        raise TimeoutError("the service of the reranker")

    assert run(Reranker(fails, 60).rerank(ENTRIES, "tea")) == ENTRIES
    assert "the reranker failed: RuntimeError: TimeoutError: the service of the reranker" in caplog.text


def test_in_a_recall(tmp_path: Path) -> None:
    with PersistentMemory(path=tmp_path / "s", user_id="john", reranker=by_number) as memory:
        for number in (1, 3, 2):
            memory.remember(f"The tea of guest {'abc'[number - 1]} has the number {number}")
        found = [match.record.content[-1] for match in memory.recall("tea of a guest")]
    assert found == ["3", "2", "1"]


@pytest.mark.parametrize("name", ["cohere/rerank-3", "local", "local:"])
def test_a_wrong_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"reranker: .*give a function, 'local:/folder/of/a/cross-encoder'"):
        PersistentMemory(path=tmp_path / "s", user_id="john", reranker=name)


@pytest.mark.parametrize("timeout", [0, -1, True, float("inf"), float("nan"), 1e10])
def test_a_deadline_is_a_number_of_seconds(tmp_path: Path, timeout: float) -> None:
    with pytest.raises(ConfigurationError, match="reranker_timeout"):
        PersistentMemory(path=tmp_path / "s", user_id="john", reranker=by_number, reranker_timeout=timeout)


def test_a_model_of_another_kind_is_refused(tmp_path: Path, minilm: Path) -> None:
    with pytest.raises(EmbedderUnavailableError, match="is not a cross-encoder"):
        PersistentMemory(path=tmp_path / "s", user_id="john", reranker=f"local:{minilm}")

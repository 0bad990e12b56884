"""How much code a recall goes through: few enough calls to be cheap, and few enough files to be followed."""

from __future__ import annotations

import sys
from collections.abc import Generator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import crewai_persistent_memory
from crewai_persistent_memory import PersistentMemory
from crewai_persistent_memory.backends.qdrant.embedded.reader import EdgeReader
from crewai_persistent_memory.io import steps

PACKAGE = Path(crewai_persistent_memory.__file__).parent
pytestmark = pytest.mark.crew


@pytest.fixture
def memory(tmp_path: Path) -> Generator[PersistentMemory, None, None]:
    with PersistentMemory(path=tmp_path / "store", user_id="john", embedder=None, fsync="close") as opened:
        for number in range(20):
            opened.remember(f"John likes tea number {number}")
        assert len(opened.recall("tea", limit=10)) == 10
        yield opened


def file_of(frame: FrameType) -> str | None:
    path = Path(frame.f_code.co_filename)
    return str(path.relative_to(PACKAGE)) if PACKAGE in path.parents else None


def frames_of(memory: PersistentMemory) -> list[str]:
    """The frames of this package that one recall enters; a generator that is resumed counts once."""
    entered: dict[int, FrameType] = {}  # kept, so that no two frames have one id

    def note(frame: FrameType, event: str, arg: Any) -> None:
        if event == "call" and file_of(frame) is not None:
            entered[id(frame)] = frame

    sys.setprofile(note)
    try:
        found = memory.recall("tea", limit=10)
    finally:
        sys.setprofile(None)
    assert len(found) == 10
    return [f"{file_of(frame)}:{frame.f_code.co_name}" for frame in entered.values()]


def test_a_recall_of_ten_hits_enters_few_frames(memory: PersistentMemory) -> None:
    """None for each entry that it looks at."""
    # The first recall of a second makes the ranking formula, which the others of that second use.
    names = min((frames_of(memory) for _ in range(5)), key=len)
    assert len(names) <= 120, "\n".join(names)


def test_a_recall_passes_through_nine_files_on_its_way_to_the_engine(
    memory: PersistentMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The generators that wait for the engine, outermost first, and what the driver calls from there."""
    driven: list[Generator[Any, Any, Any]] = []
    ways: list[list[str]] = []
    run, search = steps.run, EdgeReader.search

    def noting_run(generator: Generator[Any, Any, Any]) -> Any:
        driven.append(generator)
        return run(generator)

    def noting_search(reader: EdgeReader, request: Any) -> Any:
        way: list[str] = []
        waiting: Any = driven[-1]
        while waiting is not None and hasattr(waiting, "gi_frame"):
            way.append(file_of(waiting.gi_frame) or "")
            waiting = waiting.gi_yieldfrom
        stack: list[str] = []
        frame: FrameType | None = sys._getframe()
        while frame is not None:
            stack.append(file_of(frame) or "")
            frame = frame.f_back
        ways.append([name for name in dict.fromkeys((*reversed(stack), *way)) if name])
        return search(reader, request)

    for module in (steps, sys.modules["crewai_persistent_memory.adapters.memory_api"]):
        monkeypatch.setattr(module, "run", noting_run)
    monkeypatch.setattr(EdgeReader, "search", noting_search)
    memory.recall("tea", limit=10)
    [way] = ways
    assert "backends/qdrant/reads.py" in way
    assert len(way) <= 9, way

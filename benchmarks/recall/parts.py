"""Parts of recall that can be switched off, and weights that can be changed, for one measurement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any
from unittest.mock import patch

import crewai_persistent_memory

_PACKAGE = crewai_persistent_memory.__name__


@dataclass(frozen=True)
class Part:
    """A part, and how it is switched off.

    Attributes:
        about: what it does.
        stage: its name among the stages of a recall.
        values: otherwise, ``module.ATTRIBUTE`` inside the package, and the value that has no effect.
    """

    about: str
    stage: str = ""
    values: tuple[tuple[str, Any], ...] = ()


PARTS = {
    "question": Part("a crew searches for the question in its task, not for the whole task", stage="question"),
    "context": Part(
        "a short memory is also found by the words of the memories before it", values=(("text.bm25.CONTEXT", 0.0),)
    ),
    "passages": Part("a long text is shown by its best passages", stage="passages"),
    "beside": Part("the passages beside a good one are shown too", values=(("recall.budget.BESIDE", 0.0),)),
    "each_once": Part("memories that say the same take one place", stage="each_once"),
    "empty_last": Part("an entry that states nothing is placed last", stage="empty_last"),
    "newest_first": Part("the newest value of a fact comes first", stage="newest_first"),
    "dates": Part("each memory is shown with its date", stage="dates"),
}


@dataclass(frozen=True)
class Weight:
    """A number that was chosen by measurement, and others that were tried.

    Attributes:
        name: ``module.ATTRIBUTE`` inside the package.
        tried: the values.
        of_prompt: it decides what is shown, and not what is found.
    """

    name: str
    tried: tuple[float, ...]
    of_prompt: bool = False


WEIGHTS = (
    Weight("text.bm25.CONTEXT", (0.1, 0.2, 0.3, 0.4)),
    Weight("ranking.COSINE_SPREAD", (4.0, 6.0, 8.0, 12.0)),
    Weight("recall.budget.OWN", (0.1, 0.2, 0.4), of_prompt=True),
    Weight("recall.budget.BESIDE", (0.3, 0.45, 0.6, 0.75), of_prompt=True),
)


def value_of(name: str) -> Any:
    module, _, attribute = name.rpartition(".")
    return getattr(import_module(f"{_PACKAGE}.{module}"), attribute)


@contextmanager
def given(values: dict[str, Any]) -> Iterator[None]:
    """Weights with other values, by ``module.ATTRIBUTE`` inside the package."""
    with ExitStack() as stack:
        for name, value in values.items():
            stack.enter_context(patch(f"{_PACKAGE}.{name}", value))
        yield


@contextmanager
def without(names: Sequence[str]) -> Iterator[None]:
    """Measure without these parts."""
    if not names:
        yield
        return
    off = [PARTS[name] for name in names]
    stages = {part.stage: False for part in off if part.stage}
    with given({name: value for part in off for name, value in part.values}):
        if not stages:
            yield
            return
        parts = import_module(f"{_PACKAGE}.recall.pipeline").parts
        token = parts.set(replace(parts.get(), **stages))
        try:
            yield
        finally:
            parts.reset(token)

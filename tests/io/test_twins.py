"""A blocking and an awaiting method, made of one function."""

from __future__ import annotations

import asyncio
import inspect
import pickle
from collections.abc import Callable
from operator import attrgetter
from typing import Any, get_type_hints

import pytest

from crewai_persistent_memory import MemoryStore
from crewai_persistent_memory.io.steps import Call, Steps
from crewai_persistent_memory.io.twins import Twins


def counted(name: str, word: str, *, times: int = 1) -> Steps[list[str]]:
    """Say a word.

    Args:
        word: what is said.
        times: how often.
    """
    if times < 0:
        raise ValueError("times is negative")

    async def awaited() -> str:
        return f"{name} awaits"

    return _said(Call(lambda: f"{name} blocks", awaited), [word] * times)


def _said(call: Call[str], words: list[str]) -> Steps[list[str]]:
    return [(yield call), *words]


TWINS: Twins[str] = Twins(__name__, "Speaker", attrgetter("name"))


class Speaker:
    name = "John"
    acounted = TWINS.awaiting(counted)
    listed = TWINS.through(counted, lambda steps: [steps], "listed", list)
    counted = TWINS.blocking(counted)


def test_one_blocks_and_one_awaits() -> None:
    assert Speaker().counted("tea", times=2) == ["John blocks", "tea", "tea"]
    assert asyncio.run(Speaker().acounted("tea")) == ["John awaits", "tea"]
    assert len(Speaker().listed("tea")) == 1
    assert not inspect.iscoroutinefunction(Speaker.counted)
    assert inspect.iscoroutinefunction(Speaker.acounted)


def test_an_argument_is_refused_when_the_method_is_called_or_awaited() -> None:
    with pytest.raises(ValueError, match="negative"):
        Speaker().counted("tea", times=-1)
    awaited = Speaker().acounted("tea", times=-1)
    with pytest.raises(ValueError, match="negative"):
        asyncio.run(awaited)


@pytest.mark.parametrize("name", ["counted", "acounted"])
def test_both_have_the_arguments_and_the_documentation_of_the_function(name: str) -> None:
    method = getattr(Speaker, name)
    assert str(inspect.signature(method)) == "(self, word: 'str', *, times: 'int' = 1) -> 'list[str]'"
    assert get_type_hints(method) == {"word": str, "times": int, "return": list[str]}
    assert inspect.getdoc(method) == inspect.getdoc(counted)
    assert (method.__module__, method.__name__, method.__qualname__) == (__name__, name, f"Speaker.{name}")
    assert pickle.loads(pickle.dumps(method)) is method


@pytest.mark.parametrize("name", sorted(name for name in vars(MemoryStore) if not name.startswith("_")))
def test_a_method_of_a_store_is_found_by_its_names(name: str) -> None:
    method: Callable[..., Any] | property | classmethod[Any, Any, Any] = inspect.getattr_static(MemoryStore, name)
    if inspect.isfunction(method):
        assert method.__qualname__ == f"MemoryStore.{name}"
        assert pickle.loads(pickle.dumps(method)) is method
        assert method.__doc__ or name == "aclose"

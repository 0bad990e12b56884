from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import MemoryStore, open_store

from ..support.durability import writes_wait_in
from ..support.engines import STORES
from ..support.mem0_platform import DEFAULT_KEY, Mem0Platform
from ..support.openai_server import OpenAIServer

OpenMem0 = Callable[..., Any]


def library_of(store: Any) -> Any:
    """The ``mem0.Memory`` behind a store in Mem0 OSS."""
    return store.backend.api._open().memory


BY_DEFAULT = ("test_crews",)
"""Modules with stores as users open them: with an outbox. The others look at Mem0 itself after each call, and at what a
call raises when Mem0 fails."""


@pytest.fixture(scope="module", autouse=True)
def writes_wait_for_the_store(request: pytest.FixtureRequest) -> Iterator[None]:
    with writes_wait_in(request, but=BY_DEFAULT):
        yield


@pytest.fixture
def cloud(mem0_platform: Mem0Platform) -> Iterator[OpenMem0]:
    """Opens a store in Mem0 Cloud; ``mem0=`` adds to its options."""
    opened: list[MemoryStore] = []

    def open_one(mem0: dict[str, Any] | None = None, **options: Any) -> Any:
        about = {"api_key": DEFAULT_KEY, "host": mem0_platform.url, **(mem0 or {})}
        opened.append(open_store(**{"user_id": "john", **options}, mem0=about))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def oss_config(request: pytest.FixtureRequest, tmp_path: Path, openai_server: OpenAIServer) -> Iterator[dict[str, Any]]:
    """A ``local_mem0_config`` over a real Qdrant server, with a scripted LLM."""
    openai_server.prompts.clear()
    openai_server.embedded.clear()
    kind = STORES["mem0-oss"]
    yield kind.options(request, tmp_path)["mem0"]["local_mem0_config"]
    kind.remove(request, tmp_path)


@pytest.fixture
def oss(oss_config: dict[str, Any]) -> Iterator[OpenMem0]:
    """Opens a store in Mem0 OSS; ``mem0=`` adds to its options."""
    opened: list[MemoryStore] = []

    def open_one(mem0: dict[str, Any] | None = None, **options: Any) -> Any:
        about = {"local_mem0_config": oss_config, **(mem0 or {})}
        opened.append(open_store(**{"user_id": "john", **options}, mem0=about))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture(params=["cloud", "oss"])
def open_mem0(request: pytest.FixtureRequest) -> OpenMem0:
    """Of either kind."""
    return request.getfixturevalue(request.param)  # type: ignore[no-any-return]

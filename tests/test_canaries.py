"""Keys, passwords and headers are in nothing that is shown, written or logged."""

from __future__ import annotations

import logging
import pickle
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import crewai_persistent_memory
from crewai_persistent_memory import (
    MemoryConfig,
    PersistentMemory,
    PersistentMemoryError,
    open_store,
    register,
    unregister,
)
from crewai_persistent_memory.adapters import defaults
from crewai_persistent_memory.embedding import Embedder

CANARY = "canary-4f1d"
SERVER: dict[str, Any] = {
    "url": "http://127.0.0.1:9",
    "api_key": CANARY,
    "headers": {"authorization": CANARY},
    "embedder": {"provider": "openai", "config": {"model_name": "m", "api_key": CANARY}},
    "retry_for": 0,
    "startup_timeout": 0.2,
    "durability": "store",
}
MEM0: dict[str, Any] = {
    "mem0": {"api_key": CANARY, "host": "http://127.0.0.1:9", "retry_for": 0, "startup_timeout": 0.2},
    "durability": "store",
}
OURS = Path(crewai_persistent_memory.__file__).parent


def represented(value: Any) -> str:
    try:
        return repr(value)
    except AttributeError:  # an object whose construction has failed
        return object.__repr__(value)


def with_locals_of_our_frames(error: BaseException | None) -> str:
    """What a tool that shows local variables prints of our own frames."""
    shown = ""
    while error is not None:
        shown += "".join(traceback.format_exception(error))
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if OURS in Path(frame.f_code.co_filename).parents:
                shown += (
                    f"\n{frame.f_code.co_qualname if hasattr(frame.f_code, 'co_qualname') else frame.f_code.co_name}"
                )
                shown += "".join(f"\n  {name} = {represented(value)}" for name, value in frame.f_locals.items())
        error = error.__cause__ or error.__context__
    return shown


@pytest.mark.parametrize("options", [SERVER, MEM0], ids=["server", "mem0"])
def test_options(options: dict[str, Any]) -> None:
    config = MemoryConfig.build(**options)
    for each in (config, config.server, config.mem0):
        if each is not None:
            shown = f"{each!r} {each} {each.model_dump()} {each.model_dump_json()} {each.__dict__.keys()}"
            assert CANARY not in shown


def test_an_embedder() -> None:
    embedder = Embedder.build(SERVER["embedder"])
    assert CANARY not in f"{embedder!r} {embedder} {embedder.fingerprint} {embedder.fingerprint.to_json()}"


def from_config(**options: Any) -> Any:
    if "mem0" in options:
        config = {**options["mem0"], "durability": options["durability"]}
        return PersistentMemory.from_config({"provider": "mem0", "config": config})
    return PersistentMemory.from_config({"provider": "qdrant", "config": options})


def by_name(**options: Any) -> Any:
    """Registered, and opened by what CrewAI calls for its memory."""
    try:
        register(default=True, **options)
        return defaults.default_memory(PersistentMemory)
    finally:
        unregister()


CONSTRUCT = [open_store, PersistentMemory, from_config, by_name]


@pytest.mark.parametrize("construct", CONSTRUCT, ids=["store", "memory", "published", "registered"])
@pytest.mark.parametrize(
    "options",
    [SERVER, {**SERVER, "fsync": "always"}, {**SERVER, "timeout": "soon"}, {**SERVER, "usr_id": "x"}, MEM0],
    ids=["unreachable", "contradiction", "malformed", "unknown", "mem0"],
)
def test_errors_and_logs(
    construct: Callable[..., Any], options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(PersistentMemoryError) as caught:
        construct(**options)
    assert CANARY not in with_locals_of_our_frames(caught.value)
    assert CANARY not in caplog.text
    assert CANARY.encode() not in pickle.dumps((str(caught.value), caught.value.args))


@pytest.mark.parametrize("options", [SERVER, MEM0], ids=["server", "mem0"])
def test_an_outbox(options: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    about = {**options, "durability": "outbox", "outbox_path": tmp_path, "recall_timeout": 0.2, "exit_wait": 0}
    with caplog.at_level(logging.DEBUG), open_store(user_id="john", **about) as store:
        store.add("tea")
        shown = f"{store!r} {store.backend!r} {store.health()}"
    assert "is away" in caplog.text
    assert CANARY not in caplog.text + shown
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert all(CANARY.encode() not in path.read_bytes() for path in files)

"""Gives the work of a stream the scope of the call that returned the stream.

CrewAI does the work of ``stream=True`` while the stream is read, in a thread or task with the reader's context; until
1.10 in a thread without a context (seen in 1.6.1 to 1.15.30). ``kickoff`` creates the generators that start that work,
so the scope is taken there.

Until 1.12.2 a stream also contains the chunks of every other crew that streams in the process at that time. This
module restricts each stream to the chunks of its own work, as CrewAI itself does later (by 1.14.7).
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from ..errors import CrewInUseError
from ..io.context import setting
from ..scope_context import carry_scope

Hold = Callable[[], AbstractContextManager[None]]

_hold: Final[ContextVar[Hold | None]] = ContextVar("hold_for_a_stream", default=None)

_working_for: Final[ContextVar[tuple[Callable[..., None], ...]]] = ContextVar("streams_worked_for", default=())
"""The handlers of the streams that the current code works for: several if one crew starts another."""

_MODULE: Final = "crewai.utilities.streaming"
_BLOCKING: Final = ("create_chunk_generator", "create_frame_generator")
_AWAITED: Final = ("create_async_chunk_generator", "create_async_frame_generator")
_CARRIES: Final = "__carries_scope__"


def install() -> None:
    """Make every stream work in the scope in which it was created. Idempotent."""
    if find_spec(_MODULE) is None:
        return
    streaming: Any = import_module(_MODULE)
    handler_of = streaming._create_stream_handler
    if "stream_id" not in inspect.signature(handler_of).parameters and not hasattr(handler_of, _CARRIES):
        streaming._create_stream_handler = _for_own_chunks(handler_of)
    for name in (*_BLOCKING, *_AWAITED):
        create = getattr(streaming, name, None)
        if create is None or hasattr(create, _CARRIES):
            continue
        carrying = _carrying(create, awaited=name in _AWAITED)
        setattr(carrying, _CARRIES, True)
        # Modules that import the function hold a reference under the same name.
        for module in [module for key, module in sys.modules.items() if key.partition(".")[0] == "crewai"]:
            if vars(module).get(name) is create:
                setattr(module, name, carrying)


@contextmanager
def prepared(hold: Hold) -> Iterator[None]:
    """Use around the call that creates a stream. The work then runs inside ``hold()`` while the stream is read."""
    with setting(_hold, hold):
        yield


def _carrying(create: Callable[..., Any], *, awaited: bool) -> Callable[..., Any]:
    @functools.wraps(create)
    def carrying(state: Any, work: Callable[[], Any], *args: Any, **kwargs: Any) -> Any:
        scope, hold = carry_scope(), _hold.get()

        @contextmanager
        def as_started() -> Iterator[None]:
            streams = (*_working_for.get(), *([state.handler] if hasattr(state, "handler") else []))
            held = nullcontext() if hold is None else hold()
            with setting(_hold, None), setting(_working_for, streams), scope(), held:
                yield

        def blocking() -> Any:
            try:
                with as_started():
                    return work()
            except CrewInUseError as error:
                _tell_the_reader(state, error, awaited)

        async def awaiting() -> Any:
            try:
                with as_started():
                    return await work()
            except CrewInUseError as error:
                _tell_the_reader(state, error, awaited)

        return create(state, awaiting if awaited else blocking, *args, **kwargs)

    return carrying


def _for_own_chunks(create: Callable[..., Callable[..., None]]) -> Callable[..., Callable[..., None]]:
    @functools.wraps(create)
    def created(*args: Any, **kwargs: Any) -> Callable[..., None]:
        put = create(*args, **kwargs)

        def own_chunks(source: Any, event: Any) -> None:
            # Chunks are handled where they are emitted, in the context of the work.
            if own_chunks in _working_for.get():
                put(source, event)

        return own_chunks

    setattr(created, _CARRIES, True)
    return created


def _tell_the_reader(state: Any, error: Exception, awaited: bool) -> None:
    """Pass an error to the stream's reader. CrewAI does so for errors of the work; this one precedes the work."""
    streaming: Any = import_module(_MODULE)
    if not hasattr(state, "stream_id") and not hasattr(state, "handler"):
        raise error  # a stream of events: its generator passes the error on
    streaming.signal_error(state, error, is_async=awaited)
    streaming.signal_end(state, is_async=awaited)

"""A value that applies only inside a ``with`` block: not in a generator's consumer, and not on a thread on which an
unfinished generator was left.

A :class:`contextvars.ContextVar` alone cannot do that. A generator has no context of its own (PEP 568 was never
accepted), so a block around a ``yield`` also sets the variable for the consumer. The reset fails if another thread
takes the next item (``ValueError: <Token ...> was created in a different Context``).

A block therefore stores the generator that holds it open. While such a block is open, a call has the value of the
innermost block on its own call stack. Tasks and threads started inside a block get the value from the context
variable, and keep it after the block has ended.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ContextDecorator, contextmanager
from contextvars import Context, ContextVar
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType, TracebackType
from typing import Any, Final, Generic, TypeVar, cast

import greenlet

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

_DEEPEST: Final = 1000
_AWAITING: Final = (CoroutineType, GeneratorType, AsyncGeneratorType)
_GENERATOR: Final = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
_ENTERING: Final = ("contextlib", "_pytest", "pytest_asyncio")
"""Packages that advance a generator to enter a block for their caller: ``@contextmanager``, fixtures."""


class _Open(Generic[T]):
    """One block that was entered. ``parent`` is the block it was entered in."""

    __slots__ = ("closed", "context", "frame", "parent", "task", "value")

    def __init__(self, value: T, parent: _Open[T] | None, frame: FrameType | None) -> None:
        self.value = value
        self.parent = parent
        self.frame = frame
        self.closed = False
        self.context: weakref.ref[Context] | None = None
        self.task = None if frame is None else _current_task()

    def is_in(self, context: Context | None) -> bool:
        """Whether the block was entered in this context, and not in the context of which this is a copy."""
        return self.context is not None and self.context() is context


class BlockVariable(Generic[T]):
    """A context variable that is set by ``with variable.block(...)``, also around a ``yield``."""

    def __init__(self, name: str) -> None:
        self._innermost: ContextVar[_Open[T] | None] = ContextVar(name, default=None)
        self._lock = threading.Lock()
        self._in_generators: dict[FrameType, list[_Open[T]]] = {}
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew_lock)

    def get(self) -> T | None:
        """The value of the innermost block around this call; ``None`` outside of all blocks."""
        if not self._in_generators and self._innermost.get() is None:
            return None  # outside of all blocks: the usual case in a program with fixed scopes
        found = self._current()
        return None if found is None else found.value

    def block(self, change: Callable[[T | None], T]) -> AbstractContextManager[None]:
        """A block, and a decorator, in which the value is ``change(value around it)``."""
        return _Block(self, change)

    @contextmanager
    def carried(self, value: T) -> Iterator[None]:
        """A block around work that runs to its end without a ``yield``, so that no generator can suspend it."""
        opened = self.enter(value, None)
        try:
            yield
        finally:
            self.leave(opened)

    def enter(self, value: T, frame: FrameType | None) -> _Open[T]:
        """Open a block. ``frame`` is the caller's frame, if it may belong to a generator."""
        opened = _Open(value, self._current(), None if frame is None else _generator_of(frame))
        self._innermost.set(opened)
        context = _current_context()
        opened.context = None if context is None else weakref.ref(context)
        if opened.frame is not None:
            with self._lock:
                self._in_generators.setdefault(opened.frame, []).append(opened)
        return opened

    def leave(self, opened: _Open[T]) -> None:
        """Close a block, in any thread, task and order."""
        opened.closed = True
        if opened.frame is not None:
            with self._lock:
                blocks = self._in_generators[opened.frame]
                blocks.remove(opened)
                if not blocks:
                    del self._in_generators[opened.frame]
        if self._innermost.get() is opened:
            self._innermost.set(opened.parent)

    def _renew_lock(self) -> None:
        # A lock that another thread held is never released in a forked child.
        self._lock = threading.Lock()

    def _current(self) -> _Open[T] | None:
        innermost = self._innermost.get()
        if not self._in_generators:
            return next(_open(innermost), None)
        stack = set()
        running = None
        for frame in _frames(sys._getframe(1)):
            stack.add(id(frame))  # not the frame: this one would then hold itself
            if running is None and (blocks := self._in_generators.get(frame)):
                running = next((block for block in reversed(blocks) if not block.closed), None)
        inherited = _inherited(innermost, stack)
        if running is None or (inherited is not None and running in _open(inherited)):
            return inherited
        # The variable was set by another generator, or around the call that resumed this one.
        return running


class _Block(AbstractContextManager[None], ContextDecorator, Generic[T]):
    def __init__(self, variable: BlockVariable[T], change: Callable[[T | None], T]) -> None:
        self._variable = variable
        self._change = change
        self._entered: list[tuple[FrameType, _Open[T]]] = []

    def _recreate_cm(self) -> _Block[T]:
        return _Block(self._variable, self._change)

    def __call__(self, function: F) -> F:
        """A function that runs in a block, also if it is a coroutine function or a generator function."""
        again = self._recreate_cm
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def awaited(*args: Any, **kwargs: Any) -> Any:
                with again():
                    return await function(*args, **kwargs)

            return cast(F, awaited)
        if inspect.isasyncgenfunction(function):

            @functools.wraps(function)
            async def iterated_later(*args: Any, **kwargs: Any) -> Any:
                with again():
                    async for each in function(*args, **kwargs):
                        yield each

            return cast(F, iterated_later)
        if inspect.isgeneratorfunction(function):

            @functools.wraps(function)
            def iterated(*args: Any, **kwargs: Any) -> Any:
                with again():
                    return (yield from function(*args, **kwargs))

            return cast(F, iterated)
        return super().__call__(function)

    def __enter__(self) -> None:
        value = self._change(self._variable.get())
        frame = sys._getframe(1)
        self._entered.append((frame, self._variable.enter(value, frame)))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._variable.leave(self._own(sys._getframe(1)))

    def _own(self, frame: FrameType) -> _Open[T]:
        """The block to close here. Several tasks, threads and generators may use one object, and exit in any order."""
        entered = list(self._entered)
        context = _current_context()
        here = [pair for pair in entered if pair[0] is frame] or [pair for pair in entered if pair[1].is_in(context)]
        own = (here or entered)[-1]
        self._entered.remove(own)
        return own[1]


def _open(block: _Open[T] | None) -> Iterator[_Open[T]]:
    """The open blocks, from this one outwards. In a copy of its context, a block never ends."""
    context = _current_context()
    while block is not None:
        if not (block.closed and block.is_in(context)):
            yield block
        block = block.parent


def _inherited(innermost: _Open[T] | None, stack: set[int]) -> _Open[T] | None:
    """The block of the context variable that applies to the call with this stack.

    If a block does not apply, the call belongs to the generator's consumer, and the outer block applies. In a copy of
    the context, work of the consumer cannot be distinguished from work of the generator, so no block applies.
    """
    context = _current_context()
    for block in _open(innermost):
        if _holds_here(block, stack):
            return block
        if not block.is_in(context):
            return None
    return None


def _generator_of(frame: FrameType | None) -> FrameType | None:
    """The innermost running generator that yields items, and may therefore be suspended inside the block."""
    while frame is not None:
        if frame.f_code.co_flags & _GENERATOR and not _is_entered(frame):
            return frame
        frame = frame.f_back
    return None


def _is_entered(generator: FrameType) -> bool:
    resumed_by = generator.f_back
    return resumed_by is not None and str(resumed_by.f_globals.get("__name__")).partition(".")[0] in _ENTERING


def _holds_here(block: _Open[Any], stack: set[int]) -> bool:
    """Whether a block of the context variable applies to the call with this stack.

    A block held open by a generator applies in that generator, and in the tasks and threads that it waits for. It does
    not apply to the generator's consumer, or to later work on the same thread or task, which have the same context.
    """
    if block.frame is None or id(block.frame) in stack:
        return True
    if block.is_in(_current_context()):
        return False
    task = None if block.task is None else block.task()
    if task is not None and _awaits(task.get_coro(), block.frame):
        return True
    return any(block.frame in _frames(top) for top in sys._current_frames().values())


def _awaits(waiting: Any, wanted: FrameType) -> bool:
    """Whether a suspended coroutine waits for the frame."""
    for _ in range(_DEEPEST):
        kind = next((kind for kind in ("cr", "ag", "gi") if hasattr(waiting, f"{kind}_frame")), None)
        if kind is None:
            # The awaitable of an asynchronous generator exposes the generator only to the garbage collector.
            inner = [each for each in gc.get_referents(waiting) if isinstance(each, _AWAITING)]
        elif getattr(waiting, f"{kind}_frame") is wanted:
            return True
        else:
            inner = [getattr(waiting, "gi_yieldfrom" if kind == "gi" else f"{kind}_await")]
        if not inner:
            return False
        waiting = inner[0]
    return False


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _current_context() -> Context | None:
    """The current context itself. The standard library returns only copies."""
    context: Context | None = greenlet.getcurrent().gr_context
    return context


def _current_task() -> weakref.ref[asyncio.Task[Any]] | None:
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return None
    return None if task is None else weakref.ref(task)

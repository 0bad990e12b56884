"""Objects that hold files, sockets, threads and keys: copied within a process, never pickled into another one."""

from __future__ import annotations

from typing import Any, NoReturn

from typing_extensions import Self

from .errors import NotPicklableError


def refuse_pickling(holder: object, protocol: object = None) -> NoReturn:
    """The ``__reduce_ex__`` of such an object.

    Raises:
        NotPicklableError: always. The message names the alternative.
    """
    name = type(holder).__name__
    raise NotPicklableError(
        f"a {name} cannot be pickled: it holds open files or connections, and keys. Build it in the other process "
        "(multiprocessing: in the function that the child runs) from the same options"
    )


class NotPickled:
    """A base for such objects. ``copy.copy`` shares what the object holds."""

    __reduce_ex__ = refuse_pickling

    def __copy__(self) -> Self:
        # Python's own copy calls __reduce_ex__.
        copied: Any = object.__new__(type(self))
        vars(copied).update(vars(self))
        return copied  # type: ignore[no-any-return]

"""What a check finds, and how a check is written: one function that yields findings, marked with :func:`check`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from .examined import Examined

Level: TypeAlias = Literal["ok", "note", "warning", "error"]

SECONDS: Final = 5.0
"""Most seconds of a check that says no other number."""


@dataclass(frozen=True)
class Finding:
    """One result of a check.

    Attributes:
        check: the check's name.
        level: ``ok``; ``note``: worth knowing; ``warning``: memory may be lost, missed or somewhere else; ``error``:
            memory does not work.
        found: what was found, as a sentence. It holds no key and no text of a memory.
        remedy: what to do about it; empty if there is nothing to do.
    """

    check: str
    level: Level
    found: str
    remedy: str = ""

    def to_dict(self) -> dict[str, str]:
        """The finding as JSON has it."""
        return asdict(self)


Findings: TypeAlias = Iterator[Finding]


@dataclass(frozen=True)
class Check:
    """A function that looks at one thing, its name in the report, and how long it may take."""

    name: str
    seconds: float
    function: Callable[[Examined], Findings]


def check(name: str, *, seconds: float = SECONDS) -> Callable[[Callable[[Examined], Findings]], Check]:
    """Make a function a check of the report.

    Args:
        name: as it is printed.
        seconds: a check that takes longer is left alone, and the report says so.
    """
    return lambda function: Check(name, seconds, function)


def checks_of(module: ModuleType) -> list[Check]:
    """The checks of a module, in the order in which they are written."""
    return [value for value in vars(module).values() if isinstance(value, Check)]


def ok(found: str) -> Finding:
    """All is well."""
    return Finding("", "ok", found)


def note(found: str, remedy: str = "") -> Finding:
    """Worth knowing."""
    return Finding("", "note", found, remedy)


def warning(found: str, remedy: str) -> Finding:
    """Memory may be lost, missed or somewhere else."""
    return Finding("", "warning", found, remedy)


def error(found: str, remedy: str) -> Finding:
    """Memory does not work."""
    return Finding("", "error", found, remedy)

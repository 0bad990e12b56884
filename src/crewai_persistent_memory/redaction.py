"""Redact API keys in other libraries' error messages and in options."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

MAX_SHOWN: Final = 10_000
"""Characters of an error's text that are shown. An error may quote a whole request, and the search for keys in 1 MB
would stop every thread for 50 ms."""

_KEY: Final = re.compile(r"\b(sk|eyJ|Bearer |m0|gsk|AIza)[\w.\-]{8,}")

_HEADER: Final = re.compile(r"""(Illegal header (?:name|value) )b?(['"]).*?\2""", re.DOTALL)
"""How an HTTP client refuses a key with a line break in it."""


class Sealed(Mapping[str, Any]):
    """A mapping that may hold keys: read as any other, shown by its names only.

    Tools that print the local variables of a traceback print what such a variable's ``repr`` is.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Sealed({', '.join(map(str, self._values))})"


_MAY_HOLD_KEYS: Final = ("headers", "embedder", "mem0")


def seal(options: Any) -> None:
    """Wrap what may hold keys among keyword arguments, in place: their dict is a local variable of who took them."""
    from pydantic import SecretStr

    if isinstance(options.get("api_key"), str):
        options["api_key"] = SecretStr(options["api_key"])
    for name in _MAY_HOLD_KEYS:
        if name in options:
            options[name] = sealed(options[name])


def sealed(value: Any) -> Any:
    """``value``, wrapped if it is a mapping."""
    return Sealed(value) if isinstance(value, Mapping) and not isinstance(value, Sealed) else value


def redact(text: str) -> str:
    """Take what looks like a key out of somebody else's error text, and shorten it to ``MAX_SHOWN`` characters."""
    shown = _KEY.sub(r"\1…", _HEADER.sub(r"\1…", text[:MAX_SHOWN]))
    return shown if len(text) <= MAX_SHOWN else f"{shown}… ({len(text)} characters)"

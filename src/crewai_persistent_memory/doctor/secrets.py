"""Takes keys out of a report, wherever a library has put them into an error."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from ..redaction import redact

if TYPE_CHECKING:
    from ..config.options import MemoryConfig

_NAME: Final = re.compile(r"key|token|secret|passw|credential|auth|cookie|header", re.IGNORECASE)
_IN_AN_ADDRESS: Final = re.compile(r"(?<=://)[^/\s@]+@")
_PASSWORD: Final = re.compile(r"\b((?:password|passwd|pwd)=)[^\s&;'\"]+", re.IGNORECASE)
MOST_SHOWN: Final = 1_500
"""Characters of a sentence. An error may quote a whole answer."""
_SHORTEST: Final = 6
"""A shorter value is no key, and may be a word of a sentence."""
_LONG: Final = 12
"""A shorter value may be a part of another word."""


class Secrets:
    """The keys of a configuration and of the environment."""

    def __init__(self, config: MemoryConfig | None, *more: str | None) -> None:
        values = {*_of_config(config), *filter(None, more)}
        values |= {value for name, value in os.environ.items() if _NAME.search(name)}
        values |= {value.strip() for value in values}
        self._values = sorted({v for v in values if len(v) >= _SHORTEST}, key=len, reverse=True)

    def without(self, text: str) -> str:
        """A text with an ellipsis in the place of each key, and of what is too long to be read."""
        for value in self._values:
            alone = re.escape(value)
            text = re.sub(alone if len(value) >= _LONG else rf"(?<![\w-]){alone}(?![\w-])", "…", text)
        text = redact(_PASSWORD.sub(r"\1…", _IN_AN_ADDRESS.sub("…@", text)))
        return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"


def _of_config(config: MemoryConfig | None) -> Iterator[str]:
    if config is None:
        return
    if config.api_key is not None:
        yield config.api_key.get_secret_value()
    yield from (config.headers or {}).values()
    if isinstance(config.embedder, Mapping):
        yield from _in(config.embedder)
    if config.mem0 is not None:
        yield config.mem0.key.get_secret_value()
        yield from _in(config.mem0.local_mem0_config or {})


def _in(values: Mapping[Any, Any], all_of_it: bool = False) -> Iterator[str]:
    """The texts of a configuration that have, or are below, the name of a secret."""
    for name, value in values.items():
        is_secret = all_of_it or _NAME.search(str(name)) is not None
        if isinstance(value, Mapping):
            yield from _in(value, is_secret)
        elif isinstance(value, (list, tuple)):
            yield from _in(dict(enumerate(value)), is_secret)
        elif isinstance(value, str) and is_secret:
            yield value

"""What is taken out of a text before it is shown: keys in somebody else's error messages."""

from __future__ import annotations

import re
from typing import Final

MAX_SHOWN: Final = 10_000
"""Characters of an error's text that are shown. An error may quote a whole request, and the search for keys in 1 MB
would stop every thread for 50 ms."""

_KEY: Final = re.compile(r"\b(sk|eyJ|Bearer |m0|gsk|AIza)[\w.\-]{8,}")


def redact(text: str) -> str:
    """Take what looks like a key out of somebody else's error text, and shorten it to ``MAX_SHOWN`` characters."""
    shown = _KEY.sub(r"\1…", text[:MAX_SHOWN])
    return shown if len(text) <= MAX_SHOWN else f"{shown}… ({len(text)} characters)"

"""Texts and metadata in a form that every store can hold: nothing is refused, and unstorable parts are replaced."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time
from enum import Enum
from typing import Any, Final

from .errors import InvalidEntryError
from .validation import MAX_METADATA_DEPTH, check_metadata

MAX_REPAIRED_VALUES: Final = 10_000

_REPAIRED_AT_ONCE: Final = 32_768
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")


def storable_text(text: str) -> str:
    """``text`` with U+FFFD in place of characters that no store can hold: unpaired surrogates and NUL.

    Used for an agent's output, so that one bad character does not lose the whole text. A pair of surrogates becomes
    its character.
    """
    if not isinstance(text, str) or _UNSTORABLE.search(text) is None:
        return text  # a value that is no text is refused where it is checked
    pieces = []
    start = 0
    while start < len(text):
        # In pieces: 1 MB of surrogates in one step would block all other threads for 100 ms.
        end = start + _REPAIRED_AT_ONCE
        if "\ud800" <= text[end - 1 : end] <= "\udbff":
            end += 1  # perhaps the first half of a pair
        units = text[start:end].encode("utf-16-le", "surrogatepass")
        pieces.append(units.decode("utf-16-le", "replace").replace("\x00", "\ufffd"))
        start = end
    return "".join(pieces)


def storable_metadata(metadata: Mapping[Any, Any]) -> Mapping[str, Any]:
    """``metadata`` with text in place of values that JSON cannot hold; the same object, if there are none.

    Used for the metadata of an agent's output. Times become ISO 8601. Pydantic models and dataclasses become mappings,
    sets become lists, bytes and keys become text, and numbers that are not finite become their names. A value nested
    more than 64 levels deep, and every value after the first 10,000, becomes its ``str``, cut to 1,000 characters.

    Raises:
        InvalidEntryError: it is not a mapping.
    """
    try:
        check_metadata(metadata)
        return metadata
    except InvalidEntryError:
        if not isinstance(metadata, Mapping):
            raise
    return _Storable().mapping(metadata, 0)


class _Storable:
    """One conversion to JSON. It ends even if a value contains itself."""

    def __init__(self) -> None:
        self._left = MAX_REPAIRED_VALUES

    def mapping(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        return {self.text(key): self.value(item, depth + 1) for key, item in value.items()}

    def value(self, value: Any, depth: int) -> Any:
        self._left -= 1
        if isinstance(value, Enum):
            value = value.value
        if value is None or isinstance(value, (bool, int)):
            return value
        if isinstance(value, str):
            return storable_text(str(value))
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else str(value)
        if depth >= MAX_METADATA_DEPTH or self._left < 0:
            return self.text(value)
        try:
            return self._of_parts(value, depth)
        except Exception as error:  # noqa: BLE001 - a class of the caller may raise anything; its name is kept
            return f"<{type(value).__name__}: {type(error).__name__}>"

    def _of_parts(self, value: Any, depth: int) -> Any:
        if isinstance(value, Mapping):
            return self.mapping(value, depth)
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self.value(item, depth + 1) for item in value]
        if isinstance(value, (datetime, date, time)):
            return value.isoformat()
        if isinstance(value, (bytes, bytearray)):
            return storable_text(bytes(value).decode("utf-8", "replace"))
        if not isinstance(value, type) and hasattr(value, "model_dump"):
            return self.value(value.model_dump(), depth + 1)
        if not isinstance(value, type) and is_dataclass(value):
            return {field.name: self.value(getattr(value, field.name), depth + 1) for field in fields(value)}
        return self.text(value)

    def text(self, value: Any) -> str:
        if isinstance(value, str):
            return storable_text(str(value))
        try:
            return storable_text(str(value)[:1000])
        except Exception as error:  # noqa: BLE001 - see above
            return f"<{type(value).__name__}: {type(error).__name__}>"

"""The lines of an export: a header, one entry in each line, and an end, by which a file that was cut off is known."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

from ..corrections import history_from_json
from ..embedding import check_vector
from ..entry import MemoryEntry
from ..entry_check import checked_entry
from ..errors import EmbedderError, InvalidArgumentError, InvalidEntryError, ScopeError
from ..expiry import check_expires_at
from ..scope import SCOPE_FIELDS, Scope

FORMAT: Final = "crewai-persistent-memory"
VERSION: Final = 1

_LINE_ENDS: Final = {ord(character): json.dumps(character)[1:-1] for character in "\x85\u2028\u2029"}
_OF_ENTRY: Final = {field.name for field in fields(MemoryEntry)} - {"score", "found_by"}
_KINDS: Final[dict[str, type]] = {"categories": list, "private": bool, "metadata": dict}
_NAMES: Final = {list: "a list", bool: "true or false", dict: "an object"}
_NEEDED: Final = ("id", "content", "scope", "created_at")


@dataclass(frozen=True)
class Header:
    """The first line.

    Attributes:
        embedder: the fingerprint of what made the vectors; ``None`` if there are none.
        scope: the fields by which the entries were chosen.
    """

    embedder: Mapping[str, Any] | None
    scope: Mapping[str, str | None]

    def line(self) -> str:
        about = {"format": FORMAT, "version": VERSION, "embedder": self.embedder, "scope": dict(self.scope)}
        return _one_line(about)


def line_of(entry: MemoryEntry) -> str:
    """One entry, with its whole scope, and its vector if it has one."""
    values = {name: value for name, value in entry.to_dict().items() if name != "score"}
    if entry.history:
        values["history"] = [each.to_dict() for each in entry.history]
    if entry.embedding is not None:
        values["embedding"] = list(entry.embedding)
    return _one_line(values)


def _one_line(values: Mapping[str, Any]) -> str:
    text = json.dumps(values, ensure_ascii=False)
    # JSON allows them in a line, and some readers of lines end one there.
    return text.translate(_LINE_ENDS) + "\n"


def end(entries: int) -> str:
    """The last line."""
    return json.dumps({"end": True, "entries": entries}) + "\n"


def read_header(line: str) -> Header:
    """
    Raises:
        InvalidArgumentError: it is no export, or one of a newer version.
    """
    about = _json(line, 1)
    if about.get("format") != FORMAT:
        raise InvalidArgumentError(f'line 1: this is no export of this package ("format" is not {FORMAT!r})')
    if about.get("version") != VERSION:
        raise InvalidArgumentError(
            f"line 1: the export has version {about.get('version')!r}, and this package reads version {VERSION}: "
            "upgrade it"
        )
    for name in ("embedder", "scope"):
        if not isinstance(about.get(name), (dict, type(None))):
            raise InvalidArgumentError(f"line 1: {name} must be an object")
    return Header(about.get("embedder"), about.get("scope") or {})


def read_entries(lines: Iterator[str]) -> Iterator[MemoryEntry]:
    """The entries of the lines after the header, checked.

    Raises:
        InvalidArgumentError: a line is malformed, and which field of it; or the file was cut off.
    """
    count, number, ended = 0, 1, False
    for number, line in enumerate(lines, 2):
        if not line.strip():
            continue
        if ended:
            raise InvalidArgumentError(f"line {number}: something follows the end of the export")
        values = _json(line, number)
        if values.get("end") is True:
            if type(values.get("entries")) is not int or values["entries"] != count:
                raise InvalidArgumentError(
                    f"line {number}: the export has {values.get('entries')} entries, and {count} are here: "
                    "lines are missing"
                )
            ended = True
            continue
        yield _entry(values, number)
        count += 1
    if not ended:
        raise InvalidArgumentError(f"line {number}: the export has no last line, so it was cut off: export again")


def _json(line: str, number: int) -> dict[str, Any]:
    try:
        values = json.loads(line)
    except json.JSONDecodeError as error:
        raise InvalidArgumentError(f"line {number}: is not JSON ({error.msg} at character {error.pos})") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, thousands of brackets
        raise InvalidArgumentError(f"line {number}: is JSON that cannot be read ({error})") from error
    if not isinstance(values, dict):
        raise InvalidArgumentError(f"line {number}: is not a JSON object")
    return values


def _entry(values: dict[str, Any], number: int) -> MemoryEntry:
    for name in _NEEDED:
        if name not in values:
            raise InvalidArgumentError(f"line {number}: {name} is missing")
    if unknown := values.keys() - _OF_ENTRY:
        raise InvalidArgumentError(f"line {number}: {sorted(unknown)[0]} is no field of an entry")
    try:
        owner = _scope(values.pop("scope"))
        for name in ("created_at", "last_accessed"):
            if name in values:
                values[name] = _time(name, values[name])
        if values.get("expires_at") is not None:
            values["expires_at"] = check_expires_at(_time_with_zone(values["expires_at"]))
        if values.get("embedding") is not None:
            values["embedding"] = check_vector("embedding", values["embedding"])
        if "history" in values:
            values["history"] = history_from_json(values["history"])
        for name, kind in _KINDS.items():
            if name in values and not isinstance(values[name], kind):
                raise InvalidEntryError(f"{name} must be {_NAMES[kind]}")
        return checked_entry(MemoryEntry(scope=owner, **values), allow_blank=True)
    except (InvalidEntryError, EmbedderError, ScopeError, TypeError, ValueError) as error:
        raise InvalidArgumentError(f"line {number}: {error}") from error


def _scope(values: Any) -> Scope:
    if not isinstance(values, dict) or (values.keys() - set(SCOPE_FIELDS)):
        raise InvalidEntryError(f"scope must be an object of {', '.join(SCOPE_FIELDS)}")
    if values.get("user_id") is None:
        return Scope.shared(**{name: value for name, value in values.items() if name != "user_id"})
    return Scope(**values)


def _time_with_zone(text: Any) -> datetime:
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError as error:
        raise InvalidEntryError(f"expires_at {text!r} is no time such as 2026-05-01T12:00:00Z") from error


def _time(name: str, text: Any) -> datetime:
    try:
        return datetime.fromisoformat(str(text).removesuffix("Z"))
    except ValueError as error:
        raise InvalidEntryError(f"{name} {text!r} is no time such as 2026-05-01T12:00:00Z") from error

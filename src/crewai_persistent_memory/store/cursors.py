"""Cursors: texts that hold the start of a page. They are valid in every process.

A backend writes a :class:`Position` as text. The caller gets that text with a digest of it, of the scope and of the
filters. A cursor that was cut, changed, or made in another scope or with other filters is refused.
The digest needs no secret: a forged cursor can only choose where a page begins, never in which scope.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import astuple
from datetime import datetime
from typing import Final, NamedTuple

from ..entry_filter import EntryFilter
from ..errors import InvalidArgumentError
from ..scope import Scope
from ..validation import canonical_json

_DIGEST: Final = 8
"""Bytes of the digest, which precedes the text."""

_LONGEST: Final = 1000
"""Characters of a cursor, at most."""

_POSITION: Final = re.compile(r"(\w+) (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}) (\S*)")


class Position(NamedTuple):
    """Where a page begins, of entries that are ordered by time, newest first, and equal times by an id.

    Attributes:
        created_at: naive UTC. All entries before it belong to the page and the ones after it.
        id: of the entries with this very time, those from this id on belong as well; ``None``: none of them.
    """

    created_at: datetime
    id: str | None

    def text(self, backend: str) -> str:
        """The position as a backend's cursor.

        Args:
            backend: its name; another backend's ids have another order.
        """
        return f"{backend} {self.created_at.isoformat(timespec='microseconds')} {self.id or ''}"

    @classmethod
    def of(cls, cursor: str, backend: str) -> Position:
        """Parse the position from a cursor.

        Raises:
            InvalidArgumentError: the text is not a cursor of this backend.
        """
        found = _POSITION.fullmatch(cursor)
        if found is None or found[1] != backend:
            raise not_ours()
        try:
            return cls(datetime.fromisoformat(found[2]), found[3] or None)
        except ValueError as error:
            raise not_ours() from error


def sealed(cursor: str, reader: Scope, filter: EntryFilter) -> str:
    """The cursor for the caller: the backend's cursor with its digest."""
    text = cursor.encode()
    return base64.urlsafe_b64encode(_digest(text, reader, filter) + text).decode().rstrip("=")


def opened(cursor: object, reader: Scope, filter: EntryFilter) -> str:
    """Check the caller's cursor and return the backend's cursor in it.

    Raises:
        InvalidArgumentError: ``page()`` gave no such cursor in this scope and with these filters.
    """
    if not isinstance(cursor, str):
        raise InvalidArgumentError(f"cursor must be text or None, got {type(cursor).__name__}: pass Page.cursor")
    try:
        if len(cursor) > _LONGEST:
            raise not_ours()
        both = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        text = both[_DIGEST:].decode()
    except ValueError as error:
        raise not_ours() from error
    # Compared as text: two texts can decode to the same bytes.
    if sealed(text, reader, filter) != cursor:
        raise not_ours()
    return text


def not_ours() -> InvalidArgumentError:
    return InvalidArgumentError(
        "cursor is not one that page() returned for this store, this scope and these filters: pass the cursor of the "
        "page before, unchanged, in the same scope and with the same filters, or None for the first page"
    )


def _digest(text: bytes, reader: Scope, filter: EntryFilter) -> bytes:
    return hashlib.blake2b(text, key=_key(reader, filter), digest_size=_DIGEST).digest()


def _key(reader: Scope, filter: EntryFilter) -> bytes:
    own_fields = sorted((each.field.name, repr((each.values, each.start, each.end))) for each in filter.fields)
    asked = [
        filter.path,
        sorted(filter.categories or ()),
        canonical_json(filter.metadata or {}),
        repr((filter.created_before, filter.created_after)),
        None if filter.ids is None else sorted(filter.ids),
        [filter.include_private, filter.reader, filter.kind],
        own_fields,
    ]
    return hashlib.blake2b(json.dumps([astuple(reader), asked]).encode(), digest_size=32).digest()

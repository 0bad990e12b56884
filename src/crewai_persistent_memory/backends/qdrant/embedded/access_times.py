"""When entries were read: kept in memory and written now and then, because noting it costs more than finding them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Final

from ....scope import Scope, owners_visible_to
from ..engine_requests import NoteAccess
from ..schema import point_id

INTERVAL: Final = 60.0
"""Seconds until what is noted is written. After ``kill -9`` the access times of that long are missing, nothing else."""

MOST_NOTED: Final = 1000
"""Notes that are kept in memory; one more, and all are written."""


class AccessTimes:
    """Notes of one open shard.

    Args:
        write: writes one note. It is called with the lock of the shard's writes held.
        locked_write_all: takes that lock and calls :meth:`write_all`.
    """

    def __init__(self, write: Callable[[NoteAccess], None], locked_write_all: Callable[[], None]) -> None:
        self._write = write
        self._locked_write_all = locked_write_all
        self._lock = threading.Lock()
        self._noted: dict[tuple[Scope, tuple[str, ...]], NoteAccess] = {}
        self._points: set[str] = set()
        self._not_in_points: list[NoteAccess] = []
        self._timer: threading.Timer | None = None

    def note(self, note: NoteAccess) -> None:
        """Keep a note. A later one for the same entries takes its place."""
        with self._lock:
            if (note.scope, note.ids) not in self._noted:
                self._not_in_points.append(note)
            self._noted[note.scope, note.ids] = note
            full = len(self._noted) > MOST_NOTED
            if self._timer is None:
                self._timer = threading.Timer(INTERVAL, self._locked_write_all)
                self._timer.daemon = True
                self._timer.start()
        if full:
            self._locked_write_all()

    def __bool__(self) -> bool:
        return bool(self._noted)

    def concern(self, points: Iterable[str]) -> bool:
        """Whether there is a note for one of these points: it must be written before the point is."""
        with self._lock:
            # Which points a note is about is worked out here and not for each recall.
            for note in self._not_in_points:
                owners = owners_visible_to(note.scope, include_shared=False)
                self._points.update(point_id(owner, id) for owner in owners for id in note.ids)
            self._not_in_points = []
            return not self._points.isdisjoint(points)

    def write_all(self) -> None:
        """Write all notes."""
        with self._lock:
            noted, self._noted = self._noted, {}
            self._points, self._not_in_points = set(), []
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        for note in noted.values():
            self._write(note)

"""When entries were read: kept in memory and written now and then, because noting it costs more than finding them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from operator import attrgetter
from typing import Any, Final

from ....scope import Scope, owners_visible_to
from ..engine_requests import InScopes, NoteAccess, Request, Retrieve
from ..schema import owner_key, point_id

INTERVAL: Final = 60.0
"""Seconds until what is noted is written. After ``kill -9`` the access times of that long are missing, nothing else."""

MOST_NOTED: Final = 10_000
"""Entries whose times are kept in memory; with one more, the thread that writes them begins."""

MOST_TIMES: Final = 4
"""Of one reader between two writes. Entries that were read before the last four times get the fourth last."""

_AT_ONCE: Final = 100
"""Entries of one write: other writes wait for no longer than that."""


class AccessTimes:
    """Notes of one open shard.

    Args:
        write: writes one note. It is called with the lock held.
        lock: of the shard's writes. A thread that holds it may take it again.
        has_ended: whether the shard is closed, so that nothing can be written.
    """

    def __init__(self, write: Callable[[NoteAccess], None], lock: Any, has_ended: Callable[[], bool]) -> None:
        self._write = write
        self._write_lock = lock
        self._has_ended = has_ended
        self._lock = threading.Lock()
        self._noted: dict[Scope, dict[str, datetime]] = {}
        self._count = 0
        # Which points and whose entries a note is about is worked out when somebody asks, and not for each recall.
        self._not_in_points: dict[Scope, set[str]] = {}
        self._points: dict[Scope, set[str]] = {}
        self._owners: dict[Scope, frozenset[str]] = {}
        self._timer: threading.Timer | None = None
        self._is_writing = False

    def note(self, note: NoteAccess) -> None:
        """Keep a note. A later one for the same entries takes its place."""
        with self._lock:
            noted = self._noted.setdefault(note.scope, {})
            new = set(note.ids).difference(noted)
            if new:
                self._count += len(new)
                self._not_in_points.setdefault(note.scope, set()).update(new)
            noted.update(dict.fromkeys(note.ids, note.moment))
            # One thread, however long it waits for the shard: what is noted meanwhile, it sees to at its end.
            if not self._is_writing and (self._timer is None or self._count > MOST_NOTED):
                self._start()

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        at_once = self._count > MOST_NOTED
        timer = threading.Timer(0 if at_once else INTERVAL, self._write_in_turn)
        timer.daemon = True
        try:
            timer.start()
        except RuntimeError:
            # The system has no thread left. Who reads gets no error: the next note tries it again.
            self._timer = None
            return
        self._timer, self._is_writing = timer, at_once

    def __bool__(self) -> bool:
        return bool(self._noted)

    def write_about(self, points: Iterable[str]) -> None:
        """Write the notes of these points. What is noted of a point is older than what is about to be written to it."""
        with self._lock:
            for scope, ids in self._not_in_points.items():
                owners = owners_visible_to(scope, include_shared=False)
                self._points.setdefault(scope, set()).update(point_id(owner, id) for owner in owners for id in ids)
            self._not_in_points = {}
            named = set(points)
            about = [scope for scope, known in self._points.items() if not known.isdisjoint(named)]
        self._write_these(about)

    def write_shown_by(self, request: Request[Any]) -> None:
        """Write the notes that the answer of a request shows."""
        if isinstance(request, Retrieve):
            self.write_about(request.ids)
            return
        keys = {key for each in getattr(request, "where", ()) if isinstance(each, InScopes) for key in each.keys}
        with self._lock:
            shown = [scope for scope in self._noted if not keys or not self._owners_of(scope).isdisjoint(keys)]
        self._write_these(shown)

    def _owners_of(self, scope: Scope) -> frozenset[str]:
        owners = self._owners.get(scope)
        if owners is None:
            owners = frozenset(map(owner_key, owners_visible_to(scope, include_shared=False)))
            self._owners[scope] = owners
        return owners

    def write_all(self) -> None:
        """Write all notes."""
        with self._lock:
            if self._timer is not None and not self._is_writing:
                self._timer.cancel()
                self._timer = None
            noted = list(self._noted)
        self._write_these(noted)

    def _write_in_turn(self) -> None:
        with self._lock:
            if self._timer is not threading.current_thread():
                return  # cancelled when it had begun
            self._is_writing, noted = True, list(self._noted)
        try:
            self._write_these(noted)
        finally:
            with self._lock:
                self._timer, self._is_writing = None, False
                # What was noted meanwhile.
                if self._noted and not self._has_ended():
                    self._start()

    def _write_these(self, scopes: Iterable[Scope]) -> None:
        """Write what is noted of these readers. Others may write in between."""
        with self._lock:
            noted = [(scope, dict(self._noted.get(scope, {}))) for scope in scopes]
        notes = [note for scope, times in noted for note in _notes_of(scope, times)]
        # An entry that several readers see gets the time of the last one.
        notes.sort(key=attrgetter("moment"))
        written = datetime.min
        for note in notes:
            with self._write_lock:
                if self._has_ended():
                    return
                written = self._write_one(note, not_before=max(written, note.moment))

    def _write_one(self, note: NoteAccess, not_before: datetime) -> datetime:
        with self._lock:
            noted = self._noted.get(note.scope, {})
            times = {id: noted[id] for id in note.ids if id in noted}  # others were written meanwhile
        # What was read again meanwhile has a later time. Left for the next write, it would be shown with an older one.
        moment = max((not_before, *times.values()))
        if not times:
            return moment
        self._write(NoteAccess(note.scope, tuple(times), moment))
        # Only now: who looks for a note that is being written waits for it.
        with self._lock:
            for id, time in times.items():
                if noted.get(id) == time:
                    del noted[id]
                    self._count -= 1
            if not noted:
                for about in (self._noted, self._not_in_points, self._points, self._owners):
                    about.pop(note.scope, None)
        return moment


def _notes_of(scope: Scope, times: dict[str, datetime]) -> Iterator[NoteAccess]:
    ids_at: dict[datetime, list[str]] = {}
    for id, moment in times.items():
        ids_at.setdefault(moment, []).append(id)
    moments = sorted(ids_at, reverse=True)
    for earlier in moments[MOST_TIMES:]:
        ids_at[moments[MOST_TIMES - 1]] += ids_at[earlier]
    for moment in moments[:MOST_TIMES]:
        ids = ids_at[moment]
        for start in range(0, len(ids), _AT_ONCE):
            yield NoteAccess(scope, tuple(ids[start : start + _AT_ONCE]), moment)

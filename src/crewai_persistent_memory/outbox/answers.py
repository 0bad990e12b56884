"""What the store answered to writes whose callers wait for it, in any process of the host."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from ..scope import has_fields
from .callers import UNKNOWN, is_gone
from .database import Database
from .records import Write, numbers_of

_KEPT: Final = 3600.0
"""Seconds for which an answer is kept for a process of which nobody knows whether it runs."""


class Answers:
    """The answers of a queue."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @staticmethod
    def keep(connection: Any, writes: Sequence[Write], answer: Mapping[str, Any]) -> None:
        """Keep an answer for those of the writes that somebody waits for, in the transaction that is open."""
        waiting = connection.execute(f"SELECT seq, waits FROM writes WHERE waits AND seq IN ({numbers_of(writes)})")
        for seq, caller in waiting.fetchall():
            if not is_gone(caller):
                row = (seq, json.dumps({**answer, "for": caller}), time.time())
                connection.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", row)

    def drop(self) -> None:
        """Drop the answers that nobody takes any more: a memory's text may be in them."""
        too_old = time.time() - _KEPT
        found = self._database.read("SELECT seq, answer, at FROM answers")
        left = [seq for seq, answer, at in found if at < too_old or is_gone(json.loads(answer).get("for", UNKNOWN))]
        if left:
            with self._database.writing() as connection:
                connection.executemany("DELETE FROM answers WHERE seq = ?", [(seq,) for seq in left])
            self._database.truncate_log()

    @staticmethod
    def erase(connection: Any, fields: Mapping[str, str | None]) -> None:
        """Remove the answers that have entries of scopes with these fields, in the transaction that is open."""
        found = connection.execute("SELECT seq, answer FROM answers").fetchall()
        owners = [(seq, list(_scopes_in(json.loads(answer)))) for seq, answer in found]
        gone = [(seq,) for seq, scopes in owners if any(has_fields(scope, fields) for scope in scopes)]
        connection.executemany("DELETE FROM answers WHERE seq = ?", gone)

    def take(self, seq: int, *, give_up: bool = False) -> Mapping[str, Any] | None:
        """The answer to a write; ``None`` while there is none. A refusal that is told leaves no dead letter.

        Args:
            seq: the write's number.
            give_up: nobody waits for it from now on.
        """
        if not give_up and not self._database.read("SELECT 1 FROM answers WHERE seq = ?", (seq,)):
            return None
        with self._database.writing() as connection:
            found = connection.execute("SELECT answer FROM answers WHERE seq = ?", (seq,)).fetchone()
            if found is None:
                connection.execute("UPDATE writes SET waits = 0 WHERE seq = ?", (seq,))
                return None
            connection.execute("DELETE FROM answers WHERE seq = ?", (seq,))
            connection.execute("DELETE FROM dead_letters WHERE seq = ?", (seq,))
        answer: dict[str, Any] = json.loads(found[0])
        answer.pop("for", None)
        return answer


def _scopes_in(answer: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The owners of the entries in an answer."""
    about = answer.get("answer")
    if isinstance(about, dict):
        for each in (about, *about.get("entries", ())):
            if each.get("scope") is not None:
                yield each["scope"]

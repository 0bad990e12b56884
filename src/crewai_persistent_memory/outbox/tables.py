"""The tables of a queue's file.

| table | holds |
| --- | --- |
| ``writes`` | accepted writes that the store has not taken, in the order of acceptance |
| ``dead_letters`` | writes that the store refused for good, with the error |
| ``answers`` | what the store answered to a write whose caller waits for it |
| ``clocks`` | the latest time that a user's entries have, by a digest of the user |
| ``totals`` | how many writes and bytes there are; kept by triggers |
| ``about`` | which store the queue belongs to; no key |
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Final

VERSION: Final = 1
"""Of the tables. A newer one is refused."""

_WRITE: Final = """
    seq INTEGER PRIMARY KEY {key},
    lane TEXT NOT NULL,
    scope TEXT NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    size INTEGER NOT NULL,
    client_id TEXT NOT NULL,
    accepted_at TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT
"""

_TABLES: Final = f"""
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE writes ({_WRITE.format(key="AUTOINCREMENT")},
    doubt INTEGER NOT NULL DEFAULT 0,
    tried_at REAL,
    waits INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX writes_by_lane ON writes (lane, seq);
CREATE TABLE dead_letters ({_WRITE.format(key="")},
    error_class TEXT NOT NULL,
    died_at TEXT NOT NULL
);
CREATE INDEX dead_by_lane ON dead_letters (lane, seq);
CREATE TABLE answers (seq INTEGER PRIMARY KEY, answer TEXT NOT NULL, at REAL NOT NULL);
CREATE TABLE clocks (owner BLOB PRIMARY KEY, latest TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE totals (only INTEGER PRIMARY KEY CHECK (only = 1), writes INTEGER, dead INTEGER, bytes INTEGER);
INSERT INTO totals VALUES (1, 0, 0, 0);
CREATE TRIGGER write_added AFTER INSERT ON writes BEGIN
    UPDATE totals SET writes = writes + 1, bytes = bytes + new.size;
END;
CREATE TRIGGER write_removed AFTER DELETE ON writes BEGIN
    UPDATE totals SET writes = writes - 1, bytes = bytes - old.size;
END;
CREATE TRIGGER write_changed AFTER UPDATE OF size ON writes BEGIN
    UPDATE totals SET bytes = bytes + new.size - old.size;
END;
CREATE TRIGGER letter_added AFTER INSERT ON dead_letters BEGIN
    UPDATE totals SET dead = dead + 1, bytes = bytes + new.size;
END;
CREATE TRIGGER letter_removed AFTER DELETE ON dead_letters BEGIN
    UPDATE totals SET dead = dead - 1, bytes = bytes - old.size;
END;
CREATE TRIGGER letter_changed AFTER UPDATE OF size ON dead_letters BEGIN
    UPDATE totals SET bytes = bytes + new.size - old.size;
END;
"""


def make_tables(connection: sqlite3.Connection) -> None:
    """Make them in a new file, in the transaction that is open."""
    for statement in _statements(_TABLES):
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {VERSION}")


def _statements(script: str) -> Iterator[str]:
    """The statements of a script. ``executescript`` would end the transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""

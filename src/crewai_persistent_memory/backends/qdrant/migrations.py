"""The versions of the layout, and the steps from each to the next.

A migration adds indexes, and adds a missing key to entries. Both are idempotent: an existing index, or an entry with
the key, is skipped. A migration therefore needs no lock and no record of its progress. After a crash, the next opening
completes it. Several workers that open a collection at the same time may all run it. ``embedded/migrate.py`` and
``server/migrate.py`` run migrations when a store is opened.

The descriptor of a store has two numbers (see ``manifest``):

* the store's layout;
* the oldest layout whose code may use it. Code of an older layout refuses the store with a ``SchemaVersionError``.

Most migrations do not change the second number, because older code ignores unknown keys. Workers of both versions then
use one collection, and entries saved by an older worker lack the new key. A missing key therefore has a defined
meaning, and every opening adds it to the entries without it.

To add a migration:

1. describe the key in ``schema``, and add its index to ``schema.INDEXES`` with ``since=`` the new layout;
2. write the key in ``codec.to_draft``, and document the meaning of a missing key;
3. append a :class:`Migration` to :data:`MIGRATIONS`, and the layout to ``manifest.OLDEST_CODE``;
4. add stores of the previous layout to ``tests/layouts/layout-N``, with the ``make.py`` that created them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from .schema import INDEXES, POSITION_KEY, Index, parse_time, position_at


class Fill(NamedTuple):
    """A key that entries of an older layout lack.

    Attributes:
        key: the payload key. It has an index.
        source: the payload key from which the value is computed: an indexed time that every entry has.
        value: computes the value from the source. Entries with equal sources get equal values.
    """

    key: str
    source: str
    value: Callable[[str], Any]


@dataclass(frozen=True)
class Migration:
    """The step to one layout from the layout before it.

    Attributes:
        layout: the layout after the step.
        what: what the step adds, for messages.
        fills: the keys to add to entries. The indexes are those of ``schema.INDEXES`` with this layout.
        encodes: whether entries get new keyword vectors, made of their content. The key ``scope`` marks those that have
            them.
        optional: whether this code can use a collection of a server before the step. An API key without the right to
            migrate can then continue with the older layout. Only requests that need the new indexes fail. An embedded
            store is always migrated.
    """

    layout: int
    what: str
    fills: tuple[Fill, ...] = ()
    encodes: bool = False
    optional: bool = False

    @property
    def indexes(self) -> Mapping[str, Index]:
        """The indexes that the step adds."""
        return {key: index for key, index in INDEXES.items() if index.since == self.layout}


def _position_of(created_at: str) -> int:
    return position_at(parse_time(created_at))


MIGRATIONS: Final[tuple[Migration, ...]] = (
    Migration(
        layout=2,
        what="an entry's expiry time, and its position in its run",
        fills=(Fill(POSITION_KEY, "created_at", _position_of),),
        optional=True,
    ),
    Migration(
        layout=3,
        what="compact vectors, keywords by passage, and a key that names an entry's scope",
        encodes=True,
        optional=True,
    ),
)
"""Every step, in order. The layout before the first is 1."""


def migrations_from(layout: int) -> tuple[Migration, ...]:
    """The steps that a store of ``layout`` lacks, in order."""
    return tuple(migration for migration in MIGRATIONS if migration.layout > layout)


def fills_of(layout: int) -> tuple[Fill, ...]:
    """The keys that every entry in a store of ``layout`` has, except entries saved by an older worker."""
    return tuple(fill for step in MIGRATIONS if step.layout <= layout for fill in step.fills)

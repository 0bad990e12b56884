"""The versions of the layout, and the steps from each to the next.

A migration adds indexes, and gives entries a key that they lack. Both are idempotent: an index that exists is left
alone, and an entry that has the key is left alone. So a migration needs no lock and no record of how far it came. A
crash leaves a part undone and the next opening does it; several workers that open a collection at once may all run it.
``embedded/migrate.py`` and ``server/migrate.py`` run migrations, each in its engine's terms, when a store is opened.

A store says two numbers of itself (see ``manifest``):

* the layout that it has;
* the oldest layout whose code may use it. Code of an older layout refuses the store with a ``SchemaVersionError``.

Most migrations leave the second number as it is, because code that does not know a key passes over it. Then workers of
both versions use one collection. What an older worker saves lacks the new key. For this reason each key has a meaning
where it is missing, and every opening looks for entries without it and fills it in.

To add a migration:

1. describe the key in ``schema``, and add its index to ``schema.INDEXES`` with ``since=`` the new layout;
2. write the key in ``codec.to_point``, and say what it means where it is missing;
3. append a :class:`Migration` to :data:`MIGRATIONS`, and the layout to ``manifest.OLDEST_CODE``;
4. keep stores of the layout before it: ``tests/layouts/layout-N``, with a ``make.py`` that says how they were made.
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
        source: the payload key that the value is made of: a time, with an index, that every entry has.
        value: makes the value of the source's. Entries with equal sources get equal values.
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
        fills: the keys that entries get. The indexes are those of ``schema.INDEXES`` with this layout.
        optional: whether this code can use a store before the step. Then a key that may not migrate can go on with the
            older layout, and only requests that need the new indexes fail.
    """

    layout: int
    what: str
    fills: tuple[Fill, ...] = ()
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
)
"""Every step, in order. The layout before the first is 1."""


def migrations_from(layout: int) -> tuple[Migration, ...]:
    """The steps that a store of ``layout`` lacks, in order."""
    return tuple(migration for migration in MIGRATIONS if migration.layout > layout)


def fills_of(layout: int) -> tuple[Fill, ...]:
    """The keys that every entry of a store of ``layout`` has, unless an older worker saved it."""
    return tuple(fill for step in MIGRATIONS if step.layout <= layout for fill in step.fills)

"""The visibility rule, and filters of entries, as conditions for an engine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ....entry import MEMORY
from ....entry_filter import EntryFilter
from ....errors import InvalidEntryError
from ....expiry import now
from ....filter_fields import FieldCondition
from ....scope import Scope, owners_visible_to
from ....validation import canonical_json
from ..engine_requests import (
    Between,
    Condition,
    FieldHolds,
    HasId,
    InScopes,
    Match,
    NoteAccess,
    NotExpired,
    SetPayload,
    Where,
)
from .layout import FILTER_FIELDS_KEY, TENANT_KEY, field_key
from .owners import forgotten_id, owner_key, point_id, tenant_key
from .times import format_time


@dataclass(frozen=True)
class PartlyStored(FieldCondition):
    """A condition on a field whose values are not stored with all entries.

    Attributes:
        others: the points without a stored value that meet the condition.
    """

    others: tuple[str, ...] = ()


@lru_cache(maxsize=4096)
def where_visible(reader: Scope, *, include_shared: bool) -> Where:
    """The visibility rule as conditions for the engine."""
    owners = owners_visible_to(reader, include_shared=include_shared)
    narrow = [owner_key(owner) for owner in owners if owner.run_id is not None or owner.agent_id is not None]
    before = (
        Match(TENANT_KEY, tuple(dict.fromkeys(map(tenant_key, owners)))),
        Match("owner", tuple(narrow), or_missing=True),
    )
    return (InScopes(tuple(dict.fromkeys(map(owner_key, owners))), before),)


@lru_cache(maxsize=4096)
def where_owner(owner: Scope) -> Where:
    """The entries of exactly this scope."""
    is_narrow = owner.run_id is not None or owner.agent_id is not None
    before = (
        Match(TENANT_KEY, (tenant_key(owner),)),
        Match("owner", (owner_key(owner),) if is_narrow else (), or_missing=not is_narrow),
    )
    return (InScopes((owner_key(owner),), before),)


def where_scopes(fields: Mapping[str, str | None]) -> Where:
    """The entries of all scopes with these fields; ``None`` for those without the field."""
    return tuple(
        Match(name, () if value is None else (value,), or_missing=value is None) for name, value in fields.items()
    )


def where_filter(
    filter: EntryFilter, reader: Scope, *, include_shared: bool, with_expired: bool = False, owner_only: bool = False
) -> Where:
    """An entry filter as conditions for the engine, inside the reader's scope.

    Args:
        filter: the filter.
        reader: the scope.
        include_shared: see :func:`where_visible`.
        with_expired: also entries that have expired, and those that were deleted and can be brought back.
        owner_only: entries of exactly this scope.
    """
    seen = where_owner(reader) if owner_only else where_visible(reader, include_shared=include_shared)
    where: list[Condition] = list(seen)
    if not with_expired:
        where.append(NotExpired(now()))
    if filter.ids is not None:
        owners = [reader] if owner_only else owners_visible_to(reader, include_shared=include_shared)
        named = [point_id(owner, entry_id) for entry_id in filter.ids for owner in owners]
        if with_expired:
            named += [forgotten_id(owner, entry_id) for entry_id in filter.ids for owner in owners]
        where.append(HasId(tuple(named)))
    if filter.path is not None and filter.path != "/":
        where.append(Match("ancestors", (filter.path,)))
    if filter.categories:
        where.append(Match("categories", filter.categories))
    for key, value in (filter.metadata or {}).items():
        where.append(Match("metadata_terms", (metadata_term(key, value),)))
    if filter.created_before is not None or filter.created_after is not None:
        where.append(Between("created_at", filter.created_after, filter.created_before))
    if not filter.include_private:
        readers = () if filter.reader is None else (audience(filter.reader),)
        where.append(Match("audience", readers, or_missing=True))
    if filter.kind is not None:
        usual = filter.kind == MEMORY
        where.append(Match("kind", () if usual else (filter.kind,), or_missing=usual))
    if filter.fields:
        where += map(_where_field, filter.fields)
    return tuple(where)


def not_expired() -> NotExpired:
    """The condition that an entry has not expired now."""
    return NotExpired(now())


def _where_field(condition: FieldCondition) -> Condition:
    name = condition.field.name
    key = field_key(name)
    holds: Match | Between = Match(key, condition.values)
    if condition.field.kind == "time":
        holds = Between(key, condition.start, condition.end)
    if isinstance(condition, PartlyStored):
        return FieldHolds(Match(FILTER_FIELDS_KEY, (name,)), holds, HasId(condition.others))
    return holds


def points_named(where: Where) -> list[str]:
    """The ids of the points to which a filter by ids is limited; none, if it is not."""
    return [id for condition in where if isinstance(condition, HasId) for id in condition.ids]


def access_write(note: NoteAccess) -> SetPayload:
    """The request that writes when entries were read."""
    where = where_filter(EntryFilter(ids=note.ids), note.scope, include_shared=False)
    return SetPayload(where, {"last_accessed": format_time(note.moment)})


def metadata_term(key: str, value: Any) -> int:
    # 63 bits: what JSON integers and Qdrant's index hold without loss.
    try:
        # The JSON text of a key ends at its quote, so key and value cannot be read another way.
        digest = hashlib.blake2b(f"{json.dumps(key)}:{canonical_json(value)}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") >> 1
    except (TypeError, ValueError) as error:
        raise InvalidEntryError(f"metadata[{key!r}] is not a JSON value: {error}") from error


def audience(source: str | None) -> str:
    # A private entry without a source is for nobody but those who ask for private entries.
    return "nobody" if source is None else f"source:{source}"

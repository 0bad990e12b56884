"""Deleting expired memories from Mem0, which cannot list across users."""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import InvalidArgumentError
from ...io.steps import Steps
from ...scope import Scope, owners_visible_to
from ...store import operations as op
from .api import Mem0Api
from .codec import has_ended


def purge_expired(operation: op.PurgeExpired, api: Mem0Api) -> Steps[int]:
    """See :class:`~....store.operations.PurgeExpired`: in the scope of the call, or of the owners that are noted.

    Raises:
        InvalidArgumentError: other users are asked for.
    """
    if operation.scope:
        named = ", ".join(operation.scope)
        raise InvalidArgumentError(f"{named}: Mem0 is purged in the scope of the call, open it with its user_id=")
    if not operation.of_nobody:
        owners = owners_visible_to(operation.binding.resolve(), include_shared=False)
        return (yield from _purge(api, owners, dry_run=operation.dry_run))
    purged = 0
    with api.ends.taken() as owners:
        for owner in owners:  # one by one: of several, Mem0 Cloud would answer for each user in each one's run
            purged += yield from _purge(api, [owner])
    return purged


def _purge(api: Mem0Api, owners: Sequence[Scope], *, dry_run: bool = False) -> Steps[int]:
    there = yield from api.everything(owners, with_expired=True)
    ended = [record for record in there if has_ended(record)]
    if not dry_run:
        yield from api.delete(ended)
    for record in there:
        if dry_run or not has_ended(record):
            api.ends.note(record.owner, record.entry.expires_at, record.expires)
    return len(ended)

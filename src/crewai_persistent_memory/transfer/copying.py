"""Copy entries from one store to another, or between projects of one store. Done again, it changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..entry import MemoryEntry
from ..entry_filter import EntryFilter
from ..errors import InvalidArgumentError
from ..scope import SCOPE_FIELDS
from ..store.base import MemoryStore
from .exporting import Progress, entries_of
from .importing import NOTHING, Imported, owner_after, store_entries


def copy_entries(
    source: MemoryStore,
    target: MemoryStore,
    *,
    into: Mapping[str, str | None] = NOTHING,
    filter: EntryFilter | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
    **scope: str | None,
) -> Imported:
    """Copy the entries of all scopes with these fields, each with its id and its times.

    An entry whose id is there already is replaced. A vector is taken over if both stores have the same embedder, and
    the text is short; the other texts are embedded by the target.

    Args:
        source: a store in Qdrant.
        target: any store, not bound to a user; it may be the source.
        into: scope fields that all copies get, in place of their own, such as ``{"project_id": "production"}``.
        filter: copies these entries only.
        dry_run: count, and store nothing.
        progress: is called now and then.
        scope: fields that the entries have, by name; ``None`` for entries without the field. None: all entries.

    Returns:
        How many were copied. What already is where it would be copied to is left out.

    Raises:
        InvalidArgumentError: a field is unknown; or two entries would be one, because ``into`` gives them one scope.
            What came before is stored.
        ConfigurationError: the source is Mem0, which cannot list across users.
        StoreError, EmbedderError: a store failed. Copy again: nothing is stored twice.
    """
    if unknown := into.keys() - set(SCOPE_FIELDS):
        raise InvalidArgumentError(f"into: {', '.join(sorted(unknown))}: a scope has {', '.join(SCOPE_FIELDS)}")
    source_embedder, embedder = source.embedder, target.embedder
    keeps_vectors = (
        embedder is not None
        and source_embedder is not None
        and embedder.fingerprint.same_embedder(source_embedder.fingerprint)
    )
    is_one_store = repr(source.backend) == repr(target.backend)

    def chosen() -> Iterator[MemoryEntry]:
        for entry in entries_of(source, with_vectors=keeps_vectors, **scope):
            stays = is_one_store and owner_after(entry, into) == entry.scope
            if not stays and (filter is None or filter.matches(entry)):
                yield entry

    return store_entries(target, chosen(), keeps_vectors, dry_run=dry_run, progress=progress, into=into)

"""The operations of a store in one scope, as methods that return steps: for code that combines several of them."""

from __future__ import annotations

from .steps import across_scopes, deleting, finding, listing, saving, upkeep
from .steps.handle import StoreHandle


class ScopedOperations(StoreHandle):
    """The operations of one handle. Each returns its steps; :class:`~.base.MemoryStore` waits for them."""

    add = saving.add
    put = saving.put
    put_as_they_are = saving.put_as_they_are
    put_kept = saving.put_kept
    replace = saving.replace
    update = saving.update
    add_messages = saving.add_messages
    touch = saving.touch

    delete = deleting.delete
    delete_own = deleting.delete_own
    reset = deleting.reset
    undo_delete = deleting.undo_delete

    search = finding.search
    search_many = finding.search_many
    nearest = finding.nearest
    get = finding.get

    list = listing.list
    page = listing.page
    scan = listing.scan
    count = listing.count
    categories = listing.categories
    children = listing.children
    info = listing.info

    embedder = upkeep.embedder
    embed_missing = upkeep.embed_missing
    reembed = upkeep.reembed
    compact = upkeep.compact
    back_up = upkeep.back_up
    pending = upkeep.pending
    flush = upkeep.flush
    health = upkeep.health

    list_projects = across_scopes.list_projects
    count_scopes = across_scopes.count_scopes
    scan_scopes = across_scopes.scan_scopes
    erase_scopes = across_scopes.erase_scopes
    purge_expired = across_scopes.purge_expired

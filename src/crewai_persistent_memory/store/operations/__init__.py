"""Store operations, as dataclasses. Each holds the reader's scope, so no backend resolves a scope itself.

They are compared by their values. One that holds a list or a mapping (entries, changes, metadata) therefore has no
hash: middleware that counts or keeps something takes ``type(operation)``, or what it needs of the values, as its key.

:class:`~..scoped_operations.ScopedOperations` makes them, middleware sees them, a backend answers them.
"""

from .across_scopes import CountScopes, Erased, EraseScopes, ListProjects, PurgeExpired, ScanScopes, ScopeField
from .deleting import Delete, UndoDelete
from .operation import Operation, ScopedOperation, StoreOperation, fields_asked
from .reading import (
    Count,
    CountCategories,
    DescribePath,
    Get,
    List,
    ListChildren,
    ListPage,
    Nearest,
    Page,
    ReadOperation,
    Scan,
    ScanPage,
    Search,
)
from .upkeep import (
    BackUp,
    Compact,
    CountPending,
    DescribeEmbedder,
    EmbedMissing,
    Flush,
    Health,
    Reembed,
    Reembedded,
    Taken,
)
from .writing import AddedMessages, AddMessages, CompleteFields, Message, Put, Replace, Touch, Update

__all__ = [
    "AddMessages",
    "AddedMessages",
    "BackUp",
    "Compact",
    "CompleteFields",
    "Count",
    "CountCategories",
    "CountPending",
    "CountScopes",
    "Delete",
    "DescribeEmbedder",
    "DescribePath",
    "EmbedMissing",
    "EraseScopes",
    "Erased",
    "Flush",
    "Get",
    "Health",
    "List",
    "ListChildren",
    "ListPage",
    "ListProjects",
    "Message",
    "Nearest",
    "Operation",
    "Page",
    "PurgeExpired",
    "Put",
    "ReadOperation",
    "Reembed",
    "Reembedded",
    "Replace",
    "Scan",
    "ScanPage",
    "ScanScopes",
    "ScopeField",
    "ScopedOperation",
    "Search",
    "StoreOperation",
    "Taken",
    "Touch",
    "UndoDelete",
    "Update",
    "fields_asked",
]

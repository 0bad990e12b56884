"""What requests are called in messages, and what they answer where there is no collection yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from ..engine_requests import (
    BackUp,
    Change,
    Count,
    Delete,
    Describe,
    Everything,
    Facet,
    FinishMove,
    Health,
    KeepSpread,
    ListProjects,
    MoveCollection,
    Ordered,
    Retrieve,
    Scroll,
    Search,
    SearchMany,
    SetPayload,
    SetPayloads,
    SetVectors,
    Unembedded,
    Upsert,
    WithoutPassages,
)

DOING: Final[Mapping[type, str]] = {
    Describe: "opening the collection",
    Upsert: "a save",
    Change: "a change",
    SetVectors: "a change",
    Unembedded: "a listing",
    WithoutPassages: "a listing",
    Delete: "a delete",
    SetPayload: "a change",
    SetPayloads: "a change",
    Search: "a search",
    SearchMany: "searches",
    Ordered: "a listing",
    Everything: "a listing",
    Scroll: "a listing",
    Retrieve: "a read by id",
    Count: "a count",
    Facet: "a summary",
    KeepSpread: "a change",
    Health: "a health check",
    ListProjects: "a listing of projects",
    BackUp: "a backup",
    MoveCollection: "a change of the embedder",
    FinishMove: "a change of the embedder",
}
"""What a request is called in messages."""

NOTHING: Final[Mapping[type, Callable[[Any], Any]]] = {
    Delete: lambda request: 0,
    SetPayload: lambda request: None,
    SetPayloads: lambda request: None,
    Search: lambda request: [],
    SearchMany: lambda request: [[] for _ in request.searches],
    Ordered: lambda request: [],
    Everything: lambda request: [],
    Scroll: lambda request: ([], None),
    Retrieve: lambda request: [],
    Count: lambda request: 0,
    Facet: lambda request: {},
    Unembedded: lambda request: [],
    WithoutPassages: lambda request: ([], None),
    Change: lambda request: False,
    SetVectors: lambda request: 0,
}
"""Answers for a collection that is not created yet."""

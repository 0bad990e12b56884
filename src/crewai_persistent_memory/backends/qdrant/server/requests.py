"""Requests in the server's own terms: each becomes calls of ``qdrant-client``, and the answers become hits.

Nothing here waits: a request is a generator of steps, so that REST and gRPC, blocking and awaiting, share every line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from ....io.steps import Steps
from ..engine_requests import (
    Change,
    Count,
    Delete,
    Everything,
    Facet,
    KeepSpread,
    Ordered,
    Request,
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
from . import reads, writes
from .place import Place


def answer(request: Request[Any], place: Place) -> Steps[Any]:
    """Answer a request."""
    return _HOW[type(request)](request, place)


_HOW: Final[Mapping[type, Callable[[Any, Place], Steps[Any]]]] = {
    Upsert: writes.upsert,
    Change: writes.change,
    Delete: writes.delete,
    SetPayload: writes.set_payload,
    SetPayloads: writes.set_payloads,
    Search: reads.search,
    SearchMany: reads.search_many,
    Ordered: reads.ordered,
    Everything: reads.everything,
    Scroll: reads.scroll_page,
    Retrieve: reads.retrieve,
    Count: reads.count,
    Facet: reads.facet,
    Unembedded: reads.unembedded,
    WithoutPassages: reads.without_passages,
    SetVectors: writes.set_vectors,
    KeepSpread: writes.keep_spread,
}

"""Answers to the requests that read, also in a store that has no vectors yet, or never."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from ..engine_requests import (
    Count,
    Everything,
    Facet,
    Hit,
    Ordered,
    Retrieve,
    Scroll,
    Search,
    SearchMany,
    Unembedded,
    WithoutPassages,
)
from ..manifest import KEYWORDS
from .reader import EdgeReader
from .writer import EdgeWriter, keywords_only


class Answers:
    """What the shard answers to a request that reads.

    Attributes:
        of: the answer, by the type of the request.
    """

    def __init__(self, path: Path, reader: EdgeReader, writer: EdgeWriter) -> None:
        self._path = path
        self._reader = reader
        self._writer = writer
        self.of: Final[Mapping[type, Callable[[Any], Any]]] = {
            Search: self._search,
            SearchMany: lambda request: [self._search(search) for search in request.searches],
            Ordered: reader.ordered,
            Everything: reader.everything,
            Scroll: self.scroll,
            Retrieve: self.retrieve,
            Count: reader.count,
            Facet: reader.facet,
            Unembedded: reader.unembedded,
            WithoutPassages: reader.without_passages,
        }

    def _search(self, request: Search) -> list[Hit]:
        if request.dense:
            if self._writer.descriptor.vectors == KEYWORDS:
                raise keywords_only(self._path)
            if self._writer.descriptor.dimensions is None:
                # No vector was ever stored, so none is near; keywords may still match.
                request = replace(request, dense=None, tokens=())
        return self._reader.search(request)

    def scroll(self, request: Scroll) -> tuple[list[Hit], str | None]:
        if self._writer.descriptor.dimensions is None:
            request = replace(request, with_vectors=False)
        return self._reader.scroll(request)

    def retrieve(self, request: Retrieve) -> list[Hit]:
        if self._writer.descriptor.dimensions is None and request.with_vectors:
            request = Retrieve(request.ids)
        return self._reader.retrieve(request)

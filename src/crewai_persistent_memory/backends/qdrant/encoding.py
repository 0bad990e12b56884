"""The keyword vector of a stored entry, made again from what is stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...embedding import KeywordEncoder, SparseVector
from .context import SHORT
from .schema import CONTEXT_KEY


def keywords_of(
    payload: Mapping[str, Any], encoder: KeywordEncoder, contents_of: Callable[[Sequence[str]], Mapping[str, str]]
) -> SparseVector:
    """The keyword vector of the entry with this payload.

    Args:
        payload: the entry's.
        encoder: of the store's language.
        contents_of: the contents of the points with these ids, as far as they exist, by id.
    """
    ids = payload.get(CONTEXT_KEY) or ()
    contents = contents_of(ids) if ids else {}
    before = [contents[id] for id in ids if len(contents.get(id, "")) in range(1, SHORT + 1)]
    return encoder.document(payload["content"], before)

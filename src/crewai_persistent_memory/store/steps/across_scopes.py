"""What is done across scopes: for the operator of the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ...embedding import VECTORS
from ...io.steps import Steps
from ...scope import Scope
from ...text.kept import forget_texts
from .. import operations as op
from ..scanning import Pages
from .handle import StoreHandle


def list_projects(handle: StoreHandle) -> Steps[Sequence[Scope]]:
    return handle.execute(op.ListProjects(handle.binding))


def count_scopes(
    handle: StoreHandle, field: op.ScopeField, scope: Mapping[str, str | None], *, with_expired: bool = False
) -> Steps[dict[str, int]]:
    if not handle.capabilities.reaches(scope):
        return {}
    return (yield from handle.execute(op.CountScopes(handle.binding, field, scope, with_expired)))


def scan_scopes(
    handle: StoreHandle, scope: dict[str, str | None], *, with_vectors: bool = False, page_size: int = 200
) -> Pages:
    first = op.ScanScopes(handle.binding, scope, page_size, None, with_vectors)
    return lambda cursor: handle.execute(replace(first, cursor=cursor))


def erase_scopes(handle: StoreHandle, scope: Mapping[str, str | None]) -> Steps[op.Erased]:
    try:
        return (yield from handle.execute(op.EraseScopes(handle.binding, scope)))
    finally:
        VECTORS.clear()
        forget_texts()


def purge_expired(handle: StoreHandle, scope: Mapping[str, str | None], *, dry_run: bool = False) -> Steps[int]:
    if not handle.capabilities.expires:
        return 0
    return (yield from handle.execute(op.PurgeExpired(handle.binding, scope, dry_run)))

"""How a memory lists its records, paths and categories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ...entry import MemoryEntry
from ...io.steps import Steps
from ..record_conversion import scope_info_fields
from .parts import MemoryParts

if TYPE_CHECKING:
    from crewai.memory.types import MemoryRecord, ScopeInfo

_MOST_CHILDREN: Final = 20
"""Maximum number of children of one path in ``tree()``, as in CrewAI's method."""


def list_records(
    memory: MemoryParts, scope: str | None = None, limit: int = 200, offset: int = 0
) -> Steps[list[MemoryRecord]]:
    """The memories at a path and below it, newest first.

    Args:
        scope: the path; by default all paths.
        limit: maximum number of records.
        offset: number of newest records to skip.
    """
    paths = memory.paths.of(scope)
    if len(paths) == 1:
        found = yield from memory.store.steps.list(path=paths[0], limit=limit, offset=offset)
        return list(map(memory.results.record_of, found))
    entries: dict[str, MemoryEntry] = {}
    for path in paths:
        found = yield from memory.store.steps.list(path=path, limit=limit + offset, offset=0)
        entries.update((entry.id, entry) for entry in found)
    newest = sorted(entries.values(), key=lambda entry: entry.created_at, reverse=True)
    return list(map(memory.results.record_of, newest[offset : offset + limit]))


def info(memory: MemoryParts, path: str | None = None) -> Steps[ScopeInfo]:
    """A summary of the records at a path and below it: number, categories and times, and the child paths."""
    infos = []
    for each in memory.paths.of(path):
        infos.append((yield from memory.store.steps.info(each or "/")))
    if len(infos) == 1:
        return memory.results.scope_info(**scope_info_fields(infos[0]))
    return memory.results.scope_info(
        path=path or "/",
        record_count=sum(info.count for info in infos),
        categories=sorted({name for info in infos for name in info.categories}),
        oldest_record=min((info.oldest for info in infos if info.oldest is not None), default=None),
        newest_record=max((info.newest for info in infos if info.newest is not None), default=None),
        child_scopes=sorted({child for info in infos for child in info.children}),
    )


def tree(memory: MemoryParts, path: str | None = None, max_depth: int = 3) -> Steps[str]:
    """The paths below a path as text, ``max_depth`` levels deep. Each line has a path and its number of records."""
    lines: list[str] = []

    def walk(at: str, depth: int) -> Steps[None]:
        info = yield from memory.store.steps.info(at)
        lines.append(f"{'  ' * depth}{at} ({info.count} records)")
        if depth < max_depth:
            for child in info.children[:_MOST_CHILDREN]:
                yield from walk(child, depth + 1)

    for each in memory.paths.of(path):
        yield from walk(each or "/", 0)
    return "\n".join(lines)


def list_scopes(memory: MemoryParts, path: str | None = None) -> Steps[list[str]]:
    """The child paths of a path."""
    children: list[str] = []
    for each in memory.paths.of(path):
        children += yield from memory.store.steps.children(each or "/")
    return children if memory.paths.view is None else sorted(set(children))


def list_categories(memory: MemoryParts, path: str | None = None) -> Steps[dict[str, int]]:
    """The categories at a path and below it, with the number of memories in each."""
    counts: dict[str, int] = {}
    for each in memory.paths.of(path):
        found = yield from memory.store.steps.categories(each)
        for name, count in found.items():
            counts[name] = counts.get(name, 0) + count
    return counts

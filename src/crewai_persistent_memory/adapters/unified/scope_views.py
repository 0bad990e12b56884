"""Views of a memory: one path and what is below it, or several paths.

CrewAI's own (``MemoryScope``, ``MemorySlice``) are no memories: a checkpoint holds their paths only, and a restored one
is bound to whatever memory is at hand. These are memories, and are written and restored with the memory that they are
views of. They recall by one search unless asked for more, where CrewAI's pass ``depth="deep"`` unasked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

from crewai.memory.types import MemoryMatch, MemoryRecord, ScopeInfo
from crewai.memory.unified_memory import Memory
from typing_extensions import Self

from ...errors import ConfigurationError
from ...io.bridge import call
from ...validation import normalize_path
from .hosted_memory import HostedMemory
from .records import TextEmbedder
from .storage_backend import QdrantStorageBackend

Depth = Literal["shallow", "deep"]


class MemoryView(HostedMemory):
    """A memory that reaches some paths of another one."""

    def __init__(self, memory: Any, paths: list[str], read_only: bool, view: Mapping[str, Any]) -> None:
        backend = QdrantStorageBackend.over(memory.store, replace(memory._bridge.backend.recipe, view=view))
        Memory.__init__(self, storage=backend, embedder=TextEmbedder(memory.store), read_only=read_only)
        self._bridge = replace(
            memory._bridge, backend=backend, is_view=True, viewed=memory, paths=tuple(map(normalize_path, paths))
        )

    @property
    def _viewed(self) -> Any:
        return self._bridge.viewed

    def _bound(self) -> Self:
        bound = super()._bound()
        bound._bridge = replace(bound._bridge, viewed=self._viewed.bound())
        return bound

    def _below(self, path: str | None) -> list[str]:
        """The paths of the memory that a path of this view means."""
        return [normalize_path(f"{root}/{path or ''}") for root in self._bridge.paths]

    def _is_here(self, path: str) -> bool:
        roots = [self._viewed._path(root, None) for root in self._bridge.paths]
        return any(root == "/" or path == root or path.startswith(f"{root}/") for root in roots)

    def _place_for(self, scope: str | None) -> str:
        """Where something new is saved."""
        raise NotImplementedError

    def remember(
        self,
        content: str,
        scope: str | None = None,
        categories: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        importance: float | None = None,
        source: str | None = None,
        private: bool = False,
        agent_role: str | None = None,
        root_scope: str | None = None,
    ) -> MemoryRecord | None:
        """As :meth:`PersistentMemory.remember`, below this view's path."""
        if self._is_read_only:
            return None
        place, about = self._place_for(scope), (categories, metadata, importance, source, private)
        record: MemoryRecord | None = self._viewed.remember(content, place, *about, agent_role, root_scope)
        return record

    def remember_many(
        self,
        contents: list[str],
        scope: str | None = None,
        categories: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        importance: float | None = None,
        source: str | None = None,
        private: bool = False,
        agent_role: str | None = None,
        root_scope: str | None = None,
    ) -> list[MemoryRecord]:
        """As :meth:`PersistentMemory.remember_many`, below this view's path."""
        if self._is_read_only or not contents:
            return []
        place, about = self._place_for(scope), (categories, metadata, importance, source, private)
        records: list[MemoryRecord] = self._viewed.remember_many(contents, place, *about, agent_role, root_scope)
        return records

    def extract_memories(self, content: str) -> list[str]:
        found: list[str] = self._viewed.extract_memories(content)
        return found

    def forget(
        self,
        scope: str | None = None,
        categories: list[str] | None = None,
        older_than: datetime | None = None,
        metadata_filter: dict[str, Any] | None = None,
        record_ids: list[str] | None = None,
    ) -> int:
        """Delete what matches all that is given, of what is in this view."""
        criteria = (categories, older_than, metadata_filter, record_ids)
        return sum(self._viewed.forget(path, *criteria) for path in self._below(scope))

    def reset(self, scope: str | None = None) -> None:
        """Delete everything that is in this view, at the path and below it."""
        for path in self._below(scope):
            self._viewed.reset(path)

    def reset_all(self) -> None:
        self.reset()

    def update(self, record_id: str, *args: Any, **changes: Any) -> MemoryRecord:
        """Change a record that is in this view.

        Raises:
            ValueError: there is none with this id.
        """
        record = self._bridge.backend.get_record(record_id)
        if record is None or not self._is_here(record.scope):
            raise ValueError(f"Record not found: {record_id}")
        if self._is_read_only:
            return record
        updated: MemoryRecord = self._viewed.update(record_id, *args, **changes)
        return updated

    def list_scopes(self, path: str | None = None) -> list[str]:
        return sorted({child for each in self._below(path) for child in self._viewed.list_scopes(each)})

    def list_records(self, scope: str | None = None, limit: int = 200, offset: int = 0) -> list[MemoryRecord]:
        """Records of this view, newest first."""
        pages = [self._viewed.list_records(path, limit + offset, 0) for path in self._below(scope)]
        records = {record.id: record for page in pages for record in page}
        return sorted(records.values(), key=lambda record: record.created_at, reverse=True)[offset : offset + limit]

    def list_categories(self, path: str | None = None) -> dict[str, int]:
        counts: dict[str, int] = {}
        for each in self._below(path):
            for name, count in self._viewed.list_categories(each).items():
                counts[name] = counts.get(name, 0) + count
        return counts

    def info(self, path: str | None = None) -> ScopeInfo:
        infos = [self._viewed.info(each) for each in self._below(path)]
        oldest, newest = ([getattr(info, name) for info in infos] for name in ("oldest_record", "newest_record"))
        return ScopeInfo(
            path=infos[0].path if len(infos) == 1 else path or "/",
            record_count=sum(info.record_count for info in infos),
            categories=sorted({name for info in infos for name in info.categories}),
            oldest_record=min(filter(None, oldest), default=None),
            newest_record=max(filter(None, newest), default=None),
            child_scopes=sorted({child for info in infos for child in info.child_scopes}),
        )

    def tree(self, path: str | None = None, max_depth: int = 3) -> str:
        return "\n".join(self._viewed.tree(each, max_depth) for each in self._below(path))

    def scope(self, path: str) -> PersistentScope:
        """A view of what is below a path of this one."""
        return PersistentScope(self._viewed, self._place_for(path))

    def slice(self, scopes: list[str], categories: list[str] | None = None, read_only: bool = True) -> PersistentSlice:
        """A view of what is below several paths of this one."""
        paths = [path for each in scopes for path in self._below(each)]
        return PersistentSlice(self._viewed, paths, categories, read_only or self._is_read_only)

    def crew_kwargs(self, *, long_term: bool = True) -> dict[str, Any]:
        """What to splat into a crew: ``Crew(..., **view.crew_kwargs())``."""
        return {"memory": self}

    def drain_writes(self) -> None:
        self._viewed.drain_writes()

    def close(self) -> None:
        """Wait for pending saves. The store is closed by the memory that this is a view of."""
        self._viewed.drain_writes()
        if self._bridge.share is not None:
            self._bridge.share.close()

    async def aremember(self, content: str, scope: str | None = None, *args: Any, **kwargs: Any) -> MemoryRecord | None:
        if self._is_read_only:
            return None
        record: MemoryRecord | None = await self._viewed.aremember(content, self._place_for(scope), *args, **kwargs)
        return record

    async def aremember_many(
        self, contents: list[str], scope: str | None = None, *args: Any, **kwargs: Any
    ) -> list[MemoryRecord]:
        if self._is_read_only or not contents:
            return []
        place = self._place_for(scope)
        records: list[MemoryRecord] = await self._viewed.aremember_many(contents, place, *args, **kwargs)
        return records

    async def aextract_memories(self, content: str) -> list[str]:
        found: list[str] = await self._viewed.aextract_memories(content)
        return found


class PersistentScope(MemoryView):
    """A view of one path and what is below it.

    Args:
        memory: of this package.
        root_path: the path.
    """

    def __init__(self, memory: Any, root_path: str) -> None:
        super().__init__(memory, [root_path], memory._is_read_only, {"root_path": normalize_path(root_path)})

    def _place_for(self, scope: str | None) -> str:
        [place] = self._below(scope)
        return place

    def recall(
        self,
        query: str,
        scope: str | None = None,
        categories: list[str] | None = None,
        limit: int = 10,
        depth: Depth = "shallow",
        source: str | None = None,
        include_private: bool = False,
    ) -> list[MemoryMatch]:
        about = (categories, limit, depth, source, include_private)
        matches: list[MemoryMatch] = self._viewed.recall(query, self._place_for(scope), *about)
        return matches

    async def arecall(self, query: str, scope: str | None = None, *args: Any, **kwargs: Any) -> list[MemoryMatch]:
        matches: list[MemoryMatch] = await self._viewed.arecall(query, self._place_for(scope), *args, **kwargs)
        return matches

    def subscope(self, path: str) -> PersistentScope:
        """A view of what is below a path of this one."""
        return self.scope(path)


class PersistentSlice(MemoryView):
    """A view of several paths.

    Args:
        memory: of this package.
        scopes: the paths.
        categories: only entries that share one of these, unless a recall names its own.
        read_only: save nothing.
    """

    def __init__(
        self, memory: Any, scopes: list[str], categories: list[str] | None = None, read_only: bool = True
    ) -> None:
        view = {"scopes": list(map(normalize_path, scopes)), "categories": categories, "read_only": read_only}
        super().__init__(memory, scopes, read_only, view)

    def _place_for(self, scope: str | None) -> str:
        if scope is not None:
            return normalize_path(scope)
        if len(self._bridge.paths) == 1:
            return self._bridge.paths[0]
        raise ConfigurationError(f"this slice has {len(self._bridge.paths)} paths: say with scope= which one is meant")

    def recall(
        self,
        query: str,
        scope: str | None = None,
        categories: list[str] | None = None,
        limit: int = 10,
        depth: Depth = "shallow",
        source: str | None = None,
        include_private: bool = False,
    ) -> list[MemoryMatch]:
        """What is remembered below the paths, best first; ``scope`` is a path below each of them."""
        paths, about = self._below(scope), (categories or self._categories, limit)
        if depth == "deep":
            found = [self._viewed.recall(query, path, *about, depth, source, include_private) for path in paths]
        else:
            # All paths in one round trip; CrewAI's own slice asks for one after the other.
            found = self._viewed.recall_each([query] * len(paths), paths, *about, source, include_private)
        unique: dict[str, MemoryMatch] = {}
        for match in sorted((match for each in found for match in each), key=lambda match: -match.score):
            unique.setdefault(match.record.id, match)
        return list(unique.values())[:limit]

    async def arecall(self, query: str, *args: Any, **kwargs: Any) -> list[MemoryMatch]:
        return await call(self.recall, query, *args, **kwargs)

    @property
    def _categories(self) -> list[str] | None:
        view: Any = self._bridge.backend.recipe
        found: list[str] | None = view.view["categories"]
        return found

"""Views of a memory: one path and all paths below it, or several paths.

CrewAI's own views (``MemoryScope``, ``MemorySlice``) are not memories. A checkpoint holds only their paths, and CrewAI
binds a restored view to any available memory. In this package a view is a memory with a :class:`View`, on both
generations. Its recall is shallow by default; CrewAI's views default to ``depth="deep"``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..errors import ConfigurationError
from ..validation import normalize_path


@dataclass(frozen=True)
class View:
    """The paths that a memory reaches.

    Attributes:
        paths: paths of the memory, below its root.
        is_slice: whether ``slice()`` made it. A save then names a path of the memory, not one relative to the view.
        categories: only entries that have one of these, unless a recall names its own.
        read_only: save nothing.
    """

    paths: tuple[str, ...]
    is_slice: bool = False
    categories: tuple[str, ...] | None = None
    read_only: bool = False

    def below(self, path: str | None) -> list[str]:
        """The paths of the memory for a path of this view."""
        return [normalize_path(f"{root}/{path or ''}") for root in self.paths]

    def place(self, path: str | None) -> str:
        """The path of the memory for a new entry.

        Raises:
            ConfigurationError: the view has several paths, and the caller names none.
        """
        if path is not None and self.is_slice:
            return normalize_path(path)
        if len(self.paths) == 1:
            return self.below(path)[0]
        raise ConfigurationError(f"this slice has {len(self.paths)} paths: say with scope= which one is meant")

    def written(self) -> dict[str, Any]:
        """This view as JSON values, for a checkpoint."""
        if not self.is_slice:
            return {"root_path": self.paths[0], **({"read_only": True} if self.read_only else {})}
        categories = None if self.categories is None else list(self.categories)
        return {"scopes": list(self.paths), "categories": categories, "read_only": self.read_only}

    @classmethod
    def read(cls, written: Mapping[str, Any]) -> View:
        """The view from the values of :meth:`written`."""
        read_only = bool(written.get("read_only"))
        if "root_path" in written:
            return cls((normalize_path(written["root_path"]),), read_only=read_only)
        return sliced(None, written["scopes"], written.get("categories"), read_only=read_only)


def narrowed(view: View | None, path: str) -> View:
    """A view of ``path`` and all paths below it, inside ``view`` or the whole memory."""
    place = normalize_path(path) if view is None else view.place(path)
    return View((place,), read_only=view is not None and view.read_only)


def sliced(
    view: View | None, paths: Sequence[str], categories: Sequence[str] | None = None, *, read_only: bool = True
) -> View:
    """A view of several paths, inside ``view`` or the whole memory."""
    places = paths if view is None else [place for path in paths for place in view.below(path)]
    return View(
        tuple(map(normalize_path, places)),
        is_slice=True,
        categories=tuple(categories) if categories else None,
        read_only=read_only or (view is not None and view.read_only),
    )


@dataclass(frozen=True)
class Paths:
    """Translates the paths that a caller of a memory names into paths of the store.

    Attributes:
        root: the memory's ``root_scope``. Entries are saved and found only at it and below it.
        view: the visible paths below ``root``; ``None`` for all.
    """

    root: str | None = None
    view: View | None = None

    def of(self, scope: str | None) -> list[str | None]:
        """The paths of the store; ``None`` in the list stands for the whole store."""
        if self.view is None:
            return [None] if scope is None and self.root is None else [self._full(scope, self.root)]
        return [self._full(path, self.root) for path in self.view.below(scope)]

    def inner(self, scope: str | None) -> list[str | None]:
        """The same, inside ``root``."""
        return [scope] if self.view is None else list(self.view.below(scope))

    def place(self, scope: str | None, root_scope: str | None = None) -> str:
        """The path of the store for a new entry; ``root_scope`` replaces ``root``."""
        return self._full(self.inner_place(scope), self.root if root_scope is None else root_scope) or "/"

    def inner_place(self, scope: str | None) -> str | None:
        """The same, inside ``root``."""
        return scope if self.view is None else self.view.place(scope)

    def reaches(self, path: str) -> bool:
        """Whether the view contains this path of the store."""
        if self.view is None:
            return True
        return any(root in (None, "/", path) or path.startswith(f"{root}/") for root in self.of(None))

    def categories(self, given: Sequence[str] | None) -> list[str] | None:
        """The categories to filter by: the caller's, or those of the view."""
        chosen = given or (None if self.view is None else self.view.categories)
        return None if chosen is None else list(chosen)

    @staticmethod
    def _full(path: str | None, root: str | None) -> str | None:
        if root is None:
            return None if path is None else normalize_path(path)
        return normalize_path(f"{root}/{path or ''}")


WHOLE: Final = Paths()
"""All paths of a store."""

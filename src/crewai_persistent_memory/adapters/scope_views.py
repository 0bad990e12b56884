"""Views of a memory: one path and what is below it, or several paths.

CrewAI's own (``MemoryScope``, ``MemorySlice``) are no memories: a checkpoint holds their paths only, and a restored one
is bound to whatever memory is at hand. Here a view is a memory with one of these values in it, on both generations. It
recalls by one search unless asked for more, where CrewAI's pass ``depth="deep"`` unasked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigurationError
from ..validation import normalize_path


@dataclass(frozen=True)
class View:
    """The paths that a memory reaches.

    Attributes:
        paths: inside the memory that this is a view of.
        is_slice: made by ``slice()``: a path to save at is a path of the memory, not one below the view's.
        categories: only entries that share one of these, unless a recall names its own.
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
        """The path of the memory at which something new is saved.

        Raises:
            ConfigurationError: the view has several paths, and none is given.
        """
        if path is not None and self.is_slice:
            return normalize_path(path)
        if len(self.paths) == 1:
            return self.below(path)[0]
        raise ConfigurationError(f"this slice has {len(self.paths)} paths: say with scope= which one is meant")

    def written(self) -> dict[str, Any]:
        """This view as JSON values, for a checkpoint."""
        if not self.is_slice:
            return {"root_path": self.paths[0], "read_only": self.read_only}
        categories = None if self.categories is None else list(self.categories)
        return {"scopes": list(self.paths), "categories": categories, "read_only": self.read_only}

    @classmethod
    def read(cls, written: Mapping[str, Any]) -> View:
        """What :meth:`written` wrote."""
        read_only = bool(written.get("read_only"))
        if "root_path" in written:
            return cls((normalize_path(written["root_path"]),), read_only=read_only)
        return sliced(None, written["scopes"], written.get("categories"), read_only=read_only)


def narrowed(view: View | None, path: str) -> View:
    """A view of ``path`` and what is below it, inside ``view`` or the whole memory."""
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

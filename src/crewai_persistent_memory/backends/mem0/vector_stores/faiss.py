"""FAISS: written so that no crash and no full disk loses what was stored, and searched until an owner's are found.

Mem0 writes two files after each change, one after the other, and says nothing if it cannot.
"""

from __future__ import annotations

import errno
import importlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ....errors import ConfigurationError, StoreCorruptedError, StoreFullError, StorePathError
from .corrected import CorrectedStore
from .table import Provider

_NEW: Final = ".new"
"""Added to the names of files that are being written."""


class Faiss(CorrectedStore):
    """A collection of FAISS's, which is in memory as a whole and written as a whole."""

    def __init__(self, store: Any, provider: Provider, settings: Mapping[str, Any], patience: float) -> None:
        super().__init__(store, provider, settings, patience)
        self._index, self._rows = files_of(Path(store.path), store.collection_name)
        if store.index is None or store.index.ntotal != len(store.index_to_id):
            raise StoreCorruptedError(
                f"the folder {store.path} of the vector store 'faiss' cannot be read: {self._index.name} and "
                f"{self._rows.name} do not belong together, or are damaged. Bring both back from a backup"
            )
        if store.index.d != store.embedding_model_dims:
            raise ConfigurationError(
                f"local_mem0_config: the folder {store.path} holds vectors of {store.index.d} numbers, and "
                f"embedding_model_dims of vector_store is {store.embedding_model_dims} (1536 unless given)"
            )
        self._holds_back = False
        store._save = self._save

    @property
    def length(self) -> int:
        return int(self.store.index.d)

    def nearest(self, query: str, vector: Any, wanted: int, filters: Mapping[str, Any] | None) -> Sequence[Any]:
        """FAISS knows no filters: Mem0 filters the nearest rows of all owners. If few are left, all rows are ranked."""
        found: Sequence[Any] = super().nearest(query, vector, wanted, filters)
        everything = self.store.index.ntotal
        if not filters or len(found) >= wanted or everything <= wanted:
            return found
        every: Sequence[Any] = super().nearest(query, vector, everything, filters)
        return every

    def changed(self, id: str, vector: Any, payload: Any) -> None:
        """Mem0 removes the old vector and adds the new one: between the two nothing is written."""
        self._holds_back = True
        try:
            super().changed(id, vector, payload)
        finally:
            self._holds_back = False
        self._save()

    def _save(self) -> None:
        if self._holds_back:
            return
        faiss: Any = importlib.import_module("faiss")  # it is there: Mem0 has opened the store with it
        places = {str(number): id for number, id in self.store.index_to_id.items()}
        index, rows = new(self._index), new(self._rows)
        unfinished = rows.with_name(rows.name + "~")
        try:
            faiss.write_index(self.store.index, str(index))
            unfinished.write_text(json.dumps({"docstore": self.store.docstore, "index_to_id": places}), "utf-8")
            unfinished.rename(rows)  # from here on the new files count: see recover()
            recover_one(self._index, self._rows)
        except (OSError, RuntimeError) as error:  # faiss raises the latter
            self.store._load(str(self._index), str(self._rows.with_suffix(".pkl")))
            is_full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "No space" in str(error)
            kind = StoreFullError if is_full else StorePathError
            raise kind(f"the vector store 'faiss' cannot write to {self.store.path}: {error}") from error


def files_of(folder: Path, collection: str) -> tuple[Path, Path]:
    """The vectors of a collection, and the rows that belong to them."""
    return folder / f"{collection}.faiss", folder / f"{collection}.json"


def new(file: Path) -> Path:
    return file.with_name(file.name + _NEW)


def recover(folder: Path) -> None:
    """Before a folder is read: complete the writing that a crash has interrupted.

    The new rows are renamed when the new vectors are complete, so that both are. Then each takes its place.

    Raises:
        StoreCorruptedError: vectors without rows.
    """
    for rows in folder.glob(f"*.json{_NEW}"):
        recover_one(*files_of(folder, rows.name.removesuffix(f".json{_NEW}")))
    for index in folder.glob("*.faiss"):
        rows = files_of(folder, index.stem)[1]
        if not rows.exists() and not rows.with_suffix(".pkl").exists():  # Mem0 would begin anew
            raise StoreCorruptedError(
                f"the folder {folder} of the vector store 'faiss' has {index.name} and no {rows.name}. Bring it back "
                "from a backup"
            )
    for left in (*folder.glob(f"*.faiss{_NEW}"), *folder.glob(f"*.json{_NEW}~")):
        left.unlink()


def recover_one(index: Path, rows: Path) -> None:
    if new(index).exists():
        new(index).replace(index)
    new(rows).replace(rows)

"""Embedders for a benchmark: by the product's names, or a folder with an ONNX model of sentences."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

FOLDER = "onnx:"


def embedder_of(name: str | None) -> Any:
    """What to pass as ``embedder=``.

    Args:
        name: ``onnx:/folder`` with ``model.onnx`` and ``tokenizer.json`` (mean pooling; vectors are kept in
            ``RECALL_VECTORS``, if that names a folder), or a name that the product knows.
    """
    if name is None or name == "keywords":
        return None
    return _of_folder(Path(name.removeprefix(FOLDER))) if name.startswith(FOLDER) else name


def _of_folder(folder: Path) -> Callable[[list[str]], list[list[float]]]:
    import numpy
    import onnxruntime
    from tokenizers import Tokenizer

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
    names = {each.name for each in session.get_inputs()}
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(256)
    tokenizer.no_padding()
    kept = _Kept(os.environ.get("RECALL_VECTORS"), folder)

    def embed_one(text: str) -> list[float]:
        encoded = tokenizer.encode(text)
        fed = {
            "input_ids": numpy.array([encoded.ids], dtype=numpy.int64),
            "attention_mask": numpy.array([encoded.attention_mask], dtype=numpy.int64),
            "token_type_ids": numpy.array([encoded.type_ids], dtype=numpy.int64),
        }
        tokens = session.run(None, {name: value for name, value in fed.items() if name in names})[0][0]
        vector = tokens if tokens.ndim == 1 else tokens.mean(axis=0)
        return [float(each) for each in vector / numpy.linalg.norm(vector)]

    def embed(texts: list[str]) -> list[list[float]]:
        return [kept.get(text, embed_one) for text in texts]

    return embed


class _Kept:
    """Vectors that an earlier run computed, one file each."""

    def __init__(self, folder: str | None, model: Path) -> None:
        self._vectors: dict[str, list[float]] = {}
        self._folder = Path(folder) / model.name if folder else None
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)

    def get(self, text: str, compute: Callable[[str], list[float]]) -> list[float]:
        import numpy

        key = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        if key not in self._vectors:
            file = self._folder / f"{key}.npy" if self._folder else None
            if file is not None and file.exists():
                self._vectors[key] = numpy.load(file).tolist()
            else:
                self._vectors[key] = compute(text)
                if file is not None:
                    numpy.save(file, numpy.array(self._vectors[key], dtype="float32"))
        return self._vectors[key]

"""Embedders that run in this process: ``"local"``, ``"local/<model>"`` and ``"local:/folder/of/a/model"``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

import numpy as np

from ..errors import ConfigurationError, EmbedderError
from .fingerprint import PROBE_TEXT, Fingerprint
from .limits import Limits
from .local_models import EMBEDDER, find_model
from .model_folder import ModelFolder
from .names import LOCAL
from .onnx_session import OnnxSession, load_tokenizer

if TYPE_CHECKING:
    from tokenizers import Encoding

_KEYS: Final = frozenset({"folder", "model", "digest"})

_BYTES_PER_TOKEN: Final = 4
"""Of a text in English. Of one with more tokens, :class:`LocalModel` makes several pieces itself."""

_BATCH: Final = 32
_TOKENS_OF_A_BATCH: Final = 8_192
"""Most texts and tokens, filling included, that the model gets at once: they decide how much memory it takes."""

_OUTPUTS: Final = ("sentence_embedding", "last_hidden_state", "token_embeddings")

_models: WeakValueDictionary[tuple[Path, str], LocalModel] = WeakValueDictionary()
_lock = Lock()


def _after_fork() -> None:
    global _lock
    _lock = Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def local_model(spec: Mapping[str, Any]) -> LocalModel:
    """The model of a spec ``{"provider": "local", "config": {...}}``. A process loads a model once.

    Raises:
        ConfigurationError: the spec is malformed, or the model is unknown.
        EmbedderUnavailableError: the model is not here, and cannot be downloaded.
    """
    config = spec["config"]
    unknown = set(config) - _KEYS
    if unknown or ("folder" in config and "model" in config):
        raise ConfigurationError(
            'embedder: a local model is named by {"folder": ...} or {"model": ...}'
            + (f", unknown key {', '.join(sorted(map(str, unknown)))}" if unknown else ": leave one out")
        )
    with _lock:
        folder = find_model(EMBEDDER, config)
        key = (folder.onnx.resolve(), folder.digest)
        model = _models.get(key)
        if model is None:
            model = _models[key] = LocalModel(folder)
        return model


class LocalModel:
    """A model in this process. Calling it embeds texts that are stored; :meth:`queries` embeds questions.

    Attributes:
        limits: for a text. Nothing of it is left out: of more tokens than the model takes, it makes several pieces, and
            the text's vector is their mean.
        dimensions: length of the vectors.
    """

    def __init__(self, folder: ModelFolder) -> None:
        self.folder = folder
        self.limits = Limits(text=_BYTES_PER_TOKEN * folder.max_tokens, inputs=256, request=1_000_000)
        self._tokenizer = load_tokenizer(folder.tokenizer, folder.max_tokens)
        self._session = OnnxSession(folder.onnx, folder.pad_id)
        self.dimensions = len(self([PROBE_TEXT])[0])

    @property
    def fingerprint(self) -> Fingerprint:
        """The model's name and digest, and not the folder's place."""
        return Fingerprint(
            spec={"provider": LOCAL, "config": {"model": self.folder.name, "digest": self.folder.digest}}
        )

    def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        return self._embed(texts, self.folder.prefixes.text)

    def queries(self, texts: Sequence[str]) -> list[list[float]]:
        return self._embed(texts, self.folder.prefixes.query)

    def _embed(self, texts: Sequence[str], prefix: str) -> list[list[float]]:
        pieces: list[tuple[int, Encoding]] = []
        for index, text in enumerate(texts):
            # One by one: the tokenizer's own threads do not survive a fork.
            encoding = self._tokenizer.encode(prefix + text)
            pieces += [(index, piece) for piece in (encoding, *encoding.overflowing)]
        # Texts of about the same length together: shorter ones are filled up.
        pieces.sort(key=lambda piece: len(piece[1]))
        sums = np.zeros((len(texts), 0))
        while pieces:
            count = max(1, min(_BATCH, _TOKENS_OF_A_BATCH // max(1, len(pieces[-1][1]))))
            batch, pieces = pieces[-count:], pieces[:-count]
            vectors = self._vectors([encoding for _, encoding in batch])
            if not sums.shape[1]:
                sums = np.zeros((len(texts), vectors.shape[1]))
            for (index, encoding), vector in zip(batch, vectors, strict=True):
                sums[index] += vector * len(encoding)
        return [[float(x) for x in row] for row in _unit(sums).astype(np.float32)]

    def _vectors(self, encodings: Sequence[Encoding]) -> Any:
        output, mask = self._session.run(encodings, _OUTPUTS)
        if output.ndim == 3:
            output = self._pooled(output, mask)
        if output.ndim != 2:
            raise EmbedderError(f"the model {self.folder.onnx} is not for embedding: it returns {output.ndim} axes")
        return _unit(output.astype(np.float64))

    def _pooled(self, output: Any, mask: Any) -> Any:
        if self.folder.pooling == "cls":
            return output[:, 0]
        if self.folder.pooling == "last":
            return output[np.arange(len(output)), mask.sum(axis=1) - 1]
        weights = mask[:, :, np.newaxis].astype(np.float32)
        return (output * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), 1.0)

    def __deepcopy__(self, memo: dict[int, Any]) -> LocalModel:
        return self

    def __repr__(self) -> str:
        return f"LocalModel({self.folder.name})"


def _unit(vectors: Any) -> Any:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)

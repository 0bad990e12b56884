"""Embedders that run in this process: ``"local"``, ``"local/<model>"`` and ``"local:/folder/of/a/model"``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from weakref import WeakValueDictionary

import numpy as np

from ..errors import ConfigurationError, EmbedderError, EmbedderUnavailableError
from .fingerprint import PROBE_TEXT, Fingerprint
from .limits import Limits
from .local_models import EMBEDDER, find_model
from .model_folder import ModelFolder
from .names import LOCAL
from .onnx_session import OnnxSession, load_tokenizer, misfit

if TYPE_CHECKING:
    from tokenizers import Encoding

_KEYS: Final = frozenset({"folder", "model", "digest"})

_BYTES_PER_TOKEN: Final = 4
"""Of a text in English. Of one with more tokens, :class:`LocalModel` makes several pieces itself."""

_BATCH: Final = 32
_TOKENS_OF_A_BATCH: Final = 8_192
"""Most texts and tokens, filling included, that the model gets at once: they decide how much memory it takes."""

_OUTPUTS: Final = ("sentence_embedding", "last_hidden_state", "token_embeddings")
_TOKEN_OUTPUTS: Final = _OUTPUTS[1:]

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
        try:
            self.dimensions = len(self([PROBE_TEXT])[0])
        except (EmbedderError, ConfigurationError):
            raise
        except Exception as error:
            raise EmbedderUnavailableError(f"embedder: {misfit(folder, error)}") from error

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

    def embed_tokens(self, texts: Sequence[str], *, is_query: bool = False) -> list[Any]:
        """The model's output for each token of a text, as arrays of tokens × dimensions.

        Raises:
            EmbedderError: the model gives vectors of whole texts only.
        """
        prefix = self.folder.prefixes.query if is_query else self.folder.prefixes.text
        found: list[dict[int, Any]] = [{} for _ in texts]
        for batch in _batches(self._pieces(texts, prefix)):
            output, _ = self._session.run([piece.encoding for piece in batch], _TOKEN_OUTPUTS)
            if output.ndim != 3:
                raise EmbedderError(
                    f"the model {self.folder.onnx} has no token vectors: it returns one vector for each text"
                )
            for piece, vectors in zip(batch, output, strict=True):
                special = np.array(piece.encoding.special_tokens_mask, dtype=bool)
                found[piece.text][piece.number] = vectors[: len(special)][~special]
        return [np.concatenate([vectors for _, vectors in sorted(each.items())]) for each in found]

    def _embed(self, texts: Sequence[str], prefix: str) -> list[list[float]]:
        sums = np.zeros((len(texts), 0))
        for batch in _batches(self._pieces(texts, prefix)):
            vectors = self._vectors([piece.encoding for piece in batch])
            if not sums.shape[1]:
                sums = np.zeros((len(texts), vectors.shape[1]))
            for piece, vector in zip(batch, vectors, strict=True):
                sums[piece.text] += vector * len(piece.encoding)
        return [[float(x) for x in row] for row in _unit(sums).astype(np.float32)]

    def _pieces(self, texts: Sequence[str], prefix: str) -> list[_Piece]:
        pieces: list[_Piece] = []
        for index, text in enumerate(texts):
            # One by one: the tokenizer's own threads do not survive a fork.
            encoding = self._tokenizer.encode(prefix + text)
            pieces += [_Piece(index, number, each) for number, each in enumerate((encoding, *encoding.overflowing))]
        return pieces

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


class _Piece(NamedTuple):
    """A piece of a text that the model takes at once: the text's place in the list, and the piece's place in it."""

    text: int
    number: int
    encoding: Encoding


def _batches(pieces: Sequence[_Piece]) -> Iterator[list[_Piece]]:
    """Pieces of about the same length together: shorter ones are filled up."""
    left = sorted(pieces, key=lambda piece: len(piece.encoding))
    while left:
        count = max(1, min(_BATCH, _TOKENS_OF_A_BATCH // max(1, len(left[-1].encoding))))
        batch, left = left[-count:], left[:-count]
        yield batch


def _unit(vectors: Any) -> Any:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)

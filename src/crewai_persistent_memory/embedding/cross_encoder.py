"""Cross-encoders that run in this process: they read a query and a text together, and say how well they match."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any, Final

from ..errors import ConfigurationError, EmbedderUnavailableError
from .local_models import RERANKER, find_model
from .names import spec_of_name
from .onnx_session import OnnxSession, load_tokenizer

_BATCH: Final = 32

_encoders: dict[str, CrossEncoder] = {}
_lock = Lock()


def _after_fork() -> None:
    global _lock
    _lock = Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def cross_encoder(name: str) -> CrossEncoder:
    """The model that ``"local:/folder"`` or ``"local/<model>"`` names. A process loads a model once.

    Raises:
        ConfigurationError: it is named in another way, or unknown.
        EmbedderUnavailableError: it is not here, and cannot be downloaded.
    """
    wrong = ConfigurationError(
        f"reranker={name[:60]!r} is not known: give a function, 'local:/folder/of/a/cross-encoder', or "
        "'local/Xenova/ms-marco-MiniLM-L-6-v2', say"
    )
    if not name.startswith("local"):
        raise wrong
    config = spec_of_name(name)["config"]
    if not config:
        raise wrong
    with _lock:
        if name not in _encoders:
            _encoders[name] = CrossEncoder(config)
        return _encoders[name]


class CrossEncoder:
    """Calling it with a query and texts gives one score per text: higher for what answers the query."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._folder = find_model(RERANKER, config)
        self._tokenizer = load_tokenizer(self._folder.tokenizer, self._folder.max_tokens)
        # A query is kept whole, and the text cut: what is reranked is short.
        self._tokenizer.enable_truncation(self._folder.max_tokens, strategy="only_second")
        self._session = OnnxSession(self._folder.onnx, self._folder.pad_id)
        self(
            "What kind of model is this?", ["What a model of another kind returns is found here, and not in a recall."]
        )

    def __call__(self, query: str, texts: Sequence[str]) -> list[float]:
        # Half of the model's room at most: a text in English has four characters for each token.
        query = query[: 2 * self._folder.max_tokens]
        scores: list[float] = []
        for start in range(0, len(texts), _BATCH):
            pairs = [self._tokenizer.encode(query, text) for text in texts[start : start + _BATCH]]
            output, _ = self._session.run(pairs, ("logits",))
            if output.ndim != 2 or output.shape[1] != 1:
                raise EmbedderUnavailableError(
                    f"reranker: the model {self._folder.onnx} is not a cross-encoder, which returns one score for each "
                    "text: give another folder"
                )
            scores += [float(score) for score in output[:, 0]]
        return scores

    def __repr__(self) -> str:
        return f"CrossEncoder({self._folder.name})"

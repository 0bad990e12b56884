"""Cross-encoders that run in this process: they read a query and a text together, and say how well they match."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any, Final

from ..errors import ConfigurationError, EmbedderUnavailableError
from ..storable import storable_text
from .local_models import RERANKER, find_model
from .names import is_local, spec_of_name
from .onnx_session import OnnxSession, load_tokenizer, misfit

_BATCH: Final = 32
_PROBE: Final = "What kind of model is this?"

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
    config = spec_of_name(name)["config"] if is_local(name) else {}
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
        # Of a long query as much as fills half of the model's room. In Chinese that is a character for each token.
        self._queries = load_tokenizer(self._folder.tokenizer, max(1, self._folder.max_tokens // 2))
        self._session = OnnxSession(self._folder.onnx, self._folder.pad_id)
        try:
            self(_PROBE, ["What a model of another kind returns is found here, and not in a recall."])
        except (EmbedderUnavailableError, ConfigurationError):
            raise
        except Exception as error:
            raise EmbedderUnavailableError(f"reranker: {misfit(self._folder, error)}") from error

    def __call__(self, query: str, texts: Sequence[str]) -> list[float]:
        query = self._shortened(storable_text(query))
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

    def _shortened(self, query: str) -> str:
        encoding = self._queries.encode(query)
        return query[: max(end for _, end in encoding.offsets)] if encoding.overflowing else query

    def __repr__(self) -> str:
        return f"CrossEncoder({self._folder.name})"

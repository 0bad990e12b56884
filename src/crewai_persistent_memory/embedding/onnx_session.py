"""A model in ONNX Runtime: loaded once, used by any number of threads, and loaded again after a fork.

``onnxruntime`` and ``tokenizers`` run the model directly, and not through fastembed, for three reasons: fastembed takes
models of its own list, and others only after they are registered for the whole process, with their dimensions; it cuts
texts at the model's limit silently; and CrewAI installs these two anyway, so that a model folder needs no other
package. fastembed is used for its list of models, and to download them (``local_models``).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..errors import ConfigurationError, EmbedderUnavailableError

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

    from .model_folder import ModelFolder

THREADS: Final = "CREWAI_MEMORY_EMBEDDER_THREADS"
"""The environment variable for the number of threads of one model. Default: the CPUs of this process."""

EXTRA: Final = "pip install 'crewai-persistent-memory[local]'"

_KNOWN_INPUTS: Final = frozenset({"input_ids", "attention_mask", "token_type_ids"})

_lost_by_fork: Final[list[Any]] = []
"""Sessions of the parent process. Their threads are not in this process, so to free them would wait for ever."""


class OnnxSession:
    """A model file. The first call loads it, and the first call after a fork loads it again."""

    def __init__(self, file: Path, pad_id: int) -> None:
        self._file = file
        self._pad_id = pad_id
        self._lock = Lock()
        self._session: Any = None
        self._process = os.getpid()

    def run(self, encodings: Sequence[Encoding], output: Sequence[str] = ()) -> tuple[Any, Any]:
        """The model's output for tokenized texts, filled up to the same length.

        Args:
            encodings: the texts.
            output: names of outputs, preferred first. If the model has none of them, its first output counts.

        Returns:
            The output, and the attention mask (1 for a token of the text, 0 for filling), as arrays.
        """
        session = self._loaded()
        length = max(len(each) for each in encodings)
        ids = np.full((len(encodings), length), self._pad_id, dtype=np.int64)
        mask = np.zeros((len(encodings), length), dtype=np.int64)
        types = np.zeros((len(encodings), length), dtype=np.int64)
        for row, each in enumerate(encodings):
            ids[row, : len(each)] = each.ids
            mask[row, : len(each)] = each.attention_mask
            types[row, : len(each)] = each.type_ids
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
        names = {each.name for each in session.get_inputs()}
        offered = [each.name for each in session.get_outputs()]
        wanted = next((name for name in output if name in offered), offered[0])
        return session.run([wanted], {name: array for name, array in given.items() if name in names})[0], mask

    def _loaded(self) -> Any:
        if self._session is not None and self._process == os.getpid():
            return self._session
        if self._process != os.getpid():
            # The lock may have been held when the process was forked. A second thread of the child loads it in vain.
            _lost_by_fork.append(self._session)
            self._session, self._lock, self._process = None, Lock(), os.getpid()
        with self._lock:
            if self._session is None:
                self._session = _load(self._file)
            return self._session


def load_tokenizer(file: Path, max_tokens: int) -> Tokenizer:
    """A tokenizer that makes several pieces of at most ``max_tokens`` of a longer text, and loses nothing of it.

    Raises:
        EmbedderUnavailableError: the file is malformed, or the package is missing.
    """
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise EmbedderUnavailableError(f"a local model needs the package tokenizers: {EXTRA}") from error
    try:
        tokenizer: Tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:
        raise EmbedderUnavailableError(f"{file} cannot be read: {error}. Copy the model anew") from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return tokenizer


def misfit(folder: ModelFolder, error: Exception) -> str:
    """The message for a model that fails with what its tokenizer makes of a plain sentence."""
    return (
        f"the model {folder.onnx} does not take what {folder.tokenizer} makes of a text "
        f"({' '.join(str(error).split())[:300]}): copy both files anew, from the same place"
    )


def _load(file: Path) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise EmbedderUnavailableError(f"a local model needs the package onnxruntime: {EXTRA}") from error
    onnxruntime.disable_telemetry_events()  # on Windows
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors are raised, and not written to the terminal besides
    # Threads that wait for work sleep. Otherwise they keep a core busy for some time after each text.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise EmbedderUnavailableError(f"the model {file} cannot be loaded: {error}. Copy it anew") from error
    unknown = {each.name for each in session.get_inputs()} - _KNOWN_INPUTS
    if unknown:
        raise EmbedderUnavailableError(
            f"the model {file} needs {' and '.join(sorted(unknown))}, which only programs for this model give it: use "
            "another model, or give a function as embedder"
        )
    return session


def threads() -> int:
    """The number of threads of one model.

    Raises:
        ConfigurationError: the variable is not a number from 1 on.
    """
    given = os.environ.get(THREADS, "").strip()
    if given:
        if not given.isdecimal() or int(given) < 1:
            raise ConfigurationError(f"{THREADS} must be a number from 1 on")
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

"""Where local models are, by name: a folder of this machine, and downloads by fastembed into it.

A store's descriptor holds a model's name and digest, and no path: the store may be opened on another machine. So a
store that is opened without ``embedder=`` finds its model below :func:`models_folder`, by its digest.
"""

from __future__ import annotations

import difflib
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import platformdirs

from ..errors import ConfigurationError, EmbedderUnavailableError
from ..redaction import redact
from .model_folder import ModelFolder
from .onnx_session import EXTRA

DEFAULT_MODEL: Final = "BAAI/bge-small-en-v1.5"
"""For English: 67 MB, 384 dimensions, 512 tokens, MIT licence."""

MODELS: Final = "CREWAI_MEMORY_MODELS"
"""The environment variable for the folder of models."""

logger = logging.getLogger("crewai_persistent_memory")


class Kind(NamedTuple):
    """A kind of model, and how it is named.

    Attributes:
        what: for messages.
        option: the argument that names such a model.
        catalog: the class of fastembed that lists such models.
    """

    what: str
    option: str
    catalog: str


EMBEDDER: Final = Kind("embedding model", "embedder", "TextEmbedding")
RERANKER: Final = Kind("reranker", "reranker", "TextCrossEncoder")


def models_folder() -> Path:
    """``$CREWAI_MEMORY_MODELS``, else ``models`` in this package's folder of the user's data."""
    given = os.environ.get(MODELS, "").strip()
    if given:
        return Path(given).expanduser()
    return Path(platformdirs.user_data_dir("crewai-persistent-memory", appauthor=False), "models")


def find_model(kind: Kind, config: Mapping[str, Any]) -> ModelFolder:
    """The model of a spec's ``config``: its ``folder``, or by its name (``model``) and its ``digest``.

    Raises:
        ConfigurationError: fastembed does not know the model.
        EmbedderUnavailableError: it is not here, and cannot be downloaded.
    """
    folder = config.get("folder")
    if folder is not None:
        try:
            return ModelFolder.read(Path(folder).expanduser())
        except EmbedderUnavailableError as error:
            raise EmbedderUnavailableError(f"{kind.option}: {error}") from error
    name, digest = config.get("model") or DEFAULT_MODEL, config.get("digest")
    for found in _below(models_folder(), name, anywhere=digest is not None):
        if digest is None or found.digest == digest:
            return found
    if digest is not None and "/" not in name:  # the name of a folder, and not of a published model
        raise EmbedderUnavailableError(f"no folder below {models_folder()} holds the model: {_remedy(kind)}")
    found = _downloaded(kind, name, known=digest is not None)
    if digest is not None and found.digest != digest:
        raise EmbedderUnavailableError(
            f"the published files of {name} are others than those that the store was created with: {_remedy(kind)}"
        )
    return found


def _below(models: Path, name: str, *, anywhere: bool) -> Iterator[ModelFolder]:
    """The folders of models that may be this one; ``anywhere`` looks at those of other names too."""
    places = [models / name, models / name.rpartition("/")[2]]
    if anywhere and models.is_dir():
        places += sorted(each for each in models.iterdir() if each.is_dir())
    for place in dict.fromkeys(places):
        if (place / "tokenizer.json").is_file():
            try:
                yield ModelFolder.read(place)
            except EmbedderUnavailableError as error:
                logger.warning("%s", error)


def _downloaded(kind: Kind, name: str, *, known: bool) -> ModelFolder:
    """A model of fastembed's list, from the earlier download or a new one.

    Args:
        kind: the kind of model.
        name: its name.
        known: a store was created with it; so the name may be that of a folder, and is not a mistake.
    """
    # huggingface_hub reads it when it is imported. No telemetry leaves this process.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        import fastembed.rerank.cross_encoder
        from fastembed.common.model_description import DenseModelDescription, ModelSource
        from fastembed.common.model_management import ModelManagement
    except ImportError as error:
        raise EmbedderUnavailableError(
            f"the {kind.what} {name} is not below {models_folder()}, and to download it the package fastembed is "
            f"needed: {EXTRA}. {_remedy(kind)}"
        ) from error
    catalog = fastembed.TextEmbedding if kind is EMBEDDER else fastembed.rerank.cross_encoder.TextCrossEncoder
    models = {each["model"].lower(): each for each in catalog.list_supported_models()}
    entry = models.get(name.lower())
    if entry is None or not entry["sources"]["hf"]:
        if known:
            raise EmbedderUnavailableError(f"no folder below {models_folder()} holds the model: {_remedy(kind)}")
        close = difflib.get_close_matches(name.lower(), models, n=1)
        hint = f"did you mean 'local/{models[close[0]]['model']}'?" if close else "fastembed's documentation lists them"
        raise ConfigurationError(f"{kind.option}: fastembed knows no {kind.what} {name!r}: {hint} {_remedy(kind)}")
    description = DenseModelDescription(
        **{key: entry[key] for key in ("model", "model_file", "description", "license", "size_in_GB")},
        additional_files=entry["additional_files"],
        sources=ModelSource(hf=entry["sources"]["hf"]),
        dim=entry.get("dim") or 0,
    )
    cache = models_folder() / "downloads"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        # fastembed takes what is there already. Asked for that alone, it writes errors to the terminal if it is not.
        # The folders are those of the Hugging Face Hub's own cache.
        there = f"models--{entry['sources']['hf'].replace('/', '--')}/snapshots/*/{description.model_file}"
        if not any(cache.glob(there)):
            logger.warning(
                "downloading the %s %s (%d MB, %s) from the Hugging Face Hub into %s, once for this machine; to "
                "download nothing, give a folder: %s='local:/folder/of/the/model'",
                kind.what,
                description.model,
                round(description.size_in_GB * 1000),
                description.license,
                cache,
                kind.option,
            )
        folder = ModelManagement.download_model(description, str(cache), retries=1)
    except Exception as error:
        raise EmbedderUnavailableError(
            f"the {kind.what} {description.model} cannot be downloaded ({redact(str(error)).rstrip('. ')}). Is this "
            f"machine online, and does it reach the Hugging Face Hub? {_remedy(kind)}"
        ) from error
    return ModelFolder.read(folder, name=description.model, onnx_file=description.model_file)


def _remedy(kind: Kind) -> str:
    variable = " (or CREWAI_MEMORY_EMBEDDER)" if kind is EMBEDDER else ""
    return (
        f"Give {kind.option}='local:/folder/of/the/model'{variable}, or copy the model's folder into {models_folder()}"
    )

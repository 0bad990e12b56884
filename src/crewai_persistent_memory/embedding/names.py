"""Embedders by name: ``"provider/model"`` in place of a CrewAI spec, in the format of ``llm=``."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Final

from ..errors import ConfigurationError

_MODEL_KEY: Final = {
    "amazon-bedrock": "model_name",
    "cohere": "model_name",
    "google": "model_name",
    "google-generativeai": "model_name",
    "google-vertex": "model_name",
    "huggingface": "model_name",
    "instructor": "model_name",
    "jina": "model_name",
    "ollama": "model_name",
    "openai": "model_name",
    "openrouter": "model_name",
    "sentence-transformer": "model_name",
    "text2vec": "model_name",
    "voyageai": "model",
}
"""CrewAI's providers that need only a model and a key, with the field of a spec's config that names the model."""

_OF_ONE_MODEL: Final = "onnx"
LOCAL: Final = "local"
"""The provider of models that run in this process, see ``local``."""

_NEED_A_SPEC: Final = ("azure", "custom", "openclip", "oracle", "roboflow", "watsonx")


def spec_of_name(name: str) -> Mapping[str, Any]:
    """The CrewAI spec for ``"provider/model"``. A model's name may contain slashes.

    Raises:
        ConfigurationError: the provider is unknown, needs more than a model, or no model is named.
    """
    local = _local(name.strip())
    if local is not None:
        return local
    provider, _, model = (part.strip() for part in name.partition("/"))
    if provider == _OF_ONE_MODEL and not model:
        return {"provider": provider, "config": {}}
    if provider in _NEED_A_SPEC:
        raise ConfigurationError(
            f'embedder {provider!r} needs more than a model: give {{"provider": "{provider}", "config": {{...}}}}'
        )
    if provider not in _MODEL_KEY:
        close = difflib.get_close_matches(provider, [*_MODEL_KEY, LOCAL], n=1)
        hint = f"did you mean {close[0]}" if close else f"known are {', '.join([*_MODEL_KEY, _OF_ONE_MODEL, LOCAL])}"
        raise ConfigurationError(
            f"embedder provider {provider[:40]!r} is not known: {hint}. Write 'openai/text-embedding-3-small', say, or "
            "'keywords' for keywords only"
        )
    if not model:
        raise ConfigurationError(f"embedder {provider!r} names no model: write '{provider}/' and the model's name")
    return {"provider": provider, "config": {_MODEL_KEY[provider]: model}}


def is_local(name: str) -> bool:
    """Whether a name means a model in this process: ``local``, ``local/<model>``, ``local:<folder>``."""
    name = name.strip()
    return name.startswith(LOCAL) and name.removeprefix(LOCAL)[:1] in ("", ":", "/")


def _local(name: str) -> Mapping[str, Any] | None:
    """The spec of a model in this process: ``local``, ``local/<model>``, ``local:<folder>``; ``None`` for others.

    Raises:
        ConfigurationError: nothing stands behind the colon or the slash.
    """
    if not is_local(name):
        return None
    mark = name.removeprefix(LOCAL)[:1]
    rest = name[len(LOCAL) + 1 :].strip()
    if mark and not rest:
        raise ConfigurationError(f"{name!r} names no {'folder' if mark == ':' else 'model'}: 'local' alone is enough")
    return {"provider": LOCAL, "config": {"folder": rest} if mark == ":" else {"model": rest} if rest else {}}

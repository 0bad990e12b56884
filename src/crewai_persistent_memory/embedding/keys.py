"""The keys of embedders: one from the environment goes to the address of the environment, and to no other."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from ..addresses import origin_of, shown
from ..errors import EmbedderUnavailableError
from ..redaction import Sealed


class _Provider(NamedTuple):
    """The environment variables of a provider that can be sent to another address.

    Attributes:
        keys: of its key, the first one that is set counts.
        addresses: of its address.
        address: where it is if none of them is set; ``None`` if then the key is of no address in particular.
    """

    keys: Sequence[str]
    addresses: Sequence[str]
    address: str | None


_PROVIDERS: Final = {
    "openai": _Provider(
        ("EMBEDDINGS_OPENAI_API_KEY", "OPENAI_API_KEY"),
        ("EMBEDDINGS_OPENAI_API_BASE", "OPENAI_API_BASE", "OPENAI_BASE_URL"),
        "https://api.openai.com/v1",
    ),
    "azure": _Provider(
        ("EMBEDDINGS_OPENAI_API_KEY", "OPENAI_API_KEY", "AZURE_OPENAI_API_KEY"),
        ("EMBEDDINGS_OPENAI_API_BASE", "OPENAI_API_BASE", "AZURE_OPENAI_ENDPOINT"),
        None,
    ),
    "openrouter": _Provider(
        ("EMBEDDINGS_OPENROUTER_API_KEY", "OPENROUTER_API_KEY"),
        ("EMBEDDINGS_OPENROUTER_API_BASE", "OPENROUTER_API_BASE"),
        "https://openrouter.ai/api/v1",
    ),
}


def with_key(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """The spec with the key of the environment, where it has none and the key belongs to its address.

    CrewAI until 1.0 does not read ``OPENAI_API_KEY`` for its embedder by itself, and later versions send it to
    whatever address a spec names.

    Raises:
        EmbedderUnavailableError: the spec names another address than the environment's, and no key.
    """
    provider = _PROVIDERS.get(spec["provider"])
    if provider is None or spec["config"].get("api_key"):
        return spec
    variable = next((name for name in provider.keys if os.environ.get(name)), None)
    if variable is None:
        return spec
    named = spec["config"].get("api_base")
    here = [address for name in provider.addresses if (address := os.environ.get(name))]
    if not here and provider.address is not None:
        here = [provider.address]
    if named and here and origin_of(named) not in map(origin_of, here):
        raise EmbedderUnavailableError(
            f"embedder {spec['provider']!r} at {shown(named)} was given no key, and {variable} in the environment "
            f"belongs to {' and '.join(map(shown, here))}: give api_key in the config of "
            f"embedder= ('none' for a server that needs none), or set {provider.addresses[-1]} to that address"
        )
    return Sealed({**spec, "config": {**spec["config"], "api_key": os.environ[variable]}})


def missing_key(spec: Mapping[str, Any]) -> str | None:
    """The variable that would give a spec its key, if it has none from anywhere."""
    provider = _PROVIDERS.get(spec["provider"])
    if provider is None or spec["config"].get("api_key") or any(os.environ.get(name) for name in provider.keys):
        return None
    return provider.keys[1]

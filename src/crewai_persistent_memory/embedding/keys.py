"""The API keys of embedders. A key from the environment is sent only to the address from the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from ..addresses import origin_of, shown
from ..errors import EmbedderUnavailableError
from ..redaction import Sealed


class _Provider(NamedTuple):
    """The environment variables of a provider whose address can be configured.

    Attributes:
        keys: variables for the key; the first one that is set applies.
        addresses: variables for the address.
        address: the default address; ``None`` if the key belongs to no particular address.
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
    """The spec with the key from the environment, if the spec has no key and the key belongs to its address.

    CrewAI until 1.0 does not read ``OPENAI_API_KEY`` for its embedder. Later versions send it to any address in a spec.

    Raises:
        EmbedderUnavailableError: the spec names an address other than the environment's, and no key.
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


def address_of_provider(provider: str) -> str | None:
    """The address of an embedder whose spec names none: the environment's, else the provider's own."""
    known = _PROVIDERS.get(provider)
    if known is None:
        return None
    return next((address for name in known.addresses if (address := os.environ.get(name))), known.address)


def missing_key(spec: Mapping[str, Any]) -> str | None:
    """The variable that could provide the key, if the spec has none; ``None`` if no key is missing."""
    provider = _PROVIDERS.get(spec["provider"])
    if provider is None or spec["config"].get("api_key") or any(os.environ.get(name) for name in provider.keys):
        return None
    return provider.keys[1]

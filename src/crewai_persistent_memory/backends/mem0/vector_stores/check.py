"""Which configurations of Mem0 OSS are accepted. One is refused if Mem0 then answers wrongly, loses memories without an
error, or sends texts to an address that the configuration does not name.

The configuration and the version of mem0ai decide, before a driver is imported or a store is reached.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

from ....errors import ConfigurationError
from ..compat import mem0_version
from .table import PROVIDERS, known, named, settings_of

TRIED: Final = (
    'Use "qdrant", "chroma" or "pgvector" (every mem0ai), "faiss", "redis", "valkey" or "supabase" (mem0ai 2.2)'
)


def check(config: Mapping[str, Any], *, allow_untested: bool) -> None:
    """Look at a ``local_mem0_config``.

    Args:
        config: as the caller gave it.
        allow_untested: open vector stores that were never tried with this package.

    Raises:
        ConfigurationError: it is not opened; the message says why, and what to use.
    """
    for part in ("vector_store", "llm", "embedder"):
        named = config.get(part)
        if not isinstance(named, Mapping) or not named.get("provider"):
            raise ConfigurationError(
                f"local_mem0_config names no provider of {part}, and Mem0 would take its own default: OpenAI for llm "
                f"and embedder, a folder in /tmp for vector_store. Name it: "
                f'"{part}": {{"provider": ..., "config": {{...}}}}'
            )
    version = ".".join(map(str, mem0_version()))
    provider, settings = settings_of(config)
    reason = _reason(provider, settings, mem0_version())
    if reason is not None:
        raise ConfigurationError(
            f"local_mem0_config: the vector store {provider!r} is not opened with mem0ai {version}: {reason}. {TRIED}"
        )
    if provider not in PROVIDERS and not allow_untested:
        raise ConfigurationError(
            f"local_mem0_config: the vector store {provider!r} was never tried with this package, and Mem0 filters, "
            f"scores and lists differently in each (mem0ai {version}). {TRIED}. To open it all the same, say so: "
            'mem0={"allow_untested_vector_store": True, ...}; docs/mem0.md has what to try first'
        )
    if config.get("graph_store") and mem0_version() < (2,):
        raise ConfigurationError(
            f"local_mem0_config: graph_store is not used with mem0ai {version}: Mem0 keeps there what texts say, "
            "keeps it after a deletion too, and nothing here reads it. Leave it out"
        )
    _check_openrouter(config)


def _reason(provider: str, settings: Mapping[str, Any], version: tuple[int, ...]) -> str | None:
    """Why a vector store is refused."""
    about = known(provider)
    if about.refused is not None:
        return about.refused
    if version < about.since:
        return about.why_not_before
    if provider == "pgvector" and settings.get("diskann"):
        return 'an index of pgvectorscale was never tried with this package. Leave "diskann" out'
    if provider == "supabase" and settings.get("index_measure") not in (None, "cosine_distance"):
        return 'its other measures than "cosine_distance" were never tried with this package. Leave "index_measure" out'
    if provider == "valkey" and settings.get("cluster_mode"):
        return 'a cluster was never tried with this package. Leave "cluster_mode" out'
    at_an_address = settings.get("host") and settings.get("port")
    is_server = at_an_address or any(settings.get(name) for name in ("url", "client", "api_key"))
    is_cloud = settings.get("client") or (settings.get("api_key") and settings.get("tenant"))
    place = {"qdrant": is_server, "chroma": at_an_address or is_cloud}.get(provider)
    if about.needs_a_place and not place and not settings.get("path"):
        return (
            f"its configuration names no place, and Mem0 would take the folder /tmp/{provider}. Give a path"
            f"{'' if place is None else ', or the whole address of a server: host and port'}"
        )
    if provider == "qdrant" and version < (1,) and not is_server and not settings.get("on_disk"):
        return 'mem0ai 0.1 empties a local folder whenever it opens it. Give "on_disk": True, or the url of a server'
    return None


def _check_openrouter(config: Mapping[str, Any]) -> None:
    provider, settings = named(config, "llm")
    if provider == "openai" and os.environ.get("OPENROUTER_API_KEY") and not settings.get("openrouter_base_url"):
        raise ConfigurationError(
            "local_mem0_config: OPENROUTER_API_KEY is in the environment, and Mem0 then sends the prompts of the llm "
            "'openai' to OpenRouter, whatever openai_base_url says. Remove the variable, or, if that is meant, give "
            'the config of llm "openrouter_base_url": "https://openrouter.ai/api/v1"'
        )

"""Configuration given as data: ``{"provider": ..., "config": {...}}``, and storage specs such as ``qdrant://host/name``.

A pure parser: the result depends on the configuration alone. :mod:`.defaults` adds the options of :func:`register`.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import SplitResult, parse_qsl, urlsplit

from ..config.environment import refuse_unknown
from ..config.mem0 import Mem0Options
from ..errors import ConfigurationError

NAME: Final = "persistent"
"""The provider's name, and the storage spec, for a store that :func:`register` or the environment names."""

PROVIDERS: Final = ("qdrant", NAME, "mem0")
SCHEME: Final = "qdrant"

OF_A_SPEC: Final = (
    "user_id",
    "run_id",
    "agent_id",
    "semantic_weight",
    "recency_weight",
    "importance_weight",
    "recency_half_life_days",
)
"""The options that a storage spec may set."""

_SECRETS: Final = ("api_key", "headers")


class ProviderConfig(NamedTuple):
    """A parsed configuration: the provider, and the keyword arguments of ``PersistentMemory``."""

    provider: str
    options: dict[str, Any]


def parse_config(published: Mapping[str, Any]) -> ProviderConfig:
    """Parse ``{"provider": ..., "config": {...}}``, the form that CrewAI and Mem0 publish.

    For ``"mem0"``, Mem0's own options (``api_key``, ``host``, ``local_mem0_config``, ...) are moved into ``mem0=``. The
    scope, ``infer``, ``includes``, ``excludes`` and ``custom_categories`` stay at the top level.

    Raises:
        ConfigurationError: a provider or key is unknown, or the value is not a mapping.
    """
    if not isinstance(published, Mapping):
        raise ConfigurationError(f"a configuration is a dict with provider and config, got {type(published).__name__}")
    refuse_unknown(published, {"provider", "config"}, "key")
    provider = published.get("provider")
    if provider not in PROVIDERS:
        raise ConfigurationError(f"provider {provider!r} is not known: use one of {', '.join(PROVIDERS)}")
    options = published.get("config") or {}
    if not isinstance(options, Mapping):
        raise ConfigurationError("config must be a mapping of options")
    if provider != "mem0":
        return ProviderConfig(provider, dict(options))
    about_mem0 = {name: value for name, value in options.items() if name in Mem0Options.model_fields}
    others = {name: value for name, value in options.items() if name not in about_mem0}
    return ProviderConfig(provider, {**others, "mem0": about_mem0})


def parse_spec(spec: str) -> dict[str, Any] | None:
    """The options in a storage spec; ``None`` if the spec is not for this package.

    ``persistent`` is the store that :func:`register` or the environment names. ``qdrant://host:port/collection`` is a
    server. Both may continue with ``?name=value&…``, with options from ``OF_A_SPEC`` for the scope and the ranking.
    Values may come from a request (percent-encoded), so these options cannot name a store.

    Raises:
        ConfigurationError: the spec is for this package and malformed, holds a secret, or has an option that a spec
            may not set.
    """
    url = urlsplit(spec)
    if url.scheme == SCHEME:
        options = _server_of(url)
    elif (url.scheme, url.netloc, url.path) == ("", "", NAME):
        options = {}
    else:
        return None
    if url.fragment or "#" in spec:
        raise ConfigurationError("a storage spec has no '#': write %23, as urllib.parse.quote(value, safe='') does")
    given: dict[str, str] = {}
    for name, value in _pairs(url.query):
        if name in _SECRETS:
            raise _secret_in_spec()
        if name not in OF_A_SPEC:
            raise ConfigurationError(
                f"{name[:40]!r} is not for a storage spec{_meant(name)}, which takes {', '.join(OF_A_SPEC)}: give the "
                "store and all else to register(...). A value that comes from outside goes through "
                "urllib.parse.quote(value, safe='')"
            )
        if name in given:
            raise ConfigurationError(f"{name} is given twice in the storage spec: leave one out")
        given[name] = value
    return {**options, **given}


def _meant(name: str) -> str:
    close = difflib.get_close_matches(name, OF_A_SPEC, n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _pairs(query: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise ConfigurationError(
            "the options of a storage spec cannot be read: write ?user_id=john&run_id=7, values percent-encoded"
        ) from None


def _server_of(url: SplitResult) -> dict[str, Any]:
    if url.username is not None or url.password is not None:
        raise _secret_in_spec()
    try:
        host, port = url.hostname, url.port
    except ValueError as error:
        raise ConfigurationError(
            f"the storage spec's address cannot be read ({error}): write qdrant://host:6333/collection"
        ) from None
    collection = url.path.strip("/")
    if not host or "/" in collection:
        raise ConfigurationError(
            "a storage spec is qdrant://host:6333/collection?user_id=...: check host and collection"
        )
    options = {"host": host, "port": port, "collection": collection or None}
    return {name: value for name, value in options.items() if value is not None}


def _secret_in_spec() -> ConfigurationError:
    # CrewAI stores the spec in the memory, and logs it.
    return ConfigurationError("a storage spec is shown in logs: set QDRANT_API_KEY, or register(api_key=...), instead")

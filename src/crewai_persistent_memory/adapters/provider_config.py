"""Configurations as dicts: ``{"provider": ..., "config": {...}}``, the form that CrewAI and Mem0 publish."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..config.mem0 import Mem0Options
from ..config.options import refuse_unknown
from ..errors import ConfigurationError

NAME: Final = "persistent"
PROVIDERS: Final = ("qdrant", NAME, "mem0")


def options_of(published: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments of ``PersistentMemory`` that a configuration means.

    What ``"persistent"`` leaves out is taken from :func:`register`. For ``"mem0"`` everything that is about Mem0 itself
    (``api_key``, ``host``, ``local_mem0_config``, ...) goes into ``mem0=``; the scope, ``infer``, ``includes``,
    ``excludes`` and ``custom_categories`` stay as they are.

    Raises:
        ConfigurationError: unknown provider or key, or no mapping.
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
    if provider == NAME:
        from .register import with_registered

        return with_registered(options)
    if provider != "mem0":
        return dict(options)
    about_mem0 = {name: value for name, value in options.items() if name in Mem0Options.model_fields}
    return {**{name: value for name, value in options.items() if name not in about_mem0}, "mem0": about_mem0}

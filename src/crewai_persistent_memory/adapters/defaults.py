"""The options that :func:`register` sets for the whole process, and the memory that stands for ``memory=True``.

They apply to memories that CrewAI builds by name or by default. A memory with options of its own ignores them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ..config.options import ABOUT_A_STORE, STORE_OPTIONS
from .current_run import OnError
from .provider_config import NAME, ProviderConfig, parse_config


@dataclass(frozen=True)
class Defaults:
    """The registered options of a process.

    Attributes:
        options: options of :class:`MemoryConfig`, for memories built by name or by default.
        on_error: the crew's reaction when its memory fails.
        replace_crewais: whether they also apply to ``memory=True`` and to every memory that CrewAI builds itself.
    """

    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    on_error: OnError = "warn"
    replace_crewais: bool = False


class _Process:
    """The state of this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.defaults = Defaults()
        self.memory: Any = None


_process: Final = _Process()


def current() -> Defaults:
    """The options that are registered now."""
    return _process.defaults


def set_defaults(defaults: Defaults) -> Any:
    """Register ``defaults`` in place of the registered options.

    Returns:
        The memory that stood for ``memory=True`` until now; ``None`` if none was built. It stays open, because crews
        may use it.
    """
    with _process.lock:
        memory, _process.memory = _process.memory, None
        _process.defaults = defaults
    return memory


def default_memory(build: Callable[..., Any]) -> Any:
    """The memory that stands for ``memory=True``. Built from the registered options at its first use.

    Args:
        build: the class ``PersistentMemory`` of the installed CrewAI.
    """
    with _process.lock:
        if _process.memory is None:
            defaults = _process.defaults
            _process.memory = build(on_error=defaults.on_error, **defaults.options)
        return _process.memory


def with_defaults(options: Mapping[str, Any]) -> dict[str, Any]:
    """``options`` merged over the registered ones. A store named in ``options`` also drops all registered options of
    the registered store, so that its key is never sent to another server."""
    registered = _process.defaults.options
    if _names_a_store(options) and _names_a_store(registered):
        registered = {name: value for name, value in registered.items() if name not in ABOUT_A_STORE}
    return {**registered, **options}


def options_of(published: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments of ``PersistentMemory`` for a published configuration. For ``"persistent"``, missing
    options come from :func:`register`.

    Raises:
        ConfigurationError: see :func:`.provider_config.parse_config`.
    """
    config: ProviderConfig = parse_config(published)
    return with_defaults(config.options) if config.provider == NAME else config.options


def _names_a_store(options: Mapping[str, Any]) -> bool:
    return any(options.get(name) is not None for name in (*STORE_OPTIONS, "store"))

"""``register()``: makes CrewAI use this package by name, and in place of CrewAI's own memory."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from typing import Any

from typing_extensions import Unpack

from ..config.arguments import MemoryOptions
from ..config.options import MemoryConfig
from ..redaction import seal, sealed
from .crew import remembering_there
from .current_run import OnError, check_on_error
from .defaults import Defaults, current, default_memory, options_of, set_defaults, with_defaults
from .memory import PersistentMemory
from .provider_config import NAME, parse_spec
from .storage import PersistentStorage
from .version import STORAGE_FACTORY_SINCE, installed, is_unified

logger = logging.getLogger("crewai_persistent_memory")


class _Replaced:
    """CrewAI's original functions, which this module has replaced."""

    storage_factory: Any = None


def register(*, default: bool = False, on_error: OnError = "warn", **options: Unpack[MemoryOptions]) -> None:
    """Register this package with CrewAI under a name. Call it once at program start; another call replaces the first.

    - CrewAI until 1.9.3: ``ExternalMemory(embedder_config={"provider": "persistent", "config": {...}})``.
    - CrewAI since 1.14.7: ``Memory(storage="persistent")`` and
      ``Memory(storage="qdrant://host:6333/collection?user_id=...")``. Other specs work as before.
    - The versions in between accept no storage by name. A warning reports it.

    Args:
        default: use this package in place of CrewAI's own stores, on every version: in every crew and agent with
            ``memory=True`` (JSON projects too), in every flow, and in a ``Memory()`` without ``storage=``. CrewAI's
            ``Crew`` then accepts ``external_memory=`` as this package's ``Crew`` does. ``False`` (the default) ends
            this, as :func:`unregister` does.
        on_error: ``"raise"`` makes a crew fail when its memory fails; see :class:`PersistentMemory`.
        options: the scope, the store, the embedder and the ranking (:class:`MemoryConfig`) of memories built by name
            or by default. Options given there take precedence. A store named there replaces the store named here,
            with all options of that store. Missing options come from the environment.

    Raises:
        ConfigurationError, ScopeError: an option is wrong.
    """
    seal(options)
    MemoryConfig.build(**options)
    set_defaults(Defaults(dict(options), check_on_error(on_error), replace_crewais=default))
    if not is_unified():
        _register_provider()
    elif installed() >= STORAGE_FACTORY_SINCE:
        _register_factory()
    else:
        logger.warning(
            "crewai %s takes no storage by name: Memory(storage=%r) would be a LanceDB folder of that name. Use "
            "PersistentMemory, or crewai >= %s",
            ".".join(map(str, installed())),
            NAME,
            ".".join(map(str, STORAGE_FACTORY_SINCE)),
        )
    if default:
        _replace_default()


def unregister() -> None:
    """Undo :func:`register`: restore CrewAI's behaviour, and close the memory that stood for ``memory=True``.

    Crews built with that memory can no longer use it. Idempotent.
    """
    memory = set_defaults(Defaults())
    if not is_unified():
        _unregister_provider()
    elif installed() >= STORAGE_FACTORY_SINCE:
        _unregister_factory()
    if memory is not None:
        memory.close()


# -- CrewAI until 1.9.3 --------------------------------------------------------------------------------------------


def _register_provider() -> None:
    from crewai.memory.external.external_memory import ExternalMemory  # type: ignore[import-not-found]

    supported = ExternalMemory.external_supported_storages
    if getattr(supported, "of_this_package", False):
        return

    @functools.wraps(supported)
    def with_ours() -> dict[str, Any]:
        return {**supported(), NAME: _storage_of}

    with_ours.of_this_package = True  # type: ignore[attr-defined]
    ExternalMemory.external_supported_storages = staticmethod(with_ours)


def _unregister_provider() -> None:
    from crewai.memory.external.external_memory import ExternalMemory

    supported = ExternalMemory.external_supported_storages
    if getattr(supported, "of_this_package", False):
        ExternalMemory.external_supported_storages = staticmethod(supported.__wrapped__)


def _storage_of(crew: Any, config: Mapping[str, Any]) -> PersistentStorage:
    external = getattr(crew, "external_memory", None)
    if external is not None:
        # CrewAI's external memory holds a reference to its crew, and such a crew can be neither dumped nor copied. The
        # memory needs the crew for this call only.
        external.crew = None
    config = sealed(config)
    return PersistentStorage(**{"on_error": current().on_error, **options_of({"provider": NAME, "config": config})})


# -- CrewAI since 1.14.7 -------------------------------------------------------------------------------------------


def _register_factory() -> None:
    from crewai.memory.storage import factory

    if factory._factory is not _storage_for:
        _Replaced.storage_factory = factory._factory
        factory.set_memory_storage_factory(_storage_for)


def _unregister_factory() -> None:
    from crewai.memory.storage import factory

    # A factory set after ours stays in place. It calls ours, which then takes its options from the environment.
    if factory._factory is _storage_for:
        factory.set_memory_storage_factory(_Replaced.storage_factory)
        _Replaced.storage_factory = None


def _storage_for(spec: str) -> Any:
    """CrewAI's storage factory. It handles this package's specs, and passes others to the previous factory."""
    options = parse_spec(spec)
    if options is None:
        previous_factory = _Replaced.storage_factory
        return None if previous_factory is None else previous_factory(spec)
    from .unified.storage_backend import QdrantStorageBackend

    return QdrantStorageBackend(**with_defaults(options))


# -- in the place of CrewAI's own ----------------------------------------------------------------------------------


def _replace_default() -> None:
    import crewai

    construct = crewai.Crew.__init__
    if getattr(construct, "of_this_package", False):
        return

    @functools.wraps(construct)
    def with_ours(self: Any, /, **data: Any) -> None:
        construct(self, **(_remembering(data) if current().replace_crewais else data))

    with_ours.of_this_package = True  # type: ignore[attr-defined]
    type.__setattr__(crewai.Crew, "__init__", with_ours)


def _remembering(data: dict[str, Any]) -> dict[str, Any]:
    """A crew's arguments with the registered memory for ``memory=True``, and with ``external_memory=`` handled as in
    this package's ``Crew``.

    CrewAI since 1.10 would ignore ``external_memory=`` and fill a LanceDB. CrewAI until 1.9.3 would also fill a Chroma
    database.
    """
    data = remembering_there(data)
    if data.get("memory") is not True:
        return data
    default = default_memory(PersistentMemory)
    if data.get("embedder") is not None:
        logger.warning(
            "a crew's embedder= is not used for its memory: register(default=True) was called, and the store has an "
            "embedder of its own; give register(embedder=...) when it is created"
        )
    given = {name: value for name, value in data.items() if name != "memory"}
    memories = default.crew_kwargs()
    if given.get("external_memory") is None:
        given.pop("external_memory", None)
    else:
        # A third-party external memory (until 1.9.3) stays. The other memories of memory=True are stored here.
        from .contextual.companion_memories import replaced_memories

        memories.update(replaced_memories(default.storage, short_term=True))
    return {**memories, **given}

"""``register()``: this package known to CrewAI by name and in place of CrewAI's own memory, for each generation."""

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
    """What was in CrewAI before this module put something in its place."""

    storage_factory: Any = None


def register(*, default: bool = False, on_error: OnError = "warn", **options: Unpack[MemoryOptions]) -> None:
    """Make this package known to CrewAI by name. Call it once, when the program starts; again to change it.

    - CrewAI until 1.9.3: ``ExternalMemory(embedder_config={"provider": "persistent", "config": {...}})``.
    - CrewAI since 1.14.7: ``Memory(storage="persistent")`` and
      ``Memory(storage="qdrant://host:6333/collection?user_id=...")``. Other specs go where they went before.
    - In between CrewAI takes no storage by name, and a warning says so.

    Args:
        default: what CrewAI would remember in a store of its own is remembered here from now on, whatever the version:
            in every crew and agent with ``memory=True`` (in JSON projects too), in every flow, and in a ``Memory()``
            without ``storage=``. And ``external_memory=`` is to CrewAI's ``Crew`` what it is to ours. ``False``, which
            is also what it is when left out, ends that; so does :func:`unregister`.
        on_error: ``"raise"`` if a memory that fails inside a crew shall fail the crew; see :class:`PersistentMemory`.
        options: the scope, the store, the embedder and the ranking (:class:`MemoryConfig`), for what is built by
            name or by default; what is said there wins, and a store named there replaces one named here with all
            that is about that store. Left out: the environment.

    Raises:
        ConfigurationError, ScopeError: about the options.
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
    """Undo :func:`register`: CrewAI does as it did, and the memory that stood for ``memory=True`` is closed.

    Crews that were built with it can no longer remember. Idempotent.
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
        # CrewAI's external memory holds the crew that holds it, and such a crew can be neither dumped nor copied. It
        # needs the crew for nothing but this call.
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

    # One that was set after ours stays; it asks ours, which then knows no options but those of the environment.
    if factory._factory is _storage_for:
        factory.set_memory_storage_factory(_Replaced.storage_factory)
        _Replaced.storage_factory = None


def _storage_for(spec: str) -> Any:
    """CrewAI's storage factory: ours for our specs; others go to the factory that was set before."""
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
    """A crew's arguments, with ``memory=True`` meaning the registered memory, and ``external_memory=`` what it means to
    our ``Crew``: CrewAI from 1.10 on would drop it and fill a LanceDB, until 1.9.3 a Chroma beside it."""
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
        # Somebody else's, until 1.9.3: it stays, and the rest of what memory=True stands for is kept here.
        from .contextual.companion_memories import replaced_memories

        memories.update(replaced_memories(default.storage, short_term=True))
    return {**memories, **given}

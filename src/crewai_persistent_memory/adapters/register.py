"""``register()``: this package known to CrewAI by name, in each generation's own way."""

from __future__ import annotations

import difflib
import functools
import logging
import threading
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from typing_extensions import Unpack

from ..config.options import ABOUT_A_STORE, STORE_OPTIONS, MemoryConfig, MemoryOptions
from ..errors import ConfigurationError
from ..redaction import seal, sealed
from .current_run import OnError, check_on_error
from .provider_config import NAME, options_of
from .storage import PersistentStorage
from .version import STORAGE_FACTORY_SINCE, installed, is_unified

SCHEME: Final = "qdrant"
_SECRETS: Final = ("api_key", "headers")
OF_A_SPEC: Final = (
    "user_id",
    "run_id",
    "agent_id",
    "semantic_weight",
    "recency_weight",
    "importance_weight",
    "recency_half_life_days",
)
"""What a storage spec may set."""

logger = logging.getLogger("crewai_persistent_memory")

_lock = threading.Lock()


class _Registered:
    """What was registered last, for the whole process."""

    options: Mapping[str, Any] = {}
    default = False
    on_error: OnError = "warn"
    memory: Any = None
    """What stands for ``memory=True``, from its first use on."""
    asked_before_us: Any = None
    """CrewAI's storage factory that was set when ours was."""


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
    _Registered.options = dict(options)
    _Registered.default = default
    _Registered.on_error = check_on_error(on_error)
    _Registered.memory = None
    if is_unified():
        from .unified import checkpoint_restore as restored

        restored.install()
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
    with _lock:
        memory, _Registered.memory = _Registered.memory, None
        _Registered.options, _Registered.default, _Registered.on_error = {}, False, "warn"
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
    return PersistentStorage(**{"on_error": _Registered.on_error, **options_of({"provider": NAME, "config": config})})


def named_storage(external: Any) -> PersistentStorage | None:
    """The storage of ours below one of CrewAI's external memories, opened if it is there by name only; or ``None``."""
    storage, spec = getattr(external, "storage", None), getattr(external, "embedder_config", None)
    if storage is None and isinstance(spec, Mapping) and spec.get("provider") == NAME:
        storage = external.storage = external.create_storage(None, spec)
    return storage if isinstance(storage, PersistentStorage) else None


# -- CrewAI since 1.14.7 -------------------------------------------------------------------------------------------


def _register_factory() -> None:
    from crewai.memory.storage import factory

    if factory._factory is not _storage_for:
        _Registered.asked_before_us = factory._factory
        factory.set_memory_storage_factory(_storage_for)


def _unregister_factory() -> None:
    from crewai.memory.storage import factory

    # One that was set after ours stays; it asks ours, which then knows no options but those of the environment.
    if factory._factory is _storage_for:
        factory.set_memory_storage_factory(_Registered.asked_before_us)
        _Registered.asked_before_us = None


def _storage_for(spec: str) -> Any:
    """CrewAI's storage factory: ours for our specs; others go to the factory that was set before."""
    options = options_of_spec(spec)
    if options is None:
        before = _Registered.asked_before_us
        return None if before is None else before(spec)
    from .unified.storage_backend import QdrantStorageBackend

    return QdrantStorageBackend(**with_registered(options))


def options_of_spec(spec: str) -> dict[str, Any] | None:
    """The options that a storage spec means; ``None`` if it is not one of ours.

    ``persistent`` is where the options of :func:`register` or the environment say; ``qdrant://host:port/collection`` is
    a server. Both may be followed by ``?name=value&…`` with options of ``OF_A_SPEC``: whose memory it is within the
    project, and how it is ranked. What comes from a request may be in it (percent-encoded), so it names no store.

    Raises:
        ConfigurationError: the spec is ours and cannot be read, holds a secret, or an option that is not for a spec.
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


def _server_of(url: Any) -> dict[str, Any]:
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
    # CrewAI keeps the spec in the memory, and shows it.
    return ConfigurationError("a storage spec is shown in logs: set QDRANT_API_KEY, or register(api_key=...), instead")


# -- in the place of CrewAI's own ----------------------------------------------------------------------------------


def default_memory(given: Mapping[str, Any]) -> Any:
    """The memory that stands for one that CrewAI builds over a storage of its own; ``None`` if it shall build it.

    Args:
        given: what CrewAI's ``Memory`` was given.
    """
    if not _Registered.default:
        return None
    if given.get("embedder") is not None:
        logger.warning(
            "the embedder= of a memory is not used: register(default=True) was called, and the store has an embedder "
            "of its own; give register(embedder=...) when it is created"
        )
    # A copy: it is closed by unregister() and not by a crew.
    return _default().scoped()


def _default() -> Any:
    with _lock:
        if _Registered.memory is None:
            from .memory import PersistentMemory

            _Registered.memory = PersistentMemory(on_error=_Registered.on_error, **_Registered.options)
        return _Registered.memory


def _replace_default() -> None:
    import crewai

    construct = crewai.Crew.__init__
    if getattr(construct, "of_this_package", False):
        return

    @functools.wraps(construct)
    def with_ours(self: Any, /, **data: Any) -> None:
        construct(self, **(_remembering(data) if _Registered.default else data))

    with_ours.of_this_package = True  # type: ignore[attr-defined]
    type.__setattr__(crewai.Crew, "__init__", with_ours)


def _remembering(data: dict[str, Any]) -> dict[str, Any]:
    """A crew's arguments, with ``memory=True`` meaning the registered memory, and ``external_memory=`` what it means to
    our ``Crew``: CrewAI from 1.10 on would drop it and fill a LanceDB, until 1.9.3 a Chroma beside it."""
    from .crew import remembering_there

    data = remembering_there(data)
    if data.get("memory") is not True:
        return data
    default = _default()
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


def with_registered(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options given by name over the registered ones. A store that is named replaces a registered store, with all
    that is said about that one: its key is not for another server."""
    registered = _Registered.options
    if _names_a_store(options) and _names_a_store(registered):
        registered = {name: value for name, value in registered.items() if name not in ABOUT_A_STORE}
    return {**registered, **options}


def _names_a_store(options: Mapping[str, Any]) -> bool:
    return any(options.get(name) is not None for name in (*STORE_OPTIONS, "store"))

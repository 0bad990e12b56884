"""Every option, checked when it is given: keyword arguments first, then the environment, then the defaults."""

from __future__ import annotations

import difflib
import json
import logging
import os
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import platformdirs
from pydantic import Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings.exceptions import SettingsError
from typing_extensions import Unpack

from ..addresses import origin_of
from ..embedding import EMBEDDER_HELP, spec_of_name
from ..errors import ConfigurationError
from ..redaction import seal, sealed
from ..scope import SCOPE_FIELDS, Scope, ScopeBinding
from .mem0 import ExtractionOptions, Mem0Args, Mem0Options, without_key_of_another
from .qdrant import ServerArgs, ServerOptions, ServerSettings

logger = logging.getLogger("crewai_persistent_memory")

STORE_OPTIONS = ("path", "url", "host", "mem0")
"""Options that say where memories are kept; at most one may be given."""

_OF_QDRANT = (
    "embedder",
    "language",
    "semantic_weight",
    "recency_weight",
    "importance_weight",
    "recency_half_life_days",
)
"""Options that mean nothing to Mem0, which embeds and ranks by itself."""

ABOUT_A_STORE = frozenset({*STORE_OPTIONS, "fsync", *ServerOptions.model_fields, *ExtractionOptions.model_fields})
"""Options that say where memories are kept, or are about that one place."""

_IDENTITY = ("user_id", "run_id", "agent_id", "scope", "include_shared")


class MemoryOptions(ServerArgs, total=False):
    """The options as keyword arguments, for type checkers and editors; :class:`MemoryConfig` says what they mean."""

    user_id: str | None
    project_id: str | None
    run_id: str | None
    agent_id: str | None
    org_id: str | None
    scope: Scope | None
    include_shared: bool
    path: str | os.PathLike[str] | None
    fsync: Literal["always", "interval", "close"]
    embedder: Mapping[str, Any] | Callable[[list[str]], Any] | str | None
    language: str | None
    semantic_weight: float
    recency_weight: float
    importance_weight: float
    recency_half_life_days: float
    mem0: Mem0Args | None
    includes: str | None
    excludes: str | None
    custom_categories: list[Mapping[str, str]] | None


class MemoryConfig(ServerOptions, ExtractionOptions, BaseSettings):
    """The options of a memory. Unknown ones are refused. Those of a server are in :class:`ServerOptions`, those of
    Mem0 in :class:`Mem0Options` and :class:`ExtractionOptions`.

    Environment variables, read when the option is left out:

    | variable | option |
    | --- | --- |
    | ``QDRANT_URL``, ``QDRANT_API_KEY`` | ``url``, ``api_key`` |
    | ``CREWAI_MEMORY_PATH`` | ``path`` |
    | ``CREWAI_MEMORY_PROJECT_ID``, ``CREWAI_MEMORY_ORG_ID`` | ``project_id``, ``org_id`` |
    | ``CREWAI_MEMORY_FSYNC`` | ``fsync`` |
    | ``CREWAI_MEMORY_HOST``, ``CREWAI_MEMORY_COLLECTION``, ``…_TIMEOUT``, … | the server's options of these names |
    | ``CREWAI_MEMORY_EMBEDDER`` | ``embedder``: ``provider/model``, a spec as JSON, or ``keywords`` |
    | ``CREWAI_MEMORY_LANGUAGE``, ``CREWAI_MEMORY_SEMANTIC_WEIGHT``, ``…_RECENCY_WEIGHT``, ``…_IMPORTANCE_WEIGHT``, \
``…_RECENCY_HALF_LIFE_DAYS`` | the options of these names |
    | ``CREWAI_MEMORY_MEM0`` | ``mem0``: its options as JSON, ``{}`` for none; ``MEM0_API_KEY`` is the key |
    | ``CREWAI_STORAGE_DIR`` | the folder that holds the default ``path``, ``persistent-memory`` |

    Which embedder a new store gets is decided by ``embedder`` alone; without it, by keywords. A store that exists keeps
    what it was created with. No key in the environment has a say in it.

    A store given as an argument wins over one named by the environment. The environment's key and headers are sent to
    the environment's address only (the same scheme, host and port); if it names none, to the address that is given.
    There is no variable for the user, the run
    or the agent: one that is set for a whole process would quietly be everybody.
    """

    model_config = SettingsConfigDict(
        env_prefix="CREWAI_MEMORY_",
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        arbitrary_types_allowed=True,
        hide_input_in_errors=True,
    )

    # whose memory it is
    user_id: str | None = None
    project_id: str | None = None
    run_id: str | None = None
    agent_id: str | None = None
    org_id: str | None = None
    scope: Any = Field(None, description="A whole Scope, in place of the single fields.")
    include_shared: bool = Field(False, description="Reads also see the project's shared memory.")

    # where it is kept
    path: Path | None = None
    fsync: Literal["always", "interval", "close"] = Field(
        "interval", description="When writes reach the disk: before they return, within a second, or at close."
    )

    mem0: Mem0Options | None = None

    # how it is found
    embedder: Annotated[Mapping[str, Any] | Callable[..., Any] | None, NoDecode] = Field(None, repr=False, exclude=True)
    language: str | None = Field(None, description="Stop words and stemming of keywords; 'none' for neither.")
    semantic_weight: float = Field(0.7, ge=0, le=1)
    recency_weight: float = Field(0.2, ge=0, le=1)
    importance_weight: float = Field(0.1, ge=0, le=1)
    recency_half_life_days: float = Field(30.0, gt=0)

    @classmethod
    def build(cls, **options: Unpack[MemoryOptions]) -> MemoryConfig:
        """Check the options and fill in the environment.

        Raises:
            ConfigurationError: an option is unknown or malformed, or two stores are configured.
            InvalidScopeError, ScopeConflictError: about the scope fields.
        """
        seal(options)
        refuse_unknown(options, set(cls.model_fields), "option")
        if isinstance(options.get("mem0"), Mapping):
            refuse_unknown(cast(Mapping[str, Any], options["mem0"]), set(Mem0Options.model_fields), "key of mem0")
        # None is "left out" (an unset variable, say), but for the embedder, where it means keywords only.
        left = {name: value for name, value in options.items() if value is not None or name == "embedder"}
        options = cast(MemoryOptions, left)
        given = [name for name in STORE_OPTIONS if name in options]
        if len(given) > 1:
            raise ConfigurationError(f"{' and '.join(given)} are both given: a memory has one store, leave one out")
        if given:
            options = cast(MemoryOptions, {**dict.fromkeys(STORE_OPTIONS), **options})
        try:
            config = cls(**cast(dict[str, Any], options))
        except (ValidationError, SettingsError) as error:
            raise ConfigurationError(_explain(error)) from None
        named = {
            "path": "CREWAI_MEMORY_PATH",
            "url": "QDRANT_URL",
            "host": "CREWAI_MEMORY_HOST",
            "mem0": "CREWAI_MEMORY_MEM0",
        }
        found = [variable for name, variable in named.items() if getattr(config, name) is not None]
        if len(found) > 1:
            raise ConfigurationError(
                f"{' and '.join(found)} are both set: a memory has one store, unset one of them or pass path= or url="
            )
        config._refuse_the_other_stores_options(options)
        config = config._without_keys_of_another(options)
        # A Scope wins over a project set by the environment, but not silently over one given beside it.
        given_fields = {n: v for n, v in cast(dict[str, Any], options).items() if n in SCOPE_FIELDS}
        ScopeBinding.of(options.get("scope"), **given_fields)
        config.binding()
        return config

    def _without_keys_of_another(self, options: MemoryOptions) -> MemoryConfig:
        """This configuration without the environment's key and headers, if they are for another server than this."""
        if self.server is None or not ("url" in options or "host" in options):
            return self
        names = ("api_key", "headers")
        inherited = [name for name in names if name not in options and getattr(self, name) is not None]
        if not inherited:
            return self
        try:
            theirs = type(self)(**cast(dict[str, Any], {})).server
        except (ValidationError, SettingsError, ConfigurationError):
            # An environment that cannot be read by itself names no server that is known to be this one.
            where = "another address"
        else:
            if theirs is None or set(map(origin_of, self.server.urls)) <= set(map(origin_of, theirs.urls)):
                # An environment with a key and no address leaves the address to the program.
                return self
            where = theirs.where
        variables = {"api_key": "QDRANT_API_KEY", "headers": "CREWAI_MEMORY_HEADERS"}
        logger.warning(
            "%s of the environment is not sent to %s, because it belongs to %s: give %s for this one",
            " and ".join(variables[name] for name in inherited),
            self.server.where,
            where,
            " and ".join(f"{name}=" for name in inherited),
        )
        without: dict[str, Any] = {**dict.fromkeys(STORE_OPTIONS), **options, **dict.fromkeys(inherited)}
        return type(self)(**without)

    def _refuse_the_other_stores_options(self, options: MemoryOptions) -> None:
        """An argument that the store cannot honour is a mistake; the environment may hold what another one needs."""
        given = {name for name, value in options.items() if value is not None}
        if self.mem0 is not None:
            foreign = given & {*ServerOptions.model_fields, *_OF_QDRANT, "fsync"}
            if foreign:
                raise ConfigurationError(
                    f"{', '.join(sorted(foreign))} is of a Qdrant store, and Mem0 was asked for: leave it out (Mem0 "
                    "embeds and ranks by itself; its own options go into mem0={...})"
                )
            return
        foreign = given & set(ExtractionOptions.model_fields)
        if foreign:
            raise ConfigurationError(
                f"{', '.join(sorted(foreign))} is for Mem0's extraction, and this store is Qdrant: give mem0=, or "
                "leave it out"
            )
        if self.server is None:
            foreign = given & set(ServerOptions.model_fields)
            if foreign:
                raise ConfigurationError(
                    f"{', '.join(sorted(foreign))} is of a Qdrant server, and this store is embedded: give url= "
                    "(or host=, or QDRANT_URL), or leave it out"
                )
        elif "fsync" in given:
            raise ConfigurationError("fsync is of an embedded store (path=): leave it out, a server decides itself")

    @field_validator("path", mode="before")
    @classmethod
    def _read_path(cls, value: Any) -> Any:
        if isinstance(value, str) and not value.strip():  # as of an unset variable; it would be the current folder
            raise ValueError("is blank: give the store's folder, or leave it out")
        return value

    @field_validator("embedder", mode="before")
    @classmethod
    def _read_embedder(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if value == "keywords":
            return None
        if not value.lstrip().startswith("{"):
            try:
                return spec_of_name(value)
            except ConfigurationError as error:
                raise ValueError(str(error)) from None
        try:
            return json.loads(value)
        except ValueError:
            raise ValueError(f"{EMBEDDER_HELP}; a spec in the environment is JSON") from None

    @field_validator("embedder", "headers")
    @classmethod
    def _seal(cls, value: Any) -> Any:
        return sealed(value)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (_GivenAndEnvironment(settings_cls, init_settings),)

    def binding(self) -> ScopeBinding:
        """The scope fields that are fixed."""
        fields: dict[str, Any] = {"user_id": self.user_id, "run_id": self.run_id, "agent_id": self.agent_id}
        if self.scope is not None:
            return ScopeBinding.of(self.scope, **fields)
        return ScopeBinding.of(**fields, project_id=self.project_id, org_id=self.org_id)

    @property
    def store_path(self) -> Path:
        """Where an embedded store is kept."""
        return self.path if self.path is not None else default_path()

    @cached_property
    def server(self) -> ServerSettings | None:
        """The server's settings; ``None`` for an embedded store."""
        return None if self.url is None and self.host is None else ServerSettings.of(self)

    @property
    def embedder_given(self) -> bool:
        return "embedder" in self.model_fields_set


class _GivenAndEnvironment(EnvSettingsSource):
    """Arguments over the environment, and of the environment what may hold for a whole process: never who is asking.

    Both by the names of the options: versions of pydantic-settings differ in whether an argument, or a variable, comes
    by its alias, and one that came by both would be refused.
    """

    def __init__(self, settings_cls: type[BaseSettings], given: PydanticBaseSettingsSource) -> None:
        super().__init__(settings_cls)
        self._given = given

    def __call__(self) -> dict[str, Any]:
        names = {
            field.validation_alias: name
            for name, field in self.settings_cls.model_fields.items()
            if isinstance(field.validation_alias, str)
        }
        environment, given = (
            {names.get(key, key): value for key, value in source().items()}
            for source in (super().__call__, self._given)
        )
        values = {name: value for name, value in environment.items() if name not in _IDENTITY}
        for name, value in given.items():
            both = isinstance(value, Mapping) and isinstance(values.get(name), Mapping)
            if both and name == "mem0":
                values[name] = without_key_of_another(values[name], value)
            values[name] = {**values[name], **value} if both else value
        return values


def default_path() -> Path:
    """``$CREWAI_STORAGE_DIR/persistent-memory``, else ``persistent-memory`` in the platform's data folder.

    A relative ``CREWAI_STORAGE_DIR`` is, as CrewAI takes it, a name inside the platform's data folder.
    """
    folder = os.environ.get("CREWAI_STORAGE_DIR")
    if folder:
        return Path(platformdirs.user_data_dir(), folder, "persistent-memory")
    return Path(platformdirs.user_data_dir("crewai-persistent-memory", appauthor=False), "persistent-memory")


def refuse_unknown(given: Mapping[str, Any], known: set[str], what: str) -> None:
    """Raise for the first key that is not known, with the one that was probably meant.

    Raises:
        ConfigurationError: an unknown key.
    """
    for key in given:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(sorted(known))}"
            raise ConfigurationError(f"unknown {what} {key!r}: {hint}")


def _explain(error: ValidationError | SettingsError) -> str:
    if isinstance(error, SettingsError):
        return f"an environment variable cannot be read: {error}"
    problems = [f"{_where(e['loc'])}: {e['msg']}" for e in error.errors()]
    return "; ".join(dict.fromkeys(problems))


def _where(location: tuple[int | str, ...]) -> str:
    names = {"QDRANT_URL": "url", "QDRANT_API_KEY": "api_key"}
    depth = 2 if location[:1] in (("collection_settings",), ("mem0",)) else 1
    return ".".join(names.get(str(part), str(part)) for part in location[:depth]) or "options"

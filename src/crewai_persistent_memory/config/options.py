"""The options of a memory: which there are, and which store they mean."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, Field, PlainSerializer, PrivateAttr, ValidationError, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError
from typing_extensions import Unpack

from ..addresses import origin_of
from ..errors import ConfigurationError
from ..expiry import ExpiryRules, expiry_rules
from ..ranking import LONGEST_HALF_LIFE, SHORTEST_HALF_LIFE, RankingWeights
from ..redaction import seal, sealed
from ..scope import SCOPE_FIELDS, ScopeBinding
from . import Accepts
from .arguments import MemoryOptions
from .contradictions import refuse_options_of_other_stores
from .corrections import CorrectionOptions
from .environment import PREFIX, Settings, default_path, explain, refuse_unknown, variable_of
from .mem0 import ExtractionOptions, Mem0Options
from .outbox import OutboxOptions
from .qdrant import ServerOptions, ServerSettings
from .recall import RecallOptions
from .values import read_embedder, read_filter_fields, read_path, read_run_ttl, read_ttl, ttl_in_seconds

logger = logging.getLogger("crewai_persistent_memory")

STORE_OPTIONS = ("path", "url", "host", "mem0")
"""Options that say where memories are kept; at most one may be given."""

ABOUT_A_STORE = frozenset({*STORE_OPTIONS, "fsync", *ServerOptions.model_fields, *ExtractionOptions.model_fields})
"""Options that say where memories are kept, or are about that one place."""


class MemoryConfig(ServerOptions, ExtractionOptions, RecallOptions, OutboxOptions, CorrectionOptions, Settings):
    """The options of a memory. An unknown option is refused. The options of a server are in :class:`ServerOptions`,
    those of Mem0 in :class:`Mem0Options` and :class:`ExtractionOptions`, those of a recall in :class:`RecallOptions`,
    those of an outbox in :class:`OutboxOptions`, those of undo and history in :class:`CorrectionOptions`.

    Environment variables, read when the option is left out:

    | variable | option |
    | --- | --- |
    | ``QDRANT_URL``, ``QDRANT_API_KEY`` | ``url``, ``api_key`` |
    | ``CREWAI_MEMORY_PATH`` | ``path`` |
    | ``CREWAI_MEMORY_PROJECT_ID``, ``CREWAI_MEMORY_ORG_ID`` | ``project_id``, ``org_id`` |
    | ``CREWAI_MEMORY_TTL``, ``CREWAI_MEMORY_RUN_TTL`` | ``ttl``, ``run_ttl``: seconds; ``ttl`` also as JSON by kind |
    | ``CREWAI_MEMORY_UNDO_FOR``, ``CREWAI_MEMORY_HISTORY`` | ``undo_for`` in seconds, ``history`` |
    | ``CREWAI_MEMORY_FSYNC`` | ``fsync`` |
    | ``CREWAI_MEMORY_HOST``, ``CREWAI_MEMORY_COLLECTION``, ``…_TIMEOUT``, … | the server's options of these names |
    | ``CREWAI_MEMORY_EMBEDDER`` | ``embedder``: ``local``, ``provider/model``, a spec as JSON, or ``keywords`` |
    | ``CREWAI_MEMORY_LANGUAGE``, ``CREWAI_MEMORY_SEMANTIC_WEIGHT``, ``…_RECENCY_WEIGHT``, ``…_IMPORTANCE_WEIGHT``, \
``…_RECENCY_HALF_LIFE_DAYS`` | the options of these names |
    | ``CREWAI_MEMORY_RECALL_BUDGET``, ``…_MIN_SCORE``, ``…_RERANKER``, ``…_RERANKER_TIMEOUT`` | the same names |
    | ``CREWAI_MEMORY_DURABILITY``, ``…_OUTBOX_PATH``, ``…_OUTBOX_MAX_MB``, ``…_RECALL_TIMEOUT``, ``…_EXIT_WAIT`` | \
the options of these names |
    | ``CREWAI_MEMORY_MEM0`` | ``mem0``: its options as JSON, ``{}`` for none; ``MEM0_API_KEY`` is the key |
    | ``CREWAI_STORAGE_DIR`` | the folder that holds the default ``path``, ``persistent-memory`` |

    ``embedder`` alone decides which embedder a new store gets; without it the store goes by keywords. An existing store
    keeps the embedder that it was created with. A provider's key in the environment decides nothing.

    A store given as an argument wins over one named by the environment. The environment's key and headers are sent to
    the environment's address only (the same scheme, host and port); if it names none, to the address that is given.
    There is no variable for the user, the run or the agent: a variable is set for a whole process, and all requests
    would be that user's. There is none for ``filter_fields`` either, which are functions; for the same reason a
    checkpoint of CrewAI does not hold them.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        arbitrary_types_allowed=True,
        hide_input_in_errors=True,
    )

    # whose memory it is
    user_id: str | None = Field(None, description="The user. Fixed here, or set for each request by use_scope.")
    project_id: str | None = Field(None, description="The project or deployment stage. Default: 'default'.")
    run_id: str | None = Field(None, description="One run or session.")
    agent_id: str | None = Field(None, description="One agent.")
    org_id: str | None = Field(None, description="The organisation.")
    scope: Annotated[Any, Accepts("Scope | None")] = Field(
        None, description="A whole Scope, in place of the single fields."
    )
    include_shared: bool = Field(False, description="Reads also see the project's shared memory.")

    # how long it is kept
    ttl: Annotated[
        timedelta | Mapping[str, timedelta] | None,
        NoDecode,
        BeforeValidator(read_ttl),
        PlainSerializer(ttl_in_seconds, when_used="json"),
        Accepts("timedelta | float | Mapping[str, timedelta | float] | None"),
    ] = Field(
        None,
        description="Entries expire so long after they are saved: a timedelta or seconds, or a dict of them by kind.",
    )
    run_ttl: Annotated[
        timedelta | None,
        BeforeValidator(read_run_ttl),
        PlainSerializer(ttl_in_seconds, when_used="json"),
        Accepts("timedelta | float | None"),
    ] = Field(None, description="The same, for entries of a run (run_id); it goes before a ttl for all kinds.")

    # where it is kept
    path: Annotated[Path | None, BeforeValidator(read_path)] = Field(None, description="Folder of an embedded store.")
    fsync: Literal["always", "interval", "close"] = Field(
        "interval", description="When writes reach the disk: before they return, within a second, or at close."
    )
    mem0: Mem0Options | None = Field(None, description="Keep memories in Mem0: a dict of its options, {} for none.")

    # how it is found
    embedder: Annotated[
        Mapping[str, Any] | Callable[..., Any] | None,
        NoDecode,
        BeforeValidator(read_embedder),
        Accepts("Mapping[str, Any] | Callable[[list[str]], Any] | str | None"),
    ] = Field(
        None,
        repr=False,
        exclude=True,
        description="'local', 'provider/model', a spec {'provider': ..., ...}, a function, or None: keywords only.",
    )
    language: str | None = Field(None, description="Stop words and stemming of keywords; 'none' for neither.")
    semantic_weight: float = Field(
        RankingWeights.semantic, ge=0, le=1, description="Weight of relevance; see RankingWeights."
    )
    recency_weight: float = Field(RankingWeights.recency, ge=0, le=1, description="Weight of an entry's age.")
    importance_weight: float = Field(
        RankingWeights.importance, ge=0, le=1, description="Weight of an entry's importance."
    )
    recency_half_life_days: float = Field(
        RankingWeights.half_life_days,
        ge=SHORTEST_HALF_LIFE,
        le=LONGEST_HALF_LIFE,
        description="Days after which the weight of the age has halved.",
    )

    filter_fields: Annotated[
        tuple[Any, ...], NoDecode, BeforeValidator(read_filter_fields), Accepts("Sequence[FilterField]")
    ] = Field((), repr=False, exclude=True, description="Fields of your own that reads can filter by; see FilterField.")

    _arguments: frozenset[str] = PrivateAttr(frozenset())

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
        arguments: dict[str, Any] = {n: v for n, v in options.items() if v is not None or n == "embedder"}
        stores = [name for name in STORE_OPTIONS if name in arguments]
        if len(stores) > 1:
            raise ConfigurationError(f"{' and '.join(stores)} are both given: a memory has one store, leave one out")
        if stores:
            # A store that is given replaces the one that the environment names.
            arguments = {**dict.fromkeys(STORE_OPTIONS), **arguments}
        try:
            config = cls._from(arguments)
        except (ValidationError, SettingsError) as error:
            raise ConfigurationError(explain(error, cls)) from None
        config._refuse_two_stores()
        config._refuse_options_of_other_stores()
        config = config._without_keys_of_another(arguments)
        # A Scope wins over a project set by the environment, but not silently over one given beside it.
        ScopeBinding.of(arguments.get("scope"), **{n: v for n, v in arguments.items() if n in SCOPE_FIELDS})
        config.binding()
        return config

    @classmethod
    def _from(cls, arguments: Mapping[str, Any]) -> MemoryConfig:
        config = cls(**arguments)
        config._arguments = frozenset(n for n, v in arguments.items() if v is not None or n == "embedder")
        return config

    def changed(self, **values: Any) -> MemoryConfig:
        """A copy with other values, which are taken as they are."""
        other = self.model_copy(update=values)
        other.__dict__.pop("server", None)  # computed from the values
        return other

    def source_of(self, option: str) -> str:
        """Where the value of an option comes from: ``"argument"``, the name of a variable, or ``"default"``."""
        if option in self._arguments:
            return "argument"
        if option in self.model_fields_set and (option == "embedder" or getattr(self, option) is not None):
            return variable_of(type(self), option)
        return "default"

    @property
    def has_outbox(self) -> bool:
        """Whether writes go through an outbox. By default they do if the store is not in this process.

        Mem0 OSS counts as such a store wherever its vectors are: its LLM, which may be slow or away, reads each text.
        """
        if self.durability is not None:
            return self.durability == "outbox"
        return any(value is not None for value in (self.mem0, self.url, self.host))

    def _name_of(self, option: str) -> str:
        """An option as it was given: its variable's name if it is from the environment."""
        return option if option in self._arguments else self.source_of(option)

    def _refuse_two_stores(self) -> None:
        """Arguments name one store at most; the environment may name several."""
        found = [self.source_of(name) for name in STORE_OPTIONS if getattr(self, name) is not None]
        if len(found) > 1:
            raise ConfigurationError(
                f"{' and '.join(found)} are both set: a memory has one store, unset one of them or pass path= or url="
            )

    def _without_keys_of_another(self, arguments: Mapping[str, Any]) -> MemoryConfig:
        """This configuration without the environment's key and headers, if they belong to another server."""
        if self.server is None or not self._arguments & {"url", "host"}:
            return self
        names = ("api_key", "headers")
        inherited = [name for name in names if name not in self._arguments and getattr(self, name) is not None]
        if not inherited:
            return self
        try:
            theirs = self._from({}).server
        except (ValidationError, SettingsError, ConfigurationError):
            # The environment alone cannot be read, so it is not known to name this server.
            address = "another address"
        else:
            if theirs is None or set(map(origin_of, self.server.urls)) <= set(map(origin_of, theirs.urls)):
                # An environment with a key and no address leaves the address to the program.
                return self
            address = theirs.address
        logger.warning(
            "%s of the environment is not sent to %s, because it belongs to %s: give %s for this one",
            " and ".join(map(self.source_of, inherited)),
            self.server.address,
            address,
            " and ".join(f"{name}=" for name in inherited),
        )
        return self._from({**arguments, **dict.fromkeys(inherited)})

    def _refuse_options_of_other_stores(self) -> None:
        """Refuse arguments that mean nothing to this store. The environment may hold options of other stores."""
        refuse_options_of_other_stores(
            {name for name in self._arguments if name != "embedder" or self.embedder is not None},
            "mem0" if self.mem0 is not None else "embedded" if self.server is None else "server",
            has_outbox=self.has_outbox,
            without_outbox_by=None if self.durability is None else self._name_of("durability"),
        )

    @field_validator("embedder", "headers")
    @classmethod
    def _seal(cls, value: Any) -> Any:
        return sealed(value)

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

    @property
    def outbox_folder(self) -> Path:
        """Where outboxes are kept."""
        return self.outbox_path or default_path().with_name("persistent-memory-outbox")

    @property
    def waits_at_exit(self) -> float:
        """Seconds that closing waits for delivery. The LLM of Mem0 OSS is called by this process, which takes time."""
        if self.exit_wait is not None:
            return self.exit_wait
        return 30.0 if self.mem0 is not None and self.mem0.local_mem0_config is not None else 2.0

    @cached_property
    def server(self) -> ServerSettings | None:
        """The server's settings; ``None`` for an embedded store."""
        return None if self.url is None and self.host is None else ServerSettings.of(self)

    @property
    def weights(self) -> RankingWeights:
        """How results are ranked."""
        return RankingWeights(
            self.semantic_weight, self.recency_weight, self.importance_weight, self.recency_half_life_days
        )

    @property
    def expiry(self) -> ExpiryRules:
        """When entries expire that say nothing of it themselves."""
        return expiry_rules(self.ttl, self.run_ttl)

    @property
    def embedder_given(self) -> bool:
        """Whether an argument or the environment says which embedder, if only that there is none."""
        return "embedder" in self.model_fields_set

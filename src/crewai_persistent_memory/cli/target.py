"""The options that name a store and a scope, and opening that store. A command that reads never creates one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar, get_type_hints

import typer

from ..errors import ConfigurationError, EmbedderMismatchError, EmbedderUnavailableError, StoreMissingError
from ..scope import DEFAULT_PROJECT, Scope
from .output import note

if TYPE_CHECKING:
    from ..config.arguments import MemoryOptions
    from ..config.options import MemoryConfig
    from ..store.base import MemoryStore

T = TypeVar("T")


@dataclass(frozen=True)
class Target:
    """A store, and a scope in it. Each field is an option of the commands that take it; see :func:`takes_target`."""

    user: Annotated[str | None, typer.Option("--user", "-u", help="Whose memory. Required, unless --shared.")] = None
    project: Annotated[str | None, typer.Option("--project", "-p", help="Project or stage, such as staging.")] = None
    run: Annotated[str | None, typer.Option("--run", help="One run or session; seen in that run only.")] = None
    agent: Annotated[str | None, typer.Option("--agent", help="One agent; seen by that agent only.")] = None
    org: Annotated[str | None, typer.Option("--org", help="Organisation.")] = None
    shared: Annotated[
        bool, typer.Option("--shared", help="The project's shared memory; with --user, reads include it as well.")
    ] = False
    path: Annotated[
        str | None, typer.Option("--path", help="Folder of the store. Default: CREWAI_MEMORY_PATH, or the data folder.")
    ] = None
    url: Annotated[str | None, typer.Option("--url", help="Address of a Qdrant server. Default: QDRANT_URL.")] = None
    collection: Annotated[str | None, typer.Option("--collection", help="Collection on the server.")] = None

    @property
    def store(self) -> MemoryOptions:
        """The options that name the store. The environment fills in the others.

        Raises:
            ConfigurationError: one is empty, as in ``--path "$UNSET"``, which would mean the current folder.
        """
        for option in ("path", "url", "collection"):
            if getattr(self, option) is not None and not getattr(self, option).strip():
                raise ConfigurationError(f"--{option} is empty: leave it out, or give a value")
        given = {"path": self.path, "url": self.url, "collection": self.collection, "project_id": self.project}
        options: Any = {name: value for name, value in given.items() if value is not None}
        return options  # type: ignore[no-any-return]

    @property
    def scope_fields(self) -> dict[str, str]:
        """The scope fields that are given, for commands across scopes."""
        given = {
            "org_id": self.org,
            "project_id": self.project,
            "user_id": self.user,
            "run_id": self.run,
            "agent_id": self.agent,
        }
        return {name: value for name, value in given.items() if value is not None}

    @property
    def scope_named(self) -> str:
        """The same, for a message."""
        return " ".join(f"{name}={value}" for name, value in self.scope_fields.items())

    def config(self, *, writing: bool) -> MemoryConfig:
        """The configuration of a store that is bound to this scope.

        Args:
            writing: the command changes memories, so it needs exactly one scope.

        Raises:
            ConfigurationError: no scope is given, or two are given and the command changes memories.
            ScopeError: a scope field is malformed.
        """
        from ..config.options import MemoryConfig

        if self.user is None and not self.shared:
            raise ConfigurationError("whose memory? Give --user NAME, or --shared for the project's")
        if self.user is not None and self.shared and writing:
            raise ConfigurationError("--user and --shared are both given: this changes one memory, leave one out")
        options = self.store
        if self.user is None:
            options.pop("project_id", None)
            deployment = MemoryConfig.build()
            options["scope"] = Scope.shared(
                self.project or deployment.project_id or DEFAULT_PROJECT,
                run_id=self.run,
                agent_id=self.agent,
                org_id=self.org or deployment.org_id,
            )
        else:
            options.update({"user_id": self.user, "run_id": self.run, "agent_id": self.agent})
            options["include_shared"] = self.shared
            if self.org is not None:
                options["org_id"] = self.org
        return MemoryConfig.build(**options)


FLUSHED_WITHIN: Final = 2.0
"""Seconds that a command waits until the store has what it wrote."""

NAMES_A_STORE: Final = ("project", "path", "url", "collection")
"""The options of commands that are about a whole store."""


def takes_target(only: Collection[str] | None = None) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Give a command, whose first parameter is a :class:`Target`, the options of its fields in that parameter's place.

    Args:
        only: the fields; left out: all of them.
    """
    options = [option for option in fields(Target) if only is None or option.name in only]
    annotations = get_type_hints(Target, include_extras=True, localns={"MemoryOptions": Any, "MemoryConfig": Any})
    of_target = [
        inspect.Parameter(
            option.name, inspect.Parameter.KEYWORD_ONLY, default=option.default, annotation=annotations[option.name]
        )
        for option in options
    ]

    def decorate(command: Callable[..., T]) -> Callable[..., T]:
        signature = inspect.signature(command)
        hints = get_type_hints(command, include_extras=True)
        own = [
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[parameter.name])
            for parameter in list(signature.parameters.values())[1:]
        ]

        @wraps(command)
        def with_options(**given: Any) -> T:
            target = Target(**{option.name: given.pop(option.name) for option in options})
            return command(target, **given)

        parameters = [*own, *of_target]
        with_options.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        with_options.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": hints.get("return")}
        return with_options

    return decorate


@contextmanager
def opened(config: MemoryConfig, *, by_words: bool, existing: bool, writing: bool = False) -> Iterator[MemoryStore]:
    """The store of a configuration, for one command.

    A command uses the outbox of this host, if there is one: it sees what waits, and its writes keep their order with
    those of the application. It makes none. Without one the command waits for the store.

    Args:
        config: from :meth:`Target.config`.
        by_words: open it without its embedder, which listing and deleting do not need.
        existing: do not create a store.
        writing: the command changes memories. One that only reads does without an outbox that cannot be used.

    Raises:
        ConfigurationError: there is an outbox that cannot be used, and ``writing`` is set.
        StoreMissingError: there is no store, and ``existing`` is set.
    """
    from ..store.factory import OutboxUse, open_configured

    try:
        outbox: OutboxUse = "if there" if writing else "if usable"
        with open_configured(config, by_words=by_words, existing=existing, outbox=outbox) as store:
            yield store
            if writing and not _is_delivered(store, config):
                note("accepted, and not in the store yet: it waits in this host's outbox (crewai-memory outbox status)")
    except StoreMissingError as error:
        if not existing or config.server is None:
            raise StoreMissingError(f"{error}. Check --path, or remember something first") from error
        raise StoreMissingError(
            f"there is no memory at {config.server.address}, collection {config.collection!r}: check --url and "
            "--collection, or remember something first"
        ) from error


def _is_delivered(store: MemoryStore, config: MemoryConfig) -> bool:
    """Whether the store has what a command wrote, after a while."""
    if config.user_id is None and config.scope is None:  # it wrote for several users
        return not store.health().get("outbox", {}).get("writes")
    return not store.pending() or store.flush(FLUSHED_WITHIN)


def with_its_embedder(
    config: MemoryConfig, work: Callable[[MemoryStore], T], *, existing: bool, instead: str, writing: bool = False
) -> T:
    """Do ``work`` with the store's own embedder, or by words if this process does not have that embedder.

    An embedder that is a function exists in the application only.

    Args:
        config: from :meth:`Target.config`.
        work: what to do with the open store.
        existing: do not create a store.
        instead: how the work is done by words, for the note on stderr.
        writing: the work changes memories.
    """
    try:
        with opened(config, by_words=False, existing=existing, writing=writing) as store:
            return work(store)
    except (EmbedderUnavailableError, EmbedderMismatchError) as error:
        if config.embedder_given:
            raise
        reason = error
    note(f"{instead}: {reason}")
    with opened(config, by_words=True, existing=existing, writing=writing) as store:
        return work(store)

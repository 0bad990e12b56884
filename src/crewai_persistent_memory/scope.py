"""The scope (the owner of memories), the visibility rule, and the resolution of a call's scope."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from .block_variable import BlockVariable
from .errors import InvalidArgumentError, InvalidScopeError, MissingScopeError, ScopeConflictError

MAX_FIELD_LENGTH = 255
"""Longest scope field, in characters."""

DEFAULT_PROJECT = "default"
SCOPE_FIELDS = ("user_id", "project_id", "run_id", "agent_id", "org_id")


_UNSEEN_AT_ENDS: Final = ("Cc", "Cf", "Zl", "Zp", "Zs")
"""Unicode categories of control, format and blank characters. An id with one at an end looks like another."""


def check_field(name: str, value: object) -> str:
    """Check one scope field, and return it unchanged. Ids are compared, so they are never trimmed or case-folded.

    Raises:
        InvalidScopeError: not text, blank, longer than 255 characters, with control characters, or with an invisible
            character at an end.
    """
    if not isinstance(value, str):
        raise InvalidScopeError(f"{name} must be text, got {type(value).__name__}: pass str({name})")
    if not value.strip():
        raise InvalidScopeError(f"{name} is blank: give a non-empty {name}, or leave it out")
    if len(value) > MAX_FIELD_LENGTH:
        raise InvalidScopeError(
            f"{name} has {len(value)} characters, at most {MAX_FIELD_LENGTH} are allowed: shorten or hash it"
        )
    # Cc: control characters; Cs: unpaired surrogates, which no engine can store as UTF-8.
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in value):
        raise InvalidScopeError(f"{name} contains a control character: remove it")
    for end in (value[0], value[-1]):
        if end.isspace() or unicodedata.category(end) in _UNSEEN_AT_ENDS:
            raise InvalidScopeError(
                f"{name} {value!r} begins or ends with the unseen character U+{ord(end):04X}: remove it where the id "
                "is read. It is not removed here, because two different ids must not become one"
            )
    return value


def check_fields(fields: Mapping[str, object]) -> None:
    """Check the fields that name many scopes; ``None`` stands for scopes without the field.

    Raises:
        InvalidArgumentError: a name that no scope has. It would match nothing, or everything.
        InvalidScopeError: a value that no entry can have; see :func:`check_field`.
    """
    if unknown := fields.keys() - set(SCOPE_FIELDS):
        raise InvalidArgumentError(f"{', '.join(sorted(unknown))}: a scope has {', '.join(SCOPE_FIELDS)}")
    for name, value in fields.items():
        if value is not None:
            check_field(name, value)


@dataclass(frozen=True)
class Scope:
    """The owner of memories. Equal scopes see the same memories.

    Args:
        user_id: the user. Required. For memory that a team shares, see :meth:`Scope.shared`.
        project_id: the project or deployment stage (``"staging"``, ``"production"``).
        run_id: one run or session. An entry stored with a run is visible only in that run.
        agent_id: one agent. An entry stored with an agent is visible only to that agent.
        org_id: the organisation.

    Raises:
        MissingScopeError: ``user_id`` is ``None``.
        InvalidScopeError: a field is blank, too long (255 characters), not text, or has control characters.
    """

    user_id: str | None
    project_id: str = DEFAULT_PROJECT
    run_id: str | None = None
    agent_id: str | None = None
    org_id: str | None = None

    def __post_init__(self) -> None:
        if self.user_id is None:
            raise MissingScopeError(
                "user_id is missing: pass user_id=..., or ask for a team's memory with Scope.shared(project_id=...)"
            )
        self._check()

    def _check(self) -> None:
        for name in SCOPE_FIELDS:
            value = getattr(self, name)
            if value is not None or name == "project_id":
                check_field(name, value)

    @classmethod
    def shared(
        cls,
        project_id: str = DEFAULT_PROJECT,
        *,
        run_id: str | None = None,
        agent_id: str | None = None,
        org_id: str | None = None,
    ) -> Scope:
        """The memory that everyone in a project shares. It belongs to no user."""
        scope = cls.trusted(None, project_id, run_id, agent_id, org_id)
        scope._check()
        return scope

    @classmethod
    def trusted(
        cls, user_id: str | None, project_id: str, run_id: str | None, agent_id: str | None, org_id: str | None
    ) -> Scope:
        """A scope read back from a store, whose fields were checked when it was written (hot path)."""
        scope = object.__new__(cls)
        scope.__dict__.update(user_id=user_id, project_id=project_id, run_id=run_id, agent_id=agent_id, org_id=org_id)
        return scope

    @property
    def is_shared(self) -> bool:
        """True for memory that belongs to the project and not to a user."""
        return self.user_id is None

    def __str__(self) -> str:
        fields = [f"{name}={getattr(self, name)}" for name in SCOPE_FIELDS if getattr(self, name) is not None]
        return " ".join((["shared"] if self.is_shared else []) + fields)


def has_fields(scope: Mapping[str, object], fields: Mapping[str, str | None]) -> bool:
    """Whether a scope, as a mapping, has these values; ``None`` for a field that is unset."""
    return all(scope.get(name) == value for name, value in fields.items())


def visible(owner: Scope, reader: Scope, *, include_shared: bool = False) -> bool:
    """The visibility rule. No other code decides it.

    An entry is visible when its organisation, project and user are equal to the reader's, and its run and its
    agent are each unset or equal to the reader's.

    Args:
        owner: the scope the entry was stored in.
        reader: the scope of the call.
        include_shared: whether a *read* includes the project's shared memory. Never set for a write.
    """
    return (
        owner.org_id == reader.org_id
        and owner.project_id == reader.project_id
        and (owner.user_id == reader.user_id or (include_shared and owner.user_id is None))
        and owner.run_id in (None, reader.run_id)
        and owner.agent_id in (None, reader.agent_id)
    )


def owners_visible_to(reader: Scope, *, include_shared: bool) -> list[Scope]:
    """Every scope whose entries the reader can see, the most specific first: the inverse of :func:`visible`."""
    users = [reader.user_id] + ([None] if include_shared and reader.user_id is not None else [])
    runs = [reader.run_id] + ([None] if reader.run_id is not None else [])
    agents = [reader.agent_id] + ([None] if reader.agent_id is not None else [])
    return [
        Scope.trusted(user, reader.project_id, run, agent, reader.org_id)
        for user in users
        for run in runs
        for agent in agents
    ]


@dataclass(frozen=True)
class ScopeBinding:
    """The scope fields fixed at construction; :meth:`resolve` fills the rest from ``use_scope`` at every call.

    A binding never widens: :meth:`narrow` and ``use_scope`` may add fields, never change one that is fixed.
    """

    user_id: str | None = None
    project_id: str | None = None
    run_id: str | None = None
    agent_id: str | None = None
    org_id: str | None = None
    is_shared: bool = False

    @classmethod
    def of(cls, scope: Scope | None = None, **fields: str | None) -> ScopeBinding:
        """Check and fix the given fields.

        Raises:
            InvalidScopeError: a field is malformed.
            ScopeConflictError: ``scope`` and a single field are both given.
        """
        given: dict[str, Any] = {name: check_field(name, value) for name, value in fields.items() if value is not None}
        if scope is None:
            return cls(**given)
        if not isinstance(scope, Scope):
            raise InvalidScopeError(f"scope must be a Scope, got {type(scope).__name__}: use Scope(user_id=...)")
        if given:
            raise ScopeConflictError(f"scope= and {', '.join(given)}= are both given: put everything into the Scope")
        values = {name: getattr(scope, name) for name in SCOPE_FIELDS}
        return cls(**values, is_shared=scope.is_shared)

    def narrow(self, scope: Scope | None = None, **fields: str | None) -> ScopeBinding:
        """This binding with more fields fixed.

        Raises:
            ScopeConflictError: a field that is already fixed is given another value.
        """
        return self._merged(ScopeBinding.of(scope, **fields), "scoped()")

    def resolve(self) -> Scope:
        """The scope of this call.

        Raises:
            MissingScopeError: neither construction nor ``use_scope`` gives a user.
            ScopeConflictError: ``use_scope`` contradicts a fixed field.
        """
        return self._resolved(current_binding.get())

    def resolve_project(self) -> tuple[str | None, str]:
        """The organisation and the project of this call, for operations without a user (such as a health check).

        Raises:
            ScopeConflictError: ``use_scope`` contradicts a fixed field.
        """
        binding = self._within(current_binding.get())
        return binding.org_id, binding.project_id or DEFAULT_PROJECT

    @lru_cache(maxsize=4096)  # noqa: B019 (bindings are small values, equal ones share an entry)
    def _resolved(self, context: ScopeBinding | None) -> Scope:
        binding = self._within(context)
        if binding.user_id is None and not binding.is_shared:
            raise MissingScopeError(
                "no user for this call: pass user_id= at construction, or run it inside use_scope(user_id=...). "
                "A thread started without copying the context has lost its use_scope: start it with "
                "contextvars.copy_context().run(...). A use_scope around a yield holds inside that generator only: "
                "put another one around what its consumer does"
            )
        return Scope.trusted(
            binding.user_id, binding.project_id or DEFAULT_PROJECT, binding.run_id, binding.agent_id, binding.org_id
        )

    @lru_cache(maxsize=4096)  # noqa: B019 (as above)
    def _within(self, context: ScopeBinding | None) -> ScopeBinding:
        return self if context is None else self._merged(context, "use_scope()")

    def _merged(self, other: ScopeBinding, by: str) -> ScopeBinding:
        values: dict[str, Any] = {}
        for name in SCOPE_FIELDS:
            mine, theirs = getattr(self, name), getattr(other, name)
            if name == "user_id" and self.is_shared:
                # A binding to shared memory was explicit, so ``use_scope`` does not add a user to it.
                values[name] = None
            elif mine is not None and theirs is not None and mine != theirs:
                raise ScopeConflictError(
                    f"{by} asks for {name}={theirs!r}, but this memory is fixed to {name}={mine!r}: "
                    f"leave {name} out where the memory is built, or use another memory"
                )
            else:
                values[name] = mine if mine is not None else theirs
        if other.is_shared and self.user_id is not None:
            raise ScopeConflictError(
                f"{by} asks for shared memory, but this memory is fixed to user_id={self.user_id!r}: "
                "build another memory with scope=Scope.shared(...)"
            )
        return ScopeBinding(**values, is_shared=self.is_shared or other.is_shared)


class ExactScope(ScopeBinding):
    """A whole scope, to which ``use_scope`` adds nothing: for work in another scope than that of the call."""

    def resolve(self) -> Scope:
        return Scope.trusted(self.user_id, self.project_id or DEFAULT_PROJECT, self.run_id, self.agent_id, self.org_id)

    def resolve_project(self) -> tuple[str | None, str]:
        return self.org_id, self.project_id or DEFAULT_PROJECT


current_binding: BlockVariable[ScopeBinding] = BlockVariable("crewai_persistent_memory_scope")
"""The scope fields that ``use_scope`` has set for the current call."""

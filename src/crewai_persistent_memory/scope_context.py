"""``use_scope`` sets the scope for a block of code, and ``carry_scope`` carries it to other threads and tasks."""

from __future__ import annotations

from collections.abc import Callable, Set
from contextlib import AbstractContextManager
from typing import Any, Final, TypedDict

from typing_extensions import Unpack

from .errors import InvalidScopeError, MissingScopeError
from .scope import SCOPE_FIELDS, Scope, ScopeBinding, current_binding

NO_SCOPE: Final[Any] = object()
"""The default for "no whole scope given". It is not ``None``, because a failed look-up returns ``None``."""


class ScopeFields(TypedDict, total=False):
    """The fields of a scope as keyword arguments; see :class:`Scope`."""

    user_id: str
    project_id: str
    run_id: str | None
    agent_id: str | None
    org_id: str


def given_scope(scope: Scope | None, fields: ScopeFields) -> Scope | None:
    """The whole scope that was given; ``None`` if none was. Refuses fields with the value ``None``.

    For a run and an agent, ``None`` is allowed and means "none". For other fields it is an error: it probably comes
    from a failed look-up, and the outer block's value could belong to another user.

    Raises:
        MissingScopeError: ``user_id`` or the whole scope is ``None``.
        InvalidScopeError: ``project_id`` or ``org_id`` is ``None``, or there is no such field.
    """
    if scope is None:
        raise MissingScopeError(
            "scope is None: nobody is known for this call. Refuse the request, or leave scope out to keep what holds"
        )
    for name, value in fields.items():
        if name not in SCOPE_FIELDS:
            raise InvalidScopeError(f"{name} is no field of a scope: use one of {', '.join(SCOPE_FIELDS)}")
        if value is None and name == "user_id":
            raise MissingScopeError(
                "user_id is None: nobody is known for this call. Refuse the request, or leave user_id out to keep the "
                "user of the block around; a team's memory is Scope.shared(project_id=...)"
            )
        if value is None and name in ("project_id", "org_id"):
            raise InvalidScopeError(f"{name} is None: give a {name}, or leave it out")
    return None if scope is NO_SCOPE else scope


def use_scope(scope: Scope = NO_SCOPE, **fields: Unpack[ScopeFields]) -> AbstractContextManager[None]:
    """Set the scope for all calls inside the ``with`` block, such as one request or one job.

    Fields fixed when a memory was built stay, and the block must not contradict them. It sets the other fields. Blocks
    nest: an inner block replaces the fields that it names and keeps the rest. A block that names another user keeps
    neither run nor agent. ``run_id=None`` means no run, and ``agent_id=None`` no agent.

    The scope follows asyncio tasks and threads started with a copied context (``contextvars.copy_context().run``). In
    any other thread it is unset, and a memory without a fixed user raises :class:`MissingScopeError` there. Around a
    ``yield`` it applies in the generator, not in its consumer. A generator made by ``@contextmanager`` sets it for its
    ``with`` block.

    Args:
        scope: a whole scope, in place of the fields.
        fields: ``user_id``, ``project_id``, ``run_id``, ``agent_id``, ``org_id``.

    Raises:
        InvalidScopeError: a field is malformed.
        MissingScopeError: ``user_id``, or the whole scope, is ``None``.
        ScopeConflictError: ``scope`` and single fields are both given.
    """
    inner = ScopeBinding.of(given_scope(scope, fields), **fields)
    cleared = {name for name, value in fields.items() if value is None}
    return current_binding.block(lambda outer: _nested(inner, outer or ScopeBinding(), cleared))


def carry_scope() -> Callable[[], AbstractContextManager[None]]:
    """Capture the current scope. The result opens a block with that scope, later and in any thread or task."""
    binding = current_binding.get() or ScopeBinding()
    return lambda: current_binding.carried(binding)


def _nested(inner: ScopeBinding, outer: ScopeBinding, cleared: Set[str]) -> ScopeBinding:
    names_owner = inner.user_id is not None or inner.is_shared
    changes_user = inner.user_id is not None and inner.user_id != outer.user_id

    def part(name: str) -> str | None:
        own: str | None = getattr(inner, name)
        return own if own is not None or changes_user or name in cleared else getattr(outer, name)

    return ScopeBinding(
        user_id=inner.user_id if names_owner else outer.user_id,
        project_id=inner.project_id or outer.project_id,
        run_id=part("run_id"),
        agent_id=part("agent_id"),
        org_id=inner.org_id or outer.org_id,
        is_shared=inner.is_shared if names_owner else outer.is_shared,
    )

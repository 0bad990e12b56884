"""What operations have in common: the scope that each is for, and whether it writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar, cast

from ...filter_fields import FieldCondition
from ...scope import Scope, ScopeBinding

T = TypeVar("T")


@dataclass(frozen=True)
class Operation(Generic[T]):
    """Asks a backend for a ``T``."""

    writes: ClassVar[bool] = False
    """Whether it changes what is remembered."""

    @property
    def project(self) -> tuple[str | None, str]:
        """The organisation and the project that it is about."""
        raise NotImplementedError


@dataclass(frozen=True)
class ScopedOperation(Operation[T]):
    """An operation on what one scope sees.

    Attributes:
        scope: the reader's, or the writer's.
    """

    scope: Scope

    @property
    def project(self) -> tuple[str | None, str]:
        return self.scope.org_id, self.scope.project_id


@dataclass(frozen=True)
class StoreOperation(Operation[T]):
    """An operation on the store itself, which needs no user.

    Attributes:
        binding: what the handle is fixed to.
    """

    binding: ScopeBinding

    @property
    def project(self) -> tuple[str | None, str]:
        return self.binding.resolve_project()


def fields_asked(operation: Operation[Any]) -> tuple[FieldCondition, ...]:
    """What an operation asks of an application's filter fields."""
    for filter in getattr(operation, "filters", None) or (getattr(operation, "filter", None),):
        if filter is not None and filter.fields:
            # The filters of one operation ask for the same fields: they differ in their paths.
            return cast("tuple[FieldCondition, ...]", filter.fields)
    return ()

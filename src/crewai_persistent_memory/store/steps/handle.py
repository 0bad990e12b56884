"""What every operation of a handle needs: what executes it, its scope, and what was said when the store was opened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from typing_extensions import Self

from ...corrections import NOTHING_KEPT, Corrections
from ...expiry import NO_RULES, ExpiryRules
from ...filter_fields import FilterField, fields_by_name
from ...io.steps import Steps
from ...ranking import RankingWeights
from ...scope import ScopeBinding
from ..backend import Capabilities, Execute
from ..operations import ReadOperation
from ..visibility_check import only_visible

T = TypeVar("T")


class StoreHandle:
    """One handle, as its operations need it.

    Attributes:
        execute: answers an operation: the backend, with the middleware around it.
        capabilities: of the backend.
        binding: the scope fields that are fixed.
        include_shared: reads find the project's shared entries too.
        weights: how results are ranked, if a call says nothing else.
        filter_fields: the application's own fields, by name.
        expiry: when saves expire that say nothing of it.
        corrections: what is kept of what is deleted or changed.
    """

    def __init__(
        self,
        execute: Execute,
        capabilities: Capabilities,
        binding: ScopeBinding,
        *,
        include_shared: bool = False,
        weights: RankingWeights | None = None,
        filter_fields: Sequence[FilterField] = (),
        expiry: ExpiryRules = NO_RULES,
        corrections: Corrections = NOTHING_KEPT,
    ) -> None:
        self.execute = execute
        self.capabilities = capabilities
        self.binding = binding
        self.include_shared = include_shared
        self.weights = weights or RankingWeights()
        self.filter_fields = fields_by_name(filter_fields)
        self.expiry = expiry
        self.corrections = corrections

    def within(self, binding: ScopeBinding) -> Self:
        """The same operations in another scope. Reads see nothing that is shared."""
        return type(self)(
            self.execute,
            self.capabilities,
            binding,
            weights=self.weights,
            filter_fields=tuple(self.filter_fields.values()),
            expiry=self.expiry,
            corrections=self.corrections,
        )

    @property
    def counts_scopes(self) -> bool:
        return self.capabilities.counts_scopes

    @property
    def history(self) -> int:
        """How many earlier texts a changed entry keeps."""
        return self.corrections.history if self.capabilities.keeps_history else 0

    def read(self, operation: ReadOperation[T]) -> Steps[T]:
        """The answer, without what the scope must not see."""
        return only_visible(operation, (yield from self.execute(operation)))  # type: ignore[no-any-return]

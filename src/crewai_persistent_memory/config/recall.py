"""The options of a recall: what an agent is given of the memories that were found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, Field, ValidationError, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError

from ..embedding import spec_of_name
from ..errors import ConfigurationError
from ..validation import DEFAULT_BUDGET, LEAST_BUDGET
from . import Accepts
from .environment import PREFIX, Settings, explain

MAXSIM: Final = "maxsim"
"""The reranker that belongs to the store: token vectors, which score what is found in the same request."""

LONGEST_DEADLINE: Final = 86_400
"""Seconds. The system has no timer for very long ones, and none for infinity."""


class RecallOptions(BaseModel):
    """What a recall gives to an agent. These options belong to a memory, and not to its store."""

    recall_budget: int = Field(
        DEFAULT_BUDGET,
        description="Characters of memory in one prompt, dates and marks included; 0: whole texts, no bound.",
    )
    min_score: float = Field(
        0.0,
        ge=0,
        le=1,
        description="The least score of a memory that is given, 0…1; its newer value comes too. 0: any with a word.",
    )
    reranker: Annotated[
        Callable[..., Any] | str | None, NoDecode, Accepts("Callable[[str, Sequence[str]], Any] | str | None")
    ] = Field(
        None,
        repr=False,
        exclude=True,
        description="A function (query, texts) -> scores; a cross-encoder: 'local:/folder', 'local/<model>'; 'maxsim'.",
    )
    reranker_timeout: float = Field(
        1.0,
        gt=0,
        le=LONGEST_DEADLINE,
        description="Seconds after which memories keep the order that they have without the reranker.",
    )

    @field_validator("reranker")
    @classmethod
    def _check_reranker(cls, value: Any) -> Any:
        if not isinstance(value, str) or value == MAXSIM:
            return value
        try:
            spec = spec_of_name(value)
        except ConfigurationError:
            spec = {"provider": None, "config": {}}
        if spec["provider"] != "local" or not spec["config"]:
            raise ValueError(
                "give a function, 'local:/folder/of/a/cross-encoder', 'local/Xenova/ms-marco-MiniLM-L-6-v2', say, or "
                "'maxsim'"
            )
        return value

    @field_validator("recall_budget", mode="before")
    @classmethod
    def _check_budget(cls, value: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError("must be a number of characters, or 0 for whole texts without a bound")
        return value

    @field_validator("min_score", "reranker_timeout", mode="before")
    @classmethod
    def _check_number(cls, value: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError("must be a number, and not a truth value")
        return value

    @field_validator("recall_budget")
    @classmethod
    def _check_size(cls, value: int) -> int:
        if value != 0 and value < LEAST_BUDGET:
            raise ValueError(f"must be {LEAST_BUDGET} characters or more, or 0 for whole texts without a bound")
        return value


class RecallSettings(RecallOptions, Settings):
    """The options of a recall alone, for a memory over a store that is already open."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, hide_input_in_errors=True)

    @classmethod
    def build(cls, options: Mapping[str, Any]) -> RecallSettings:
        """Check the options and fill in the environment.

        Raises:
            ConfigurationError: an option is malformed.
        """
        try:
            return cls(**{name: value for name, value in options.items() if value is not None})
        except (ValidationError, SettingsError) as error:
            raise ConfigurationError(explain(error, cls)) from None

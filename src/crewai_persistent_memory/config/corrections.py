"""The options that say what is kept of what was deleted or changed."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, Field, field_serializer, field_validator

from ..corrections import MOST_TEXTS, Corrections, check_undo_for
from ..errors import InvalidEntryError
from . import Accepts


class CorrectionOptions(BaseModel):
    """What is kept of what was deleted or changed. By default nothing is: what is forgotten is gone."""

    undo_for: Annotated[timedelta | None, Accepts("timedelta | float | None")] = Field(
        None,
        description="So long what is deleted can be brought back: a timedelta or seconds. Left out, or 0: it is gone.",
    )
    history: int = Field(
        0, ge=0, le=MOST_TEXTS, description="So many earlier texts an entry keeps when it is changed; 0: none."
    )

    @field_validator("undo_for", mode="before")
    @classmethod
    def _read_undo_for(cls, value: Any) -> Any:
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                raise ValueError("must be seconds") from None
        try:
            return check_undo_for(value)
        except InvalidEntryError as error:
            raise ValueError(str(error)) from None

    @field_serializer("undo_for", when_used="json")
    def _undo_for_in_seconds(self, value: timedelta | None) -> float | None:
        """As it can be given again."""
        return None if value is None else value.total_seconds()

    @property
    def corrections(self) -> Corrections:
        """The same as a value."""
        return Corrections(self.undo_for, self.history)

"""The options of the outbox: whether a write waits for the store, and how long anything waits."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, field_validator


class OutboxOptions(BaseModel):
    """Whether a write waits for the store, and the bounds of waiting. See ``docs/durability.md``."""

    durability: Literal["outbox", "store"] | None = Field(
        None,
        description="'outbox': writes are kept here and delivered; 'store': they wait. Left out: 'store' if embedded.",
    )
    outbox_path: Path | None = Field(
        None, description="Folder of the outboxes, on a local disk. Left out: beside the default path."
    )
    outbox_max_mb: float = Field(256.0, gt=0, description="Size at which an outbox refuses further writes, in MiB.")
    recall_timeout: float = Field(
        2.0, gt=0, description="With an outbox: seconds that a read, or a change's answer, waits for the store."
    )
    exit_wait: float | None = Field(
        None,
        ge=0,
        description="With an outbox: seconds that closing waits for delivery. Left out: 2, and 30 for Mem0 OSS.",
    )

    @field_validator("outbox_path", mode="before")
    @classmethod
    def _read_outbox_path(cls, value: Any) -> Any:
        if isinstance(value, str) and not value.strip():
            raise ValueError("is blank: give a folder, or leave it out")
        return value

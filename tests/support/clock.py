"""The clock by which entries expire."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import timedelta

from crewai_persistent_memory.expiry import clock_set_to, now


def in_hours(hours: float) -> AbstractContextManager[None]:
    """The block runs as if it were so much later."""
    return clock_set_to(now() + timedelta(hours=hours))

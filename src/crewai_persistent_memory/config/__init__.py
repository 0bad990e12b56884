"""Every option, written once.

An option is a field of a pydantic model: its name, its type, its default, its limits, its meaning. ``arguments.py`` has
the same options as types of keyword arguments; ``scripts/option_types.py`` writes that file from the models.
"""

from __future__ import annotations

from typing import NamedTuple


class Accepts(NamedTuple):
    """In an ``Annotated`` field: the type of the argument, where a validator accepts more than the field's type."""

    type: str

"""How the values of a memory's options are read: what may stand for them, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ..embedding import EMBEDDER_HELP, spec_of_name
from ..errors import ConfigurationError, InvalidArgumentError, InvalidEntryError
from ..expiry import ExpiryRules, expiry_rules
from ..filter_fields import FilterField, fields_by_name


def read_path(value: Any) -> Any:
    if isinstance(value, str) and not value.strip():  # as of an unset variable; it would be the current folder
        raise ValueError("is blank: give the store's folder, or leave it out")
    return value


def read_ttl(value: Any) -> Any:
    rules = _expiry_rules(value, None)
    return rules.by_kind or rules.ttl


def read_run_ttl(value: Any) -> Any:
    return _expiry_rules(None, value).run_ttl


def _expiry_rules(ttl: Any, run_ttl: Any) -> ExpiryRules:
    """A text is of the environment."""
    try:
        return expiry_rules(_from_json(ttl), _from_json(run_ttl))
    except InvalidEntryError as error:
        raise ValueError(str(error)) from None


def _from_json(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError("must be seconds, or for ttl a JSON object of them by kind") from None


def ttl_in_seconds(value: Any) -> Any:
    """As it can be given again."""
    if isinstance(value, Mapping):
        return {kind: each.total_seconds() for kind, each in value.items()}
    return None if value is None else value.total_seconds()


def read_filter_fields(value: Any) -> Any:
    if isinstance(value, (FilterField, str)) or not isinstance(value, Iterable):
        raise ValueError("must be a list: write [FilterField(...)]")
    try:
        return tuple(fields_by_name(list(value)).values())
    except InvalidArgumentError as error:
        raise ValueError(str(error)) from None


def read_embedder(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value == "keywords":
        return None
    if not value.lstrip().startswith("{"):
        try:
            return spec_of_name(value)
        except ConfigurationError as error:
            raise ValueError(str(error)) from None
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError(f"{EMBEDDER_HELP}; a spec in the environment is JSON") from None

"""Whose a point is: the digests of scopes, the ids of points, and the owner in a payload."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from ....scope import SCOPE_FIELDS, Scope
from .layout import SCOPE_KEY, TENANT_KEY

_json_of = json.encoder.encode_basestring_ascii
_POINT_ID: Final = re.compile("-".join(f"[0-9a-f]{{{size}}}" for size in (8, 4, 4, 4, 12)))


def _digest(*parts: str | None, size: int = 16) -> bytes:
    # JSON of a list is injective: ("a", "b/c") and ("a/b", "c") differ, and so do None and "".
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=size).digest()


@lru_cache(maxsize=4096)
def tenant_key(scope: Scope) -> str:
    return _digest(scope.org_id, scope.project_id, scope.user_id).hex()


@lru_cache(maxsize=4096)
def owner_key(scope: Scope) -> str:
    return _digest(scope.org_id, scope.project_id, scope.user_id, scope.run_id, scope.agent_id).hex()


def point_id(owner: Scope, entry_id: str) -> str:
    """The engine's id: the same entry id in two scopes is two points."""
    # As ``_digest(owner_key(owner), entry_id)``, at half of its time.
    return _id_of(f'["{owner_key(owner)}", {_json_of(entry_id)}]')


def forgotten_id(owner: Scope, entry_id: str) -> str:
    """The engine's id of an entry that was deleted and can be brought back."""
    return _id_of(f'["{owner_key(owner)}", {_json_of(entry_id)}, "forgotten"]')


def _id_of(parts: str) -> str:
    key = hashlib.blake2b(parts.encode(), digest_size=16).hexdigest()
    return f"{key[:8]}-{key[8:12]}-{key[12:16]}-{key[16:20]}-{key[20:]}"  # a UUID's form, at a third of uuid's time


def is_point_id(text: str) -> bool:
    """Whether :func:`point_id` can have made it."""
    return _POINT_ID.fullmatch(text) is not None


@lru_cache(maxsize=4096)
def scope_payload(owner: Scope) -> Mapping[str, str]:
    """Payload keys that identify a point's owner."""
    payload = {name: value for name in SCOPE_FIELDS if (value := getattr(owner, name)) is not None}
    payload[TENANT_KEY] = tenant_key(owner)
    payload[SCOPE_KEY] = owner_key(owner)
    if owner.run_id is not None or owner.agent_id is not None:
        payload["owner"] = owner_key(owner)
    return payload


owner_of = lru_cache(maxsize=4096)(Scope.trusted)
"""Returns the same object for equal scopes, so that ``visibility_check`` can compare owners by identity."""


def owner_in(payload: Mapping[str, Any]) -> Scope:
    """The owner of the point with this payload."""
    get = payload.get
    return owner_of(get("user_id"), payload["project_id"], get("run_id"), get("agent_id"), get("org_id"))


def scope_of(payload: Mapping[str, Any]) -> str:
    """The value of the key ``scope`` for a point with this payload."""
    return owner_key(owner_in(payload))

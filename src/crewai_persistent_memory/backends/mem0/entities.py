"""How a scope is expressed in Mem0's entities, so that Mem0 compares new facts with those of the same owner only.

Mem0 filters by the entities that a call names and by no others, so every call names all of them. Mem0 Cloud keeps
``user_id``, ``app_id`` and ``run_id`` on every memory. If a call has a user and an agent, it files an assistant's
statement under ``agent_id`` and *without* the user. So our ``agent_id`` is never sent as Mem0's.

| | Mem0 Cloud | Mem0 OSS |
| --- | --- | --- |
| user | ``user_id`` | ``user_id``: the whole owner in one text, because not every version keeps more than one \
entity, and Mem0 looks at what this one entity has for what is known already |
| project, organisation | ``app_id`` | |
| run, agent | ``run_id`` | |
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from ...scope import DEFAULT_PROJECT, Scope

EVERYONE: Final = "everyone"
"""Stands for the user of shared memory."""
NO_RUN: Final = "no-run"
"""Stands for the run of what belongs to no run."""

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_.@:+\-]")


def escaped(value: str) -> str:
    """A scope field without blanks, ``*`` (Mem0's wildcard) and ``/``, and different from the two words above."""
    if value in (EVERYONE, NO_RUN):
        value, rest = value[0], value[1:]
        return f"%{ord(value):02X}{rest}"
    return _UNSAFE.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), value)


class CloudEntities(NamedTuple):
    """Mem0 Cloud's entities of one owner."""

    user_id: str
    app_id: str
    run_id: str


@lru_cache(maxsize=4096)
def cloud_entities(owner: Scope) -> CloudEntities:
    user = EVERYONE if owner.user_id is None else escaped(owner.user_id)
    app = "/".join(escaped(part) for part in (owner.project_id, owner.org_id) if part is not None)
    run = NO_RUN if owner.run_id is None else escaped(owner.run_id)
    return CloudEntities(user, app, run if owner.agent_id is None else f"{run}/{escaped(owner.agent_id)}")


@lru_cache(maxsize=4096)
def library_user_id(owner: Scope) -> str:
    """Mem0 OSS's ``user_id`` of one owner. For a user alone, in the default project, it is the user's own id, so that
    memories which were stored without this package are found."""
    user = EVERYONE if owner.user_id is None else escaped(owner.user_id)
    parts = [owner.project_id, owner.org_id, owner.run_id, owner.agent_id]
    if parts == [DEFAULT_PROJECT, None, None, None]:
        return user
    return "/".join([user, *("" if part is None else escaped(part) for part in parts)]).rstrip("/")

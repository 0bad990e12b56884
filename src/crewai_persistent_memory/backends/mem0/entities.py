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
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

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


def names_of_user(user_id: str) -> list[str]:
    """Mem0 Cloud's names of a user: as this package writes it, and as others do, if it cannot be another user's."""
    theirs = set(_UNSAFE.findall(user_id)) - {"%"}
    return [escaped(user_id), *([user_id] if theirs and "*" not in theirs else [])]


def cloud_owner(user_id: str, found: Mapping[str, Any]) -> Scope:
    """The owner of one of a user's memories in Mem0 Cloud, whoever has stored it."""
    app, run = found.get("app_id"), found.get("run_id") or found.get("session_id")
    project, org = _two_of(app or DEFAULT_PROJECT)
    run_id, agent_id = _two_of(run or NO_RUN)
    return Scope.trusted(
        user_id,
        unquote(project),
        None if run_id == NO_RUN else unquote(run_id),
        unquote(agent_id) if agent_id else found.get("agent_id"),
        unquote(org) if org else None,
    )


def _two_of(name: str) -> tuple[str, str | None]:
    """The two fields that are one name in Mem0; a name that is not of this form is the first."""
    first, _, second = name.partition("/")
    if "/" in second:
        return name, None
    return first, second or None


def library_owner(user_id: str) -> Scope:
    """The owner of Mem0 OSS's ``user_id``. One that is not of this package's form is a user in the default project."""
    user, *parts = user_id.split("/")
    fields: list[str | None] = [unquote(part) or None for part in parts]
    project, org, run, agent, *more = (*fields, None, None, None, None)
    owner = Scope.trusted(None if user == EVERYONE else unquote(user), project or DEFAULT_PROJECT, run, agent, org)
    is_ours = not any(more) and library_user_id(owner) == user_id
    return owner if is_ours else Scope.trusted(user_id, DEFAULT_PROJECT, None, None, None)


@lru_cache(maxsize=4096)
def library_user_id(owner: Scope) -> str:
    """Mem0 OSS's ``user_id`` of one owner. For a user alone, in the default project, it is the user's own id, so that
    memories which were stored without this package are found."""
    user = EVERYONE if owner.user_id is None else escaped(owner.user_id)
    parts = [owner.project_id, owner.org_id, owner.run_id, owner.agent_id]
    if parts == [DEFAULT_PROJECT, None, None, None]:
        return user
    return "/".join([user, *("" if part is None else escaped(part) for part in parts)]).rstrip("/")

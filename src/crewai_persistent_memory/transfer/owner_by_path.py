"""Whose a memory is, by the path that CrewAI keeps it at, where an application has paths such as ``/user/john``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from ..errors import InvalidArgumentError
from ..scope import SCOPE_FIELDS, Scope
from ..validation import normalize_path

_FIELD: Final = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, init=False)
class OwnerByPath:
    """Memories at a path, or below it, belong to the scope that the path names.

    ``OwnerByPath("/user/{user_id}", project_id="production")`` gives what is at ``/user/john`` and ``/user/john/diet``
    to john. What is elsewhere is left where it is.

    Use it where your program chose the paths. CrewAI's LLM invents paths for memories that are saved without one.

    Args:
        pattern: a path. A part of it may be ``{user_id}``, ``{project_id}``, ``{run_id}``, ``{agent_id}`` or
            ``{org_id}``; the other parts are compared as they are.
        fields: the scope's other fields, by name.

    Raises:
        InvalidArgumentError: a field is unknown or given twice, or neither the pattern nor the fields have a user.
        InvalidScopeError: a field is malformed.
    """

    pattern: str
    fields: tuple[tuple[str, str], ...]

    def __init__(self, pattern: str, **fields: str) -> None:
        names = [found[1] for part in _parts(pattern) if (found := _FIELD.fullmatch(part))]
        if unknown := sorted({*names, *fields} - set(SCOPE_FIELDS)):
            raise InvalidArgumentError(f"{', '.join(unknown)}: a scope has {', '.join(SCOPE_FIELDS)}")
        if any("{" in part and not _FIELD.fullmatch(part) for part in _parts(pattern)):
            raise InvalidArgumentError(f"{pattern!r}: a part is a field, such as {{user_id}}, or plain text")
        if twice := sorted({name for name in names if name in fields or names.count(name) > 1}):
            raise InvalidArgumentError(f"{', '.join(twice)} is given twice: by {pattern!r} and beside it")
        if "user_id" not in {*names, *fields}:
            raise InvalidArgumentError(f"whose memories? Give user_id=, or {{user_id}} in the pattern {pattern!r}")
        Scope(**{"user_id": "any", **fields})
        object.__setattr__(self, "pattern", normalize_path(pattern))
        object.__setattr__(self, "fields", tuple(sorted(fields.items())))

    def of(self, path: str) -> Scope | None:
        """The owner of what is at a path; ``None`` if the path does not fit.

        Raises:
            InvalidScopeError: a part of the path is no user, project and so on.
        """
        wanted, given = _parts(self.pattern), _parts(path)
        if len(given) < len(wanted):
            return None
        found: dict[str, Any] = dict(self.fields)
        for pattern, part in zip(wanted, given, strict=False):
            if name := _FIELD.fullmatch(pattern):
                found[name[1]] = part
            elif pattern != part:
                return None
        return Scope(**found)


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part]

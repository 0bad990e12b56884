"""``crewai-memory purge``: delete what has expired."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from ..errors import ConfigurationError
from ..wording import memories
from .moving import config_of_all
from .output import as_json, note, one_line
from .target import Target, opened


def purge(
    target: Target,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Without a question.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count only.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Delete the memories that have expired: of all scopes, or of --user, --project, --org, --run, --agent.

    No read finds them any more. A store deletes them by itself about once an hour, and an embedded one at close. Of
    Mem0 one scope is purged: give --user.
    """
    from ..admin import purge_expired

    if target.shared:
        raise ConfigurationError("--shared: shared memories are purged with their project, by --project")
    config = config_of_all(target)
    is_mem0 = config.mem0 is not None
    scope: Any = {} if is_mem0 else target.scope_fields
    with opened(target.config(writing=True) if is_mem0 else config, by_words=True, existing=True) as store:
        count = purge_expired(store, dry_run=True, **scope)
        if not dry_run:
            if count and not yes:
                if not sys.stdin.isatty():
                    raise ConfigurationError(f"this would delete {memories(count)} that expired: add --yes to do it")
                typer.confirm(one_line(f"Delete {memories(count)} that expired?"), abort=True, err=True)
            count = purge_expired(store, **scope)
            if count and store.capabilities.compacts and not store.compact():
                note("a server removes the texts from its files in its own time")
    if json:
        typer.echo(as_json({"purged": 0 if dry_run else count, "expired": count, "dry_run": dry_run}))
    else:
        typer.echo(f"{'Would delete' if dry_run else 'Deleted'} {memories(count)} that expired")

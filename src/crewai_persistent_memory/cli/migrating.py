"""``crewai-memory migrate``: memories that CrewAI or Mem0 keeps, into this package's store; and back."""

from __future__ import annotations

import json as json_format
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ..crewai_folders import crewai_folders
from ..errors import ConfigurationError, StoreMissingError
from ..scope import DEFAULT_PROJECT, Scope
from ..wording import memories
from .moving import chosen_scope, config_of_all, telling_progress
from .output import as_json, note, one_line, show_entries
from .target import Target, opened, with_its_embedder

if TYPE_CHECKING:
    from ..store.base import MemoryStore
    from ..transfer.long_term import LongTerm
    from ..transfer.migrating import Migrated

MEM0: Final = "mem0"
"""The source that is no folder."""
_NAMED: Final = 10
"""Memories that are left out and named, in text."""

Work = Callable[["MemoryStore | None", bool], "Migrated"]
"""A migration into a store, or into one that is not there yet; and whether it is a dry run."""


def migrate(
    target: Target,
    source: Annotated[
        str | None,
        typer.Argument(help="CrewAI's folder, or a file in it; or mem0. Left out: where CrewAI keeps memories here."),
    ] = None,
    by_path: Annotated[
        str | None,
        typer.Option("--by-path", help="Only what is at this path of CrewAI's. /user/{user_id}: the path says whose."),
    ] = None,
    from_user: Annotated[str | None, typer.Option("--from-user", help="Mem0's user. Default: --user.")] = None,
    from_project: Annotated[str | None, typer.Option("--from-project", help="Of this project of Mem0's only.")] = None,
    from_run: Annotated[str | None, typer.Option("--from-run", help="Of this run only.")] = None,
    from_agent: Annotated[str | None, typer.Option("--from-agent", help="Of this agent only.")] = None,
    mem0_config: Annotated[
        str | None, typer.Option("--mem0-config", help="Options of mem0= as JSON, in a file. Default: MEM0_API_KEY.")
    ] = None,
    undo: Annotated[str | None, typer.Option("--undo", help="Delete what came with the migration of this id.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Without a question.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would come, and to whom.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Bring along what CrewAI's own memory holds, or Mem0. Nothing in the source changes. It may be done again.

    A folder of CrewAI knows no users: all of it goes to --user, or to --shared. The exit code is 1 if memories were
    left out.
    """
    if undo is not None:
        _undo(target, undo, yes=yes, dry_run=dry_run, json=json)
        return
    given = {"user_id": from_user, "project_id": from_project, "run_id": from_run, "agent_id": from_agent}
    chosen = {name: value for name, value in given.items() if value is not None}
    if source == MEM0:
        if by_path is not None:
            raise ConfigurationError("--by-path is for CrewAI's folder: Mem0 has no paths")
        work = _from_mem0(target, chosen, mem0_config)
    else:
        if chosen or mem0_config is not None:
            raise ConfigurationError(f"--from-... and --mem0-config are for Mem0: give {MEM0} as the source")
        work = _from_folder(target, _folder(source), by_path)
    try:
        with opened(config_of_all(target), by_words=True, existing=True) as store:
            planned = work(store, True)
    except StoreMissingError:  # it would be made
        planned = work(None, True)
    if not dry_run and planned.new and not yes:
        what = f"{memories(planned.new)} for {_whose(planned)}"
        if not sys.stdin.isatty():
            raise ConfigurationError(one_line(f"this would store {what}: look with --dry-run, and add --yes to do it"))
        typer.confirm(one_line(f"Store {what}?"), abort=True, err=True)
    done = planned
    if not dry_run and planned.new:
        done = with_its_embedder(
            config_of_all(target),
            lambda store: work(store, False),
            existing=False,
            writing=True,
            instead="Stored without vectors, and found by words until the application embeds them",
        )
    if json:
        typer.echo(as_json({**_values(done), "dry_run": dry_run}))
    else:
        _print(done, dry_run)
    if done.left_out:
        raise typer.Exit(1)


def _undo(target: Target, id: str, *, yes: bool, dry_run: bool, json: bool) -> None:
    from ..transfer.migrating import undo_migration

    scope: Any = chosen_scope(target)
    with opened(config_of_all(target), by_words=True, existing=True, writing=True) as store:
        count = undo_migration(store, id, dry_run=True, **scope)
        if count and not dry_run:
            if not yes:
                if not sys.stdin.isatty():
                    raise ConfigurationError(f"this would delete {memories(count)}: add --yes to do it")
                typer.confirm(f"Delete {memories(count)}?", abort=True, err=True)
            count = undo_migration(store, id, **scope)
    if json:
        typer.echo(as_json({"migration": id, "deleted": 0 if dry_run else count, "would_delete": count}))
    else:
        typer.echo(one_line(f"{'Would delete' if dry_run else 'Deleted'} {memories(count)} of the migration {id}"))
    if not count:
        note(one_line(f"nothing came with the migration {id}, or it was deleted already"))
        raise typer.Exit(1)


def _folder(source: str | None) -> Path:
    if source is not None:
        if not source.strip():
            raise ConfigurationError("the source is empty: leave it out, or give CrewAI's folder")
        return Path(source).expanduser()
    from ..transfer.crewai_folder import is_there, look_into

    found = {folder: look_into(folder) for folder in crewai_folders() if is_there(folder)}
    holding = [folder for folder, look in found.items() if look.parts]
    holding = holding or [folder for folder, look in found.items() if look.long_term is not None]
    if not holding:
        looked = " or ".join(map(str, crewai_folders()))
        raise ConfigurationError(f"CrewAI keeps no memories in {looked}: give its folder")
    if len(holding) > 1:
        raise ConfigurationError(f"CrewAI keeps memories in {' and '.join(map(str, holding))}: give one of them")
    return holding[0]


def _from_folder(target: Target, folder: Path, by_path: str | None) -> Work:
    from ..transfer.migrating import migrate
    from ..transfer.owner_by_path import OwnerByPath

    if by_path is not None:
        if target.shared:
            raise ConfigurationError("--by-path and --shared are both given: leave one out")
        owner: Scope | OwnerByPath = OwnerByPath(by_path, **_with_deployment(target.scope_fields))
    else:
        owner = target.config(writing=True).binding().resolve()

    def work(store: MemoryStore | None, dry: bool) -> Migrated:
        with telling_progress("migrated") as tell:
            return migrate(folder, store, owner, dry_run=dry, progress=tell)

    return work


def _with_deployment(fields: Mapping[str, str]) -> dict[str, Any]:
    """Scope fields, with the project and the organisation of the environment where none is given."""
    from ..config.options import MemoryConfig

    deployment = MemoryConfig.build()
    found = {"project_id": deployment.project_id or DEFAULT_PROJECT, "org_id": deployment.org_id, **fields}
    return {name: value for name, value in found.items() if value is not None}


def _from_mem0(target: Target, chosen: Mapping[str, str], mem0_config: str | None) -> Work:
    from ..config.options import MemoryConfig
    from ..transfer.migrating import migrate_store

    user = chosen.get("user_id", target.user)
    if user is None:
        raise ConfigurationError("whose memories? Give --user NAME, and --from-user if Mem0 has another name")
    options: Any = {"mem0": {} if mem0_config is None else _json_of(mem0_config)}
    config, into = MemoryConfig.build(**options), chosen_scope(target)
    scope: Any = {**chosen, "user_id": user}

    def work(store: MemoryStore | None, dry: bool) -> Migrated:
        with opened(config, by_words=True, existing=True) as mem0, telling_progress("migrated") as tell:
            return migrate_store(mem0, store, into=into, dry_run=dry, progress=tell, **scope)

    return work


def _json_of(file: str) -> Any:
    try:
        return json_format.loads(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"--mem0-config {file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigurationError(f"--mem0-config {file} is no JSON") from error


def _whose(done: Migrated) -> str:
    """The owners, with how many each; of many the first."""
    owners = [f"{owner} ({count})" for owner, count in done.owners.items()]
    more = [f"{len(owners) - _NAMED} more"] if len(owners) > _NAMED else []
    return ", ".join([*owners[:_NAMED], *more])


def _values(done: Migrated) -> dict[str, Any]:
    return {
        "migration": done.id,
        **{name: getattr(done, name) for name in ("found", "new", "there", "elsewhere")},
        "left_out": [asdict(each) for each in done.left_out],
        "sources": dict(done.sources),
        "owners": [
            {"scope": {k: v for k, v in vars(owner).items() if v is not None}, "memories": count}
            for owner, count in done.owners.items()
        ],
        "examples": [entry.to_dict() for entry in done.examples],
        "stays": list(done.stays),
        "long_term": None if done.long_term is None else _long_term(done.long_term),
    }


def _long_term(found: LongTerm) -> dict[str, Any]:
    values = {**asdict(found), "path": str(found.path), "meaning": found.MEANING}
    for name in ("oldest", "newest"):
        values[name] = None if values[name] is None else f"{values[name].isoformat()}Z"
    return values


def _print(done: Migrated, dry_run: bool) -> None:
    if done.found:
        if dry_run and done.examples:
            show_entries(done.examples, "The first of them:", scopes=True)
            typer.echo()
        counts = [f"{done.new} new", f"{done.there} there already"]
        counts += [f"{done.elsewhere} at other paths"] if done.elsewhere else []
        counts += [f"{len(done.left_out)} left out"] if done.left_out else []
        typer.echo(f"{'Would migrate' if dry_run else 'Migrated'} {memories(done.found)}: {', '.join(counts)}")
        for name, count in done.sources.items():
            typer.echo(one_line(f"  from {name}: {count}"))
        if done.owners:
            typer.echo(one_line(f"  to {_whose(done)}"))
        typer.echo("  Texts are embedded anew by the store's embedder")
        if done.owners and not dry_run:
            typer.echo(f"  Back: crewai-memory migrate --undo {done.id}")
    for each in done.left_out[:_NAMED]:
        note(one_line(f"left out {each.id}: {each.reason}"))
    if len(done.left_out) > _NAMED:
        note(f"and {len(done.left_out) - _NAMED} more: --json names all")
    if done.stays:
        typer.echo(one_line(f"No memory, and left where it is: {', '.join(done.stays)}"))
    if (found := done.long_term) is not None:
        quality = "" if found.quality is None else f", quality {found.quality:.1f} of 10 in the mean"
        between = "" if found.oldest is None else f", {found.oldest:%Y-%m-%d} to {found.newest:%Y-%m-%d}"
        agents = ", ".join(f"{agent} ({count})" for agent, count in list(found.agents.items())[:_NAMED])
        results = "1 result" if found.results == 1 else f"{found.results} results"
        tasks = "1 task" if found.tasks == 1 else f"{found.tasks} tasks"
        typer.echo(one_line(f"Long-term memory: {results} of {tasks}{between}{quality}; agents: {agents or 'none'}"))
        typer.echo(f"  {found.MEANING}")

"""The options that widen ``list`` and ``recall``: to all runs of a person, to all projects, to both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from ..scope import Scope
    from .target import Target

AllRuns = Annotated[bool, typer.Option("--all-runs", help="Of the user in all runs and agents.")]
AllProjects = Annotated[bool, typer.Option("--all-projects", help="Of the user in all projects and organisations.")]
Everywhere = Annotated[bool, typer.Option("--everywhere", help="--all-runs and --all-projects.")]


@dataclass(frozen=True)
class Reach:
    """More than one scope of one person.

    Attributes:
        fields: scope fields that are the same in all of them.
        runs: the run and the agent, with which an entry is seen; ``None``: all runs and agents.
        named: the options, for a title.
    """

    fields: dict[str, str | None]
    runs: tuple[str | None, str | None] | None
    named: str

    def includes(self, owner: Scope) -> bool:
        """Whether the memory of this owner is asked for, if it has the fields."""
        if self.runs is None:
            return True
        run_id, agent_id = self.runs
        return owner.run_id in (None, run_id) and owner.agent_id in (None, agent_id)


def reach_of(target: Target, all_runs: bool, all_projects: bool, everywhere: bool) -> Reach | None:
    """What these options mean; ``None`` if none is given.

    Raises:
        ConfigurationError: no person is named, or a run or an agent besides all of them.
    """
    given = {"--everywhere": everywhere, "--all-runs": all_runs, "--all-projects": all_projects}
    named = [name for name, is_given in given.items() if is_given]
    if not named:
        return None
    if target.user is None or target.shared:
        raise ConfigurationError(f"{named[0]} is of one person: give --user NAME, without --shared")
    if all_runs and (target.run is not None or target.agent is not None):
        raise ConfigurationError("--all-runs is of all runs and agents: leave it out, or --run and --agent")
    fields: dict[str, str | None] = dict(target.scope_fields)
    if not (all_projects or everywhere):
        from ..config.options import MemoryConfig

        org_id, project_id = MemoryConfig.build(**target.store).binding().resolve_project()
        fields = {"org_id": target.org or org_id, "project_id": project_id, **fields}
    if everywhere:
        return Reach(fields, None, "everywhere")
    runs = None if all_runs else (target.run, target.agent)
    for name in ("run_id", "agent_id"):
        fields.pop(name, None)
    words = {"--all-runs": "in all runs", "--all-projects": "in all projects"}
    return Reach(fields, runs, " and ".join(words[name] for name in named))

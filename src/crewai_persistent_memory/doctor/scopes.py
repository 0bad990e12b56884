"""Whose memories the store holds: the same user and run from call to call, and the project that has them."""

from __future__ import annotations

from ..admin import Survey, survey
from ..scope import ScopeBinding
from ..wording import memories
from .examined import PROBE_USER, Examined
from .findings import Findings, check, note, ok, warning
from .whereabouts import why_nothing


@check("scopes", seconds=15)
def same_scope_from_call_to_call(examined: Examined) -> Findings:
    """A user or a run that is made anew for each request shows in the statistics of the project."""
    if examined.store is None:
        return
    if not examined.store.capabilities.counts_scopes:
        yield note(
            "not checked: this store cannot count across users", "Look at its own console, at the users and runs there"
        )
        return
    org_id, project_id = examined.project
    found = survey(examined.store, project_id=project_id, org_id=org_id)
    examined.in_project = found.entries
    users = len(found.counts["user_id"])
    if found.users_of_one_request:
        yield warning(
            f"{users} users have {memories(sum(found.counts['user_id'].values()))} in project {project_id}: "
            "it looks as if the application made a user_id for each request, and then nobody recalls anything",
            "Give the same person the same user_id each time, from your log-in and not from uuid4()",
        )
    if found.runs_of_one_request:
        yield warning(
            f"{len(found.counts['run_id'])} runs have {memories(sum(found.counts['run_id'].values()))} in project "
            f"{project_id}, and nearly all is in a run: it is seen in that run only",
            "Leave out run_id where memory is to outlast the request, or give one to all requests of a session",
        )
    if not (found.users_of_one_request or found.runs_of_one_request) and found.entries:
        yield ok(f"{memories(found.entries)} of {users} user{'' if users == 1 else 's'} in project {project_id}")


@check("elsewhere", seconds=15)
def another_project_has_them(examined: Examined) -> Findings:
    """This project is empty, and others of the same store are not."""
    if examined.store is None or not examined.store.capabilities.counts_scopes:
        return
    org_id, project_id = examined.project
    if examined.is_empty:
        everywhere = survey(examined.store)
        others = _others(everywhere, org_id, project_id)
        if others:
            yield warning(
                f"project {project_id} has no memories here, and this store has {others}",
                "Give that one: project_id= or CREWAI_MEMORY_PROJECT_ID (org_id= or CREWAI_MEMORY_ORG_ID)",
            )
        else:
            yield note("the store is empty", "Nothing was remembered here yet, or it was remembered somewhere else")
            return
    if examined.user is not None and examined.user != PROBE_USER:
        yield from _of_the_user(examined, examined.user)


def _others(everywhere: Survey, org_id: str | None, project_id: str) -> str:
    projects = {name: count for name, count in everywhere.counts["project_id"].items() if name != project_id}
    if projects:
        largest = [f"{count} in project {name}" for name, count in list(projects.items())[:3]]
        return ", ".join(largest) + (f" and more in {len(projects) - 3} others" if len(projects) > 3 else "")
    if everywhere.entries:
        orgs = [f"{count} of organisation {name}" for name, count in list(everywhere.counts["org_id"].items())[:3]]
        return ", ".join(orgs) or f"{everywhere.entries} of no organisation"
    return ""


def _of_the_user(examined: Examined, user: str) -> Findings:
    assert examined.store is not None
    org_id, project_id = examined.project
    store = type(examined.store)(
        examined.store.backend,
        ScopeBinding.of(user_id=user, project_id=project_id, org_id=org_id),
        owns_backend=False,
    )
    count = store.count()
    if count:
        yield ok(f"the user asked about has {memories(count)} in project {project_id}, of no run and no agent")
    else:
        yield warning(
            f"{why_nothing(store)}", "Recall with the user, project, run and agent that it was remembered with"
        )

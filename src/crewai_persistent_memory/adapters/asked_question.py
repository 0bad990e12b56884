"""What a crew asks its memory: the question inside the task that CrewAI passes as the query.

Contracts of CrewAI this relies on (seen in 0.203.2 to 1.15.30):

- Before a task an agent asks for ``task.description`` (since 1.10), or for ``f"{task.description} {context}"`` with the
  results of earlier tasks as the context (until 1.9.3).
- ``Task._original_description`` is the description before the inputs of the kickoff were written into it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ..recall.frames import Frame
from ..recall.pipeline import parts
from ..recall.question import EarlierQueries, question_in
from .current_run import Run, current_run
from .run_leftovers import before_runs

_earlier: Final = EarlierQueries()
_AGENT_TEXTS: Final = ("role", "goal", "backstory")
_LEAST_QUESTION: Final = 3
"""Words. A description that asks less is searched for with the results of earlier tasks, where CrewAI gives them."""


def question_of(query: str) -> str:
    """What a query asks that CrewAI makes from a task of the current run; any other query as it is.

    The queries that one user has made with one definition of a crew are compared with each other. Crews are often built
    anew for each request, so the objects do not say which crew it is. Queries of other users do not count: from the
    words that are left out one could tell what others ask.
    """
    run = current_run.get()
    if run is None or not parts.get().question:
        return query
    task = _task_of(query, run.objects)
    if task is None:
        return query
    description = task.description.strip()
    context = query.strip()[len(description) :].strip()
    agents = [each for each in run.objects if hasattr(each, "backstory")]
    asked = question_in(
        description,
        template=_before_inputs(task),
        wording=[text for agent in agents for name in _AGENT_TEXTS if (text := getattr(agent, name, None))],
        common=_earlier.common_words(_crew_of(agents, run), description),
    )
    return f"{asked} {context}" if context and len(asked.split()) < _LEAST_QUESTION else asked


def frames_of_run() -> list[Frame]:
    """The templates of the current run's tasks, with its inputs."""
    run = current_run.get()
    if run is None or not parts.get().empty_last:
        return []
    templates = ((_before_inputs(task), task.description) for task in run.objects if _is_task(task))
    return [Frame(template, description) for template, description in templates if template is not None]


def _is_task(each: Any) -> bool:
    return hasattr(each, "expected_output") and hasattr(each, "description")


def _task_of(query: str, objects: Sequence[Any]) -> Any:
    """The task whose description the query begins with; the longest one, if one is the beginning of another."""
    query = query.strip()
    asking = [
        task for task in filter(_is_task, objects) if (text := task.description.strip()) and query.startswith(text)
    ]
    return max(asking, key=lambda task: len(task.description), default=None)


def _before_inputs(task: Any) -> str | None:
    before = (before_runs(task) or {}).get("description")
    template = getattr(task, "_original_description", None) or before
    return template if isinstance(template, str) and template.strip() != task.description.strip() else None


def _crew_of(agents: Sequence[Any], run: Run) -> object:
    """What all crews of one definition, run for one user, have in common."""
    roles = [(before_runs(agent) or vars(agent)).get("role") for agent in agents]
    users = frozenset(owner[:3] for owner in run.owners)
    return users, tuple(sorted(map(str, roles)))

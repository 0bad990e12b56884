"""CrewAI's long-term memory (until 1.9.3): how well tasks went. It is shown, and stays CrewAI's."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .database_copy import reading_a_copy


@dataclass(frozen=True)
class LongTerm:
    """What a file of CrewAI's long-term memory holds. Nothing of it is moved.

    Attributes:
        path: of the file.
        results: how many results of tasks there are.
        tasks: how many different tasks they are of.
        agents: by the role of the agent, how many.
        quality: from 0 to 10, as CrewAI's evaluation gave it, in the mean; ``None`` if none is known.
        oldest, newest: naive UTC.
    """

    path: Path
    results: int
    tasks: int
    agents: Mapping[str, int]
    quality: float | None
    oldest: datetime | None
    newest: datetime | None

    MEANING = (
        "Long-term memory holds how well tasks went, by CrewAI's evaluation, and no memories of users. It stays "
        "CrewAI's: until 1.9.3 a crew with **memory.crew_kwargs() goes on using the file; from 1.10 on nothing reads it"
    )


def survey_of(file: Path) -> LongTerm:
    """
    Raises:
        InvalidArgumentError: the file cannot be read.
    """
    agents: Counter[str] = Counter()
    tasks: set[str] = set()
    scores: list[float] = []
    times: list[datetime] = []
    with reading_a_copy(file) as database:
        for task, metadata, time, score in database.execute(
            "SELECT task_description, metadata, datetime, score FROM long_term_memories"
        ):
            tasks.add(str(task))
            agents[_agent_in(metadata)] += 1
            if isinstance(score, (int, float)):
                scores.append(float(score))
            if (at := _time(time)) is not None:
                times.append(at)
    return LongTerm(
        file,
        results=sum(agents.values()),
        tasks=len(tasks),
        agents=dict(agents.most_common()),
        quality=sum(scores) / len(scores) if scores else None,
        oldest=min(times, default=None),
        newest=max(times, default=None),
    )


def _agent_in(metadata: Any) -> str:
    try:
        return str(json.loads(metadata)["agent"]).strip()
    except (TypeError, ValueError, KeyError):
        return "unknown"


def _time(seconds: Any) -> datetime | None:
    """CrewAI writes seconds since 1970, as text."""
    try:
        return datetime.fromtimestamp(float(seconds), timezone.utc).replace(tzinfo=None)
    except (TypeError, ValueError, OverflowError, OSError):
        return None

"""A process that builds a real crew with ``external_memory=``, and prints whether the crew has it. Nothing is run.

CrewAI makes folders and a client of its telemetry with a crew, so it is not built in the process that is examined.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from importlib import import_module
from typing import Any


def is_kept() -> bool:
    """Whether a crew of this CrewAI has the external memory that it was given."""
    from ..adapters.version import is_unified

    from crewai import Agent, Crew, Task  # isort: skip (after ours, which switches CrewAI's telemetry off)
    from crewai.llms.base_llm import BaseLLM  # isort: skip

    class Silent(BaseLLM):
        def call(self, *args: Any, **kwargs: Any) -> str:
            return ""

    agent = Agent(role="Probe", goal="None", backstory="None", llm=Silent(model="none"))
    task = Task(description="None", expected_output="None", agent=agent)
    memory: Any = object()
    if not is_unified():
        external: Any = import_module("crewai.memory.external.external_memory")
        memory = external.ExternalMemory(storage=_Nothing())
    arguments: dict[str, Any] = {"external_memory": memory}
    crew = Crew(agents=[agent], tasks=[task], **arguments)
    return getattr(crew, "external_memory", None) is memory


class _Nothing:
    """A storage with the methods of CrewAI's."""

    def save(self, *args: Any, **kwargs: Any) -> None: ...

    def search(self, *args: Any, **kwargs: Any) -> list[Any]:
        return []

    def reset(self) -> None: ...


def main() -> None:
    """Print ``{"kept": ...}``."""
    with tempfile.TemporaryDirectory(prefix="crewai-memory-doctor-") as scratch:
        os.environ["CREWAI_STORAGE_DIR"] = scratch
        os.chdir(scratch)
        kept = is_kept()
        os.chdir("/")
    sys.stdout.write(f"{json.dumps({'kept': kept})}\n")


if __name__ == "__main__":
    main()

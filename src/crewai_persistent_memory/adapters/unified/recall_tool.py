"""CrewAI's tool that searches memory (>= 1.10), within one budget.

CrewAI's own asks for 20 results of each query, and adds them up.
"""

from __future__ import annotations

from typing import Any

from crewai.tools.memory_tools import RecallMemoryTool


class BoundedRecallTool(RecallMemoryTool):
    """CrewAI's tool over a memory of this package: all queries in one request, each memory once."""

    def _run(self, queries: list[str] | str, **kwargs: Any) -> str:
        matches = self.memory._recall_together([queries] if isinstance(queries, str) else queries)
        if not matches:
            return "No relevant memories found."
        return "\n".join(["Found memories:", *(match.format() for match in matches)])

"""A scripted LLM that plays CrewAI's memory analyst by simple, visible rules."""

from __future__ import annotations

import json
import re

from .crews import ScriptedLLM, final

_KINDS = {
    "You extract discrete": "extract",
    "You analyze content to be stored": "analyse",
    "You are comparing new content": "consolidate",
    "You analyze a query": "query",
}


class MemoryLLM(ScriptedLLM):
    """``kinds`` lists what each call was for; ``"answer"`` is an agent's own call."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.__dict__["kinds"] = []

    @property
    def kinds(self) -> list[str]:
        return self.__dict__["kinds"]

    def _answer(self, prompt: str) -> str:
        kind = next((kind for opening, kind in _KINDS.items() if opening in prompt), "answer")
        self.kinds.append(kind)
        if kind == "answer":
            return final("done")
        return str(getattr(self, f"_{kind}")(prompt))

    def _extract(self, prompt: str) -> str:
        """Every sentence that is marked as a fact is one memory; small talk is none."""
        return json.dumps({"memories": list(dict.fromkeys(re.findall(r"FACT: ([^.\n]+)", prompt)))})

    def _analyse(self, prompt: str) -> str:
        about_food = "nuts" in prompt.partition("Existing scopes")[0]
        return json.dumps(
            {
                "suggested_scope": "/diet" if about_food else "/travel",
                "categories": ["food"] if about_food else ["travel"],
                "importance": 0.9 if about_food else 0.4,
                "extracted_metadata": {"entities": ["John"], "dates": [], "topics": []},
            }
        )

    def _consolidate(self, prompt: str) -> str:
        """New content replaces the most similar record."""
        new = prompt.partition("New content to consider storing:")[2].partition("Existing similar")[0].strip()
        old = re.search(r"[0-9a-f]{8}-[0-9a-f-]{27}", prompt)
        assert old is not None, prompt
        action = {"action": "update", "record_id": old[0], "new_content": new, "reason": "newer"}
        return json.dumps({"actions": [action], "insert_new": False, "insert_reason": "updated"})

    def _query(self, prompt: str) -> str:
        found = {"keywords": [], "suggested_scopes": [], "complexity": "simple"}
        return json.dumps({**found, "recall_queries": ["window seat"], "time_filter": None})

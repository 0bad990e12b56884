"""Real crews with a scripted LLM, and what that LLM was given to read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from crewai import Agent, Crew, Task
from crewai.llms.base_llm import BaseLLM

from crewai_persistent_memory.adapters.version import is_unified

Answer = Callable[[str], str]


class ScriptedLLM(BaseLLM):
    """Answers by a function of the prompt, and keeps every prompt.

    CrewAI until 1.9.3 has an answer evaluated for its long-term memory; ``evaluation`` is what that finds.
    """

    def __init__(self, answer: Answer | str = "noted", evaluation: dict[str, Any] | None = None) -> None:
        super().__init__(model="scripted")
        self.__dict__["evaluation"] = evaluation or {"suggestions": [], "quality": 8, "entities": []}
        self.__dict__["evaluated"] = []
        self.__dict__["answer"] = answer if callable(answer) else (lambda prompt: answer)
        self.__dict__["seen"] = []

    @property
    def prompts(self) -> list[str]:
        return self.__dict__["seen"]

    @property
    def evaluations(self) -> list[str]:
        return self.__dict__["evaluated"]

    def call(self, messages: Any, tools: Any = None, *args: Any, **kwargs: Any) -> Any:
        prompt = messages if isinstance(messages, str) else "\n".join(str(m.get("content", "")) for m in messages)
        if "Assess the quality of the task completed" in prompt:
            self.evaluations.append(prompt)
            return json.dumps(self.__dict__["evaluation"])
        self.prompts.append(prompt)
        answer = self.__dict__["answer"](prompt)
        response_model = kwargs.get("response_model")
        if response_model is not None and isinstance(answer, dict):
            return response_model.model_validate(answer)
        return answer if isinstance(answer, str) else json.dumps(answer)

    async def acall(self, messages: Any, tools: Any = None, *args: Any, **kwargs: Any) -> Any:
        return self.call(messages, tools, *args, **kwargs)

    def supports_function_calling(self) -> bool:
        return False

    def supports_stop_words(self) -> bool:
        return False

    def get_context_window_size(self) -> int:
        return 32_000

    def __deepcopy__(self, memo: Any) -> ScriptedLLM:
        return self


def memories_in(prompt: str) -> str:
    """What CrewAI put into the prompt of what was remembered here (long-term memory is CrewAI's)."""
    if is_unified():
        return prompt.partition("Relevant memories:")[2].partition("IMPORTANT: The memories above")[0]
    context = prompt.partition("# Useful context:")[2]
    context = re.split(r"\n\n(?:Begin! This is VERY|Provide your complete)", context)[0]
    ours = re.search(r"^(?:Entities|External memories):\n.*", context, re.DOTALL | re.MULTILINE)
    return ours[0].strip() if ours else ""


needs_unified = pytest.mark.skipif(not is_unified(), reason="what CrewAI has since 1.10 only")
needs_contextual = pytest.mark.skipif(is_unified(), reason="what CrewAI has until 1.9.3 only")


def final(text: str) -> str:
    return f"Thought: I now can give a great answer\nFinal Answer: {text}"


def one_agent_crew(llm: Any, request: str, *, agent_memory: Any = None, **crew: Any) -> Crew:
    """A crew of one agent and one task. ``memory`` may be a ``PersistentMemory`` on every CrewAI."""
    own = {} if agent_memory is None else {"memory": agent_memory}
    agent = Agent(role="Concierge", goal="Serve guests", backstory="At the desk for years", llm=llm, **own)
    if hasattr(crew.get("memory"), "crew_kwargs"):
        crew = {**crew, **crew["memory"].crew_kwargs()}
    return Crew(
        agents=[agent], tasks=[Task(description=request, expected_output="A short answer", agent=agent)], **crew
    )

"""Real crews with a scripted LLM, and what that LLM was given to read."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from crewai import Agent, Crew, Task
from crewai.llms.base_llm import BaseLLM

Answer = Callable[[str], str]


class ScriptedLLM(BaseLLM):
    """Answers by a function of the prompt; keeps every prompt in ``seen``."""

    def __init__(self, answer: Answer | str = "noted") -> None:
        super().__init__(model="scripted")
        self.__dict__["answer"] = answer if callable(answer) else (lambda prompt: answer)
        self.__dict__["seen"] = []

    @property
    def prompts(self) -> list[str]:
        return self.__dict__["seen"]

    def call(self, messages: Any, tools: Any = None, *args: Any, **kwargs: Any) -> Any:
        prompt = messages if isinstance(messages, str) else "\n".join(str(m.get("content", "")) for m in messages)
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


def final(text: str) -> str:
    return f"Thought: I now can give a great answer\nFinal Answer: {text}"


def one_agent_crew(llm: Any, request: str, *, agent_memory: Any = None, **crew: Any) -> Crew:
    """A crew of one agent and one task."""
    agent = Agent(
        role="Concierge", goal="Serve guests", backstory="At the desk for years", llm=llm, memory=agent_memory
    )
    return Crew(
        agents=[agent], tasks=[Task(description=request, expected_output="A short answer", agent=agent)], **crew
    )

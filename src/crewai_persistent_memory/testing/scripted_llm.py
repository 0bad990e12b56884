"""A stand-in for a model: it answers by rules, and keeps every prompt."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from typing_extensions import Self

from ..adapters.version import is_unified

from crewai.llms import base_llm  # isort: skip (after ours, which switches CrewAI's telemetry off)
from crewai.llms.base_llm import BaseLLM  # isort: skip

Answer = str | Mapping[str, Any] | Callable[[str], Any]
"""A text, the fields of a structured answer, or a function of the prompt that returns one of these."""

_ASKS_FOR_A_FORM: Final = "Final Answer:"
"""In the prompt of an agent with tools, and until CrewAI 1.9.3 in every agent's prompt."""
_HAS_A_FORM: Final = re.compile(r"Final Answer:|^Action:|\A\s*[{\[\"]", re.MULTILINE)
_EVALUATES: Final = "Assess the quality of the task completed"
"""CrewAI until 1.9.3 has an answer evaluated for its long-term memory."""
_NOTHING_FOUND: Final[Mapping[str, Any]] = {"suggestions": [], "quality": 8, "entities": []}


class ScriptedLLM(BaseLLM):
    """An LLM for tests, on every supported CrewAI: ``Agent(..., llm=ScriptedLLM("A window seat"))``.

    It answers blocking and awaiting calls. If the crew streams, the answer is streamed word by word. A copied crew has
    the same LLM, so all prompts are in one list. It calls no tool by itself; an answer in CrewAI's form ("Action: ...")
    does.

    Args:
        answer: what it says if no rule matches: a text, a mapping for a structured answer, or a function of the prompt.
            A text is put into the form that the prompt asks for ("Final Answer: ...") unless it has one.
        rules: pairs of a regular expression and an answer. The first one that is found in the prompt decides.
        evaluation: what CrewAI until 1.9.3 finds when it evaluates an answer for its long-term memory.

    Attributes:
        prompts: the text of each call, oldest first.
        evaluations: the prompts of those evaluations, which are not in ``prompts``.

    Raises:
        re.error: a rule is not a regular expression.
    """

    def __init__(
        self,
        answer: Answer = "noted",
        evaluation: Mapping[str, Any] | None = None,
        *,
        rules: list[tuple[str, Answer]] | None = None,
    ) -> None:
        super().__init__(model="scripted")
        # In the instance's dict: BaseLLM is a pydantic model in some versions of CrewAI, and a plain class in others.
        state: dict[str, Any] = {"evaluation": dict(evaluation or _NOTHING_FOUND), "answer": answer}
        self.__dict__.update(state, evaluations=[], prompts=[], rules=[])
        for pattern, said in rules or []:
            self.when(pattern, said)

    @property
    def prompts(self) -> list[str]:
        found: list[str] = self.__dict__["prompts"]
        return found

    @property
    def evaluations(self) -> list[str]:
        found: list[str] = self.__dict__["evaluations"]
        return found

    def when(self, pattern: str, answer: Answer) -> Self:
        """Add a rule after the others: this answer to a prompt in which the regular expression is found.

        Raises:
            re.error: ``pattern`` is not a regular expression.
        """
        self.__dict__["rules"].append((re.compile(pattern), answer))
        return self

    # -- what CrewAI calls -----------------------------------------------------------------------------------------

    def call(self, messages: Any, tools: Any = None, *args: Any, **kwargs: Any) -> Any:
        answer = self._answer_to(messages, kwargs.get("response_model"))
        with _one_call():
            for chunk in self._chunks(answer):
                self.emit(chunk)
        return answer

    async def acall(self, messages: Any, tools: Any = None, *args: Any, **kwargs: Any) -> Any:
        answer = self._answer_to(messages, kwargs.get("response_model"))
        with _one_call():
            for chunk in self._chunks(answer):
                self.emit(chunk)
                await asyncio.sleep(0)  # other streams of the loop have their turn
        return answer

    def emit(self, chunk: str) -> None:
        """Give a piece of text to who reads the stream. CrewAI before 1.6 has no streams, and drops it."""
        if hasattr(self, "_emit_stream_chunk_event"):
            self._emit_stream_chunk_event(chunk)

    def supports_function_calling(self) -> bool:
        return False

    def supports_stop_words(self) -> bool:
        return False

    def get_context_window_size(self) -> int:
        return 32_000

    def get_input_tokens_count(self, messages: Any, tools: Any = None, response_model: Any = None) -> int:
        return len(prompt_text(messages)) // 4

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        return self

    # -- how it answers --------------------------------------------------------------------------------------------

    def _answer_to(self, messages: Any, response_model: Any) -> Any:
        prompt = prompt_text(messages)
        if _EVALUATES in prompt:
            self.evaluations.append(prompt)
            return json.dumps(self.__dict__["evaluation"])
        self.prompts.append(prompt)
        answer = self._said(prompt)
        if isinstance(answer, Mapping):
            return json.dumps(answer) if response_model is None else response_model.model_validate(dict(answer))
        if not isinstance(answer, str):
            return json.dumps(answer)
        has_form = _ASKS_FOR_A_FORM not in prompt or _HAS_A_FORM.search(answer)
        return answer if has_form else final_answer(answer)

    def _said(self, prompt: str) -> Any:
        rules = (answer for pattern, answer in self.__dict__["rules"] if pattern.search(prompt))
        answer = next(rules, self.__dict__["answer"])
        return answer(prompt) if callable(answer) else answer

    def _chunks(self, answer: Any) -> list[str]:
        is_streaming = isinstance(answer, str) and getattr(self, "stream", False)
        return [f"{word} " for word in answer.split(" ")] if is_streaming else []


def _one_call() -> AbstractContextManager[object]:
    """The chunks inside belong to one call. Outside of a call, CrewAI 1.15 warns at each of them."""
    context: Callable[[], AbstractContextManager[object]] = getattr(base_llm, "llm_call_context", nullcontext)
    return context()


def final_answer(text: str) -> str:
    """A text in the form that CrewAI takes for the end of a task."""
    return f"Thought: I now can give a great answer\nFinal Answer: {text}"


def prompt_text(messages: Any) -> str:
    """The text of what an LLM is called with."""
    if isinstance(messages, str):
        return messages
    return "\n".join(str(message.get("content", "")) for message in messages)


def memories_in(prompt: str) -> str:
    """The part of an agent's prompt that CrewAI has from this package's memory; empty if there is none.

    CrewAI's own long-term memory (until 1.9.3) is left out.
    """
    if is_unified():
        return prompt.partition("Relevant memories:")[2].partition("IMPORTANT: The memories above")[0]
    context = prompt.partition("# Useful context:")[2]
    context = re.split(r"\n\n(?:Begin! This is VERY|Provide your complete)", context)[0]
    ours = re.search(r"^(?:Entities|External memories):\n.*", context, re.DOTALL | re.MULTILINE)
    return ours[0].strip() if ours else ""

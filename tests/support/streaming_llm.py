"""A scripted LLM that streams: a word at a time, as an event, which is where CrewAI's streams have their text from."""

from __future__ import annotations

import asyncio
from typing import Any

from .crews import ScriptedLLM


class StreamingLLM(ScriptedLLM):
    """Streams every answer. A crew's stream has no text with :class:`ScriptedLLM`."""

    def emit(self, chunk: str) -> None:
        if hasattr(self, "_emit_stream_chunk_event"):  # not in CrewAI 0.203, which does not stream
            self._emit_stream_chunk_event(chunk)

    def call(self, messages: Any, tools: Any = None, *args: Any, **kwargs: Any) -> Any:
        answer = super().call(messages, tools, *args, **kwargs)
        for chunk in words_of(answer):
            self.emit(chunk)
        return answer

    async def acall(self, messages: Any, tools: Any = None, *args: Any, **kwargs: Any) -> Any:
        answer = super().call(messages, tools, *args, **kwargs)
        for chunk in words_of(answer):
            self.emit(chunk)
            await asyncio.sleep(0)  # other streams of the loop have their turn
        return answer


def words_of(answer: str) -> list[str]:
    return [word + " " for word in answer.split(" ")]

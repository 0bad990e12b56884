"""The example service with a scripted LLM that repeats every code it was given to read, for Gunicorn to load.

Every call of the LLM is a line of the file ``TEST_LLM_CALLS``, and so is the end of every streaming request. Asked for
an endless answer, the LLM writes until the file ``TEST_RELEASE`` is there.
"""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "crews" / "concierge_api"))

from app import create_app

from .crews import ScriptedLLM, final

CALLS, RELEASE = Path(os.environ["TEST_LLM_CALLS"]), Path(os.environ["TEST_RELEASE"])


class RepeatingLLM(ScriptedLLM):
    def __init__(self) -> None:
        super().__init__(repeat_codes)

    def call(self, messages: Any, tools: Any = None, *args: Any, **kwargs: Any) -> Any:
        note("called")
        if "endless" in str(messages):
            while not RELEASE.exists():
                self.emit("word ")
                time.sleep(0.01)
        answer = super().call(messages, tools, *args, **kwargs)
        note("answered")
        return answer


def repeat_codes(prompt: str) -> str:
    return final("I know " + " ".join(dict.fromkeys(re.findall(r"code-\w+", prompt))))


def note(what: str) -> None:
    with CALLS.open("a") as calls:
        calls.write(f"{what}\n")


class Noting:
    """The service around it, which notes the end of a streaming request, be it by its last byte or cancelled."""

    def __init__(self, service: Any) -> None:
        self.service = service

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await self.service(scope, receive, send)
        finally:
            if scope.get("path") == "/stream":
                note("stream over")


app = Noting(create_app(RepeatingLLM(), collection=os.environ["TEST_COLLECTION"]))

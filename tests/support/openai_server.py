"""An OpenAI-compatible server on 127.0.0.1: scripted extraction for Mem0 OSS, deterministic embeddings."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import struct
import threading
import time
from collections.abc import Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .asgi import Serving
from .embedders import WordHashEmbedder
from .extraction import facts_in
from .memories import EVALUATION

DIMENSIONS = 64
MOST_INPUTS, MOST_TOKENS, MOST_TOKENS_OF_A_REQUEST = 2_048, 8_192, 300_000
"""What OpenAI takes in a request for embeddings."""
EVALUATING = "Assess the quality of the task completed"


class OpenAIServer(Serving):
    """Start it with ``with``; ``url`` is where it answers, below ``/v1``."""

    def __init__(self) -> None:
        routes = [
            Route("/v1/chat/completions", self.chat, methods=["POST"]),
            Route("/v1/embeddings", self.embed, methods=["POST"]),
        ]
        super().__init__(Starlette(routes=routes))
        self.prompts: list[str] = []
        self.embedded: list[list[str]] = []
        self.fails_with: int | None = None
        self.embeddings_away = False
        """Embeddings are answered with 503, and the client is told not to ask again (it would wait for seconds)."""
        self.held: threading.Event | None = None
        """Chats are answered once it is set."""

    @property
    def agent_prompts(self) -> list[str]:
        """What CrewAI's agents were given to read, oldest first."""
        return [prompt for prompt in self.prompts if "Current Task" in prompt]

    @property
    def extractions(self) -> list[str]:
        """What Mem0 asked to be extracted, oldest first."""
        others = ("Current Task", "smart memory manager", EVALUATING)
        return [prompt for prompt in self.prompts if not any(other in prompt for other in others)]

    @property
    def evaluations(self) -> list[str]:
        """Answers that CrewAI until 1.9.3 had evaluated for its long-term memory, oldest first."""
        return [prompt for prompt in self.prompts if EVALUATING in prompt]

    def local_mem0_config(self, vector_store: dict[str, Any], history: str) -> dict[str, Any]:
        """What a user of Mem0 OSS writes, with everything at this server but the vectors."""
        at = {"api_key": "sk-test", "openai_base_url": f"{self.url}/v1"}
        return {
            "vector_store": vector_store,
            "llm": {"provider": "openai", "config": {"model": "scripted", **at}},
            "embedder": {
                "provider": "openai",
                "config": {"model": "words", "embedding_dims": DIMENSIONS, **at},
            },
            "history_db_path": history,
        }

    async def chat(self, request: Request) -> Response:
        body = await request.json()
        prompt = "\n\n".join(str(message["content"]) for message in body["messages"])
        self.prompts.append(prompt)
        if self.held is not None:
            await asyncio.to_thread(self.held.wait)
        if self.fails_with is not None:
            return JSONResponse({"error": {"message": "scripted failure"}}, self.fails_with)
        answer = "Thought: I now can give a great answer\nFinal Answer: Noted."
        if EVALUATING in prompt:
            answer = json.dumps(EVALUATION)
        elif "Current Task" not in prompt:
            answer = json.dumps(answer_to(prompt))
        message = {"role": "assistant", "content": answer}
        return JSONResponse(
            {
                "id": "chat-1",
                "object": "chat.completion",
                "created": int(time.time()),
                "model": body["model"],
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
            }
        )

    async def embed(self, request: Request) -> Response:
        body = await request.json()
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        if self.embeddings_away:
            told = {"error": {"message": "The server is overloaded", "type": "server_error", "code": None}}
            return JSONResponse(told, 503, headers={"x-should-retry": "false"})
        if refusal := refusal_of(texts):
            return JSONResponse({"error": {"message": refusal, "type": "invalid_request_error", "code": None}}, 400)
        self.embedded.append(texts)
        dimensions = body.get("dimensions") or (
            1536 if body["model"].startswith("text-embedding-3-small") else DIMENSIONS
        )
        embedder = WordHashEmbedder(dimensions - 1)
        data = []
        for index, text in enumerate(texts):
            # As with real models no two texts are opposites: Mem0 leaves those out.
            vector: Any = [part * 0.5**0.5 for part in [*embedder.vector(text), 1.0]]
            if body.get("encoding_format") == "base64":
                vector = base64.b64encode(struct.pack(f"{dimensions}f", *vector)).decode()
            data.append({"object": "embedding", "index": index, "embedding": vector})
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        return JSONResponse({"object": "list", "model": body["model"], "data": data, "usage": usage})


def tokens_of(text: str) -> int:
    """An upper bound: a byte-level tokenizer makes no more tokens of a text than it has bytes."""
    return len(text.encode())


def refusal_of(texts: Sequence[str]) -> str | None:
    """Why OpenAI would refuse to embed these texts in one request, in its words."""
    if len(texts) > MOST_INPUTS:
        return f"Invalid 'input': array too long. Expected maximum length {MOST_INPUTS}, but got {len(texts)} instead."
    if not texts or not all(texts):
        return "'$.input' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference."
    longest = max(map(tokens_of, texts))
    if longest > MOST_TOKENS:
        return (
            f"This model's maximum context length is {MOST_TOKENS} tokens, however you requested {longest} tokens "
            f"({longest} in your prompt; 0 for the completion). Please reduce your prompt; or completion length."
        )
    total = sum(map(tokens_of, texts))
    if total > MOST_TOKENS_OF_A_REQUEST:
        return f"Requested {total} tokens, max {MOST_TOKENS_OF_A_REQUEST} tokens per request"
    return None


def answer_to(prompt: str) -> dict[str, Any]:
    """As Mem0 2.x asks (one extraction), or 0.1 and 1.x (facts first, then what to do with them)."""
    if "smart memory manager" in prompt:
        # The facts are in the last fence; each is added.
        fences = re.findall(r"```(.*?)```", prompt, re.S)
        facts = re.findall(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"", fences[-1])
        texts = [a or b for a, b in facts]
        return {"memory": [{"id": str(100 + i), "text": text, "event": "ADD"} for i, text in enumerate(texts)]}
    includes = " ".join(re.findall(r"Remember in particular: (.*)\.", prompt))
    excludes = " ".join(re.findall(r"Never remember anything about: (.*)\.", prompt))
    if "## New Messages" in prompt:
        said = prompt.rsplit("## New Messages", 1)[1].split("\n## ", 1)[0]
        facts = facts_in(_unlabelled(said), includes, excludes)
        return {"memory": [{"id": str(i), "text": f, "attributed_to": "user"} for i, f in enumerate(facts)]}
    said = prompt.rsplit("Input:", 1)[1]
    return {"facts": facts_in(_unlabelled(said), includes, excludes)}


def _unlabelled(said: str) -> str:
    return re.sub(r"^\s*(user|assistant|system): ", "", said, flags=re.M | re.I)

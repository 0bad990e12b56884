"""A concierge behind a web API: one memory, many guests, any number of workers and replicas.

    QDRANT_URL=http://127.0.0.1:6333 uvicorn --app-dir examples/crews/concierge_api --workers 4 app:app

    curl -s localhost:8000/ask -H 'X-User-Id: john' -H 'Content-Type: application/json' \\
         -d '{"text": "I am allergic to nuts."}'
    curl -sN localhost:8000/stream -H 'X-User-Id: john' -H 'Content-Type: application/json' \\
         -d '{"text": "What must the cook know?"}'

The environment decides what differs between deployments: ``QDRANT_URL``, ``QDRANT_API_KEY``, ``MODEL`` and its key, and
``CREWAI_MEMORY_PROJECT_ID`` (give each stage its own: staging then never sees production).

Whose memory a request uses is decided in one place, by ``use_scope``. Here the user comes from a header that a gateway
in front of this service must set from the session or token: never let a browser set it.

``/stream`` answers with server-sent events: ``chunk`` for what the LLM writes, then ``answer``, or ``error``. It needs
CrewAI 1.7 or newer.

What a guest says is kept on this host first (``CREWAI_MEMORY_OUTBOX_PATH``) and delivered to Qdrant, which may be away
meanwhile. Workers of one host share that.

``/health`` answers 503, with the reason, if the store or the LLM cannot be used: send no requests then. ``/live``
answers 200 as long as the process works: restart it if it does not.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

from fastapi import FastAPI, Header, HTTPException
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, Field

from crewai_persistent_memory import ConfigurationError, PersistentMemory, PersistentMemoryError, StoreError, use_scope

from crewai import Agent, Crew, Task  # isort: skip (after ours: no telemetry)


logger = logging.getLogger("concierge")

PATIENCE = {"timeout": 2, "retry_for": 1, "startup_check": False}
"""How long a guest waits for a Qdrant server that does not answer (seconds), unless the environment says otherwise.
Without the start-up check the service starts before Qdrant does, and ``/health`` says what is missing."""

Guest = Annotated[str, Header(alias="X-User-Id", min_length=1, max_length=255)]


class Question(BaseModel):
    text: str = Field(min_length=1, max_length=4000)


class Answer(BaseModel):
    text: str
    worker: int


def create_app(llm: Any = None, **options: Any) -> FastAPI:
    """The service. ``options`` go to the memory; left out, ``QDRANT_URL`` and the rest of the environment decide."""
    # With "raise" a guest whose memory cannot be read is told so (503). With "warn" the crew would answer as if it had
    # never heard of the guest's allergy.
    memory = PersistentMemory(**{"on_error": "raise", **patience(options), **options})
    model = llm or os.environ.get("MODEL") or "openai/gpt-4o-mini"
    app = FastAPI(title="Concierge")

    def crew(**options: Any) -> Crew:
        """A crew for one request. CrewAI keeps the state of a run in it, so that requests at once cannot share one; the
        memory and its connections are the same for all."""
        concierge = Agent(
            role="Concierge",
            goal="Serve each guest as someone who knows them",
            backstory="You have worked at this desk for years.",
            llm=model,
        )
        task = Task(description="{request}", expected_output="A short, helpful answer", agent=concierge)
        return Crew(agents=[concierge], tasks=[task], **memory.crew_kwargs(), **options)

    # Found out once, at the start. It is no reason to end: a process that ends is started again, for ever.
    llm_problem = why_no_llm(model, crew)

    def refuse_without_llm() -> None:
        if llm_problem:
            raise HTTPException(503, llm_problem)

    def refuse_without_store(health: dict[str, Any]) -> dict[str, Any]:
        # While Qdrant is away, writes wait in the outbox. A guest's memory cannot be read.
        if health.get("status") == "unavailable":
            raise HTTPException(503, health["error"])
        return health

    @app.post("/ask")
    def ask(question: Question, guest: Guest) -> Answer:
        refuse_without_llm()
        with use_scope(user_id=guest):
            refuse_without_store(memory.store.health())  # before the crew's LLM is paid for
            try:
                answer = crew().kickoff(inputs={"request": question.text})
            except PersistentMemoryError:
                raise
            except Exception as error:
                logger.exception("a crew failed")
                raise HTTPException(502, f"the crew failed: {type(error).__name__}") from error
        return Answer(text=str(answer), worker=os.getpid())

    @app.post("/stream")
    async def stream(question: Question, guest: Guest) -> StreamingResponse:
        refuse_without_llm()
        refuse_without_store(await memory.store.ahealth())
        # The crew works while the response is sent, after this block. It has the guest of the call to akickoff.
        with use_scope(user_id=guest):
            chunks = await crew(stream=True).akickoff(inputs={"request": question.text})
        return StreamingResponse(_events(chunks), media_type="text/event-stream", headers={"Cache-Control": "no-cache"})

    @app.get("/memories")
    async def memories(guest: Guest) -> list[str]:
        with use_scope(user_id=guest):
            return [entry.content for entry in await memory.store.alist(limit=50)]

    @app.delete("/memories")
    async def forget(guest: Guest) -> dict[str, int]:
        with use_scope(user_id=guest):
            return {"forgotten": await memory.store.areset()}

    @app.get("/health")
    async def health() -> dict[str, Any]:
        refuse_without_llm()
        return refuse_without_store(await memory.store.ahealth())

    @app.get("/live")
    async def live() -> dict[str, int]:
        return {"worker": os.getpid()}

    @app.exception_handler(PersistentMemoryError)
    async def refuse(request: Any, error: PersistentMemoryError) -> JSONResponse:
        status = 503 if isinstance(error, StoreError) else 400
        return JSONResponse({"detail": f"{type(error).__name__}: {error}"}, status)

    return app


def misconfigured(error: ConfigurationError) -> FastAPI:
    """A service that says what is wrong with its environment. One that ended would be started again, for ever."""
    app = FastAPI(title="Concierge, misconfigured")

    @app.get("/live")
    async def live() -> dict[str, int]:
        return {"worker": os.getpid()}

    @app.api_route("/{path:path}", methods=["GET", "POST", "DELETE"])
    async def refuse(path: str) -> None:
        raise HTTPException(503, str(error) if path == "health" else "misconfigured: /health has the reason")

    return app


def patience(options: dict[str, Any]) -> dict[str, Any]:
    """:data:`PATIENCE`, for a Qdrant server; what the environment says about it wins."""
    if not (options.get("url") or os.environ.get("QDRANT_URL")):
        return {}
    return {name: value for name, value in PATIENCE.items() if f"CREWAI_MEMORY_{name.upper()}" not in os.environ}


def why_no_llm(model: Any, crew: Callable[[], Crew]) -> str | None:
    """Why the agents have no LLM. Some versions of CrewAI find a missing key when an agent is built, others when it is
    first called, with the guest waiting."""
    if isinstance(model, str) and model.startswith(("openai/", "gpt-")) and not os.environ.get("OPENAI_API_KEY"):
        problem = f"the model is {model}, and OPENAI_API_KEY is not set: set it, or set MODEL to another provider's"
        logger.error(problem)
        return problem
    try:
        crew()
    except Exception as error:
        logger.exception("the agents' LLM cannot be used")
        return f"the model {model} cannot be used: {type(error).__name__}; the log has the reason"
    return None


async def _events(chunks: Any) -> AsyncIterator[str]:
    """A crew's stream as server-sent events. The response has begun, so an error can only be an event too."""
    try:
        async for chunk in chunks:
            yield _event("chunk", text=chunk.content)
        yield _event("answer", text=str(chunks.result), worker=os.getpid())
    except Exception as error:
        logger.exception("a stream failed")
        yield _event("error", detail=type(error).__name__)


def _event(name: str, **data: Any) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


def __getattr__(name: str) -> Any:
    # Built when a server asks for "app:app", not when a test imports create_app.
    if name == "app":
        try:
            globals()["app"] = create_app()
        except ConfigurationError as error:
            logger.exception("the environment is not what the service needs")
            globals()["app"] = misconfigured(error)
        return globals()["app"]
    raise AttributeError(name)

"""A concierge behind a web API: one long-lived crew, many guests, any number of workers and replicas.

    QDRANT_URL=http://127.0.0.1:6333 gunicorn -k asgi -w 4 app:app

    curl -s localhost:8000/ask -H 'X-User-Id: john' -H 'Content-Type: application/json' \\
         -d '{"text": "I am allergic to nuts."}'

Whose memory a request uses is decided in one place, by ``use_scope``. Here the user comes from a header that a gateway
in front of this service must set from the session or token: never let a browser set it.
"""

from __future__ import annotations

import os
from typing import Annotated, Any

from fastapi import FastAPI, Header, HTTPException
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from crewai_persistent_memory import PersistentMemory, PersistentMemoryError, StoreError, use_scope

from crewai import Agent, Crew, Task  # isort: skip (after ours: no telemetry)


class Question(BaseModel):
    text: str = Field(min_length=1, max_length=4000)


class Answer(BaseModel):
    text: str
    worker: int


def create_app(llm: Any = None, **options: Any) -> FastAPI:
    """The service. ``options`` go to the memory; left out, ``QDRANT_URL`` and the rest of the environment decide."""
    memory = PersistentMemory(**{"project_id": "concierge", "embedder": None, **options})
    concierge = Agent(
        role="Concierge",
        goal="Serve each guest as someone who knows them",
        backstory="You have worked at this desk for years.",
        llm=llm or os.environ.get("MODEL", "openai/gpt-4o-mini"),
    )
    task = Task(description="{request}", expected_output="A short, helpful answer", agent=concierge)
    crew = Crew(agents=[concierge], tasks=[task], **memory.crew_kwargs())
    app = FastAPI(title="Concierge")

    @app.post("/ask")
    def ask(question: Question, x_user_id: Annotated[str, Header(min_length=1, max_length=255)]) -> Answer:
        with use_scope(user_id=x_user_id):
            # A crew keeps the state of its run, so requests that run at the same time each get a copy; the memory
            # and its connections are the same for all.
            answer = crew.copy().kickoff(inputs={"request": question.text})
        return Answer(text=str(answer), worker=os.getpid())

    @app.get("/memories")
    async def memories(x_user_id: Annotated[str, Header(min_length=1, max_length=255)]) -> list[str]:
        with use_scope(user_id=x_user_id):
            return [entry.content for entry in await memory.store.alist(limit=50)]

    @app.delete("/memories")
    async def forget(x_user_id: Annotated[str, Header(min_length=1, max_length=255)]) -> dict[str, int]:
        with use_scope(user_id=x_user_id):
            return {"forgotten": await memory.store.areset()}

    @app.get("/health")
    async def health() -> dict[str, Any]:
        try:
            return await memory.store.ahealth()
        except StoreError as error:
            raise HTTPException(503, str(error)) from error

    @app.exception_handler(PersistentMemoryError)
    async def refuse(request: Any, error: PersistentMemoryError) -> JSONResponse:
        status = 503 if isinstance(error, StoreError) else 400
        return JSONResponse({"detail": f"{type(error).__name__}: {error}"}, status)

    return app


def __getattr__(name: str) -> Any:
    # Built when a server asks for "app:app", not when a test imports create_app.
    if name == "app":
        globals()["app"] = create_app()
        return globals()["app"]
    raise AttributeError(name)

"""A fake Mem0 platform: an ASGI server on 127.0.0.1 with the endpoints that mem0ai's clients call.

What it is asked and what it answers is checked against Mem0's published description; a violation fails the test. It
keeps the platform's odd ways: entities that a filter does not name are not constrained; with user and agent both given
an assistant's statement is filed without the user, a user's without the agent; adding is asynchronous.
"""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any

import jsonschema
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from crewai_persistent_memory.expiry import now

from .asgi import Serving
from .embedders import WordHashEmbedder
from .extraction import facts_in, words

ENTITIES = ("user_id", "agent_id", "app_id", "run_id")
OPERATORS = {"in", "gte", "lte", "gt", "lt", "ne", "contains", "icontains"}
DEFAULT_KEY = "m0-test-key-of-nobody"


def _nullable(schema: Any) -> Any:
    """OpenAPI 3.0's ``nullable`` as JSON Schema says it."""
    if isinstance(schema, list):
        return [_nullable(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: _nullable(value) for key, value in schema.items()}
    if result.pop("nullable", False) and isinstance(result.get("type"), str):
        result["type"] = [result["type"], "null"]
    return result


API = _nullable(json.loads((Path(__file__).parent / "mem0-openapi.json").read_text()))
for _name in ("MemoryGetInputV2", "MemorySearchInputV2"):
    # The description's own text allows logical and comparison operators where its schema has plain texts.
    API["components"]["schemas"][_name]["properties"]["filters"] = {"type": "object"}
# It says "object" of what it calls a list, and what v3 has as one.
API["components"]["schemas"]["MemoryInput"]["properties"]["custom_categories"] = {"type": "array"}


@dataclass
class Fault:
    """What to answer in place of the next ``times`` requests for a path that matches."""

    path: str
    status: int
    times: int = 1
    headers: Mapping[str, str] = field(default_factory=dict)
    acts: bool = False
    """It is done all the same; only the answer is lost."""


class Mem0Platform(Serving):
    """Start it with ``with``; ``url`` is where it answers."""

    def __init__(self) -> None:
        routes = [
            Route("/v1/ping/", self._handle("/v1/ping/", self.ping)),
            Route("/v3/memories/add/", self._handle("/v3/memories/add/", self.add_v3), methods=["POST"]),
            Route("/v3/memories/search/", self._handle("/v3/memories/search/", self.search_v3), methods=["POST"]),
            Route("/v3/memories/", self._handle("/v3/memories/", self.list_v3), methods=["POST"]),
            Route("/v1/memories/", self._handle("/v1/memories/", self.add_v1), methods=["POST"]),
            Route("/v1/memories/", self._handle("/v1/memories/", self.delete_all), methods=["DELETE"]),
            Route("/v2/memories/search/", self._handle("/v2/memories/search/", self.search_v2), methods=["POST"]),
            Route("/v2/memories/", self._handle("/v2/memories/", self.list_v2), methods=["POST"]),
            Route("/v1/batch/", self._handle("/v1/batch/", self.delete_batch), methods=["DELETE"]),
            Route("/v1/event/{event_id}/", self._handle("/v1/event/{event_id}/", self.event)),
            Route(
                "/v1/memories/{memory_id}/",
                self._handle("/v1/memories/{memory_id}/", self.one),
                methods=["GET", "PUT", "DELETE"],
            ),
        ]
        super().__init__(Starlette(routes=routes))
        self.keys = {DEFAULT_KEY: ("org-1", "proj-1")}
        self.memories: dict[str, dict[str, Any]] = {}
        self.events: dict[str, dict[str, Any]] = {}
        self.requests: list[tuple[str, str, Any]] = []
        self.violations: list[str] = []
        self.faults: list[Fault] = []
        self.filters_are_ignored = False
        """A platform that leaks: for the second check of results."""
        self._open = threading.Event()
        self._open.set()
        self._vector = lru_cache(maxsize=10_000)(WordHashEmbedder().vector)
        self._lock = threading.Lock()

    # -- for tests -------------------------------------------------------------------------------------------------

    def bodies(self, path: str) -> list[Any]:
        """What was sent to a path, oldest first."""
        return [body for _, asked, body in self.requests if asked == path]

    @property
    def adds(self) -> list[Any]:
        return self.bodies("/v3/memories/add/") + self.bodies("/v1/memories/")

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Inside, nothing that was added asynchronously gets done."""
        self._open.clear()
        try:
            yield
        finally:
            self._open.set()

    def remember(self, text: str, **fields: Any) -> str:
        """Put a memory there, past every rule."""
        return self._store(text, {"user_id": None, **fields}, "proj-1")["id"]

    def forget_everything(self) -> None:
        with self._lock:
            self.memories.clear()
            self.requests.clear()
            self.faults.clear()

    # -- plumbing --------------------------------------------------------------------------------------------------

    def _handle(self, template: str, act: Any) -> Any:
        async def handle(request: Request) -> Response:
            raw = await request.body()
            body = json.loads(raw) if raw else None
            self.requests.append((request.method, template, body))
            key = request.headers.get("authorization", "").removeprefix("Token ")
            if key not in self.keys:
                return JSONResponse({"detail": "Invalid API key"}, 401)
            fault = next((f for f in self.faults if f.times > 0 and re.search(f.path, request.url.path)), None)
            if fault is not None:
                fault.times -= 1
                if not fault.acts:
                    return JSONResponse({"detail": f"scripted {fault.status}"}, fault.status, dict(fault.headers))
            self._check(f"{request.method} {template} was sent", _sent(template, request.method.lower()), body)
            status, answer = await run_in_thread(act, request, body, self.keys[key][1], key)
            if status == 200:
                self._check(f"{request.method} {template} answers", _answered(template, request.method.lower()), answer)
            if fault is not None:
                return JSONResponse({"detail": f"scripted {fault.status}"}, fault.status, dict(fault.headers))
            return JSONResponse(answer, status)

        return handle

    def _check(self, what: str, description: Any, value: Any) -> None:
        error = None if description is None else jsonschema.exceptions.best_match(description.iter_errors(value))
        if error is not None:
            self.violations.append(f"{what}: {error.json_path}: {error.message[:300]}")

    # -- endpoints -------------------------------------------------------------------------------------------------

    def ping(self, request: Request, body: Any, project: str, key: str) -> tuple[int, Any]:
        org, _ = self.keys[key]
        return 200, {"status": "ok", "org_id": org, "project_id": project, "user_email": "who@example.org"}

    def add_v3(self, request: Request, body: Any, project: str, key: str) -> tuple[int, Any]:
        if not any(body.get(name) for name in ENTITIES):
            return 400, {"detail": "At least one entity ID is required"}
        if body.get("infer") is False:
            stored = [self._store(m["content"], {**_entities(body), **_kept(body)}, project) for m in body["messages"]]
            results = [{"id": m["id"], "data": {"memory": m["memory"]}, "event": "ADD"} for m in stored]
            return 200, {"message": "added", "status": "SUCCEEDED", "event_id": str(uuid.uuid4()), "results": results}
        return 200, {"event_id": self._later(body, project), "status": "PENDING"}

    def add_v1(self, request: Request, body: Any, project: str, key: str) -> tuple[int, Any]:
        if not any(body.get(name) for name in ENTITIES):
            return 400, {"error": "At least one entity ID is required"}
        event = {"message": "queued", "status": "PENDING", "event_id": self._later(body, project)}
        if body.get("output_format") == "v1.1" and body.get("version") == "v2":
            return 200, {"results": [event], "relations": []}
        return 200, [event]

    def search_v3(self, request: Request, body: Any, project: str, key: str) -> tuple[int, Any]:
        if problem := _refused(body):
            return 400, {"detail": problem}
        found = self._search(body, project, default_threshold=0.1)
        return 200, {"results": [_shown(m, "run_id", score=score) for m, score in found]}

    def search_v2(self, request: Request, body: Any, project: str, key: str) -> tuple[int, Any]:
        if problem := _refused(body):
            return 400, {"detail": problem}
        found = self._search(body, project, default_threshold=0.3)
        return 200, [_shown(m, "session_id", score=score) for m, score in found]

    def list_v3(self, request: Request, body: Any, project: str, key: str) -> tuple[int, Any]:
        if problem := _refused(body):
            return 400, {"detail": problem}
        page = int(request.query_params.get("page") or body.get("page") or 1)
        size = int(request.query_params.get("page_size") or body.get("page_size") or 100)
        if not 1 <= size <= 200:
            return 400, {"detail": "page_size: 1 to 200"}
        found = self._matching(body["filters"], project, show_expired=body.get("show_expired", False))
        start = (page - 1) * size
        url = f"{self.url}/v3/memories/?page={{}}&page_size={size}"
        return 200, {
            "count": len(found),
            "next": url.format(page + 1) if start + size < len(found) else None,
            "previous": url.format(page - 1) if page > 1 else None,
            "results": [_shown(m, "session_id") for m in found[start : start + size]],
        }

    def list_v2(self, request: Request, body: Any, project: str, key: str) -> tuple[int, Any]:
        if problem := _refused(body):
            return 400, {"detail": problem}
        page, size = (int(request.query_params.get(name, 0)) for name in ("page", "page_size"))
        matching = self._matching(body["filters"], project, show_expired=body.get("show_expired", False))
        found = [_shown(m, "session_id") for m in matching]
        return 200, found[(page - 1) * size : page * size] if page and size else found

    def one(self, request: Request, body: Any, project: str, key: str) -> tuple[int, Any]:
        with self._lock:
            memory = self.memories.get(request.path_params["memory_id"])
            if memory is None or memory["project"] != project:
                return 404, {"error": "Memory not found!"}
            if request.method == "DELETE":
                del self.memories[memory["id"]]
                return 200, {"message": "Memory deleted successfully!"}
            if request.method == "PUT":
                memory["memory"] = body.get("text", memory["memory"])
                memory["metadata"] = body.get("metadata", memory["metadata"])
                memory["expiration_date"] = body.get("expiration_date", memory["expiration_date"])
                memory["updated_at"] = _now()
            return 200, _shown(memory, "session_id")

    def delete_batch(self, request: Request, body: Any, project: str, key: str) -> tuple[int, Any]:
        with self._lock:
            for each in body["memories"]:
                if self.memories.get(each["memory_id"], {}).get("project") == project:
                    del self.memories[each["memory_id"]]
        return 200, {"message": f"Successfully deleted {len(body['memories'])} memories"}

    def delete_all(self, request: Request, body: Any, project: str, key: str) -> tuple[int, Any]:
        """Entities are not ANDed here: whoever combines them deletes what belongs to any of them."""
        asked = {name: value for name in ENTITIES if (value := request.query_params.get(name))}
        if not asked:
            return 400, {"error": "at least one filter is required"}
        with self._lock:
            for memory in list(self.memories.values()):
                if memory["project"] == project and any(memory[n] == v or v == "*" for n, v in asked.items()):
                    del self.memories[memory["id"]]
        return 200, {"message": "queued", "event_id": str(uuid.uuid4())}

    def event(self, request: Request, body: Any, project: str, key: str) -> tuple[int, Any]:
        event = self.events.get(request.path_params["event_id"])
        return (200, dict(event)) if event else (404, {"error": "Event not found"})

    # -- what it does ----------------------------------------------------------------------------------------------

    def _later(self, body: Mapping[str, Any], project: str) -> str:
        event_id = str(uuid.uuid4())
        self.events[event_id] = {"id": event_id, "event_type": "ADD", "status": "PENDING", "created_at": _now()}
        threading.Thread(target=self._process, args=(event_id, body, project), daemon=True).start()
        return event_id

    def _process(self, event_id: str, body: Mapping[str, Any], project: str) -> None:
        self._open.wait(60)
        event = self.events[event_id]
        event["status"] = "RUNNING"
        said = body["messages"]
        if any("the extraction fails" in message["content"] for message in said):
            event.update(status="FAILED", error="the LLM had enough", results=[])
            return
        results = []
        for message in said:
            facts = [message["content"]]
            if body.get("infer") is not False:
                facts = facts_in(message["content"], body.get("includes", ""), body.get("excludes", ""))
            for fact in facts:
                entities = _entities(body)
                if body.get("infer") is not False and entities["user_id"] and entities["agent_id"]:
                    # Documented: filed by who said it, and without the other.
                    entities["user_id" if message["role"] == "assistant" else "agent_id"] = None
                stored = self._store(fact, {**entities, **_kept(body)}, project)
                results.append({"id": stored["id"], "data": {"memory": fact}, "event": "ADD"})
        event.update(status="SUCCEEDED", results=results, completed_at=_now(), latency=1.0)

    def _store(self, text: str, fields: Mapping[str, Any], project: str) -> dict[str, Any]:
        memory = {
            "id": str(uuid.uuid4()),
            "memory": text,
            **dict.fromkeys(ENTITIES),
            "metadata": None,
            "categories": [],
            "expiration_date": None,
            "created_at": _now(),
            "updated_at": _now(),
            "project": project,
            **fields,
        }
        if memory.pop("custom_categories", None) is not None:
            memory["categories"] = [
                name
                for each in fields["custom_categories"]
                for name, description in each.items()
                if {word[:6] for word in words(f"{name} {description}")} & {word[:6] for word in words(text)}
            ]
        with self._lock:
            self.memories[memory["id"]] = memory
        return memory

    def _matching(
        self, filters: Mapping[str, Any], project: str, *, show_expired: bool = False
    ) -> list[dict[str, Any]]:
        today = now().date().isoformat()
        with self._lock:
            found = [
                memory
                for memory in self.memories.values()
                if memory["project"] == project
                and (self.filters_are_ignored or _matches(memory, filters))
                and (show_expired or not (memory["expiration_date"] and memory["expiration_date"] < today))
            ]
        return sorted(found, key=lambda memory: memory["created_at"], reverse=True)

    def _search(
        self, body: Mapping[str, Any], project: str, default_threshold: float
    ) -> list[tuple[dict[str, Any], float]]:
        wanted = self._vector(body["query"])
        scored = []
        for memory in self._matching(body["filters"], project):
            score = sum(a * b for a, b in zip(wanted, self._vector(memory["memory"]), strict=True))
            scored.append((memory, min(1.0, max(0.0, score))))
        scored.sort(key=lambda pair: -pair[1])
        threshold = body.get("threshold", default_threshold)
        return [pair for pair in scored if pair[1] >= threshold][: body.get("top_k", 10)]


@lru_cache
def _sent(template: str, method: str) -> Any:
    """What the description says of a request's body, or ``None``."""
    return _validator(API["paths"][template][method].get("requestBody", {}))


@lru_cache
def _answered(template: str, method: str) -> Any:
    """What the description says of an answer, or ``None``."""
    return _validator(API["paths"][template][method]["responses"]["200"])


def _validator(body: Mapping[str, Any]) -> Any:
    schema = body.get("content", {}).get("application/json", {}).get("schema")
    if schema is None:
        return None
    whole = {**schema, "components": API["components"]}
    kind = jsonschema.validators.validator_for(whole)
    kind.check_schema(whole)
    return kind(whole)


async def run_in_thread(act: Any, *arguments: Any) -> Any:
    from starlette.concurrency import run_in_threadpool

    return await run_in_threadpool(act, *arguments)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat().replace("+00:00", "Z")


def _entities(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: body.get(name) for name in ENTITIES}


def _kept(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: body.get(name) for name in ("metadata", "expiration_date", "custom_categories")}


def _shown(memory: Mapping[str, Any], run_is_called: str, score: float | None = None) -> dict[str, Any]:
    shown = {key: value for key, value in memory.items() if key not in ("run_id", "project")}
    shown[run_is_called] = memory["run_id"]
    return shown if score is None else {**shown, "score": score}


def _refused(body: Mapping[str, Any]) -> str | None:
    if any(name in body for name in ENTITIES):
        return "entity IDs go into filters"
    return None if _positively_scoped(body["filters"]) else "filters need an entity ID"


def _positively_scoped(filters: Mapping[str, Any]) -> bool:
    return any(
        key in ENTITIES or (key in ("AND", "OR") and any(_positively_scoped(each) for each in value))
        for key, value in filters.items()
    )


def _matches(memory: Mapping[str, Any], filters: Mapping[str, Any]) -> bool:
    return all(_holds(memory, key, value) for key, value in filters.items())


def _holds(memory: Mapping[str, Any], key: str, wanted: Any) -> bool:
    if key in ("AND", "OR", "NOT"):
        results = [_matches(memory, each) for each in wanted]
        return all(results) if key == "AND" else any(results) if key == "OR" else not any(results)
    if key == "metadata":
        return all((memory["metadata"] or {}).get(name) == value for name, value in wanted.items())
    has = memory.get(key)
    if wanted == "*":
        return has is not None
    if isinstance(wanted, dict):
        assert set(wanted) <= OPERATORS, wanted
        checks = {
            "in": lambda value: has in value,
            "ne": lambda value: has != value,
            "contains": lambda value: value in (has or ""),
            "icontains": lambda value: value.lower() in (has or "").lower(),
        }
        return all(checks[operator](value) for operator, value in wanted.items())
    return bool(has == wanted)


def identities(memories: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    return [tuple(memory[name] for name in ENTITIES) for memory in memories]

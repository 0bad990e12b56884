"""What differs between mem0ai 0.1.100 and later, 1.x and 2.x: here, and nowhere else.

Read from 0.1.100, 0.1.118, 1.0.11, 2.0.5 and 2.2.1.

| | 0.1 | 1.x | 2.x |
| --- | --- | --- | --- |
| cloud, search and list | ``version="v2"`` | v2 | v3, top-level entities are refused |
| cloud, add | v1, asynchronous | v1, ``async_mode`` | v3; as it is: at once |
| cloud, update of metadata | from 0.1.110 or so | yes | yes |
| OSS, search and list | ``user_id=``, ``limit=`` | the same | ``filters=``, ``top_k=`` |
| OSS, what to extract | the whole extraction prompt | the same | ``prompt=`` of one call |
| OSS, update of metadata | not public | from 1.0.4 or so | yes |
"""

from __future__ import annotations

import copy
import inspect
import threading
import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from .import_mem0 import import_mem0, mem0_version

Arguments = dict[str, Any]


def takes(method: Any, name: str, *, by_name: bool = False) -> bool:
    """Whether a method has a parameter, or (unless it must be ``by_name``) takes anything."""
    names, takes_anything = _parameters(method.__func__)
    return name in names or (takes_anything and not by_name)


@lru_cache(maxsize=64)
def _parameters(function: Any) -> tuple[frozenset[str], bool]:
    """Looked up once: it is asked for with every search."""
    parameters = inspect.signature(function).parameters
    return frozenset(parameters), any(each.kind is each.VAR_KEYWORD for each in parameters.values())


# -- the cloud's clients -------------------------------------------------------------------------------------------


@lru_cache(maxsize=2)
def cloud_clients(telemetry: bool) -> tuple[type[Any], type[Any]]:
    """Mem0's blocking and awaiting client, with what they lack: a constructor that asks nothing of the network (the
    awaiting one's blocks the event loop, without a timeout), events, and a ping that can be repeated."""
    mem0 = import_mem0(telemetry=telemetry)
    from mem0.client.main import api_error_handler  # type: ignore[import-untyped, unused-ignore]

    class Blocking(mem0.MemoryClient):  # type: ignore[misc, name-defined]
        def __init__(self, **arguments: Any) -> None:
            super().__init__(**arguments)
            _belong_to_the_key(self)

        def _validate_api_key(self) -> None:
            _name_a_project(self)

        @api_error_handler  # type: ignore[untyped-decorator, unused-ignore]
        def ping(self) -> Any:
            return _answer(self.client.get("/v1/ping/"))

        @api_error_handler  # type: ignore[untyped-decorator, unused-ignore]
        def event(self, event_id: str) -> Any:
            return _answer(self.client.get(f"/v1/event/{event_id}/"))

        @api_error_handler  # type: ignore[untyped-decorator, unused-ignore]
        def change(self, memory_id: str, body: Mapping[str, Any]) -> Any:
            return _answer(self.client.put(f"/v1/memories/{memory_id}/", json=dict(body)))

    class Awaiting(mem0.AsyncMemoryClient):  # type: ignore[misc, name-defined]
        def __init__(self, **arguments: Any) -> None:
            super().__init__(**arguments)
            _belong_to_the_key(self)

        def _validate_api_key(self) -> None:
            _name_a_project(self)

        @api_error_handler  # type: ignore[untyped-decorator, unused-ignore]
        async def ping(self) -> Any:
            return _answer(await self.async_client.get("/v1/ping/"))

        @api_error_handler  # type: ignore[untyped-decorator, unused-ignore]
        async def event(self, event_id: str) -> Any:
            return _answer(await self.async_client.get(f"/v1/event/{event_id}/"))

        @api_error_handler  # type: ignore[untyped-decorator, unused-ignore]
        async def change(self, memory_id: str, body: Mapping[str, Any]) -> Any:
            return _answer(await self.async_client.put(f"/v1/memories/{memory_id}/", json=dict(body)))

    return Blocking, Awaiting


def _name_a_project(client: Any) -> None:
    """Its constructor insists on one, for operations on projects, which nobody does here."""
    client.org_id = client.project_id = "of-the-key"


def _belong_to_the_key(client: Any) -> None:
    """Until 2.0 a client sends the organisation and project it has. The key decides, as from 2.0 on, so that an
    update of mem0ai finds what was stored before."""
    client.org_id = client.project_id = None


def _answer(response: Any) -> Any:
    response.raise_for_status()
    return response.json()


def cloud_add(arguments: Arguments, *, at_once: bool) -> Arguments:
    """Arguments of the cloud client's ``add``."""
    version = mem0_version()
    if version >= (2,):
        return arguments
    if version >= (1,):
        return {**arguments, "async_mode": not at_once}
    return {**arguments, "output_format": "v1.1"}


def cloud_read(arguments: Arguments) -> Arguments:
    """Arguments of the cloud client's ``search`` and ``get_all``."""
    return arguments if mem0_version() >= (1,) else {**arguments, "version": "v2"}


def results_of(answer: Any) -> list[Mapping[str, Any]]:
    """The memories in an answer, bare or wrapped."""
    found = answer.get("results") if isinstance(answer, Mapping) else answer
    return list(found or [])


# -- the open-source library ---------------------------------------------------------------------------------------


def open_source_memory(config: Mapping[str, Any]) -> Any:
    """``mem0.Memory`` of a configuration, which stays as it is."""
    mem0 = import_mem0(telemetry=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        memory = mem0.Memory.from_config(copied(config))
    if mem0_version() >= (2,):
        memory.llm = _TellingLLM(memory.llm)
    return memory


class _TellingLLM:
    """Mem0's LLM, whose failure is not lost: some 2.0 (2.0.5; no longer 2.2.1) take it for "nothing to remember"."""

    def __init__(self, llm: Any) -> None:
        self._llm = llm
        self.failure = threading.local()

    def generate_response(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return self._llm.generate_response(*args, **kwargs)
        except Exception as error:
            self.failure.error = error
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self._llm, name)


def local_add(memory: Any, arguments: Arguments) -> Any:
    """The library's ``add``, whose failure is an error."""
    if not isinstance(memory.llm, _TellingLLM):
        return memory.add(**arguments)
    failure = memory.llm.failure
    failure.error = None
    answer = memory.add(**arguments)
    if failure.error is not None and not results_of(answer):
        raise failure.error
    return answer


def copied(value: Any) -> Any:
    """A configuration's dicts and lists anew, as Mem0 writes into them; what they hold (a client, say) stays."""
    if isinstance(value, Mapping):
        return {key: copied(item) for key, item in value.items()}
    return [copied(item) for item in value] if isinstance(value, list) else value


def stands_threads(memory: Any) -> bool:
    """Whether several threads may use it at once: not ``qdrant-client``'s local mode, which loses and corrupts data."""
    from qdrant_client.local.qdrant_local import QdrantLocal

    client = getattr(getattr(memory.vector_store, "client", None), "_client", None)
    return not isinstance(client, QdrantLocal)


def local_read(method: Any, user_id: str, limit: int, extra: Mapping[str, Any] | None = None) -> Arguments:
    """Arguments of the library's ``search`` and ``get_all``."""
    if takes(method, "top_k", by_name=True):
        return {"filters": {"user_id": user_id, **(extra or {})}, "top_k": limit}
    filters: Arguments = {"filters": dict(extra)} if extra else {}
    return {"user_id": user_id, "limit": limit, **filters}


def rows_of(collection: Any, user_id: str) -> list[Any]:
    """All rows of a user in a vector store of the library, whose own listing leaves out what has expired."""
    limit = 1000
    name = "top_k" if takes(collection.list, "top_k") else "limit"
    while True:
        found = collection.list(filters={"user_id": user_id}, **{name: limit})
        # Some vector stores answer with a list of lists, or with a list and where to go on.
        rows = found[0] if found and isinstance(found[0], list) else found
        if len(rows or ()) < limit:
            return [row for row in rows or () if (row.payload or {}).get("user_id") == user_id]
        limit *= 10


def instructed(memory: Any, instructions: str | None) -> tuple[Any, Arguments]:
    """Who to ask for an extraction that follows instructions as well as the configuration's own, and with which
    arguments besides."""
    if instructions is None:
        return memory, {}
    if hasattr(memory, "custom_instructions"):
        own = memory.custom_instructions
        return memory, {"prompt": f"{own}\n\n{instructions}" if own else instructions}
    # Until 2.0 the whole extraction prompt is an attribute: a copy that shares everything else has another one.
    own = memory.config.custom_fact_extraction_prompt or _extraction_prompt()
    other = copy.copy(memory)
    prompt = f"{own}\n\n{instructions}"
    other.config = memory.config.model_copy(update={"custom_fact_extraction_prompt": prompt})
    other.custom_fact_extraction_prompt = prompt
    return other, {}


def _extraction_prompt() -> str:
    from mem0.configs import prompts  # type: ignore[import-untyped, unused-ignore]

    return str(getattr(prompts, "USER_MEMORY_EXTRACTION_PROMPT", None) or prompts.FACT_RETRIEVAL_PROMPT)


def local_update(memory: Any, memory_id: str, content: str, metadata: Mapping[str, Any]) -> None:
    """Replace a memory's text and metadata."""
    if takes(memory.update, "text", by_name=True):
        memory.update(memory_id, text=content, metadata=dict(metadata))
    elif takes(memory.update, "metadata", by_name=True):
        memory.update(memory_id, content, metadata=dict(metadata))
    else:
        # The public method would drop what was in the metadata, and the scope with it.
        vector = memory.embedding_model.embed(content, "update")
        memory._update_memory(memory_id, content, {content: vector}, metadata=dict(metadata))


def names_of(values: Sequence[Mapping[str, str]]) -> str:
    """Categories as a list in words."""
    return "\n".join(f"- {name}: {text}" for each in values for name, text in each.items())

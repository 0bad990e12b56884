"""Importing ``mem0``, and what differs between mem0ai 0.1.100 and later, 1.x and 2.x: here, and nowhere else.

``mem0`` decides while it is imported whether it reports usage events, and some versions report the import itself. So
the environment is set before, and a ``mem0`` that was imported earlier is silenced where it stands.

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
import importlib
import inspect
import logging
import os
import sys
import threading
import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ...errors import ConfigurationError

logger = logging.getLogger("crewai_persistent_memory")

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


# -- importing -----------------------------------------------------------------------------------------------------


def import_mem0(*, telemetry: bool) -> Any:
    """The ``mem0`` module.

    Args:
        telemetry: leave its telemetry as the environment has it; otherwise it is off.

    Raises:
        ConfigurationError: it is not installed, or cannot be imported.
    """
    earlier: Any = sys.modules.get("mem0.memory.telemetry")
    if not telemetry:
        os.environ["MEM0_TELEMETRY"] = "False"
        if earlier is not None and earlier.MEM0_TELEMETRY:
            _silence(earlier)
    try:
        mem0 = importlib.import_module("mem0")
        if not telemetry and mem0_version() < (1,):
            # It would go on to make a client of its telemetry, with a thread, and look into the vector store, at
            # every call, only to send nothing.
            importlib.import_module("mem0.memory.main").capture_event = _send_nothing  # type: ignore[attr-defined]
        return mem0
    except ImportError as error:
        raise ConfigurationError(f"mem0= needs the package mem0ai, which cannot be imported: {error}") from error
    except OSError as error:
        raise ConfigurationError(
            f"mem0 cannot create its folder: {error}. Set MEM0_DIR to a folder that can be written"
        ) from error


@lru_cache(maxsize=1)
def mem0_version() -> tuple[int, ...]:
    """Of the installed ``mem0ai``: ``(2, 2, 1)``."""
    try:
        return tuple(int(part) for part in version("mem0ai").split(".")[:3] if part.isdigit())
    except PackageNotFoundError as error:
        raise ConfigurationError("mem0= needs the package mem0ai: pip install mem0ai") from error


def _send_nothing(*args: Any, **kwargs: Any) -> None:
    """In place of ``capture_event``."""


def _silence(telemetry: Any) -> None:
    logger.warning(
        "mem0 was imported before, with its telemetry on; it is off from here. Set MEM0_TELEMETRY=False in the "
        "environment to have it off from the start"
    )
    telemetry.MEM0_TELEMETRY = False
    main: Any = sys.modules.get("mem0.memory.main")
    if main is not None and hasattr(main, "MEM0_TELEMETRY"):
        main.MEM0_TELEMETRY = False
    for name in ("client_telemetry", "_oss_telemetry_instance"):
        posthog: Any = getattr(getattr(telemetry, name, None), "posthog", None)
        if posthog is not None:
            posthog.disabled = True


# -- the cloud -----------------------------------------------------------------------------------------------------


def cloud_add(arguments: Arguments, *, at_once: bool) -> Arguments:
    """Arguments of the cloud client's ``add``."""
    if mem0_version() >= (2,):
        return arguments
    if mem0_version() >= (1,):
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
    """``mem0.Memory`` of a configuration, which is not changed."""
    mem0 = import_mem0(telemetry=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        memory = mem0.Memory.from_config(copied(config))
    if mem0_version() >= (2,):
        memory.llm = _ReportingLLM(memory.llm)
    elif mem0_version() < (1,):
        _close_telemetry_store(memory)
    return memory


def _close_telemetry_store(memory: Any) -> None:
    """It is opened with telemetry off too: one folder in the user's home for all, or a connection in a transaction."""
    second = memory.__dict__.pop("_telemetry_vector_store", None)
    connection, pool = getattr(second, "conn", None), getattr(second, "connection_pool", None)
    if pool is not None:
        pool.putconn(connection)
    elif connection is not None:
        connection.close()
    elif getattr(second, "is_local", False):
        second.client.close()


class _ReportingLLM:
    """Mem0's LLM, which notes its failure: some 2.0 (2.0.5; no longer 2.2.1) take one for "nothing to remember"."""

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


def library_add(memory: Any, arguments: Arguments) -> Any:
    """The library's ``add``; a failure of its LLM is an error."""
    if not isinstance(memory.llm, _ReportingLLM):
        return memory.add(**arguments)
    failure = memory.llm.failure
    failure.error = None
    answer = memory.add(**arguments)
    if failure.error is not None and not results_of(answer):
        raise failure.error
    return answer


def copied(value: Any) -> Any:
    """A copy of a configuration's dicts and lists, because Mem0 writes into them. Other objects, such as a client, are
    not copied."""
    if isinstance(value, Mapping):
        return {key: copied(item) for key, item in value.items()}
    return [copied(item) for item in value] if isinstance(value, list) else value


def is_thread_safe(memory: Any) -> bool:
    """Whether several threads may use it at once: not ``qdrant-client``'s local mode, which loses and corrupts data."""
    from qdrant_client.local.qdrant_local import QdrantLocal

    client = getattr(getattr(memory.vector_store, "client", None), "_client", None)
    return not isinstance(client, QdrantLocal)


def library_read(method: Any, user_id: str, limit: int, extra: Mapping[str, Any] | None = None) -> Arguments:
    """Arguments of the library's ``search`` and ``get_all``."""
    if takes(method, "top_k", by_name=True):
        return {"filters": {"user_id": user_id, **(extra or {})}, "top_k": limit}
    filters: Arguments = {"filters": dict(extra)} if extra else {}
    return {"user_id": user_id, "limit": limit, **filters}


def rows_in(listed: Any) -> Sequence[Any]:
    """The rows of a listing. Some vector stores answer with a list of lists, or with a list and where to go on."""
    found = listed[0] if listed and isinstance(listed[0], list) else listed
    return found or ()


def rows_of(collection: Any, user_id: str | None) -> list[Any]:
    """All rows of a user in a vector store of the library, whose own listing leaves out what has expired.

    ``None``: those of all users.
    """
    limit = 1000
    name = "top_k" if takes(collection.list, "top_k") else "limit"
    while True:
        rows = rows_in(collection.list(filters=None if user_id is None else {"user_id": user_id}, **{name: limit}))
        if len(rows) < limit:
            owners = [(row, (row.payload or {}).get("user_id")) for row in rows]
            return [row for row, owner in owners if owner is not None and user_id in (None, owner)]
        limit *= 10


def instructed(memory: Any, instructions: str | None) -> tuple[Any, Arguments]:
    """The ``mem0.Memory`` and the further arguments of ``add`` for an extraction that follows these instructions and
    the configuration's own."""
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


def library_update(memory: Any, memory_id: str, content: str, metadata: Mapping[str, Any]) -> None:
    """Replace a memory's text and metadata."""
    if takes(memory.update, "text", by_name=True):
        memory.update(memory_id, text=content, metadata=dict(metadata))
    elif takes(memory.update, "metadata", by_name=True):
        memory.update(memory_id, content, metadata=dict(metadata))
    else:
        # The public method would drop what was in the metadata, and the scope with it.
        vector = memory.embedding_model.embed(content, "update")
        memory._update_memory(memory_id, content, {content: vector}, metadata=dict(metadata))


def categories_in_words(values: Sequence[Mapping[str, str]]) -> str:
    """Categories as a list in words."""
    return "\n".join(f"- {name}: {text}" for each in values for name, text in each.items())

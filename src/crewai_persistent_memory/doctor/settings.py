"""Where data goes, and which setting said so: arguments, variables, defaults, and variables that nothing reads."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from ..addresses import shown
from ..config.environment import NEVER_FROM_THE_ENVIRONMENT, PREFIX, variable_of
from ..config.options import STORE_OPTIONS, MemoryConfig
from ..crewai_folders import working_folder
from ..embedding.local_models import MODELS
from ..embedding.onnx_session import THREADS
from .examined import Examined
from .findings import Findings, check, error, note, ok, warning
from .machine import real

PEER_KEY: Final = "CREWAI_MEMORY_PEER_API_KEY"
"""Read by ``crewai-memory doctor --peer`` only."""

_OTHERS: Final = {MODELS, THREADS, PEER_KEY}


@check("settings")
def where_data_goes(examined: Examined) -> Findings:
    """Name the place, and the setting that each value came from."""
    if examined.wrong is not None:
        yield error(str(examined.wrong), "Correct the settings; until then nothing else about the store is checked")
        return
    config = examined.config
    if config is None:
        if examined.given is not None:
            yield ok(f"memories are kept in a store made in code: {examined.given.backend!r}")
        return
    yield ok(f"memories are kept in {place_of(config)} ({_source_of_the_place(config)})")
    values = [f"{name}={_shown(config, name)} ({_source(config, name)})" for name in _worth_saying(config)]
    yield ok("; ".join(values))
    if config.path is not None and not config.path.expanduser().is_absolute():
        yield warning(
            f"the folder {str(config.path)!r} is relative: in another working folder it is another store",
            f"Write the whole path: {working_folder() / config.path}",
        )


@check("keys")
def keys_for_another_address(examined: Examined) -> Findings:
    """A key or headers of the environment that are not sent, because they belong to another address."""
    config, given = examined.config, examined.environment
    if config is None:
        return
    has_key = bool(given.get("QDRANT_API_KEY"))
    key = config.api_key or (None if config.mem0 is None else config.mem0.key)
    if key is not None and re.search(r"\s", key.get_secret_value()):
        yield error(
            "the key has blanks or line breaks in it, and no server knows such a key",
            "Take them out: a key that is read from a file often ends with a line break",
        )
    if config.server is not None and has_key and config.api_key is None:
        yield warning(
            f"QDRANT_API_KEY is not sent to {config.server.address}, because QDRANT_URL names another address "
            f"({', '.join(map(shown, _addresses(given)))})",
            "Give this server's own key as api_key=, or set QDRANT_URL to this address",
        )
    if config.server is not None and given.get(f"{PREFIX}HEADERS") and not config.headers:
        yield warning(
            f"{PREFIX}HEADERS are not sent to {config.server.address}, because they belong to another address",
            "Give headers= for this one, or set QDRANT_URL to this address",
        )
    if examined.is_embedded and has_key:
        yield warning(
            "QDRANT_API_KEY is set, and no server is used: memories go to a folder of this machine",
            "Set QDRANT_URL to the server's address, or unset the key",
        )


@check("variables")
def variables_that_do_nothing(examined: Examined) -> Findings:
    """Variables that look like ours and are read by nothing, and stores that are named and not used."""
    known = known_variables()
    for name in sorted(examined.environment):
        upper = name.upper()
        if not upper.startswith(PREFIX) or upper in known:
            continue
        if upper.removeprefix(PREFIX).lower() in NEVER_FROM_THE_ENVIRONMENT:
            yield warning(
                f"{name} is set and never read: a variable is the same for every request of a process",
                "Give it in code: PersistentMemory(...), or use_scope(...) around each request",
            )
            continue
        meant = _meant_by(upper, known)
        yield warning(f"{name} is set and read by nothing", f"Did you mean {meant}?" if meant else "Unset it")
    config = examined.config
    if config is None:
        return
    used = {config.source_of(name) for name in STORE_OPTIONS}
    for name in STORE_OPTIONS:
        variable = variable_of(MemoryConfig, name)
        if examined.environment.get(variable) and variable not in used:
            text = f"{variable} is set and not used, because another store is given in the call"
            if examined.is_embedded and name in ("url", "host"):
                yield warning(f"{text}: memories go to a folder of this machine", "Leave out path= to use the server")
            else:
                yield note(text, f"If memories are there, leave out the argument, or unset {variable}")


def _meant_by(variable: str, known: set[str]) -> str | None:
    """The variable of ours that has nearly this name; two of them have names of Qdrant."""
    options = {re.sub("^(CREWAI_MEMORY|QDRANT)_", "", name): name for name in known}
    close = difflib.get_close_matches(variable.removeprefix(PREFIX), options, n=1, cutoff=0.7)
    return options[close[0]] if close else None


def known_variables() -> set[str]:
    """Every variable of ours."""
    options = (name for name in MemoryConfig.model_fields if name not in NEVER_FROM_THE_ENVIRONMENT)
    return {variable_of(MemoryConfig, name).upper() for name in options} | _OTHERS


def place_of(config: MemoryConfig) -> str:
    """Where memories are kept, without keys."""
    if config.mem0 is not None:
        if config.mem0.local_mem0_config is None:
            return f"Mem0 Cloud at {shown(config.mem0.host)}"
        vectors = config.mem0.local_mem0_config.get("vector_store")
        provider = vectors.get("provider", "qdrant") if isinstance(vectors, Mapping) else "qdrant"
        return f"Mem0 OSS over {provider}"
    if config.server is not None:
        per_project = ", one for each project" if config.collection_per_project else ""
        return f"Qdrant at {config.server.address}, collection {config.collection}{per_project}"
    return f"the folder {real(config.store_path)}"


def _source_of_the_place(config: MemoryConfig) -> str:
    for name in STORE_OPTIONS:
        if getattr(config, name) is not None:
            return f"{name}: {_source(config, name)}"
    folder = os.environ.get("CREWAI_STORAGE_DIR")
    return "by CREWAI_STORAGE_DIR" if folder else "by default: no argument and no variable names a store"


def _worth_saying(config: MemoryConfig) -> list[str]:
    """Options that are set, and those that decide where an entry goes."""
    always = ["project_id", "durability"]
    given = [
        name
        for name in config.model_fields
        if name not in (*STORE_OPTIONS, *always, "filter_fields", "scope", "user_id", "collection")
        and config.source_of(name) != "default"
    ]
    return [*always, *given]


def _source(config: MemoryConfig, name: str) -> str:
    source = config.source_of(name)
    return "given in the call" if source == "argument" else source


def _shown(config: MemoryConfig, name: str) -> str:
    """A value for the report: of a key only that it is set."""
    value: Any = getattr(config, name)
    if name == "project_id":
        return str(config.binding().project_id or "default")
    if name == "durability":
        return "outbox" if config.has_outbox else "store"
    if isinstance(value, SecretStr) or name == "headers":
        return "set"
    if name == "embedder":
        return embedder_name(value)
    if isinstance(value, (str, int, float, bool, Path)):
        return str(value)
    return "set"


def embedder_name(embedder: Any) -> str:
    """An embedder option for messages, without its keys."""
    from ..embedding.fingerprint import Fingerprint, normalize_spec, public_spec

    if embedder is None:
        return "keywords"
    if not isinstance(embedder, Mapping):
        return "a function"
    public = public_spec(normalize_spec(embedder))
    return "a CrewAI spec" if public is None else Fingerprint(spec=public).describe()


def _addresses(environment: Mapping[str, str]) -> list[str]:
    return [part.strip() for part in environment.get("QDRANT_URL", "").split(",") if part.strip()]

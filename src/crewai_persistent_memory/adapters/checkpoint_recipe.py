"""Writes a memory into a checkpoint: all options to open it again in another process, without secrets.

CrewAI writes a crew, an agent or a flow into a checkpoint as JSON. This package writes a memory as a *spec*: one line
in the field that holds the path of CrewAI's storage. The spec starts with a sentence for human readers, and JSON
follows. A CrewAI without this package reads the spec as a path and fails, because no file system allows such a long
name. It therefore never replaces a memory of this package silently by an empty one of its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from pydantic_core import SchemaSerializer, core_schema

from ..config.mem0 import ExtractionOptions, Mem0Options
from ..config.options import MemoryConfig
from ..config.outbox import OutboxOptions
from ..config.qdrant import ServerOptions
from ..config.recall import MAXSIM
from ..embedding.fingerprint import normalize_spec, public_spec
from ..errors import ConfigurationError
from ..store.base import MemoryStore

MARK: Final = "crewai_persistent_memory: "
_SENTENCE: Final = (
    "this is a PersistentMemory of the package crewai-persistent-memory, and no path. Write the line 'from "
    "crewai_persistent_memory import PersistentMemory' above the line that restores this crew, agent or flow; without "
    "it CrewAI does not know what this is. Its options are "
)
_VERSION: Final = 1

KEYS: Final = {"api_key": "QDRANT_API_KEY", "mem0.api_key": "MEM0_API_KEY"}
"""Secrets that the environment of a process may provide, with the names of the variables."""

_ADDRESS: Final = frozenset({"url", "host", "port", "https", "prefix"})
_SECRET: Final = frozenset({"api_key", "headers"})
_RANKING: Final = ("semantic_weight", "recency_weight", "importance_weight", "recency_half_life_days")


@dataclass(frozen=True)
class Recipe:
    """How a memory is built over its store.

    Attributes:
        of: ``"memory"``, ``"external"`` (an ``ExternalMemory``), ``"storage"`` or ``"backend"`` (CrewAI's plug-in
            points), or ``"foreign"`` (a third-party storage).
        infer: the memory's option.
        llm: a model's name, or an LLM object; an object is not written.
        options: all other options of the memory.
        view: the paths of a view of the memory: ``{"root_path": ...}`` or ``{"scopes": ..., ...}``.
    """

    of: str = "memory"
    infer: bool = False
    llm: Any = None
    options: Mapping[str, Any] = field(default_factory=dict)
    view: Mapping[str, Any] | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Recipe:
        return self


def written_as(write: Callable[[Any], Any]) -> SchemaSerializer:
    """A class's ``__pydantic_serializer__``. In JSON mode it returns the result of ``write``.

    In Python mode it returns the object itself, because CrewAI's ``copy()`` builds the copy from that dump.
    """

    def serialize(value: Any, info: Any) -> Any:
        return write(value) if info.mode == "json" else value

    how = core_schema.plain_serializer_function_ser_schema(serialize, info_arg=True)
    return SchemaSerializer(core_schema.any_schema(serialization=how))


def spec_of(recipe: Recipe, store: MemoryStore | None) -> str:
    """A memory as text. It holds no secret.

    Args:
        recipe: how the memory is built.
        store: the memory's store; ``None`` for a third-party storage.
    """
    llm = recipe.llm if isinstance(recipe.llm, str) else None
    needs = ["llm"] if recipe.llm is not None and llm is None else []
    written = {item.name: getattr(recipe, item.name) for item in fields(recipe)} | {"llm": llm, "needs": needs}
    place = {"needs": ["storage"]} if store is None else described(store)
    text = json.dumps({"version": _VERSION, **written, "store": place}, sort_keys=True, default=str)
    # A "/" would split the spec into folder names, each short enough for a file system. JSON allows an escape for it.
    return f"{MARK}{_SENTENCE}{text}".replace("/", "\\u002f")


def is_spec(value: object) -> bool:
    return isinstance(value, str) and value.startswith(MARK)


def read_spec(spec: str) -> dict[str, Any]:
    """The JSON in a spec of :func:`spec_of`, as a dict.

    Raises:
        ConfigurationError: the spec is damaged, or a newer version of this package wrote it.
    """
    try:
        written: dict[str, Any] = json.loads(spec[spec.index("{") :])
        version = written["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"the memory in this checkpoint cannot be read: {error}") from None
    if version > _VERSION:
        raise ConfigurationError(
            "the memory in this checkpoint was written by a newer version of crewai-persistent-memory: install that one"
        )
    return written


def recipe_of(written: Mapping[str, Any], llm: Any) -> Recipe:
    """The recipe in a spec. ``llm`` replaces an LLM object, which a spec does not hold."""
    known = {item.name: written[item.name] for item in fields(Recipe) if item.name in written}
    return Recipe(**{**known, "llm": llm if "llm" in written["needs"] else written.get("llm")})


def described(store: MemoryStore) -> dict[str, Any]:
    """A store and a scope in it, without secrets.

    Returns:
        A dict with ``options``, the arguments of :func:`open_store`; ``scope``, the fixed fields; and ``needs``, the
        names of the values that are left out. Those are ``api_key``, ``headers``, ``embedder``, ``mem0.api_key``,
        ``mem0.host``, ``mem0.local_mem0_config``, or ``store`` for a store with unknown options.
    """
    scope = asdict(store.binding)
    config = store.opened_with
    if config is None:
        return {"options": {}, "scope": scope, "needs": ["store"]}
    options, needs = _of_mem0(config, config.mem0) if config.mem0 is not None else _of_qdrant(config)
    names = {*OutboxOptions.model_fields, "fsync"} if config.has_outbox else {"durability"}
    options |= config.model_dump(mode="json", include={*names, "ttl", "run_ttl"}, exclude_none=True)
    return {"options": {**options, "include_shared": config.include_shared}, "scope": scope, "needs": needs}


def _of_qdrant(config: MemoryConfig) -> tuple[dict[str, Any], list[str]]:
    names, needs = {*_RANKING, "language"}, []
    options: dict[str, Any] = {}
    if config.server is None:
        names.add("fsync")
        options["path"] = os.path.realpath(config.store_path.expanduser())
    else:
        names |= set(ServerOptions.model_fields) - _ADDRESS - _SECRET
        options["url"] = list(config.server.urls)
        needs += [name for name in sorted(_SECRET) if getattr(config, name)]
    options |= config.model_dump(mode="json", include=names)
    if config.reranker == MAXSIM:
        options["reranker"] = MAXSIM
    if config.embedder_given:
        spec = _public_embedder(config.embedder)
        if spec is False:
            needs.append("embedder")
        else:
            options["embedder"] = spec
    return options, _sorted_out(needs, {"api_key": config.api_key})


def _public_embedder(embedder: Any) -> Any:
    """The embedder's spec without secrets; ``False`` if it cannot be built from such a spec."""
    if embedder is None:
        return None
    if not isinstance(embedder, Mapping):
        return False
    spec = normalize_spec(embedder)
    public = public_spec(spec)
    if public is None:
        return False
    secrets = [value for name, value in spec["config"].items() if public["config"].get(name, ...) != value]
    # A key from the environment may be left out: the other process reads its own environment, or reports a missing key.
    return public if all(value in os.environ.values() for value in secrets) else False


def _of_mem0(config: MemoryConfig, mem0: Mem0Options) -> tuple[dict[str, Any], list[str]]:
    hidden = {"api_key", "local_mem0_config"}
    given = mem0.model_fields_set - hidden
    about = mem0.model_dump(mode="json", include=given)
    needs = ["mem0.local_mem0_config"]
    if mem0.local_mem0_config is None:
        about["host"] = _without_credentials(mem0.host)
        needs = ["mem0.api_key"]
        if about["host"] != mem0.host:
            needs.append("mem0.host")
    options = config.model_dump(mode="json", include=set(ExtractionOptions.model_fields), exclude_none=True)
    return {**options, "mem0": about}, _sorted_out(needs, {"mem0.api_key": mem0.api_key})


def _sorted_out(needs: list[str], keys: Mapping[str, Any]) -> list[str]:
    """``needs``, with the prefix ``environment:`` for a key that came from the environment."""

    def source(name: str) -> str:
        if name not in keys:
            return name
        key = keys[name]
        inherited = key is None or key.get_secret_value() == os.environ.get(KEYS[name])
        return f"environment:{name}" if inherited else name

    return [source(name) for name in needs]


def _without_credentials(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))

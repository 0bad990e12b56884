"""The pages of the docs that are made from the code: ``python -m tests.support.reference_pages`` writes them."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from crewai_persistent_memory import MemoryConfig, PersistentMemoryError, errors
from crewai_persistent_memory.config.environment import NEVER_FROM_THE_ENVIRONMENT, variable_of
from crewai_persistent_memory.config.qdrant import CollectionSettings

DOCS: Final = Path(__file__).parents[2] / "docs"
BEGIN, END = "<!-- made from the code -->\n", "<!-- end -->\n"

GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "Whose memory": ("user_id", "project_id", "run_id", "agent_id", "org_id", "scope", "include_shared"),
    "An embedded store": ("path", "fsync"),
    "A Qdrant server": (
        *("url", "host", "port", "https", "prefix", "api_key", "headers", "ca_cert", "prefer_grpc", "grpc_port"),
        *("trust_env", "max_connections", "timeout", "retry_for", "startup_check", "startup_timeout"),
        *("wait", "ordering", "read_consistency", "collection", "create_collection", "collection_per_project"),
        *("collection_settings", "dimensions"),
    ),
    "Mem0": ("mem0", "includes", "excludes", "custom_categories"),
    "When memories end": ("ttl", "run_ttl"),
    "The outbox": ("durability", "outbox_path", "outbox_max_mb", "recall_timeout", "exit_wait"),
    "Finding": (
        *("embedder", "language", "semantic_weight", "recency_weight", "importance_weight", "recency_half_life_days"),
        "filter_fields",
    ),
    "What an agent is given": ("recall_budget", "min_score", "reranker", "reranker_timeout"),
}
"""Every option, by what it is about. One that is in none of these is in a group of its own name."""

REMEDIES: Final[dict[str, str]] = {
    "ConfigurationError": "Correct the option that the message names; [the options](options.md).",
    "UnsupportedCrewAIError": "Install a CrewAI that is supported; [which](crewai.md#what-works-with-which-crewai).",
    "NotPicklableError": "Open the store in the other process, or pass a checkpoint.",
    "ScopeError": "See the classes below.",
    "InvalidScopeError": "Correct the id. It is not trimmed.",
    "MissingScopeError": "`with use_scope(user_id=...)` around the call, or `PersistentMemory(user_id=...)`.",
    "ScopeConflictError": "Leave the field out where the memory is built, or name the same value.",
    "CrewInUseError": "A crew for each request: `crew.copy()`; [what may be shared](web-services.md).",
    "InvalidEntryError": "Correct the field that the message names.",
    "InvalidArgumentError": "Correct the argument that the message names.",
    "EntryNotFoundError": "List the ids of this scope: `crewai-memory list`.",
    "EmbedderError": "See the classes below.",
    "EmbedderUnavailableError": "Give the embedder's key or package, or `embedder=None` to find by words.",
    "EmbedderMismatchError": "Leave `embedder=` out, so that the store's own is used, or use another store.",
    "DimensionMismatchError": "Use the embedder that the store was created with.",
    "StoreError": "See the classes below.",
    "StoreInUseError": "One process for an embedded store. For several: [a server](servers.md).",
    "StoreClosedError": "Open the store again; after a fork, in the child.",
    "StorePathError": "Give `path=` a folder on a local disk that this process may write to.",
    "StoreCorruptedError": "`crewai-memory check`, then `repair`, or restore [a backup](backups.md).",
    "StoreFullError": "Make room, or use another disk. Nothing that was stored is lost.",
    "SchemaVersionError": "Upgrade this package in the process that failed.",
    "StoreUnavailableError": "Start the server, or correct `url=`. With an [outbox](durability.md) writes wait.",
    "StoreBusyError": "Try again after `retry_after` seconds.",
    "StorePermissionError": "Give a key that may do this.",
    "StoreMissingError": "Correct `path=` or `collection=`, or create it by a save.",
    "ServerVersionError": "Upgrade the server.",
    "EngineError": "Read the engine's own words in the message.",
    "RequestRefusedError": "Read the engine's own words in the message.",
}
"""What to do, by the name of the error."""


def options_table() -> str:
    """All options with their variables, defaults and meanings."""
    known = {name for names in GROUPS.values() for name in names}
    others = tuple(name for name in MemoryConfig.model_fields if name not in known)
    parts = []
    for title, names in {**GROUPS, "Others": others}.items():
        if names:
            parts += [f"## {title}", "", *_rows(MemoryConfig, names), ""]
    parts += ["## Settings of a new collection", "", "Of the option `collection_settings`, in code or as JSON.", ""]
    return "\n".join([*parts, *_rows(CollectionSettings, tuple(CollectionSettings.model_fields), variables=False), ""])


def _rows(model: type[BaseModel], names: tuple[str, ...], *, variables: bool = True) -> list[str]:
    head = ["option", *(["environment"] if variables else []), "default", ""]
    rows = [head, ["---"] * len(head)]
    for name in names:
        field = model.model_fields[name]
        never = name in NEVER_FROM_THE_ENVIRONMENT
        of_environment = ["–" if never else f"`{variable_of(model, name)}`"] if variables else []
        default = "–" if field.default in (None, PydanticUndefined, ()) else f"`{_literal(field.default)}`"
        rows.append([f"`{name}`", *of_environment, default, _cell(field.description or "")])
    return [f"| {' | '.join(row)} |" for row in rows]


def _literal(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else repr(value).replace("'", '"')


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def errors_table() -> str:
    """All errors with their causes and remedies, each below the class that it belongs to."""
    rows = ["| error | cause | remedy |", "| --- | --- | --- |"]
    rows += _errors_below(PersistentMemoryError, 0)
    return "\n".join([*rows, ""])


def _errors_below(parent: type[Exception], depth: int) -> list[str]:
    rows = []
    for error in vars(errors).values():
        if inspect.isclass(error) and error.__bases__[0] is parent and error.__module__ == errors.__name__:
            cause = (inspect.getdoc(error) or "").split("\n\n")[0].replace("``", "`")
            rows.append(f"| {'↳ ' * depth}`{error.__name__}` | {_cell(cause)} | {REMEDIES[error.__name__]} |")
            rows += _errors_below(error, depth + 1)
    return rows


PAGES: Final = {"options": options_table, "errors": errors_table}


def written_anew(name: str) -> tuple[str, str]:
    """A page as it is, and as the code says it should be."""
    text = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    return text, f"{before}{BEGIN}\n{PAGES[name]()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    for page in PAGES:
        (DOCS / f"{page}.md").write_text(written_anew(page)[1], encoding="utf-8")

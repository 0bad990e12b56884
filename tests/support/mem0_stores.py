"""Vector stores of Mem0 OSS, each a kind of store. Which of them the contract suite runs over is asked for with
``VECTOR_STORES=chroma,pgvector``, or ``VECTOR_STORES=all``: those that the installed mem0ai is opened with.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory.backends.mem0.compat import mem0_version
from crewai_persistent_memory.backends.mem0.library import LibraryApi
from crewai_persistent_memory.backends.mem0.vector_stores.table import known
from crewai_persistent_memory.config.mem0 import Mem0Options

from .kinds import Kind, collection_of
from .openai_server import DIMENSIONS

MEM0_CANNOT = {
    "test_new_content_is_embedded_anew": "Mem0 does not show its vectors",
    "test_replace_keeps_the_vector": "Mem0 does not show its vectors",
    "test_touch": "Mem0 does not keep when something was last read",
    "test_finds_the_rare_word_first": "Mem0 ranks by itself",
    "test_keywords_find_inflected": "Mem0 ranks by itself",
    "test_nothing_in_common": "Mem0 ranks by itself: the nearest is found however far it is",
    "test_newer_and_more_important": "Mem0 ranks by itself",
    "test_age_does_not_bury": "Mem0 ranks by itself",
    "test_are_applied_before_the_limit": "to the first 1,000 or 10,000 results; tests/mem0 has its own test",
    "test_closed_in_the_midst": "a scan of Mem0 is one listing",
    "test_min_score": "Mem0 ranks by itself; tests/mem0 has its own test",
}
Settings = Callable[[pytest.FixtureRequest, Path], dict[str, Any]]


def of_mem0(
    provider: str,
    settings: Settings,
    drop: Callable[[pytest.FixtureRequest, Path], None] | None = None,
    cannot: Mapping[str, str] | None = None,
) -> Kind:
    """Mem0 OSS over a vector store, with everything else at the scripted server."""

    def options(request: pytest.FixtureRequest, folder: Path) -> dict[str, Any]:
        openai = request.getfixturevalue("openai_server")
        vectors = {"provider": provider, "config": settings(request, folder)}
        config = openai.local_mem0_config(vectors, str(folder / "history.db"))
        return {"mem0": {"local_mem0_config": config}, "durability": "store"}

    def empty(request: pytest.FixtureRequest, folder: Path) -> None:
        api = LibraryApi(Mem0Options.model_validate(options(request, folder)["mem0"]))
        try:
            memory = api._open().memory
            for rows in (memory.vector_store, getattr(memory, "entity_store", None)):
                if rows is not None:
                    for row in rows.list(top_k=10_000)[0]:
                        rows.delete(vector_id=row.id)
        finally:
            api.close()

    return Kind(options, drop or stays, empty, cannot={**MEM0_CANNOT, **(cannot or {})}, embeds_itself=True)


def stays(request: pytest.FixtureRequest, folder: Path) -> None:
    """It goes with the test's folder, or its server's."""


def drop_tables(request: pytest.FixtureRequest, folder: Path) -> None:
    """The next test may have a folder of the same name."""
    postgres = request.getfixturevalue("vector_servers")("postgres")
    for name in (table_of(folder), f"{table_of(folder)}_entities"):
        postgres.execute(f"DROP TABLE IF EXISTS {name}")


def table_of(folder: Path) -> str:
    return collection_of(folder).replace("-", "_")


def in_chroma(request: pytest.FixtureRequest, folder: Path) -> dict[str, Any]:
    return {"path": str(folder / "chroma"), "collection_name": collection_of(folder)}


def on_a_chroma_server(request: pytest.FixtureRequest, folder: Path) -> dict[str, Any]:
    server = request.getfixturevalue("vector_servers")("chroma")
    return {"host": "127.0.0.1", "port": server.port, "collection_name": collection_of(folder)}


def in_pgvector(request: pytest.FixtureRequest, folder: Path) -> dict[str, Any]:
    return {
        "connection_string": request.getfixturevalue("vector_servers")("postgres").url,
        "collection_name": table_of(folder),
        "embedding_model_dims": DIMENSIONS,
    }


def in_a_qdrant_folder(request: pytest.FixtureRequest, folder: Path) -> dict[str, Any]:
    about = {"path": str(folder / "qdrant"), "on_disk": True, "embedding_model_dims": DIMENSIONS}
    return {**about, "collection_name": collection_of(folder)}


def in_faiss(request: pytest.FixtureRequest, folder: Path) -> dict[str, Any]:
    return {"path": str(folder / "faiss"), "collection_name": collection_of(folder), "embedding_model_dims": DIMENSIONS}


def in_redis(request: pytest.FixtureRequest, folder: Path, name: str = "redis") -> dict[str, Any]:
    url = request.getfixturevalue("vector_servers")(name).url
    return {f"{name}_url": url, "collection_name": collection_of(folder), "embedding_model_dims": DIMENSIONS}


def empty_redis(request: pytest.FixtureRequest, folder: Path, name: str = "redis") -> None:
    request.getfixturevalue("vector_servers")(name).flush()


def in_supabase(request: pytest.FixtureRequest, folder: Path) -> dict[str, Any]:
    return in_pgvector(request, folder)


def drop_collections(request: pytest.FixtureRequest, folder: Path) -> None:
    postgres = request.getfixturevalue("vector_servers")("postgres")
    for name in (table_of(folder), f"{table_of(folder)}_entities"):
        postgres.execute(f"DROP TABLE IF EXISTS vecs.{name}")


_IN_POSTGRES = "test_any_text_comes_back[{}-\\u65e5"

MORE_OF_MEM0: dict[str, Kind] = {
    "chroma": of_mem0("chroma", in_chroma),
    "chroma-server": of_mem0("chroma", on_a_chroma_server),
    "faiss": of_mem0("faiss", in_faiss),
    "pgvector": of_mem0(
        "pgvector", in_pgvector, drop_tables, {_IN_POSTGRES.format("mem0-pgvector"): "Postgres keeps no NUL"}
    ),
    "qdrant-folder": of_mem0("qdrant", in_a_qdrant_folder),
    "redis": of_mem0("redis", in_redis, empty_redis),
    "supabase": of_mem0(
        "supabase", in_supabase, drop_collections, {_IN_POSTGRES.format("mem0-supabase"): "Postgres keeps no NUL"}
    ),
    "valkey": of_mem0("valkey", partial(in_redis, name="valkey"), partial(empty_redis, name="valkey")),
}
BELONGS_TO_ONE_PROCESS = {"chroma", "faiss", "qdrant-folder"}
"""Their folders."""


def is_opened(name: str) -> bool:
    """Whether the installed mem0ai is opened with it."""
    return mem0_version() >= known(name.partition("-")[0]).since


def asked_for() -> dict[str, Kind]:
    names = os.environ.get("VECTOR_STORES", "")
    chosen = list(MORE_OF_MEM0) if names == "all" else [name for name in names.split(",") if name]
    return {f"mem0-{name}": MORE_OF_MEM0[name] for name in chosen if names != "all" or is_opened(name)}

"""Mem0 OSS over each vector store: what is opened; what is refused, why, and before anything is reached."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import ConfigurationError, Scope, StoreInUseError, StorePathError, open_store
from crewai_persistent_memory.backends.mem0.compat import mem0_version
from crewai_persistent_memory.backends.mem0.entities import library_user_id
from crewai_persistent_memory.backends.mem0.vector_stores import check as providers
from crewai_persistent_memory.backends.mem0.vector_stores import folder, redis

from ..support.programs import run_program

OLD, NEW = (1, 0, 11), (2, 2, 1)
POSTGRES = {"host": "127.0.0.1", "port": 9, "user": "u", "password": "p"}

REFUSED: list[tuple[str, dict[str, Any], tuple[int, ...], str]] = [
    ("pgvector", {**POSTGRES, "hnsw": False, "diskann": True}, NEW, 'Leave "diskann" out'),
    ("faiss", {"path": "x"}, (2, 0, 5), "below mem0ai 2.2"),
    ("faiss", {}, NEW, "/tmp/faiss"),
    ("redis", {"redis_url": "redis://127.0.0.1:9"}, (2, 0, 5), "below mem0ai 2.2"),
    ("valkey", {"valkey_url": "valkey://127.0.0.1:9"}, (2, 0, 5), "below mem0ai 2.2"),
    ("valkey", {"valkey_url": "valkey://127.0.0.1:9", "cluster_mode": True}, NEW, 'Leave "cluster_mode" out'),
    ("langchain", {}, NEW, "does not find memories by our ids"),
    ("supabase", {}, (2, 0, 5), "below mem0ai 2.2"),
    ("supabase", {"index_measure": "l2_distance"}, NEW, "index_measure"),
    ("qdrant", {"path": "x"}, (0, 1, 116), "empties a local folder"),
    *[("qdrant", where, version, "/tmp/qdrant") for where in ({}, {"host": "x"}) for version in (OLD, NEW)],
    ("qdrant", {"on_disk": True}, (0, 1, 116), "/tmp/qdrant"),
    *[("chroma", where, NEW, "/tmp/chroma") for where in ({}, {"host": "x"}, {"api_key": "x"})],
    ("milvus", {"url": "x"}, NEW, "allow_untested_vector_store"),
    ("pinecone", {}, OLD, "allow_untested_vector_store"),
]
OPENED: list[tuple[str, dict[str, Any], tuple[int, ...]]] = [
    *[("qdrant", {"url": "http://127.0.0.1:9"}, version) for version in ((0, 1, 116), OLD, NEW)],
    ("qdrant", {"path": "x", "on_disk": True}, (0, 1, 116)),
    ("qdrant", {"path": "x"}, OLD),
    ("qdrant", {"host": "x", "port": 6333}, NEW),
    *[("chroma", {"path": "x"}, version) for version in ((0, 1, 116), OLD, NEW)],
    ("chroma", {"host": "x", "port": 8000}, NEW),
    ("chroma", {"api_key": "x", "tenant": "y"}, NEW),
    ("faiss", {"path": "x"}, NEW),
    ("supabase", {"connection_string": "postgresql://127.0.0.1:9/x"}, NEW),
    ("redis", {"redis_url": "redis://127.0.0.1:9"}, NEW),
    ("valkey", {"valkey_url": "valkey://127.0.0.1:9"}, NEW),
    *[("pgvector", POSTGRES, version) for version in ((0, 1, 116), OLD, NEW)],
]


def config_of(provider: str, settings: dict[str, Any]) -> dict[str, Any]:
    named = {"provider": "openai", "config": {"api_key": "sk-test", "openai_base_url": "http://127.0.0.1:9"}}
    return {
        "vector_store": {"provider": provider, "config": settings},
        "llm": named,
        "embedder": named,
        "history_db_path": ":memory:",
    }


@pytest.mark.parametrize(("provider", "settings", "version", "reason"), REFUSED)
def test_what_answers_wrongly_is_refused(
    provider: str, settings: Any, version: tuple[int, ...], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(providers, "mem0_version", lambda: version)
    with pytest.raises(ConfigurationError) as raised:
        open_store(
            user_id="john", mem0={"local_mem0_config": config_of(provider, settings), "startup_check": False}
        ).close()
    message = str(raised.value)
    assert reason in message
    assert repr(provider) in message
    assert "mem0ai " + ".".join(map(str, version)) in message
    assert 'Use "qdrant"' in message, "it says what to use"
    assert "sk-test" not in message


@pytest.mark.parametrize(("provider", "settings", "version"), OPENED)
def test_what_was_tried_is_opened(
    provider: str, settings: Any, version: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(providers, "mem0_version", lambda: version)
    providers.check(config_of(provider, settings), allow_untested=False)


def test_an_untried_one_can_be_asked_for_but_not_a_wrong_one() -> None:
    providers.check(config_of("milvus", {}), allow_untested=True)
    with pytest.raises(ConfigurationError, match="by our ids"):
        providers.check(config_of("langchain", {}), allow_untested=True)
    with pytest.raises(ConfigurationError, match="allow_untested_vector_store is of Mem0 OSS"):
        open_store(user_id="john", mem0={"api_key": "m0-key", "allow_untested_vector_store": True})


def test_refused_before_mem0_or_a_driver_is_imported() -> None:
    program = (
        "import sys\n"
        "from crewai_persistent_memory import ConfigurationError, Scope, StoreInUseError, StorePathError, open_store\n"
        f"config = {config_of('langchain', {})!r}\n"
        "try:\n"
        "    open_store(user_id='john', mem0={'local_mem0_config': config, 'startup_check': False})\n"
        "except ConfigurationError as error:\n"
        "    print(sorted({'mem0', 'langchain'} & set(sys.modules)), 'langchain' in str(error))\n"
    )
    found = run_program([sys.executable, "-c", program])
    assert found.stdout.strip() == "[] True"


@pytest.mark.parametrize("part", ["vector_store", "llm", "embedder"])
@pytest.mark.parametrize("given", [None, {}, {"config": {"model": "x"}}, "qdrant"])
def test_nothing_goes_to_a_default(part: str, given: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mem0's own defaults are OpenAI, with the environment's key, and a folder in /tmp."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
    config = {**config_of("qdrant", {"url": "http://127.0.0.1:9"}), part: given}
    with pytest.raises(ConfigurationError, match=f"names no provider of {part}"):
        open_store(user_id="john", mem0={"local_mem0_config": config, "startup_check": False})


def test_openrouters_key_in_the_environment_redirects_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_of("qdrant", {"url": "http://127.0.0.1:9"})
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-secret")
    with pytest.raises(ConfigurationError, match="OPENROUTER_API_KEY") as raised:
        open_store(user_id="john", mem0={"local_mem0_config": config, "startup_check": False})
    assert "sk-or-secret" not in str(raised.value)
    meant = {**config["llm"]["config"], "openrouter_base_url": "https://openrouter.ai/api/v1"}
    providers.check({**config, "llm": {"provider": "openai", "config": meant}}, allow_untested=False)


@pytest.mark.skipif(mem0_version() >= (2,), reason="mem0ai 2.x has no graph store")
def test_a_graph_store_is_refused() -> None:
    config = {**config_of("qdrant", {"url": "http://127.0.0.1:9"}), "graph_store": {"provider": "neo4j", "config": {}}}
    with pytest.raises(ConfigurationError, match="graph_store"):
        open_store(user_id="john", mem0={"local_mem0_config": config, "startup_check": False})


@pytest.mark.parametrize("provider", ["chroma", "faiss"])
def test_a_folder_is_of_one_process(provider: str, tmp_path: Path) -> None:
    """A lock of the system holds for another opening of the file in this process as for another process."""
    lock = folder.claim(provider, str(tmp_path / "vectors"))
    with pytest.raises(StoreInUseError, match="another process"):
        folder.FolderLock(provider, tmp_path / "vectors")
    if provider == "chroma":
        folder.release(folder.claim(provider, str(tmp_path / "vectors")))
    else:
        with pytest.raises(StoreInUseError, match="another configuration"):
            folder.claim(provider, str(tmp_path / "vectors"))
    folder.release(lock)
    folder.FolderLock(provider, tmp_path / "vectors").close()
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorePathError, match="path of vector_store"):
        folder.claim(provider, str(tmp_path / "file"))


NAMES = [
    "john",
    "JOHN",
    "John",
    "%2A",
    "%2a",
    "a%4ab",
    "Jé",
    "%4a",
    "%4A",
    "j%",
    "J:x/Y//Z",
    "josé",
    "JOSÉ",
    "%25",
    "A%",
    "a",
]


def test_names_differ_in_more_than_case() -> None:
    """As Redis compares them: of those that ``library_user_id`` makes."""
    users = [
        library_user_id(Scope.trusted(name, "default", run, None, None)) for name in NAMES for run in (None, "r1", "R1")
    ]
    coded = [redis.with_case(user) for user in users]
    assert len({name.lower() for name in coded}) == len(users)
    assert [redis.without_case(name) for name in coded] == users
    assert redis.with_case("john@example.com") == "john@example.com"

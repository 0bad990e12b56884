"""``crewai-memory reembed``; what it does is tested in ``tests/maintenance``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crewai_persistent_memory import MemoryEntry, open_store
from crewai_persistent_memory.backends.qdrant.server import moves
from crewai_persistent_memory.backends.qdrant.server.bootstrap import DESCRIPTOR_ID
from crewai_persistent_memory.testing import FakeEmbedder

from ..support.openai_server import OpenAIServer
from ..support.qdrant_server import QdrantServer
from .conftest import Call


@pytest.fixture
def at(tmp_path: Path) -> tuple[str, str]:
    with open_store(path=tmp_path / "s", embedder=FakeEmbedder()) as store:
        store.scoped(user_id="john").add("John likes tea")
        store.scoped(user_id="jane").add("Jane likes coffee")
    return "--path", str(tmp_path / "s")


def test_to_keywords(call: Call, at: tuple[str, str]) -> None:
    planned = call("reembed", "keywords", *at, "--dry-run", "--json").json
    assert (planned["entries"], planned["changed"], planned["dry_run"]) == (2, True, True)
    refused = call("reembed", "keywords", *at)
    assert refused.code == 2
    assert "the vectors of 2 memories would be removed: add --yes" in refused.err
    assert call("reembed", "keywords", *at, "--yes").out == "2 memories are found by their words\n"
    assert call("reembed", "keywords", *at, "--yes").out == "2 memories are found by their words, as before\n"
    with open_store(path=at[1], user_id="john") as store:
        assert store.embedder is None
        assert store.search("tea")[0].found_by == ("keywords",)


def test_to_a_provider(call: Call, at: tuple[str, str], openai_server: OpenAIServer) -> None:
    config = {"model_name": "words", "api_base": f"{openai_server.url}/v1", "api_key": "sk-test"}
    spec = json.dumps({"provider": "openai", "config": config})
    done = call("reembed", spec, *at, "--yes", "--json").json
    assert (done["entries"], done["embedded"], done["without"], done["changed"]) == (2, 2, 0, True)
    again = call("reembed", spec, *at, "--json", "--yes").json
    assert (again["embedded"], again["changed"]) == (0, False)
    assert "sk-test" not in Path(at[1], "store.json").read_text()


def test_a_dry_run_of_what_is_done_already(call: Call, at: tuple[str, str], openai_server: OpenAIServer) -> None:
    config = {"model_name": "words", "api_base": f"{openai_server.url}/v1", "api_key": "sk-test"}
    spec = json.dumps({"provider": "openai", "config": config})
    assert "2 memories of 31 characters would be embedded by" in call("reembed", spec, *at, "--dry-run").out
    assert call("reembed", spec, *at, "--yes").code == 0
    assert call("reembed", spec, *at, "--dry-run").out.startswith("nothing would be embedded: 2 memories have vectors")
    assert call("reembed", "keywords", *at, "--yes").code == 0
    assert call("reembed", "keywords", *at, "--dry-run").out == "2 memories are found by their words already\n"


@pytest.mark.parametrize("embedder", [" ", "nobody/model", "{"])
def test_an_unknown_one(call: Call, at: tuple[str, str], embedder: str) -> None:
    assert call("reembed", embedder, *at, "--yes").code == 2


def test_no_store(call: Call, tmp_path: Path) -> None:
    assert call("reembed", "keywords", "--path", str(tmp_path / "none"), "--yes").code == 2
    assert not (tmp_path / "none").exists()


def test_on_a_server(call: Call, server: QdrantServer, collection: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moves, "LEASE", 0.1)
    monkeypatch.setenv("CREWAI_MEMORY_TIMEOUT", "0.5")
    monkeypatch.delenv("CREWAI_MEMORY_PATH")
    options = {"url": server.url, "collection": collection, "durability": "store"}
    with open_store(**options, embedder=FakeEmbedder()) as store:  # type: ignore[arg-type]
        store.scoped(user_id="john").add("John likes tea")
        store.scoped(user_id="jane").add("Jane likes coffee")
    at = ("--url", server.url, "--collection", collection)
    planned = call("reembed", "keywords", *at, "--dry-run", "--json").json
    assert (planned["entries"], planned["changed"], planned["dry_run"]) == (2, True, True)
    assert call("reembed", "keywords", *at).code == 2
    assert call("reembed", "keywords", *at, "--yes").out == "2 memories are found by their words\n"
    assert call("reembed", "keywords", *at, "--yes").out == "2 memories are found by their words, as before\n"
    with open_store(**options, user_id="john") as store:  # type: ignore[arg-type]
        assert store.embedder is None
        assert store.search("tea")[0].found_by == ("keywords",)


def test_passages_of_a_collection_of_an_earlier_version(
    call: Call,
    server: QdrantServer,
    collection: str,
    openai_server: OpenAIServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(moves, "LEASE", 0.1)
    monkeypatch.setenv("CREWAI_MEMORY_TIMEOUT", "0.5")
    monkeypatch.delenv("CREWAI_MEMORY_PATH")
    config = {"model_name": "words", "api_base": f"{openai_server.url}/v1", "api_key": "sk-test"}
    spec = json.dumps({"provider": "openai", "config": config})
    options = {"url": server.url, "collection": collection, "durability": "store", "embedder": json.loads(spec)}
    long = "The garden is green. " * 100
    with open_store(**options, user_id="john") as store:
        store.put([MemoryEntry(id="long", content=long), MemoryEntry(id="short", content="John likes tea")])
    with server.admin() as admin:  # as an earlier version leaves it
        changed = {"payload": {"passages": False}, "points": [DESCRIPTOR_ID]}
        admin.post(f"/collections/{collection}/points/payload?wait=true", json=changed).raise_for_status()
    at = ("--url", server.url, "--collection", collection)
    assert call("reembed", spec, *at, "--yes", "--json").json["changed"] is False
    planned = call("reembed", spec, *at, "--passages", "--dry-run", "--json").json
    assert (planned["characters"], planned["changed"]) == (len(long), True)
    done = call("reembed", spec, *at, "--passages", "--yes", "--json").json
    assert (done["embedded"], done["there"], done["changed"]) == (1, 1, True)
    assert call("reembed", spec, *at, "--passages", "--yes", "--json").json["changed"] is False


def test_token_vectors_that_the_embedder_does_not_have(
    call: Call, at: tuple[str, str], openai_server: OpenAIServer
) -> None:
    config = {"model_name": "words", "api_base": f"{openai_server.url}/v1", "api_key": "sk-test"}
    spec = json.dumps({"provider": "openai", "config": config})
    refused = call("reembed", spec, *at, "--yes", "--reranker", "maxsim")
    assert refused.code == 2
    assert "reranker: 'maxsim' needs an embedder with token vectors, and Embedder(openai/words) has no" in refused.err
    assert call("reembed", "keywords", *at, "--yes", "--reranker", "maxsim").code == 2
    assert "dense" in Path(at[1], "shard", "edge_config.json").read_text(), "nothing was changed"

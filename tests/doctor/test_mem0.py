"""A store in Mem0: what can be checked, and what cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import open_store

from ..mem0.conftest import oss_config  # noqa: F401
from ..support.mem0_platform import DEFAULT_KEY, Mem0Platform
from .conftest import Look


@pytest.fixture
def cloud(mem0_platform: Mem0Platform) -> dict[str, Any]:
    return {"mem0": {"api_key": DEFAULT_KEY, "host": mem0_platform.url}, "durability": "store"}


def test_a_healthy_cloud(look: Look, cloud: dict[str, Any], mem0_platform: Mem0Platform) -> None:
    report = look(**cloud, also=("second process",))
    assert report.bad == []
    assert f"Mem0 Cloud at {mem0_platform.url}" in report.of("settings", "ok")
    assert report.of("write", "ok")
    assert "a second process" in report.of("second process", "ok")
    assert "cannot count across users" in report.of("scopes", "note")
    assert mem0_platform.memories == {}, "the probe is gone"
    assert DEFAULT_KEY not in report.text


def test_a_wrong_key(look: Look, cloud: dict[str, Any]) -> None:
    report = look(mem0={**cloud["mem0"], "api_key": "m0-a-wrong-key-0123456789"}, durability="store")
    assert report.of("store", "error")
    assert "m0-a-wrong-key" not in report.text


def test_no_key(look: Look) -> None:
    assert "no key for Mem0 Cloud" in look(mem0={}).of("settings", "error")


def test_the_key_of_another_address(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEM0_API_KEY", DEFAULT_KEY)
    report = look(mem0={"host": "http://127.0.0.1:9"})
    assert "MEM0_API_KEY in the environment belongs to https://api.mem0.ai" in report.of("settings", "error")
    assert DEFAULT_KEY not in report.text


def test_away(look: Look) -> None:
    report = look(mem0={"api_key": DEFAULT_KEY, "host": "http://127.0.0.1:9"})
    assert report.of("store", "error")


def test_an_embedder_that_mem0_does_not_use(look: Look, cloud: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREWAI_MEMORY_EMBEDDER", "openai/text-embedding-3-small")
    assert "Mem0 embeds by itself" in look(**cloud).of("embedder", "warning")


def test_no_peer(look: Look, cloud: dict[str, Any]) -> None:
    assert "memories are in Mem0" in look(**cloud, peer="http://127.0.0.1:9").of("peer", "error")


def test_telemetry_that_was_asked_for(look: Look, cloud: dict[str, Any]) -> None:
    report = look(mem0={**cloud["mem0"], "telemetry": True}, read_only=True, durability="store")
    assert "Mem0's telemetry is on" in report.of("telemetry", "note")


def test_the_library(look: Look, oss_config: dict[str, Any]) -> None:  # noqa: F811
    about: Any = {"mem0": {"local_mem0_config": oss_config}, "durability": "store"}
    with open_store(**about, user_id="john") as store:
        report = look(store)
        assert report.bad == []
        assert report.of("write", "ok")
        assert "Mem0 OSS over qdrant" in report.of("settings", "ok")
        assert "Mem0's llm (openai) at http://127.0.0.1" in report.of("addresses")
        assert store.count() == 0


def test_the_library_over_a_local_folder(
    look: Look,
    oss_config: dict[str, Any],  # noqa: F811
    tmp_path: Path,
) -> None:
    """One process at a time can open it, and the doctor leaves it to the second one for a while."""
    vectors = {**oss_config["vector_store"]["config"], "path": str(tmp_path / "vectors"), "on_disk": True}
    vectors.pop("url")
    local = {**oss_config, "vector_store": {"provider": "qdrant", "config": vectors}}
    about: Any = {"mem0": {"local_mem0_config": local}, "durability": "store"}
    with open_store(**about, user_id="john") as store:
        store.count()
    report = look(**about, also=("second process",))
    assert report.bad == []
    assert report.of("second process", "ok")
    assert f"Mem0's vectors is at {tmp_path / 'vectors'}" in report.of("folders", "ok")

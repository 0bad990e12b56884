"""Options: keyword arguments first, then the environment, then the defaults."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import (
    ConfigurationError,
    InvalidArgumentError,
    InvalidScopeError,
    MemoryConfig,
    RankingWeights,
    Scope,
    ScopeConflictError,
)
from crewai_persistent_memory.config.environment import default_path


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"usr_id": "x"}, r"unknown option 'usr_id': did you mean user_id\?"),
        ({"zzz": 1}, "known are"),
        ({"mem0": "cloud"}, "mem0"),
        ({"includes": "x"}, "includes is for Mem0's extraction"),
        ({"path": "/a", "url": "http://x"}, "path and url are both given"),
        ({"fsync": "sometimes"}, "fsync"),
        ({"semantic_weight": 3}, "semantic_weight"),
        *(({"recency_half_life_days": days}, "recency_half_life_days") for days in (0, 1e-300, 1e300)),
        *(({"recency_half_life_days": days}, "recency_half_life_days") for days in (math.inf, math.nan)),
        ({"include_shared": "perhaps"}, "include_shared"),
        ({"path": 7}, "path"),
        ({"path": ""}, "path: .*is blank"),
        ({"path": " "}, "path: .*is blank"),
        ({"embedder": 3}, "embedder"),
        ({"embedder": "{"}, "in the environment is JSON"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        MemoryConfig.build(**options)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        *((name, (-1, 2, math.nan, 1e300, "x", None)) for name in ("semantic", "recency", "importance")),
        ("half_life_days", (0, -1, math.nan, math.inf, 1e-300, True, "x", None)),
    ],
)
def test_weights_that_no_engine_takes_are_named(name: str, values: tuple[Any, ...]) -> None:
    for value in values:
        with pytest.raises(InvalidArgumentError, match=f"^{name} must be a number from"):
            RankingWeights(**{name: value})


def test_a_blank_path_in_the_environment_is_not_the_current_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREWAI_MEMORY_PATH", "")
    with pytest.raises(ConfigurationError, match=r"path: .*is blank"):
        MemoryConfig.build()


def test_bad_scopes_are_named() -> None:
    with pytest.raises(InvalidScopeError, match="user_id is blank"):
        MemoryConfig.build(user_id=" ")
    with pytest.raises(ScopeConflictError, match="both given"):
        MemoryConfig.build(user_id="john", scope=Scope("john"))
    for field in ("user_id", "project_id", "run_id", "agent_id", "org_id"):
        with pytest.raises(ScopeConflictError, match=f"{field}= are both given"):
            MemoryConfig.build(scope=Scope("john"), **{field: "x"})
    with pytest.raises(InvalidScopeError, match="must be a Scope"):
        MemoryConfig.build(scope="john")


def test_the_environment_fills_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREWAI_MEMORY_PATH", "/data/memory")
    monkeypatch.setenv("CREWAI_MEMORY_PROJECT_ID", "staging")
    monkeypatch.setenv("CREWAI_MEMORY_ORG_ID", "acme")
    monkeypatch.setenv("CREWAI_MEMORY_FSYNC", "always")
    config = MemoryConfig.build(user_id="john")
    assert config.store_path == Path("/data/memory")
    assert config.binding().resolve() == Scope("john", "staging", org_id="acme")
    assert config.fsync == "always"
    assert MemoryConfig.build(path="/here", project_id="production").store_path == Path("/here")
    assert MemoryConfig.build(project_id="production").project_id == "production"


def test_the_environment_never_says_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("USER_ID", "RUN_ID", "AGENT_ID", "SCOPE", "INCLUDE_SHARED"):
        monkeypatch.setenv(f"CREWAI_MEMORY_{name}", "everybody")
    for name in ("USER_ID", "PATH_ID", "URL", "SCOPE"):
        monkeypatch.setenv(name, "everybody")
    config = MemoryConfig.build()
    assert (config.user_id, config.run_id, config.agent_id, config.scope) == (None, None, None, None)
    assert (config.path, config.url) == (None, None)


def test_an_option_has_one_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """``url`` is QDRANT_URL; some versions of pydantic-settings would read the other name as well."""
    monkeypatch.setenv("CREWAI_MEMORY_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("CREWAI_MEMORY_API_KEY", "key-of-nobody")
    config = MemoryConfig.build()
    assert (config.url, config.api_key) == (None, None)
    monkeypatch.setenv("qdrant_url", "http://127.0.0.1:6333")
    assert MemoryConfig.build().url == ("http://127.0.0.1:6333",)


def test_two_stores_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREWAI_MEMORY_PATH", "/data")
    monkeypatch.setenv("QDRANT_URL", "http://127.0.0.1:6333")
    with pytest.raises(ConfigurationError, match="both set"):
        MemoryConfig.build()
    assert MemoryConfig.build(path="/here").url is None


def test_a_bad_environment_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREWAI_MEMORY_FSYNC", "sometimes")
    with pytest.raises(ConfigurationError, match="fsync"):
        MemoryConfig.build()


def test_the_default_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CREWAI_STORAGE_DIR", str(tmp_path))
    assert default_path() == tmp_path / "persistent-memory"
    monkeypatch.setenv("CREWAI_STORAGE_DIR", "my-app")
    assert default_path().parts[-2:] == ("my-app", "persistent-memory")
    assert default_path().is_absolute()
    monkeypatch.delenv("CREWAI_STORAGE_DIR")
    assert default_path().parts[-2:] == ("crewai-persistent-memory", "persistent-memory")


def test_repr_shows_no_embedder_secret() -> None:
    config = MemoryConfig.build(embedder={"provider": "openai", "config": {"api_key": "sk-secret"}})
    assert "secret" not in repr(config)
    with pytest.raises(ConfigurationError) as caught:
        MemoryConfig.build(embedder={"provider": "x", "api_key": "sk-secret"}, fsync="sk-secret")
    assert "secret" not in str(caught.value)


def test_where_an_option_comes_from_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QDRANT_URL", "https://production:6333")
    monkeypatch.setenv("QDRANT_API_KEY", "sk-secret")
    monkeypatch.setenv("CREWAI_MEMORY_TIMEOUT", "2.5")
    monkeypatch.setenv("CREWAI_MEMORY_EMBEDDER", "keywords")
    options = ("url", "path", "api_key", "timeout", "embedder", "retry_for", "user_id")

    def sources(**arguments: Any) -> list[str]:
        config = MemoryConfig.build(**arguments)
        return [config.source_of(option) for option in options]

    assert sources(user_id="john", timeout=None) == [
        "QDRANT_URL",
        "default",
        "QDRANT_API_KEY",
        "CREWAI_MEMORY_TIMEOUT",
        "CREWAI_MEMORY_EMBEDDER",
        "default",
        "argument",
    ]
    # A store that is given is the only one, and the key of another server is not sent to it.
    assert sources(url="https://other", embedder=None) == [
        "argument",
        "default",
        "default",
        "CREWAI_MEMORY_TIMEOUT",
        "argument",
        "default",
        "default",
    ]
    assert sources(path="/here")[:3] == ["default", "argument", "QDRANT_API_KEY"]


class TestKeysOfTheEnvironment:
    """They are for the address of the environment."""

    @pytest.fixture(autouse=True)
    def production(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("QDRANT_URL", "https://production:6333,https://second:6333")
        monkeypatch.setenv("QDRANT_API_KEY", "sk-canary")
        monkeypatch.setenv("CREWAI_MEMORY_HEADERS", '{"x-team": "canary"}')

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"url": "https://production"},
            {"url": "https://production:6333/"},
            {"url": ["https://second:6333", "https://production:6333"]},
            {"host": "production"},
        ],
    )
    def test_the_same_server_gets_them(self, options: Any) -> None:
        server = MemoryConfig.build(**options).server
        assert server is not None
        assert server.api_key is not None
        assert server.headers

    @pytest.mark.parametrize(
        "options",
        [
            {"url": "https://other:6333"},
            {"url": "http://production:6333"},
            {"url": "https://production:7333"},
            {"url": ["https://production:6333", "https://other:6333"]},
            {"host": "other"},
            {"host": "production", "https": False},
        ],
    )
    def test_another_does_not(self, options: Any, caplog: pytest.LogCaptureFixture) -> None:
        server = MemoryConfig.build(**options).server
        assert server is not None
        assert (server.api_key, server.headers) == (None, ())
        assert "QDRANT_API_KEY and CREWAI_MEMORY_HEADERS of the environment is not sent" in caplog.text
        assert "canary" not in caplog.text

    def test_its_own_key_it_gets(self) -> None:
        server = MemoryConfig.build(url="https://other:6333", api_key="own").server
        assert server is not None
        assert server.api_key is not None
        assert server.api_key.get_secret_value() == "own"
        assert server.headers == ()

    def test_a_key_of_no_address_is_for_the_programs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("QDRANT_URL")
        server = MemoryConfig.build(url="https://mine:6333").server
        assert server is not None
        assert server.api_key is not None

    def test_of_mem0(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("QDRANT_URL")
        monkeypatch.setenv("MEM0_API_KEY", "m0-canary")
        assert MemoryConfig.build(mem0={}).mem0
        with pytest.raises(ConfigurationError, match=r"belongs to https://api\.mem0\.ai") as caught:
            MemoryConfig.build(mem0={"host": "https://other"})
        assert "canary" not in str(caught.value)
        monkeypatch.setenv("MEM0_HOST", "https://other")
        assert MemoryConfig.build(mem0={"host": "https://other"}).mem0
        monkeypatch.delenv("MEM0_API_KEY")
        monkeypatch.setenv("CREWAI_MEMORY_MEM0", '{"api_key": "m0-canary", "host": "https://other"}')
        assert MemoryConfig.build(mem0={"rerank": True}).mem0
        with pytest.raises(ConfigurationError, match="no key for Mem0"):
            MemoryConfig.build(mem0={"host": "https://third"})

    @pytest.mark.parametrize(
        "options",
        [
            {"host": "user:canary@other"},
            {"url": "https://user:canary@other"},
            {"mem0": {"host": "https://user:canary@other", "api_key": "x"}},
        ],
    )
    def test_a_password_in_an_address_is_refused_and_not_shown(self, options: Any) -> None:
        with pytest.raises(ConfigurationError, match="no user, password") as caught:
            MemoryConfig.build(**options)
        assert "canary" not in str(caught.value)

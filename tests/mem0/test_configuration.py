"""Every key of the configuration, by its effect at the service."""

from __future__ import annotations

import copy
import os
import sys
import time
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import (
    ConfigurationError,
    EngineError,
    MemoryConfig,
    StorePathError,
    StoreUnavailableError,
    open_store,
)
from crewai_persistent_memory.backends.mem0.compat import mem0_version
from crewai_persistent_memory.expiry import clock_set_to, now

from ..support.calling import until
from ..support.mem0_platform import DEFAULT_KEY, Fault, Mem0Platform
from ..support.openai_server import OpenAIServer
from ..support.programs import Program, run_program
from ..support.qdrant_server import QdrantServer
from ..support.thorough import sample
from .conftest import OpenMem0, library_of

TOLD: Any = [{"role": "user", "content": "I am allergic to nuts. It rains today. My bicycle is red. I hate politics."}]


class TestScopeKeys:
    def test_each_is_sent_and_separates(self, cloud: OpenMem0, mem0_platform: Mem0Platform) -> None:
        fields: dict[str, Any] = {
            "user_id": "john",
            "project_id": "p1",
            "org_id": "o1",
            "run_id": "r1",
            "agent_id": "chef",
        }
        cloud(**fields).add("x")
        [memory] = mem0_platform.memories.values()
        assert (memory["user_id"], memory["app_id"], memory["run_id"]) == ("john", "p1/o1", "r1/chef")
        for name in fields:
            assert cloud(**{**fields, name: "another"}).count() == 0, name

    def test_the_keys_own_project_is_compared(
        self, cloud: OpenMem0, caplog: pytest.LogCaptureFixture, mem0_platform: Mem0Platform
    ) -> None:
        cloud(org_id="org-1", project_id="proj-1")
        assert caplog.text == ""
        store = cloud(org_id="org-1", project_id="staging")
        assert "project_id='staging' (the key's is 'proj-1')" in caplog.text
        assert "org_id" not in caplog.text
        store.health()
        assert caplog.text.count("the key decides") + caplog.text.count("key decides") == 1
        assert DEFAULT_KEY not in caplog.text


class TestExtraction:
    def test_includes_excludes_and_infer(self, open_mem0: OpenMem0) -> None:
        store = open_mem0(includes="vehicles such as a bicycle", excludes="politics")
        found = {entry.content for entry in store.add_messages(TOLD, wait=True).entries}
        assert found == {"I am allergic to nuts", "My bicycle is red"}
        assert {entry.content for entry in store.list()} == found
        assert store.add("It rains today.").content == "It rains today.", "add keeps a text as it is"

    def test_custom_categories_on_the_cloud(self, cloud: OpenMem0, mem0_platform: Mem0Platform) -> None:
        diet = [{"dietary_preferences": "Tracks food allergies, restrictions, and preferences"}]
        store = cloud(custom_categories=diet)
        store.add_messages(TOLD, wait=True, categories=["told"])
        [entry] = store.list(categories=["dietary_preferences"])
        assert entry.content == "I am allergic to nuts"
        assert entry.categories == ("told", "dietary_preferences")
        assert mem0_platform.adds[0]["custom_categories"] == diet
        assert not [path for _, path, _ in mem0_platform.requests if "projects" in path], "never for a whole project"

    def test_instructions_reach_the_extraction_of_mem0_oss(self, oss: OpenMem0, openai_server: OpenAIServer) -> None:
        store = oss(includes="bicycles", excludes="politics", custom_categories=[{"diet": "what one may eat"}])
        store.add_messages(TOLD)
        [prompt] = openai_server.extractions
        assert "Remember in particular: bicycles." in prompt
        assert "Never remember anything about: politics." in prompt
        assert "- diet: what one may eat" in prompt

    def test_the_users_own_instructions_stay(self, oss_config: Any, openai_server: OpenAIServer) -> None:
        own = "custom_instructions" if mem0_version() >= (2,) else "custom_fact_extraction_prompt"
        config = {**oss_config, own: "Be brief. Answer in JSON, with a list of facts. Input follows."}
        with open_store(user_id="john", mem0={"local_mem0_config": config}, excludes="politics") as store:
            store.add_messages(TOLD)  # type: ignore[attr-defined]
        [prompt] = openai_server.extractions
        assert "Be brief." in prompt
        assert "Never remember anything about: politics." in prompt


class TestWaiting:
    def test_at_once_by_default(self, cloud: OpenMem0, mem0_platform: Mem0Platform) -> None:
        store = cloud()
        with mem0_platform.busy():
            added = store.add_messages(TOLD)
            assert added.pending
            assert added.entries == ()
            assert mem0_platform.events[added.event_id]["status"] == "PENDING"
            assert store.list() == []
        until(store.list, bool)

    def test_until_it_is_done(self, cloud: OpenMem0) -> None:
        added = cloud(mem0={"wait": True}).add_messages(TOLD)
        assert not added.pending
        assert "I am allergic to nuts" in [entry.content for entry in added.entries]

    def test_its_failure_is_told(self, cloud: OpenMem0) -> None:
        with pytest.raises(EngineError, match="the LLM had enough"):
            cloud().add_messages([{"role": "user", "content": "the extraction fails"}], wait=True)

    def test_for_so_long(self, cloud: OpenMem0, mem0_platform: Mem0Platform) -> None:
        store = cloud(mem0={"wait_timeout": 0.2})
        with mem0_platform.busy(), pytest.raises(StoreUnavailableError, match="wait_timeout"):
            store.add_messages(TOLD, wait=True)


class TestExpiry:
    def test_of_a_run(self, cloud: OpenMem0, mem0_platform: Mem0Platform) -> None:
        store = cloud(mem0={"run_expiry_days": 7})
        store.add("without a run")
        store.scoped(run_id="r1").add("of a run")
        store.scoped(run_id="r1").add_messages(TOLD, wait=True)
        in_a_week = (datetime.now(timezone.utc) + timedelta(days=7)).date().isoformat()
        expiries = {m["memory"]: m["expiration_date"] for m in mem0_platform.memories.values()}
        assert expiries["without a run"] is None
        assert expiries["of a run"] == in_a_week
        assert expiries["I am allergic to nuts"] == in_a_week

    def test_what_has_expired_is_not_seen(self, open_mem0: OpenMem0) -> None:
        store = open_mem0(run_id="r1", mem0={"run_expiry_days": 7})
        store.add("of a run")
        assert store.count() == 1
        with clock_set_to(now() + timedelta(days=9)):
            assert store.count() == 0
            assert store.search("run") == []


class TestTheConnection:
    def test_key_and_host_come_from_the_environment(
        self, mem0_platform: Mem0Platform, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MEM0_API_KEY", DEFAULT_KEY)
        monkeypatch.setenv("MEM0_HOST", mem0_platform.url)
        monkeypatch.setenv("CREWAI_MEMORY_MEM0", "{}")
        with open_store(user_id="john") as store:
            store.add("x")
        assert len(mem0_platform.memories) == 1
        assert DEFAULT_KEY not in repr(store) + repr(MemoryConfig.build(user_id="john"))

    def test_rerank(self, cloud: OpenMem0, mem0_platform: Mem0Platform) -> None:
        cloud(mem0={"rerank": True}).search("x")
        cloud().search("x")
        searches = [b for path in ("/v3/memories/search/", "/v2/memories/search/") for b in mem0_platform.bodies(path)]
        assert [body.get("rerank") for body in searches] == [True, None]

    def test_startup_check(self, mem0_platform: Mem0Platform) -> None:
        nowhere: Any = {"api_key": DEFAULT_KEY, "host": "http://127.0.0.1:9", "startup_timeout": 0.2}
        with pytest.raises(StoreUnavailableError, match="cannot be reached for a health check"):
            open_store(user_id="john", mem0=nowhere)
        open_store(user_id="john", mem0={**nowhere, "startup_check": False}).close()
        mem0_platform.faults.append(Fault("ping", 500, times=99))
        start = time.monotonic()
        with pytest.raises(StoreUnavailableError):
            open_store(user_id="john", mem0={**nowhere, "host": mem0_platform.url})
        assert time.monotonic() - start < 5

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"path": "x"}, "path and mem0 are both given"),
            ({"embedder": None, "language": "none"}, "language is of a Qdrant store"),
            ({"embedder": {"provider": "openai"}}, "embedder is of a Qdrant store"),
            ({"includes": " "}, "includes: .*is blank"),
            ({"custom_categories": ["diet"]}, "custom_categories"),
            ({"custom_categories": [{}]}, "an empty category"),
        ],
    )
    def test_contradictions_are_named(self, options: Any, message: str) -> None:
        with pytest.raises(ConfigurationError, match=message):
            MemoryConfig.build(user_id="john", mem0={"api_key": "m0-secret-key"}, **options)

    @pytest.mark.parametrize(
        ("mem0", "message"),
        [
            ({"timeuot": 3}, "unknown key of mem0 'timeuot': did you mean timeout"),
            ({"timeout": 0}, "mem0.timeout"),
            ({"host": "api.mem0.ai"}, "mem0.host: .*http"),
            ({"local_mem0_config": {}}, "is empty"),
            ({"local_mem0_config": {"llm": {}}, "rerank": True, "api_key": None}, "rerank is of Mem0 Cloud"),
            ({"run_expiry_days": 0}, "mem0.run_expiry_days"),
        ],
    )
    def test_mistakes_in_it_are_named_without_the_key(self, mem0: Any, message: str) -> None:
        with pytest.raises(ConfigurationError, match=message) as raised:
            MemoryConfig.build(user_id="john", mem0={"api_key": "m0-secret-key", **mem0})
        assert "m0-secret-key" not in str(raised.value)

    def test_extraction_is_refused_on_qdrant(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="includes is for Mem0's extraction"):
            open_store(user_id="john", path=tmp_path / "a", includes="x")


class TestLocalConfig:
    def test_is_applied_as_given_and_left_as_it_is(self, oss_config: dict[str, Any]) -> None:
        before = copy.deepcopy(oss_config)
        with open_store(user_id="john", mem0={"local_mem0_config": oss_config}) as store:
            memory = library_of(store)
            assert memory.config.vector_store.provider == "qdrant"
            assert memory.vector_store.collection_name == before["vector_store"]["config"]["collection_name"]
            assert memory.llm.config.model == "scripted"
            assert memory.embedding_model.config.model == "words"
            assert memory.config.history_db_path == before["history_db_path"]
            store.add("x")
            assert store.health()["vector_store"] == "qdrant"
        assert oss_config == before
        assert Path(before["history_db_path"]).is_file()

    @pytest.mark.skipif(
        mem0_version() < (1,), reason="mem0ai 0.1 copies its configuration itself, and clients cannot be"
    )
    def test_a_client_in_it_is_used_and_stays_open(
        self, oss_config: dict[str, Any], server: QdrantServer, collection: str
    ) -> None:
        from qdrant_client import QdrantClient

        mine = QdrantClient(url=server.url, check_compatibility=False)
        vectors = {"client": mine, "collection_name": collection, "embedding_model_dims": 64}
        config = {**oss_config, "vector_store": {"provider": "qdrant", "config": vectors}}
        with open_store(user_id="john", mem0={"local_mem0_config": config}) as store:
            assert library_of(store).vector_store.client is mine
            store.add("x")
        assert mine.count(collection).count == 1
        mine.delete_collection(f"{collection}_entities")
        mine.close()

    def test_what_mem0_refuses_is_told(self) -> None:
        for config in ({"vector_store": {"provider": "no-such-store", "config": {}}}, {"llm": 7}):
            with pytest.raises(ConfigurationError, match="local_mem0_config"):
                open_store(user_id="john", mem0={"local_mem0_config": config})

    def test_a_vector_store_that_is_down_is_told(self, oss_config: dict[str, Any]) -> None:
        vectors = {**oss_config["vector_store"]["config"], "url": "http://127.0.0.1:9"}
        config = {**oss_config, "vector_store": {"provider": "qdrant", "config": vectors}}
        with pytest.raises(StoreUnavailableError, match="Mem0 OSS cannot be reached"):
            open_store(user_id="john", mem0={"local_mem0_config": config, "startup_timeout": 0.2})

    def test_a_history_that_cannot_be_written_is_told(self, oss_config: dict[str, Any], tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        config = {**oss_config, "history_db_path": str(tmp_path / "file" / "history.db")}
        with pytest.raises(StorePathError, match="history_db_path"):
            open_store(user_id="john", mem0={"local_mem0_config": config})

    def test_one_connection_for_equal_configurations(self, oss_config: dict[str, Any]) -> None:
        one = open_store(user_id="john", mem0={"local_mem0_config": oss_config})
        two = open_store(user_id="jane", mem0={"local_mem0_config": copy.deepcopy(oss_config)})
        assert library_of(one) is library_of(two)
        one.close()
        two.add("still open")
        two.close()

    def test_many_threads_that_come_first_leave_nothing_open(self, oss_config: dict[str, Any]) -> None:
        from concurrent.futures import ThreadPoolExecutor

        from crewai_persistent_memory.backends.mem0.library_memory import MEMORIES

        about: Any = {"local_mem0_config": oss_config, "startup_check": False}
        with open_store(user_id="john", mem0=about) as store, ThreadPoolExecutor(8) as pool:
            assert list(pool.map(lambda _: store.count(), range(8))) == [0] * 8
        assert MEMORIES.keys() == []

    def test_a_local_qdrant_folder_with_many_threads(self, oss_config: dict[str, Any], tmp_path: Path) -> None:
        from concurrent.futures import ThreadPoolExecutor

        vectors = {"path": str(tmp_path / "vectors"), "embedding_model_dims": 64, "on_disk": True}
        config = {**oss_config, "vector_store": {"provider": "qdrant", "config": vectors}}
        with open_store(mem0={"local_mem0_config": config}) as store:

            def work(user: str) -> int:
                mine = store.scoped(user_id=user)
                for number in range(15):
                    mine.add(f"{user} {number}")
                    assert all(entry.content.startswith(user) for entry in mine.search(user))
                return mine.count()

            with ThreadPoolExecutor(4) as pool:
                assert list(pool.map(work, ["a", "b", "c", "d"])) == [15] * 4

    def test_two_local_qdrant_folders_in_one_process(self, oss_config: dict[str, Any], tmp_path: Path) -> None:
        """mem0ai 0.1 opens a third one, for its telemetry."""
        with ExitStack() as opened:
            for name in ("first", "second"):
                vectors = {"path": str(tmp_path / name), "embedding_model_dims": 64, "on_disk": True}
                config = {**oss_config, "vector_store": {"provider": "qdrant", "config": vectors}}
                about: Any = {"local_mem0_config": config}
                store = opened.enter_context(open_store(user_id="john", mem0=about, durability="store"))
                store.add(f"the {name} one")
                assert [entry.content for entry in store.list()] == [f"the {name} one"]

    def test_many_processes_share_a_history(self, oss_config: dict[str, Any], tmp_path: Path) -> None:
        program = (
            "import json, sys\n"
            "from crewai_persistent_memory import open_store\n"
            "config, user = json.loads(sys.argv[1]), sys.argv[2]\n"
            "with open_store(user_id=user, mem0={'local_mem0_config': config}) as store:\n"
            "    for number in range(10):\n"
            "        store.add(f'{user} {number}')\n"
            "    assert store.count() == 10\n"
        )
        import json

        processes = [
            Program(
                [sys.executable, "-W", "ignore", "-c", program, json.dumps(oss_config), f"user{i}"],
                env={**os.environ, "MEM0_DIR": str(tmp_path / f"mem0-{i}")},
            )
            for i in sample(range(4), 2)
        ]
        for process in processes:
            done = process.wait()
            assert done.returncode == 0, done.stderr

    def test_the_languages_llm_failing_is_told(self, oss: OpenMem0, openai_server: OpenAIServer) -> None:
        store = oss()
        openai_server.fails_with = 401
        try:
            with pytest.raises(Exception, match="scripted failure"):
                store.add_messages(TOLD)
        finally:
            openai_server.fails_with = None


class TestTelemetry:
    PROGRAM = (
        "import socket, sys, os\n"
        "seen = []\n"
        "connect = socket.socket.connect\n"
        "def guarded(self, address):\n"
        "    host = address[0] if isinstance(address, tuple) else address\n"
        "    if str(host).startswith('127.') or self.family == socket.AF_UNIX:\n"
        "        return connect(self, address)\n"
        "    seen.append(address)\n"
        "    raise ConnectionRefusedError(address)\n"
        "socket.socket.connect = guarded\n"
        "lookup = socket.getaddrinfo\n"
        "def looked(host, *args, **kwargs):\n"
        "    if host not in ('127.0.0.1', 'localhost', None):\n"
        "        seen.append(host)\n"
        "    return lookup(host, *args, **kwargs)\n"
        "socket.getaddrinfo = looked\n"
        "{before}\n"
        "from crewai_persistent_memory import open_store\n"
        "with open_store(user_id='john', mem0={mem0!r}) as store:\n"
        "    store.add('x'); store.search('x'); store.list(); store.reset()\n"
        "from mem0.memory import telemetry\n"
        "on = bool(telemetry.MEM0_TELEMETRY)\n"
        "import gc, time\n"
        "posthog = getattr(telemetry.client_telemetry, 'posthog', None)\n"
        "quiet = posthog is None or posthog.disabled\n"
        "print(on, quiet, seen)\n"
    )

    def run(self, mem0: dict[str, Any], tmp_path: Path, before: str = "") -> str:
        environment = {k: v for k, v in os.environ.items() if k != "MEM0_TELEMETRY"}
        program = self.PROGRAM.replace("{before}", before).replace("{mem0!r}", repr(mem0))
        result = run_program(
            [sys.executable, "-W", "ignore", "-c", program],
            env={**environment, "MEM0_DIR": str(tmp_path / "mem0")},
        )
        assert result.returncode == 0, result.stderr
        return result.stdout.strip().splitlines()[-1]

    def test_is_off_for_mem0_oss(self, oss_config: dict[str, Any], tmp_path: Path) -> None:
        assert self.run({"local_mem0_config": oss_config}, tmp_path) == "False True []"

    @pytest.mark.skipif(mem0_version() < (2,), reason="Chroma is refused below mem0ai 2.0")
    def test_is_off_over_chroma_which_has_its_own(self, oss_config: dict[str, Any], tmp_path: Path) -> None:
        chroma = {"provider": "chroma", "config": {"path": str(tmp_path / "chroma")}}
        assert self.run({"local_mem0_config": {**oss_config, "vector_store": chroma}}, tmp_path) == "False True []"

    def test_is_off_even_if_mem0_was_imported_before(self, oss_config: dict[str, Any], tmp_path: Path) -> None:
        found = self.run({"local_mem0_config": oss_config}, tmp_path, before="import mem0; seen.clear()")
        assert found.startswith("False True")

    def test_is_off_on_the_cloud_unless_asked_for(self, mem0_platform: Mem0Platform, tmp_path: Path) -> None:
        about = {"api_key": DEFAULT_KEY, "host": mem0_platform.url}
        assert self.run(about, tmp_path) == "False True []"
        assert self.run({**about, "telemetry": True}, tmp_path).startswith("True False")


def test_proxies_of_the_environment(cloud: OpenMem0, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(StoreUnavailableError):
        cloud({"startup_timeout": 1})
    assert cloud({"trust_env": False}).count() == 0

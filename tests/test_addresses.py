"""Every address that is contacted, by set-up: what was configured, and nothing else.

All set-ups run in a process with the environment of a user, one after the other: no switch against telemetry is set,
and the keys of many services are in it (with ``THOROUGH=1`` also: are not). ``support/recorder`` is loaded before
anything else and says what it sees how; it refuses what is not allowed, and records it. CrewAI's and Mem0's telemetry,
their looks for updates, downloads of models and look-ups of names would all be on the list. The demo's addresses are
in ``cli/test_cli.py``.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from .support.mem0_platform import DEFAULT_KEY, Mem0Platform
from .support.openai_server import DIMENSIONS, OpenAIServer
from .support.qdrant_server import QdrantServer
from .support.recording import USERS_KEYS, Recording, environment, name_of, recorded

ON_LINUX = Path("/proc/self/net/tcp").exists()

PROGRAM = """
import json, sys
import sitecustomize as recorder

recorder.enter("import")
import crewai_persistent_memory as ours
for name in ours.__all__:
    try:
        getattr(ours, name)
    except ours.UnsupportedCrewAIError:
        assert name == "QdrantStorageBackend", name  # of CrewAI 1.10 on
from crewai_persistent_memory.cli import app
from crewai_persistent_memory.cli.demo_crew import concierge
from crewai_persistent_memory.testing import ScriptedLLM

for name, options in json.loads(sys.argv[1]).items():
    recorder.enter(name)
    with ours.PersistentMemory(user_id="john", **options) as memory:
        concierge(memory, ScriptedLLM(), "I am allergic to nuts.")
        memory.drain_writes()
        [found, *_] = memory.store.search("nuts")
        assert "nuts" in found.content, found
        recorder.look()
recorder.enter("exit")
"""


def address(url: str) -> str:
    return urlsplit(url).netloc


@pytest.mark.parametrize("keys", USERS_KEYS, ids=name_of)
def test_each_set_up(
    keys: Mapping[str, str],
    tmp_path: Path,
    server: QdrantServer,
    collection: str,
    openai_server: OpenAIServer,
    mem0_platform: Mem0Platform,
) -> None:
    """Each contacts what was configured for it, and nothing of the others."""
    rest, grpc = address(server.url), f"{urlsplit(server.url).hostname}:{server.grpc_port}"
    models, cloud = address(openai_server.url), address(mem0_platform.url)
    key: dict[str, Any] = {"api_key": server.key} if server.key else {}
    vectors = {"url": server.url, "collection_name": f"{collection}-m", "embedding_model_dims": DIMENSIONS, **key}
    local = openai_server.local_mem0_config({"provider": "qdrant", "config": vectors}, str(tmp_path / "history.db"))
    embedder = {
        "provider": "openai",
        "config": {"model_name": "words", "api_key": "sk-test", "api_base": f"{openai_server.url}/v1"},
    }
    on_server = {"url": server.url, "collection": collection, "embedder": embedder, **key}
    options: dict[str, dict[str, Any]] = {
        "embedded": {"path": str(tmp_path / "store")},
        "mem0-cloud": {"mem0": {"api_key": DEFAULT_KEY, "host": mem0_platform.url, "wait": True}, "infer": False},
        "rest": on_server,
        "grpc": {**on_server, "prefer_grpc": True, "grpc_port": server.grpc_port},
        "mem0-oss": {"mem0": {"local_mem0_config": local}},
    }
    expected = {
        "import": set(),
        "embedded": set(),
        "mem0-cloud": {cloud},
        "rest": {rest, models},
        "mem0-oss": {rest, models},
        "exit": set(),
    }
    try:
        recording = recorded(tmp_path, ["-c", PROGRAM, json.dumps(options)], [rest, grpc, models, cloud], keys)
    finally:
        with server.admin() as admin:
            for name in (f"{collection}-m", f"{collection}-m_entities"):
                admin.delete(f"/collections/{name}")
    assert {phase: recording.contacted(phase) for phase in expected} == expected
    assert recording.contacted("grpc") <= {rest, grpc, models}
    if ON_LINUX:
        assert recording.seen_as(grpc) in ({"tcp"}, {"tcp6"}, {"tcp", "tcp6"})  # in /proc only


@pytest.mark.newest
class TestTheRecorder:
    """It sees what nobody has configured, also on this machine."""

    @pytest.mark.parametrize(
        ("program", "found"),
        [
            ("import urllib.request as u; u.urlopen('http://127.0.0.1:{port}')", "127.0.0.1:{port}"),
            ("import httpx; httpx.get('http://127.0.0.1:{port}')", "127.0.0.1:{port}"),
            ("import socket as s; s.create_connection(('nobody.invalid', 80))", "nobody.invalid"),
            (
                "import socket as s; s.socket(s.AF_INET, s.SOCK_DGRAM).sendto(b'', ('127.0.0.1', {port}))",
                "127.0.0.1:{port}",
            ),
        ],
        ids=["urllib", "httpx", "name", "datagram"],
    )
    def test_python(self, program: str, found: str, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as stray:
            port = stray.getsockname()[1]
            with pytest.raises(AssertionError, match="nobody has configured"):
                recorded(tmp_path, ["-c", program.format(port=port)], ["127.0.0.1:1"], {})
        assert Recording(tmp_path / "recording").contacted() == {found.format(port=port)}

    @pytest.mark.skipif(not ON_LINUX, reason="gRPC's connections are seen in /proc, which only Linux has")
    def test_grpc(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as stray:
            stray.settimeout(60)
            port = stray.getsockname()[1]
            program = (
                "import grpc, os, sitecustomize as recorder\n"
                f"channel = grpc.insecure_channel('127.0.0.1:{port}')\n"
                "channel.subscribe(print, try_to_connect=True)\n"
                "input(); recorder.look(); os._exit(0)"  # gRPC would go on waiting for the other side
            )
            process = subprocess.Popen(
                [sys.executable, "-c", program], env=environment(tmp_path, []), stdin=subprocess.PIPE
            )
            connection, _ = stray.accept()
            process.communicate(b"\n", timeout=60)
            connection.close()
        assert process.returncode == 0
        assert Recording(tmp_path / "recording").contacted() == {f"127.0.0.1:{port}"}

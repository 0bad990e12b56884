"""A real Qdrant server for a test: started on free ports and a temporary folder, stopped by its process id.

Which binary: ``QDRANT_BIN``, else those that ``scripts/fetch-qdrant`` puts into ``.qdrant/``. ``QDRANT_URL`` names a
server that runs already; it cannot be killed or paused.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from .. import GIVEN
from .calling import until

ROOT = Path(__file__).parents[2]
GIVEN_URL, GIVEN_KEY = GIVEN.get("QDRANT_URL"), GIVEN.get("QDRANT_API_KEY")
# Read here, before conftest takes them away from the tests.
REQUIRED = bool(os.environ.get("REQUIRE_QDRANT"))


def binaries() -> dict[str, Path]:
    """Version (or "given") to binary, the newest first."""
    given = os.environ.get("QDRANT_BIN")
    if given:
        return {"given": Path(given)}
    found = {path.parent.name: path for path in ROOT.glob(".qdrant/*/qdrant")}
    return dict(sorted(found.items(), key=lambda pair: tuple(map(int, pair[0].split("."))), reverse=True))


def newest() -> Path:
    """The newest binary; without one the test is skipped, or fails where one is required."""
    found = binaries()
    if found:
        return next(iter(found.values()))
    return missing("no Qdrant binary: run scripts/fetch-qdrant, or set QDRANT_BIN")


def missing(reason: str) -> Any:
    if REQUIRED:
        pytest.fail(f"{reason} (REQUIRE_QDRANT is set)")
    pytest.skip(reason)


def free_ports(count: int) -> list[int]:
    """Ports that nobody has, below those that the system gives to connections: one of these may be taken before a
    server begins to listen."""
    ports: list[int] = []
    while len(ports) < count:
        port = random.SystemRandom().randrange(20_000, 32_768)
        with socket.socket() as each:
            try:
                each.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in ports:
            ports.append(port)
    return ports


_ONE_SEGMENT = {"STORAGE__OPTIMIZERS__DEFAULT_SEGMENT_NUMBER": "1"}
"""For the newest server. Each segment of a collection has files of 36 MB. The older servers have one for each core."""


class QdrantServer:
    """One server process. ``settings`` are environment variables without their ``QDRANT__`` prefix."""

    def __init__(
        self,
        binary: Path,
        folder: Path,
        *arguments: str,
        settings: Mapping[str, str] | None = None,
        scheme: str = "http",
        key: str | None = None,
    ) -> None:
        self.binary, self.folder, self.arguments = binary, folder, arguments
        self.port, self.grpc_port, self.p2p_port = free_ports(3)
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self.key = key
        self._settings = {
            "SERVICE__HOST": "127.0.0.1",
            "SERVICE__HTTP_PORT": str(self.port),
            "SERVICE__GRPC_PORT": str(self.grpc_port),
            "CLUSTER__P2P__PORT": str(self.p2p_port),
            "STORAGE__STORAGE_PATH": str(folder / "storage"),
            "STORAGE__SNAPSHOTS_PATH": str(folder / "snapshots"),
            "TELEMETRY_DISABLED": "true",
            "LOG_LEVEL": "WARN",
            **(_ONE_SEGMENT if binary in list(binaries().values())[:1] else {}),
            **({"SERVICE__API_KEY": key} if key else {}),
            **(settings or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *arguments: str) -> QdrantServer:
        self.folder.mkdir(parents=True, exist_ok=True)
        environment = {"PATH": os.environ["PATH"], **{f"QDRANT__{k}": v for k, v in self._settings.items()}}
        log = (self.folder / "log").open("ab")
        self._process = subprocess.Popen(
            [str(self.binary), *(arguments or self.arguments)],
            cwd=self.folder,
            env=environment,
            stdout=log,
            stderr=log,
        )
        log.close()
        self.wait_until_ready()
        return self

    def wait_until_ready(self, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._process is not None and self._process.poll() is not None:
                break
            try:
                if httpx.get(f"{self.url}/readyz", verify=False, timeout=2).status_code == 200:
                    return
            except httpx.HTTPError:
                time.sleep(0.02)
        raise RuntimeError(f"{self.binary} is not ready:\n{(self.folder / 'log').read_text()[-2000:]}")

    @property
    def running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "not started"
        return self._process

    def kill(self) -> None:
        self.running.kill()
        self.running.wait()

    def pause(self) -> None:
        self.running.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.running.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        """On the same folder and ports."""
        self.start()

    def stop(self) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None

    def admin(self) -> httpx.Client:
        """Plain HTTP, for what a test wants to see or do from outside."""
        headers = {"api-key": self.key} if self.key else {}
        return httpx.Client(base_url=self.url, headers=headers, verify=False, timeout=30)

    def requests_served(self) -> dict[str, int]:
        """How many requests the server itself counted, by what was asked."""
        with self.admin() as client:
            lines = client.get("/metrics").text.splitlines()
        counts: dict[str, int] = {}
        for line in lines:
            if line.startswith(("rest_responses_total", "grpc_responses_total")):
                labels, _, value = line.rpartition(" ")
                counts[labels] = int(float(value))
        return counts


class QdrantCluster:
    """Nodes of one cluster, on loopback."""

    def __init__(self, binary: Path, folder: Path, nodes: int = 3) -> None:
        settings = {"CLUSTER__ENABLED": "true"}
        self.nodes = [QdrantServer(binary, folder / f"node{i}", settings=settings) for i in range(nodes)]

    def start(self) -> QdrantCluster:
        first = self.nodes[0]
        seed = f"http://127.0.0.1:{first.p2p_port}"
        first.start("--uri", seed)
        for node in self.nodes[1:]:
            node.arguments = ("--bootstrap", seed, "--uri", f"http://127.0.0.1:{node.p2p_port}")
            node.start()
        first.arguments = ("--uri", seed)
        self.wait_until(lambda: all(len(self.peers(node)) == len(self.nodes) for node in self.nodes))
        return self

    @property
    def urls(self) -> list[str]:
        return [node.url for node in self.nodes]

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()

    def revive(self) -> None:
        """Start the nodes that were killed, and wait until every node takes part again."""
        for node in self.nodes:
            if node.running.poll() is not None:
                node.restart()
        self.wait_until(lambda: all(self._takes_part(node) for node in self.nodes))

    @staticmethod
    def _takes_part(node: QdrantServer) -> bool:
        with node.admin() as admin:
            consensus = admin.get("/cluster").json()["result"]
        return consensus["raft_info"]["leader"] is not None and not consensus["message_send_failures"]

    @staticmethod
    def peers(node: QdrantServer) -> Mapping[str, Any]:
        with node.admin() as admin:
            return admin.get("/cluster").json()["result"].get("peers", {})  # type: ignore[no-any-return]

    def replicas(self, collection: str) -> list[dict[str, Any]]:
        """Every replica of every shard as the first node sees it, with its state."""
        with self.nodes[0].admin() as admin:
            seen = admin.get(f"/collections/{collection}/cluster").json()["result"]
        return [*seen["local_shards"], *seen["remote_shards"]]

    @staticmethod
    def wait_until(right: Callable[[], bool], seconds: float = 90) -> None:
        def look() -> bool:
            try:
                return right()
            except httpx.HTTPError:
                return False  # a node that is not up yet

        until(look, bool, seconds)

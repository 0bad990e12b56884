"""The example service as its files start it: the Dockerfile's command, in an environment that a file gives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from .calling import until
from .deployment import SERVICE, Dockerfile
from .programs import Program
from .qdrant_server import free_ports

OURS = ("CREWAI_", "QDRANT_", "OPENAI_", "MEM0_", "MODEL", "WEB_CONCURRENCY")


class ExampleService:
    """A running container's stand-in. ``url`` is where the port is that the file publishes."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        image = Dockerfile()
        [self.port] = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "log"
        folder.mkdir(parents=True)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        self.environment = {**inherited, "HOME": str(folder), **image.environment, **environment}
        # The volume.
        assert self.environment["CREWAI_MEMORY_OUTBOX_PATH"] in image.all("VOLUME")
        self.environment["CREWAI_MEMORY_OUTBOX_PATH"] = str(folder / "outbox")
        command = [part if part != "8000" else str(self.port) for part in image.command]
        assert command[0] == "uvicorn"
        with self.log.open("wb") as log:
            whole = [sys.executable, "-m", *command]
            streams = {"stdout": log.fileno(), "stderr": log.fileno()}
            self._program = Program(whole, cwd=SERVICE, env=self.environment, **streams)
        self._code: int | None = None

    def wait_until_live(self) -> None:
        # One client for all looks: each new one reads the machine's certificates, which takes what the service needs.
        with httpx.Client(base_url=self.url, timeout=10) as client:

            def look() -> bool:
                assert self.is_running, self.log.read_text()[-3000:]
                try:
                    return client.get("/live").status_code == 200
                except httpx.TransportError:
                    return False

            until(look, bool, 120)

    def health_command(self) -> subprocess.CompletedProcess[str]:
        """The image's health check, run as Docker does."""
        command = [part.replace(":8000/", f":{self.port}/") for part in Dockerfile().health_command]
        assert command[0] == "python"
        return subprocess.run([sys.executable, *command[1:]], capture_output=True, text=True, timeout=60)

    def ask(self, user: str, text: str) -> httpx.Response:
        headers = {"X-User-Id": user}
        return httpx.post(f"{self.url}/ask", json={"text": text}, headers=headers, timeout=120, verify=False)

    @property
    def is_running(self) -> bool:
        return self._code is None and self._program.is_running

    def terminate(self) -> None:
        os.kill(self._program.pid, signal.SIGTERM)

    def wait(self) -> int:
        """Its exit code."""
        if self._code is None:
            self._code = self._program.wait(60).returncode
        return self._code

    def stop(self) -> None:
        if self.is_running:
            self.terminate()
        self.wait()


@contextmanager
def services(folder: Path, **environments: Mapping[str, str]) -> Iterator[dict[str, ExampleService]]:
    """Several at once, by name."""
    started: dict[str, ExampleService] = {}
    try:
        for name, environment in environments.items():
            started[name] = ExampleService(environment, folder / name)
        for each in started.values():
            each.wait_until_live()
        yield started
    finally:
        for each in started.values():
            each.stop()

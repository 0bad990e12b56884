"""A second process that opens the store and looks for the probe. Run as a program, this module is that process.

It is told what to open on its standard input, where no other user of the machine sees a key.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ..config.options import MemoryConfig
from ..config.qdrant import ServerOptions
from ..errors import PersistentMemoryError
from ..scope import SCOPE_FIELDS, Scope
from ..store.factory import open_configured
from .findings import Finding, error, note, ok, warning
from .pending import RUNNING

SOURCES: Final = Path(__file__).parents[2]
"""The folder that the package is imported from."""


def found_in_another(config: MemoryConfig, id: str, seconds: float) -> Finding:
    """Start a second process, and have it look for an entry.

    Args:
        config: with a whole scope.
        id: the entry's.
        seconds: for all of it.
    """
    try:
        told = json.dumps({"options": options_of(config), "scope": _fields(config.scope), "id": id})
    except (TypeError, ValueError):
        return note(
            "not checked: the configuration of Mem0 holds objects, which cannot be given to a second process",
            "Write it as text: addresses and folders in place of clients",
        )
    try:
        done = run_module(__name__, told, seconds)
    except subprocess.TimeoutExpired:
        return warning(
            f"a second process did not open the store within {seconds:g} s", "Run it again on an idle machine"
        )
    except OSError as failure:
        return note(f"not checked: no second process can be started here ({failure.strerror or failure})")
    answer = answer_of(done.stdout)
    if answer is None:
        return note(f"not checked: a second process ended with code {done.returncode} and without an answer")
    if answer.get("found"):
        return ok(f"a second process (number {answer['pid']}) finds what this one (number {os.getpid()}) wrote")
    if answer.get("error") == "StoreInUseError":
        return note(
            "the store is local to this process: while it is open here, no other process can open it",
            "Several workers or replicas need a Qdrant server: QDRANT_URL, or url=",
        )
    if "error" in answer:
        return warning(f"a second process cannot open the store: {answer['message']}", "See the message")
    return error(
        "a second process does not find what this one wrote",
        "The two are different stores: see where data goes, and from which setting",
    )


def run_module(name: str, told: str, seconds: float, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a module of this package as a program, on the same interpreter.

    Args:
        name: of the module.
        told: its standard input.
        seconds: until it is killed.
        environment: variables in place of this process's.

    Raises:
        OSError: it cannot be started.
        subprocess.TimeoutExpired: it took longer.
    """
    paths = [str(SOURCES), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    # A file in the working folder must not be imported in place of a library.
    own = {"PYTHONPATH": os.pathsep.join(paths), "PYTHONSAFEPATH": "1", "PYTHONIOENCODING": "utf-8"}
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    command, variables = [sys.executable, "-m", name], {**os.environ, **own, **environment}
    with subprocess.Popen(command, env=variables, encoding="utf-8", errors="replace", **pipes) as process:
        RUNNING.append(process)
        try:
            out, err = process.communicate(told, seconds)
        finally:
            process.kill()
            RUNNING.remove(process)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def answer_of(printed: str) -> dict[str, Any] | None:
    """The last line that is a JSON object: libraries print as well."""
    for line in reversed(printed.splitlines()):
        try:
            answer = json.loads(line)
        except ValueError:
            continue
        if isinstance(answer, dict):
            return answer
    return None


def options_of(config: MemoryConfig) -> dict[str, Any]:
    """The options of the store as JSON has them, with its keys."""
    if config.mem0 is not None:
        options = {name: getattr(config.mem0, name) for name in config.mem0.model_fields_set}
        if options.get("api_key") is not None:
            options["api_key"] = options["api_key"].get_secret_value()
        if options.get("local_mem0_config") is not None:
            options["local_mem0_config"] = _plain(options["local_mem0_config"])
        return {"mem0": options, "durability": "store"}
    if config.server is None:
        return {"path": os.path.realpath(os.path.expanduser(config.store_path))}
    options = config.model_dump(mode="json", include=set(ServerOptions.model_fields), exclude_none=True)
    if config.api_key is not None:
        options["api_key"] = config.api_key.get_secret_value()
    if config.headers:
        options["headers"] = dict(config.headers)
    return {**options, "durability": "store"}


def _plain(value: Any) -> Any:
    """Mappings as dicts, for JSON."""
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _fields(scope: Any) -> dict[str, str | None]:
    return {name: getattr(scope, name) for name in SCOPE_FIELDS}


def main() -> None:
    """Look for the entry, and print what became of it."""
    told = json.loads(sys.stdin.read())
    answer: dict[str, Any] = {"pid": os.getpid()}
    try:
        config = MemoryConfig.build(**told["options"], scope=Scope(**told["scope"]))
        with open_configured(config, by_words=True, existing=True) as store:
            answer["found"] = store.get(told["id"]) is not None
    except PersistentMemoryError as failure:
        answer |= {"error": type(failure).__name__, "message": str(failure)}
    sys.stdout.write(f"{json.dumps(answer)}\n")


if __name__ == "__main__":
    main()

"""Processes that save and recall for many users over one Qdrant server: it is slow, flaps, freezes, is killed, is full.

    python -m benchmarks.soak [--seconds 600] [--processes 8] [--users 100] [--write docs/soak.json]
    python -m benchmarks.soak_graphs docs/soak.json docs/soak.png     # needs the extra "benchmarks"

It starts the server from ``.qdrant/`` and makes the network's faults with a proxy. It measures how long calls take, the
memory, threads and descriptors of the processes, and the depth of their queue. At the end each accepted save must be in
its user's memory once, and nothing else; and of values that replace each other the last one.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import typer

from crewai_persistent_memory import open_store
from tests.support.qdrant_server import QdrantServer, newest
from tests.support.tcp_proxy import PASS, Fault, Request, TcpProxy

PHASES: Final = {
    "quiet": 60,
    "slow": 90,
    "quiet 2": 30,
    "flapping": 90,
    "quiet 3": 30,
    "frozen": 60,
    "quiet 4": 30,
    "killed": 60,
    "quiet 5": 30,
    "full": 60,
    "quiet 6": 60,
}
"""What happens to the store, and for how long in a soak of ten minutes."""

SLOW: Final = 0.2
"""Seconds that each request of the slow store takes longer."""
UP, DOWN = 4.0, 2.0
"""Seconds for which a flapping store is up and down."""
FULL: Final = Fault(
    "answer",
    status="500 Internal Server Error",
    body=b'{"status":{"error":"Service internal error: No space left on device"}}',
)
WINDOW: Final = 10.0
"""Seconds of calls whose percentiles make one point of a graph."""

Sample = dict[str, float]


class Call(NamedTuple):
    kind: str
    at: float
    ms: float
    failed: bool


def main(
    seconds: Annotated[float, typer.Option(help="How long it takes, without the end.")] = 600.0,
    processes: Annotated[int, typer.Option(help="Processes that save and recall.")] = 8,
    users: Annotated[int, typer.Option(help="Users, whom all processes serve.")] = 100,
    pause: Annotated[float, typer.Option(help="Seconds between two steps of a process, on average.")] = 0.5,
    write: Annotated[Path | None, typer.Option(help="Write the figures here, as JSON.")] = None,
) -> None:
    """Run the soak, and print its figures."""
    logging.disable(logging.ERROR)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = QdrantServer(newest(), folder / "qdrant").start()
        proxy = TcpProxy(server.port)
        options: dict[str, Any] = {"url": proxy.url, "embedder": None, "durability": "outbox"}
        options |= {"outbox_path": str(folder / "outbox"), "exit_wait": 20.0}
        try:
            command = [sys.executable, "-m", "benchmarks.soak_worker", json.dumps(options), str(folder)]
            workers = [subprocess.Popen([*command, str(n), str(users), str(pause)]) for n in range(processes)]
            while len(list(folder.glob("ready-*"))) < processes:
                time.sleep(0.1)
            start = time.time()
            (folder / "start.new").write_text(str(start))
            (folder / "start.new").rename(folder / "start")
            soak = Soak(server, proxy, folder, [worker.pid for worker in workers], start)
            soak.run(seconds)
            (folder / "stop").touch()
            codes = [worker.wait(120) for worker in workers]
            result = soak.figures() | {"ends": codes, "check": check(options, folder, users)}
        finally:
            proxy.close()
            server.stop()
    result["about"] = {"seconds": seconds, "processes": processes, "users": users, "load": os.getloadavg()[0]}
    print(as_text(result))
    if write is not None:
        write.write_text(json.dumps(result, separators=(",", ":")) + "\n")
    if any(result["check"][name] for name in ("lost", "doubled", "strange", "not_the_last", "waiting", "dead_letters")):
        raise typer.Exit(1)


class Soak:
    """The phases of a soak, and what is measured in them."""

    def __init__(self, server: QdrantServer, proxy: TcpProxy, folder: Path, pids: Sequence[int], start: float) -> None:
        self._server, self._proxy, self._folder, self._pids, self._start = server, proxy, folder, pids, start
        self._samples: list[Sample] = []
        self._phases: list[dict[str, Any]] = []
        self._is_up = True

    @property
    def _now(self) -> float:
        return time.time() - self._start

    def run(self, seconds: float) -> None:
        """Go through all phases."""
        whole = sum(PHASES.values())
        enter: dict[str, Callable[[], None]] = {
            "slow": lambda: self._rule(lambda request: Fault(delay=SLOW)),
            "frozen": self._server.pause,
            "killed": self._server.kill,
            "full": lambda: self._rule(lambda request: FULL if is_write(request) else PASS),
        }
        leave = {"frozen": self._server.resume, "killed": self._server.restart}
        for name, share in PHASES.items():
            begin = self._now
            enter.get(name, lambda: None)()
            end = begin + share * seconds / whole
            while self._now < end:
                if name == "flapping":
                    self._set_up((self._now - begin) % (UP + DOWN) < UP)
                self._sample()
                time.sleep(max(0.0, min(1.0, end - self._now)))
            self._rule(lambda request: PASS)
            self._set_up(True)
            leave.get(name, lambda: None)()
            self._phases.append({"name": name, "start": round(begin, 1), "end": round(self._now, 1)})

    def _rule(self, rule: Callable[[Request], Fault]) -> None:
        self._proxy.rule = rule
        self._proxy.requests.clear()

    def _set_up(self, up: bool) -> None:
        if up != self._is_up:
            self._is_up = up
            (self._proxy.listen if up else self._proxy.down)()

    def _sample(self) -> None:
        found = [each for each in map(process_state, self._pids) if each is not None]
        if found:
            sample = {"at": round(self._now, 1), "waiting": waiting(self._folder)[0]}
            for name in ("mb", "threads", "files"):
                values = [each[name] for each in found]
                sample |= {name: round(sum(values) / len(values), 1), f"most_{name}": round(max(values), 1)}
            self._samples.append(sample)

    def figures(self) -> dict[str, Any]:
        """What was measured."""
        calls = [
            Call(*json.loads(line)) for file in self._folder.glob("steps-*") for line in file.read_text().splitlines()
        ]
        logs: Counter[str] = Counter()
        for file in self._folder.glob("log-*"):
            logs.update(json.loads(file.read_text()))
        return {
            "phases": [{**phase, **self._of_phase(phase, calls)} for phase in self._phases],
            "samples": self._samples,
            "points": {kind: points([call for call in calls if call.kind == kind]) for kind in ("save", "recall")},
            "leaks": sum(call.kind == "leak" for call in calls),
            "log_lines": dict(logs),
        }

    def _of_phase(self, phase: dict[str, Any], calls: Sequence[Call]) -> dict[str, Any]:
        inside = [call for call in calls if phase["start"] <= call.at < phase["end"]]
        samples = [each for each in self._samples if phase["start"] <= each["at"] < phase["end"]]
        about: dict[str, Any] = {
            kind: percentiles([call.ms for call in inside if call.kind == kind]) for kind in ("save", "recall")
        }
        about["failed"] = sum(call.failed for call in inside)
        for name in ("mb", "threads", "files"):
            about[name] = round(sum(each[name] for each in samples) / max(1, len(samples)), 1)
        about["most_waiting"] = max((each["waiting"] for each in samples), default=0)
        return about


def is_write(request: Request) -> bool:
    return request.method == "PUT" and "/points" in request.path


def process_state(pid: int) -> Sample | None:
    """Resident memory, threads and open files of a process; ``None`` once it has ended."""
    try:
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        files = len(os.listdir(f"/proc/{pid}/fd"))
        return {"mb": int(status["VmRSS"].split()[0]) / 1024, "threads": int(status["Threads"]), "files": files}
    except (FileNotFoundError, ProcessLookupError, KeyError):
        return None


def waiting(folder: Path) -> tuple[int, int]:
    """The writes in the queue, and the dead letters."""
    for file in folder.glob("outbox/*/queue.db"):
        connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
        try:
            writes, dead = connection.execute("SELECT writes, dead FROM totals").fetchone()
            return int(writes), int(dead)
        except sqlite3.OperationalError:
            return 0, 0  # it is being made
        finally:
            connection.close()
    return 0, 0


def check(options: dict[str, Any], folder: Path, users: int) -> dict[str, int]:
    """Deliver what waits, and compare what is in the store with what was accepted."""
    accepted: defaultdict[str, set[str]] = defaultdict(set)
    last: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for file in folder.glob("accepted-*"):
        for line in file.read_text().splitlines():
            user, text, *value = line.split("\t")
            if value:
                last[user][text] = f"{user} counter {value[0]}"
            else:
                accepted[user].add(text)
    found = Counter[str]()
    with open_store(**options) as store:
        for number in range(users):
            handle = store.scoped(user_id=f"user{number}")
            handle.flush(120)
            entries = list(handle.scan())
            there = Counter(entry.content for entry in entries if entry.path != "/counters")
            counters = {entry.id: entry.content for entry in entries if entry.path == "/counters"}
            wanted = accepted[f"user{number}"]
            found["not_the_last"] += sum(counters.get(id) != value for id, value in last[f"user{number}"].items())
            found["accepted"] += len(wanted)
            found["lost"] += len(wanted - set(there))
            found["doubled"] += sum(count > 1 for count in there.values())
            found["strange"] += len(set(there) - wanted)
    left, dead = waiting(folder)
    return {**found, "waiting": left, "dead_letters": dead}


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Of calls, in ms."""
    if not values:
        return {"count": 0}
    ranked = sorted(values)
    at = {f"p{percent}": ranked[min(len(ranked) - 1, len(ranked) * percent // 100)] for percent in (50, 95, 99)}
    return {"count": len(ranked), **at, "longest": ranked[-1]}


def points(calls: Sequence[Call]) -> list[Sample]:
    """Percentiles of the calls of each window."""
    windows: defaultdict[int, list[float]] = defaultdict(list)
    for call in calls:
        windows[int(call.at / WINDOW)].append(call.ms)
    return [{"at": (number + 0.5) * WINDOW, **percentiles(ms)} for number, ms in sorted(windows.items())]


def as_text(result: dict[str, Any]) -> str:
    """A table of the phases, and what was found at the end."""
    lines = [
        "| the store is | s | save p50, p95, longest (ms) | recall p50, p95, longest (ms) | failed calls | writes "
        "in the queue, at most | MB, threads, files of a process |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for phase in result["phases"]:
        times = [
            ", ".join(f"{phase[kind].get(name, 0):.0f}" for name in ("p50", "p95", "longest"))
            for kind in ("save", "recall")
        ]
        usage = f"{phase['mb']:.0f}, {phase['threads']:.0f}, {phase['files']:.0f}"
        lines.append(
            f"| {phase['name']} | {phase['end'] - phase['start']:.0f} | {times[0]} | {times[1]} | {phase['failed']} | "
            f"{phase['most_waiting']} | {usage} |"
        )
    about = ", ".join(f"{name} {count}" for name, count in result["check"].items())
    return "\n".join([*lines, "", f"{about}; leaks {result['leaks']}; log lines {result['log_lines']}"])


if __name__ == "__main__":
    typer.run(main)

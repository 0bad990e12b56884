"""One process of the soak (:mod:`benchmarks.soak`): saves and recalls for users in turn, until it is told to stop.

    python -m benchmarks.soak_worker OPTIONS FOLDER NUMBER USERS PAUSE

When the folder has a file ``start`` with the time, it begins; when it has one named ``stop``, it ends. It writes two
files: ``accepted-NUMBER`` has a line for each save that returned, and ``steps-NUMBER`` one for each call, with its time
in seconds since the start and how long it took. Every fourth step also writes a new value in place of the last one, in
an entry of this process and user: at the end the last value must be there.
"""

from __future__ import annotations

import io
import json
import logging
import random
import sys
import time
from collections import Counter
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

from crewai_persistent_memory import MemoryEntry, PersistentMemory, PersistentMemoryError, use_scope


class LogLines(logging.Handler):
    """Counts what this package logs as a warning or worse, by its first words after the store's name."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.counts: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        self.counts[record.msg[:60]] += 1


def main() -> None:
    options, folder = json.loads(sys.argv[1]), Path(sys.argv[2])
    number, users, pause = int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])
    log, stop, chance = LogLines(), folder / "stop", random.Random(number)
    logger = logging.getLogger("crewai_persistent_memory")
    logger.addHandler(log)
    logger.propagate = False
    with (
        (folder / f"accepted-{number}").open("w", buffering=1) as accepted,
        (folder / f"steps-{number}").open("w", buffering=1) as steps,
        redirect_stdout(io.StringIO()) as drawn,
        PersistentMemory(**options) as memory,
    ):
        (folder / f"ready-{number}").touch()
        while not (folder / "start").exists():
            time.sleep(0.05)
        start = float((folder / "start").read_text())

        def timed(kind: str, call: Any) -> Any:
            begin, answer, failed = time.perf_counter(), None, False
            try:
                answer = call()
            except PersistentMemoryError:
                failed = True
            seconds = time.perf_counter() - begin
            steps.write(json.dumps([kind, round(time.time() - start, 2), round(seconds * 1000, 2), failed]) + "\n")
            return answer

        count = 0
        while not stop.exists():
            user = f"user{chance.randrange(users)}"
            text = f"{user} has bought ticket {number}x{count} for {chance.choice(['Lisbon', 'Rome', 'Vienna'])}"
            with use_scope(user_id=user):
                found = timed("recall", lambda: memory.recall("Which tickets were bought?"))
                leaked = [each for each in found or [] if not each.record.content.startswith(f"{user} ")]
                if leaked:
                    steps.write(json.dumps(["leak", round(time.time() - start, 2), len(leaked), True]) + "\n")
                if timed("save", partial(memory.remember, text)) is not None:
                    accepted.write(f"{user}\t{text}\n")
                if count % 4 == 0:
                    memory.store.put([MemoryEntry(f"counter-{number}", f"{user} counter {count}", path="/counters")])
                    accepted.write(f"{user}\tcounter-{number}\t{count}\n")
            count += 1
            drawn.seek(0)
            drawn.truncate()
            time.sleep(pause * (0.5 + chance.random()))
    (folder / f"log-{number}").write_text(json.dumps(log.counts))


if __name__ == "__main__":
    main()

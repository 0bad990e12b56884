"""Saves without end, and notes in a file what was accepted: ``python writer.py OPTIONS FILE NAME MOST PAUSE``, to be
killed. ``MOST``: it ends by itself after so many; 0: never. ``PAUSE``: seconds between two; a store has to keep up."""

from __future__ import annotations

import itertools
import json
import os
import sys
import time

from crewai_persistent_memory import MemoryEntry, open_store


def main() -> None:
    options, file, name = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3]
    most, pause = int(sys.argv[4]), float(sys.argv[5])
    accepted = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    store = open_store(**options)
    for number in itertools.count():
        if most and number >= most:
            break
        store.add(f"{name} {number}")
        os.write(accepted, f"{name} {number}\n".encode())
        store.put([MemoryEntry(f"counter of {name}", str(number))])
        os.write(accepted, f"counter of {name}: {number}\n".encode())
        time.sleep(pause)
    os.write(accepted, b"end\n")
    os._exit(0)  # as a kill, but later: nothing waits for delivery


if __name__ == "__main__":
    main()

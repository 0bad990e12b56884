"""A child of the durability tests: writes until it is killed, and reports each write once it is acknowledged."""

from __future__ import annotations

import sys

from crewai_persistent_memory import MemoryEntry, open_store


def main(path: str, fsync: str, start: int) -> None:
    store = open_store(path=path, user_id="john", embedder=None, fsync=fsync)
    number = start
    while True:
        if number % 5:
            store.add(f"fact {number}", id=str(number))
            done = [number]
        else:
            done = list(range(number, number + 40))
            store.put([MemoryEntry(id=str(i), content=f"fact {i}") for i in done])
        number = done[-1] + 1
        sys.stdout.write("".join(f"{i}\n" for i in done))
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))

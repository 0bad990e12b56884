"""Writes and recalls until its standard input is closed; prints each id once it is acknowledged."""

from __future__ import annotations

import sys
import threading

from crewai_persistent_memory import open_store


def main() -> None:
    urls, collection, user = sys.argv[1].split(","), sys.argv[2], sys.argv[3]
    stopped = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stopped.set()), daemon=True).start()
    with open_store(url=urls, collection=collection, user_id=user, embedder=None, retry_for=60, timeout=5) as store:
        number = 0
        while not stopped.is_set():
            store.add(f"fact number{number}", id=f"{number}")
            print(number, flush=True)
            if number % 5 == 0:
                found = store.search(f"number{number}", limit=1)
                assert [entry.id for entry in found] == [f"{number}"], (number, found)
            number += 1


if __name__ == "__main__":
    main()

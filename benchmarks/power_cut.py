"""What a power cut leaves of an embedded store or an outbox, by images of a real file system taken while it is written.

    python -m benchmarks.power_cut --policy always --images 14
    python -m benchmarks.power_cut --outbox --images 50

With ``--outbox`` the writes are for a real Qdrant server beside it, which is away half of the time. The queue of an
image is delivered to it, and every accepted write is looked for there.

Needs root, loop devices and ``mkfs.ext4``. A store is written by a process of its own on an ext4 in a file. At a moment
of chance the writer is stopped, and the file is copied: what the kernel had not written to it yet is lost, as it is
when the power goes. The copy counts if a second one is equal, so nothing was written while it was made. Each copy is
mounted, which replays ext4's journal, and the store in it is opened; every write that was acknowledged is looked for.
"""

from __future__ import annotations

import filecmp
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from crewai_persistent_memory import open_store
from tests.support.qdrant_server import QdrantServer, newest

WRITER = """
import json, sys, time
from crewai_persistent_memory import open_store
options, start, size = json.loads(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
store, policy = open_store(**options), options["fsync"]
number = start
while True:
    store.add("word " * (size // 5), id=str(number))
    if number % 3 == 0:
        store.touch([str(number - 1)])
    print(number, time.monotonic(), flush=True)
    number += 1
    if policy != "always":
        time.sleep(0.005)
"""


def main(
    policy: Annotated[str, typer.Option(help="fsync of the store or its outbox")] = "always",
    images: Annotated[int, typer.Option(help="how many images")] = 14,
    size: Annotated[int, typer.Option(help="bytes of each text; a store's log is rotated every 32 MiB")] = 20_000,
    folder: Annotated[str | None, typer.Option(help="where the images are made")] = None,
    outbox: Annotated[
        bool, typer.Option("--outbox", help="an outbox in front of a server, not an embedded store")
    ] = False,
) -> None:
    """Write, cut, look."""
    chance = random.Random(11)
    written = lost = late = rotations = waited = 0
    with tempfile.TemporaryDirectory(prefix="h-power-cut-", dir=folder) as temporary, ExitStack() as stack:
        work = Path(temporary)
        server = QdrantServer(newest(), work / "server").start() if outbox else None
        if server is not None:
            stack.callback(server.stop)

        def options(where: Path) -> dict[str, Any]:
            about: dict[str, Any] = {"user_id": "john", "embedder": None, "fsync": policy}
            if server is None:
                return {**about, "path": str(where / "store")}
            return {**about, "url": server.url, "durability": "outbox", "outbox_path": str(where / "outbox")}

        disk = work / "disk"
        with open(disk, "wb") as file:
            file.truncate(3 << 30)
        subprocess.run(["mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(disk)], check=True)
        with mounted(disk, work / "live") as live:
            if server is None:
                open_store(**options(live)).close()
            known: set[int] = set()
            for number in range(images):
                if server is not None and number % 2:
                    server.stop()
                acknowledged, stopped = cut(disk, work / "image", options(live), written, size, chance)
                rotations = max(rotations, len(list((live / "store/shard/wal").glob("closed-*"))))
                if server is not None and number % 2:
                    server.start()
                with mounted(work / "image", work / "after") as after, open_store(**options(after)) as store:
                    waited += store.pending()
                    if not store.flush(120):
                        raise SystemExit(f"what waits was not delivered: {store.health()['outbox']}")
                    ids = [int(entry.id) for entry in store.scan()]
                found = set(ids)
                if len(found) != len(ids):
                    raise SystemExit("a write is there twice")
                missing = [(n, stopped - at) for n, at in acknowledged.items() if n not in found]
                written = max(acknowledged) + 2
                lost += len(missing) + len(known - found)
                late = max([late, *(int(age * 1000) for _, age in missing)])
                known.update(acknowledged)
                print(
                    f"image {number + 1}: {len(acknowledged)} acknowledged, {len(missing)} missing, the oldest "
                    f"{max([age for _, age in missing], default=0) * 1000:.0f} ms old; {len(found)} found",
                    flush=True,
                )
    print(
        f"{policy}: {images} images, {len(known)} acknowledged writes, {lost} lost, the oldest {late} ms before "
        + (f"the cut; {waited} were delivered from images" if outbox else f"the cut; full log files seen: {rotations}")
    )


def cut(
    disk: Path, image: Path, options: dict[str, Any], start: int, size: int, chance: random.Random
) -> tuple[dict[int, float], float]:
    """Acknowledged writes with their times, and the time of the cut."""
    # In a session of its own: the system continues what is stopped in a group whose parent ends, as of a shell's.
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, json.dumps(options), str(start), str(size)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert writer.stdout is not None
    acknowledged: dict[int, float] = {}

    def read() -> None:
        assert writer.stdout is not None
        for line in writer.stdout:
            if line.endswith("\n"):
                number, at = line.split()
                acknowledged[int(number)] = float(at)

    reader = threading.Thread(target=read)
    reader.start()
    while not acknowledged:
        if writer.poll() is not None:
            raise SystemExit("the writer ended before it had written anything")
        time.sleep(0.01)
    time.sleep(chance.uniform(0.5, 4))
    while True:
        writer.send_signal(signal.SIGSTOP)
        stopped = time.monotonic()
        time.sleep(0.05)  # what was printed before the stop is read
        for name in (image, image.with_suffix(".again")):
            subprocess.run(["cp", "--sparse=always", str(disk), str(name)], check=True)
        if filecmp.cmp(image, image.with_suffix(".again"), shallow=False):
            break
        writer.send_signal(signal.SIGCONT)
        time.sleep(chance.uniform(0.1, 1))
    counted = dict(acknowledged)
    writer.kill()
    writer.wait()
    reader.join()
    # What was read later is not counted: it was acknowledged before the stop, but nobody had been told.
    return counted, stopped


@contextmanager
def mounted(disk: Path, folder: Path) -> Iterator[Path]:
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", "loop", str(disk), str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("this benchmark mounts file systems: run it as root")
    typer.run(main)

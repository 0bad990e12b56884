"""Putting a new shard in the place of the old one together with a new descriptor, as one change.

``rebuild.swap`` is enough where the old shard and the new one fit the descriptor. Vectors of another embedder do not.
So the new descriptor is written to a file of its own when the new shard is whole; from then on the exchange is done,
by this process or by the next one that opens the store.
"""

from __future__ import annotations

import contextlib
import json
import shutil

from ..manifest import Descriptor
from .checksums import SPARE, break_seal
from .directory import EXCHANGE, StoreDirectory


def decide(directory: StoreDirectory, descriptor: Descriptor) -> None:
    """The new shard, which is whole and on the disk, is the store's from now on, with this descriptor."""
    directory.write(EXCHANGE, json.dumps(descriptor.to_json(), indent=1).encode())


def finish(directory: StoreDirectory) -> None:
    """Do what was decided, as far as it is not done. The shard is closed."""
    decided = directory.path / EXCHANGE
    if not decided.exists():
        return
    if directory.new_shard.exists():
        break_seal(directory)
        if directory.shard.exists():
            shutil.rmtree(directory.old_shard, ignore_errors=True)
            directory.shard.rename(directory.old_shard)
            directory.sync()
        directory.new_shard.rename(directory.shard)
        directory.sync()
    elif not directory.old_shard.exists():
        decided.unlink()  # an earlier version of this package has opened the store, and removed the new shard
        directory.sync()
        return
    with contextlib.suppress(FileNotFoundError):
        (directory.path / SPARE).unlink()  # it has the old descriptor
    directory.write_descriptor(Descriptor.from_json(json.loads(decided.read_bytes()), str(decided)))
    decided.unlink()
    directory.sync()
    shutil.rmtree(directory.old_shard, ignore_errors=True)
    directory.sync()

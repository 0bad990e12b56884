"""A write that arrives: the probe is written, found here and elsewhere, and deleted."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from ..entry import MemoryEntry
from ..errors import EmbedderError, PersistentMemoryError, StoreInUseError, StoreMissingError, StorePermissionError
from ..store.base import MemoryStore
from ..validation import utcnow
from .examined import PATIENCE, Examined, impatient, opened
from .findings import Finding, Findings, check, error, note, ok, warning
from .peers import Peer, config_of
from .second_process import found_in_another

LEFT_BEHIND: Final = timedelta(hours=1)
"""Probes that are older are of a doctor that was killed."""

SECOND_PROCESS: Final = 30.0
"""Seconds that a second process may take to start and to look."""


@check("write", seconds=40)
def a_write_arrives(examined: Examined) -> Findings:
    """Write the probe, and find it."""
    store = examined.store
    if store is None:
        return
    if examined.read_only:
        yield note(
            "not checked, because nothing is to be written", "Leave out --read-only to see whether a write arrives"
        )
        return
    word = f"probe{uuid.uuid4().hex}"
    probe = MemoryEntry(word, f"crewai-memory doctor {word}")
    start = time.monotonic()
    try:
        examined.probe = probe  # from here on it is taken back, even if the answer to the write is lost
        store.put([probe])
    except StorePermissionError as failure:
        examined.probe = None
        yield error(f"the key may read, and not write: {failure}", "Give a key that may write to this collection")
        return
    except EmbedderError as failure:
        yield error(f"a write does not arrive, because of the embedder: {failure}", "Make the embedder answer")
        return
    written = time.monotonic() - start
    if not _soon(lambda: store.get(probe.id) is not None):
        yield error("a write is acknowledged, and cannot be read", "See the log of the store, and of its other nodes")
        return
    by_words = "" if not store.capabilities.keywords or not store.search(word, limit=1) else " and by its words"
    if store.capabilities.keywords and not by_words:
        yield warning(
            "an entry can be read, and is not found by its words", "See the status of the collection's indexes"
        )
    yield ok(f"an entry was written in {written * 1000:.0f} ms, and found by its id{by_words}")


@check("second process", seconds=SECOND_PROCESS + 10)
def a_second_process_finds_it(examined: Examined) -> Findings:
    """Memory in this process alone would look the same until here."""
    config, probe = examined.config, examined.probe
    if examined.store is None or probe is None:
        return
    if config is None:
        yield note("not checked: a second process cannot open a store that was made in code")
        return
    with examined.closed_meanwhile():
        found = found_in_another(impatient(config, examined.probe_scope), probe.id, SECOND_PROCESS)
    yield found
    if found.level == "ok" and examined.is_embedded:
        yield note(
            "an embedded store is for one process at a time",
            "Several workers or replicas need a Qdrant server: QDRANT_URL, or url=",
        )


@check("peer", seconds=20)
def a_peer_finds_it(examined: Examined) -> Findings:
    """Read what was written here through the address of another replica."""
    if examined.peer is None:
        return
    peer = Peer(examined.peer, examined.peer_key)
    if examined.probe is None or examined.config is None:
        yield warning("not checked, because nothing was written here", "See the findings above")
        return
    try:
        config = config_of(peer, examined.config)
        with opened(impatient(config, examined.probe_scope)) as other:
            yield _at_the_peer(peer.name, other, examined.probe.id)
    except StoreMissingError:
        yield _another_store(peer.name, "there is no such store")
    except StorePermissionError as failure:
        yield error(
            f"{peer.name} does not accept the key: {failure}",
            "Give its key: peer_api_key=, or CREWAI_MEMORY_PEER_API_KEY for the command",
        )
    except StoreInUseError as failure:
        yield warning(f"not checked: {failure}", "Stop that process, and run it again")
    except PersistentMemoryError as failure:
        yield error(f"{peer.name} cannot be read: {failure}", "Correct --peer, or start what should answer there")


@check("deletion")
def it_is_deleted(examined: Examined) -> Findings:
    """Delete the probe, and those that a killed doctor has left."""
    store, probe = examined.store, examined.probe
    if probe is None:
        return
    if store is None:
        yield _left(examined, "the store cannot be opened again")
        return
    try:
        store.delete(probe.id, for_good=True)
        store.delete(created_before=utcnow() - LEFT_BEHIND, for_good=True)
        gone = _soon(lambda: store.get(probe.id) is None)
    except PersistentMemoryError as failure:
        yield _left(examined, str(failure))
        return
    if not gone:
        yield _left(examined, "it is still read")
        return
    examined.probe = None
    yield ok("the entry was deleted again")


def _left(examined: Examined, why: str) -> Finding:
    return error(
        f"the entry that was written cannot be deleted: {why}",
        f"crewai-memory forget --all --user {examined.probe_scope.user_id} --project {examined.probe_scope.project_id}",
    )


def _at_the_peer(peer: str, other: MemoryStore, id: str) -> Finding:
    if _soon(lambda: other.get(id) is not None):
        return ok(f"what is written here is found through {peer}")
    return _another_store(peer, "it answers, and does not have it")


def _another_store(peer: str, why: str) -> Finding:
    return error(
        f"what is written here is not found through {peer}: {why}",
        "The two are different stores, so what one replica remembers the other one does not know. Give both the same "
        "server (QDRANT_URL), collection and project",
    )


def _soon(is_so: Callable[[], bool]) -> bool:
    """Whether it becomes true: some stores take a moment."""
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True

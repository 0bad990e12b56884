"""Makes the kept stores of layout 1, the first one.

They were made once, by the code of commit 2b08bca, and are never made again: a later version of the package must
open what that version wrote. The program is kept to show what is in them and how it came there::

    git clone . /tmp/before && git -C /tmp/before checkout 2b08bca
    PYTHONPATH=/tmp/before/src:. python tests/layouts/layout-1/make.py

It needs the servers of ``scripts/fetch-qdrant`` in ``.qdrant/``, and GNU tar (the files of an embedded store are
sparse). Beside this file it writes:

| file | holds |
| --- | --- |
| ``embedded-keywords.tar.xz`` | the folder of an embedded store without an embedder, closed |
| ``embedded-dense.tar.xz`` | the same with the embedder of ``tests/layouts/embedder.py`` |
| ``embedded-killed.tar.xz`` | the same as the second, left by ``kill -9`` after its last write |
| ``server-VERSION-keywords.snapshot.xz`` | a snapshot of a collection on that version of Qdrant |
| ``server-VERSION-dense.snapshot.xz`` | the same with the embedder |
| ``expected.json`` | what the stores hold: every entry with every field, for the dense ones with its vector |
| ``old-worker.json`` | the HTTP requests of a worker of this version that opens a collection, and saves, changes and \
  deletes entries in it; and of one that creates a collection |
"""

from __future__ import annotations

import json
import lzma
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from crewai_persistent_memory import MemoryEntry, MemoryStore, Scope, open_store
from tests.layouts.embedder import letters
from tests.support.awkward_texts import awkward_texts
from tests.support.qdrant_server import QdrantServer, binaries

HERE = Path(__file__).parent
FIRST = datetime(2026, 3, 1, 12, 0, 0, 250)
COLLECTION = "kept"

SCOPES: dict[str, Scope] = {
    "john": Scope(user_id="john"),
    "mary": Scope(user_id="mary", project_id="production"),
    "mary elsewhere": Scope(user_id="mary", project_id="staging"),
    "a run": Scope(user_id="john", run_id="chat-7"),
    "an agent": Scope(user_id="john", agent_id="researcher"),
    "an agent in a run": Scope(user_id="john", run_id="chat-7", agent_id="researcher"),
    "an organisation": Scope(user_id="john", org_id="acme", project_id="ünï/côde 日本"),
    "shared": Scope.shared(project_id="production"),
}


def entries_of(number: int, name: str) -> list[MemoryEntry]:
    """The entries of one scope. The same id is in several scopes."""
    at = FIRST + timedelta(days=number)
    some = [
        MemoryEntry(id="plain", content=f"{name} likes tea", created_at=at, last_accessed=at),
        MemoryEntry(
            id="full",
            content=f"{name} travels to Lisbon in May",
            path="/crew/travel/lisbon",
            categories=("travel", "Pläne"),
            metadata={"n": number, "deep": {"a": [1, None, 2.5, "é"]}, "flag": True, "text": "x", "none": None},
            importance=0.9,
            created_at=at + timedelta(microseconds=1),
            last_accessed=at + timedelta(hours=1),
            source="mail",
        ),
        MemoryEntry(
            id="private",
            content=f"the secret of {name}",
            source="diary",
            private=True,
            created_at=at + timedelta(seconds=2),
            last_accessed=at + timedelta(seconds=2),
        ),
        MemoryEntry(
            id="private of nobody",
            content=f"unsigned secret of {name}",
            private=True,
            created_at=at + timedelta(seconds=3),
            last_accessed=at + timedelta(seconds=3),
        ),
        MemoryEntry(
            id="entity",
            content=f"{name}(person): a guest",
            kind="entity",
            path="/crew",
            created_at=at + timedelta(seconds=4),
            last_accessed=at + timedelta(seconds=4),
        ),
        MemoryEntry(
            id="of another kind",
            content=f"{name} asked for the bill",
            kind="message",
            created_at=at + timedelta(seconds=5),
            last_accessed=at + timedelta(seconds=5),
        ),
    ]
    # Saved in one go, at the same time: only their order tells which came first.
    same = at + timedelta(seconds=6)
    some += [
        MemoryEntry(id=f"same {i}", content=f"{name} said line {i}", created_at=same, last_accessed=same)
        for i in range(3)
    ]
    return some


def fill(store: MemoryStore) -> None:
    """Write everything, by every way of writing."""
    for number, (name, scope) in enumerate(SCOPES.items()):
        mine = store.scoped(scope)
        mine.put(entries_of(number, name))
        at = FIRST + timedelta(days=number, minutes=1)
        for what in ("deleted", "deleted by a filter"):
            path = "/gone" if "filter" in what else "/"
            mine.put([MemoryEntry(id=what, content=f"{name} {what}", path=path, created_at=at, last_accessed=at)])
        mine.delete("deleted")
        mine.delete(path="/gone")
    john = store.scoped(SCOPES["john"])
    long_ago, far_ahead = datetime(1969, 7, 20, 20, 17, 40), datetime(9999, 12, 31, 23, 59, 59, 999_999)
    john.put(
        [
            MemoryEntry(id="before 1970", content="one small step", created_at=long_ago, last_accessed=long_ago),
            MemoryEntry(id="far ahead", content="the end of time", created_at=far_ahead, last_accessed=FIRST),
        ]
    )
    for id, text in awkward():
        at = FIRST + timedelta(days=100, microseconds=len(text))
        john.put([MemoryEntry(id=id, content=text, created_at=at, last_accessed=at)])
    for number in range(5):
        at = FIRST + timedelta(days=200, seconds=number)
        john.put([MemoryEntry(id=f"changed {number}", content=f"as it was {number}", created_at=at, last_accessed=at)])
    john.update("changed 0", content="as it is now")
    john.update("changed 1", path="/moved", categories=["new"], metadata={"was": None}, importance=0.1)
    john.update("changed 2", source="mail", private=True)
    john.update("changed 3", kind="entity", content="all of it is new", metadata={"k": ["v"]}, source="diary")
    at = FIRST + timedelta(days=300)
    john.replace(MemoryEntry(id="changed 4", content="in place of it", created_at=at, last_accessed=at, source="mail"))
    john.touch(["plain", "full"])


def awkward() -> list[tuple[str, str]]:
    """Short awkward texts, one long one, and one of 9,000 words."""
    texts = [(f"awkward {each.shape}", each.text) for each in storable(300, 600)]
    [long] = [each for each in storable(20_000, 20_001) if each.shape == "json"]
    words = random.Random(4)
    many = " ".join(words.choice(("tea", "coffee", "Lisbon", "May", "train", "museum")) for _ in range(9_000))
    return [*texts, ("long", long.text), ("many words", many), ("quotes", '"\\/\u2028\x07 {"id": "forged"}')]


def storable(shortest: int, longest: int) -> list[Any]:
    unstorable = ("lone surrogates", "nul")
    return [each for each in awkward_texts(35, shortest=shortest, longest=longest) if each.shape not in unstorable]


def read(store: MemoryStore) -> dict[str, list[dict[str, Any]]]:
    """Every entry of every scope that belongs to the scope itself."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name, scope in SCOPES.items():
        mine = store.scoped(scope)
        found[name] = []
        for entry in mine.list(limit=10_000):
            if entry.scope != scope:
                continue
            vector = None
            whole = mine.get(entry.id)
            if whole is not None and whole.scope == scope and whole.embedding:
                vector = [round(x, 5) for x in whole.embedding]
            found[name].append({**entry.to_dict(), "embedding": vector})
        found[name].sort(key=lambda entry: (entry["created_at"], entry["id"]))
    return found


def open_embedded(path: Path, dense: bool) -> MemoryStore:
    return open_store(path=path, embedder=letters if dense else None)


def make_embedded(folder: Path, name: str, *, dense: bool, killed: bool = False) -> dict[str, Any]:
    path = folder / name
    if killed:
        child = os.fork()
        if child == 0:
            fill(open_embedded(path, dense))
            os.kill(os.getpid(), signal.SIGKILL)
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
    else:
        with open_embedded(path, dense) as store:
            fill(store)
    with open(HERE / f"{name}.tar.xz", "wb") as file:
        pack = ["tar", "-S", "--format=gnu", "--owner=0", "--group=0", "-cf", "-", name]
        tar = subprocess.Popen(pack, cwd=folder, stdout=subprocess.PIPE)
        subprocess.run(["xz", "-9e", "-c"], stdin=tar.stdout, stdout=file, check=True)
        assert tar.wait() == 0
    copy = folder / f"{name}-read"
    shutil.copytree(path, copy)
    with open_embedded(copy, dense) as store:
        return read(store)


def open_server(server: QdrantServer, dense: bool, collection: str = COLLECTION) -> MemoryStore:
    return open_store(url=server.url, collection=collection, embedder=letters if dense else None)


def make_server(server: QdrantServer, name: str, *, dense: bool) -> dict[str, Any]:
    with open_server(server, dense) as store:
        fill(store)
        found = read(store)
    with server.admin() as admin:
        made = admin.post(f"/collections/{COLLECTION}/snapshots").raise_for_status().json()["result"]
        snapshot = admin.get(f"/collections/{COLLECTION}/snapshots/{made['name']}").raise_for_status().content
        admin.delete(f"/collections/{COLLECTION}").raise_for_status()
    (HERE / f"{name}.snapshot.xz").write_bytes(lzma.compress(snapshot, preset=9 | lzma.PRESET_EXTREME))
    return found


def record(server: QdrantServer) -> dict[str, Any]:
    """What workers of this version send, by what they do."""
    requests: list[dict[str, Any]] = []
    send = httpx.Client.send

    def recording(self: httpx.Client, request: httpx.Request, **how: Any) -> httpx.Response:
        body = request.read()
        where = request.url.raw_path.decode()
        if "/points" in where or request.method != "GET":
            requests.append({"method": request.method, "path": where, "body": json.loads(body) if body else None})
        return send(self, request, **how)

    def recorded(do: Callable[[], Any]) -> list[dict[str, Any]]:
        requests.clear()
        do()
        return list(requests)

    at = FIRST + timedelta(days=400)
    fill(open_server(server, dense=False))
    httpx.Client.send = recording  # type: ignore[method-assign]
    kept: dict[str, Any] = {"creates": recorded(lambda: open_server(server, dense=False, collection="new").close())}
    with open_server(server, dense=False) as every, every.scoped(SCOPES["john"]) as store:
        new = MemoryEntry(id="by an old worker", content="saved by an old worker", created_at=at, last_accessed=at)
        other = MemoryEntry(id="plain", content="in place of it", created_at=at, last_accessed=at)
        kept["opens"] = recorded(lambda: store.count())
        kept["saves"] = recorded(lambda: store.put([new]))
        kept["saves in a run"] = recorded(lambda: every.scoped(SCOPES["a run"]).put([new]))
        kept["updates"] = recorded(lambda: store.update("changed 1", content="changed by an old worker"))
        kept["replaces"] = recorded(lambda: store.replace(other))
        kept["deletes"] = recorded(lambda: store.delete("changed 3"))
        kept["touches"] = recorded(lambda: store.touch(["entity"]))
    httpx.Client.send = send  # type: ignore[method-assign]
    return kept


def write_expected(found: dict[str, dict[str, list[dict[str, Any]]]]) -> None:
    """Write what is the same in every store once, one entry a line; then the vectors of the dense stores, and when each
    entry of each store was last read."""
    same: list[dict[str, Any]] = []
    vectors: dict[str, list[float]] = {}
    last_accessed: dict[str, dict[str, str]] = {store: {} for store in found}
    for store, scopes in found.items():
        mine: list[dict[str, Any]] = []
        for name, entries in scopes.items():
            for entry in entries:
                key = f"{name}/{entry['id']}"
                last_accessed[store][key] = entry.pop("last_accessed")
                vector = entry.pop("embedding")
                if vector is not None:
                    known = vectors.setdefault(key, vector)
                    assert all(abs(a - b) < 1e-4 for a, b in zip(known, vector, strict=True)), key
                mine.append({"in": name, **entry})
        assert mine == (same or mine), f"{store} holds something else than the first"
        same = mine
    lines = ",\n".join(json.dumps(entry, sort_keys=True) for entry in same)
    rest = [
        f'"{name}": {json.dumps(value)}' for name, value in (("vectors", vectors), ("last_accessed", last_accessed))
    ]
    (HERE / "expected.json").write_text('{"entries": [\n' + lines + "\n],\n" + ",\n".join(rest) + "}\n")


def main() -> None:
    folder = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    expected = {
        "embedded-keywords": make_embedded(folder, "embedded-keywords", dense=False),
        "embedded-dense": make_embedded(folder, "embedded-dense", dense=True),
        "embedded-killed": make_embedded(folder, "embedded-killed", dense=True, killed=True),
    }
    for version in ("1.16.3", "1.17.0"):
        server = QdrantServer(binaries()[version], folder / version).start()
        try:
            for dense in (False, True):
                name = f"server-{version}-{'dense' if dense else 'keywords'}"
                expected[name] = make_server(server, name, dense=dense)
            if version == "1.17.0":
                sent = record(server)
        finally:
            server.stop()
    (HERE / "old-worker.json").write_text(json.dumps(sent, indent=1) + "\n")
    write_expected(expected)
    shutil.rmtree(folder)
    print({file.name: file.stat().st_size for file in sorted(HERE.iterdir())}, file=sys.stderr)


if __name__ == "__main__":
    main()

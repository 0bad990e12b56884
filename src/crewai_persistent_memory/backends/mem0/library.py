"""Mem0 OSS, through ``mem0.Memory``, with the user's own configuration.

``mem0.AsyncMemory`` is not used: it opens the vector store a second time, which a local one refuses, and does what it
does in threads as well. Awaiting, the one ``Memory`` is called in a thread.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from datetime import date
from pathlib import Path
from typing import Any, ClassVar, Final

from ...config.mem0 import Mem0Options
from ...embedding import redact
from ...errors import ConfigurationError
from ...io.steps import Steps
from ...scope import Scope, ScopeBinding
from ...store.operations import Message
from . import entity_collection as entities
from . import history
from . import vector_stores as providers
from .api import Added, Extraction, Found
from .calls import Asking, Call
from .codec import ID_KEY, Record, record_of
from .compat import (
    copied,
    instructed,
    local_add,
    local_read,
    local_update,
    names_of,
    open_source_memory,
    results_of,
    rows_of,
    stands_threads,
    takes,
)
from .entities import local_identity
from .text_cutting import fitting

FIRST_LISTING: Final = 1000
"""How many memories are asked for first when all are wanted; ten times as many while there may be more."""

logger = logging.getLogger("crewai_persistent_memory")


class LocalMem0:
    """One ``mem0.Memory`` of a process, for all handles of the same configuration."""

    _open: ClassVar[dict[tuple[int, str], LocalMem0]] = {}
    _lock: ClassVar[Any] = threading.RLock()

    def __init__(self, key: tuple[int, str], memory: Any) -> None:
        self._key = key
        self._users = 0
        self.memory = memory
        self.turn: Any = nullcontext() if stands_threads(memory) else threading.RLock()

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> LocalMem0:
        """Opened with the first handle; see :meth:`release`."""
        # A digest, because the configuration holds keys.
        key = (os.getpid(), hashlib.sha256(json.dumps(config, sort_keys=True, default=repr).encode()).hexdigest())
        with cls._lock:
            found = cls._open.get(key)
            if found is None:
                found = cls._open[key] = cls(key, _opened(config))
            found._users += 1
            return found

    def release(self) -> None:
        """Closed with the last handle."""
        with self._lock:
            self._users -= 1
            if self._users or self._open.get(self._key) is not self:
                return
            del self._open[self._key]
        database: Any = getattr(self.memory, "db", None)
        if database is not None:
            database.close()
        client: Any = getattr(self.memory.vector_store, "client", None)
        if hasattr(client, "close") and not self._is_lent(client):
            client.close()

    def _is_lent(self, client: Any) -> bool:
        """The caller's own client, put into the configuration, stays open."""
        return getattr(self.memory.config.vector_store.config, "client", None) is client


def _forget_after_fork() -> None:
    LocalMem0._lock = threading.RLock()  # another thread of the parent may have held it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)


def _opened(config: Mapping[str, Any]) -> Any:
    path = config.get("history_db_path")
    if path is None:
        path = Path(os.environ.get("MEM0_DIR") or Path.home() / ".mem0", "history.db")
    if path in ("", ":memory:"):  # SQLite keeps these in no file of a name
        return _build(config)
    with history.opening(path):
        return _build(config)


def _build(config: Mapping[str, Any]) -> Any:
    try:
        memory = open_source_memory(config)
    except (ValueError, TypeError, KeyError, AttributeError, ImportError) as error:  # pydantic's and the libraries'
        raise ConfigurationError(f"local_mem0_config: Mem0 does not accept it: {redact(str(error))}") from error
    fitting(memory, config)
    history.tend(memory)
    return memory


class LocalService(Asking):
    """See :class:`Service`."""

    most_results = 10_000
    where = "Mem0 OSS"

    def __init__(self, options: Mem0Options) -> None:
        super().__init__(options.retry_for)
        assert options.local_mem0_config is not None
        providers.check(options.local_mem0_config, allow_untested=options.allow_untested_vector_store)
        self._config = copied(options.local_mem0_config)  # the caller's may change later
        self._shared: dict[int, LocalMem0] = {}

    @property
    def _local(self) -> LocalMem0:
        found = self._shared.get(os.getpid())
        if found is None:
            with LocalMem0._lock:  # two threads that come first are one user of it, not two
                found = self._shared.get(os.getpid())
                if found is None:
                    found = self._shared[os.getpid()] = LocalMem0.of(self._config)
        return found

    def _client(self) -> Any:
        return self._local.memory

    async def _aclient(self) -> Any:
        raise NotImplementedError("awaited in a thread")

    def _called(self, call: Call) -> Any:
        local = self._local
        with local.turn:
            return getattr(self, f"_do_{call.method}")(local.memory, **call.arguments)

    async def _acalled(self, call: Call) -> Any:
        return await asyncio.to_thread(self._called, call)

    def close(self) -> None:
        self._is_closed = True
        found = self._shared.pop(os.getpid(), None)
        if found is not None:
            found.release()

    async def aclose(self) -> None:
        await asyncio.to_thread(self.close)

    # -- writing ---------------------------------------------------------------------------------------------------

    def add(
        self,
        messages: Sequence[Message],
        owner: Scope,
        metadata: Mapping[str, Any],
        *,
        infer: Extraction | None,
        expires: date | None,
        wait: bool,
    ) -> Steps[Added]:
        arguments: dict[str, Any] = {
            "messages": list(messages),
            "user_id": local_identity(owner),
            "metadata": dict(metadata),
            "infer": infer is not None,
        }
        what = {"arguments": arguments, "instructions": infer and _instructions(infer), "expires": expires}
        answer = yield from self.ask(Call("add", what, "adding memories", writes=True, repeatable=False))
        return Added(tuple(each for each in results_of(answer) if each.get("event") in ("ADD", "UPDATE")))

    @staticmethod
    def _do_add(memory: Any, *, arguments: dict[str, Any], instructions: str | None, expires: date | None) -> Any:
        asked, more = instructed(memory, instructions)
        if expires is not None and takes(asked.add, "expiration_date"):
            more["expiration_date"] = expires.isoformat()
        return local_add(asked, {**arguments, **more})

    def update(self, record: Record, content: str | None, metadata: Mapping[str, Any]) -> Steps[None]:
        arguments = {"id": record.id, "content": content or record.entry.content, "metadata": metadata}
        yield from self.ask(Call("update", arguments, "an update", writes=True))

    @staticmethod
    def _do_update(memory: Any, *, id: str, content: str, metadata: Mapping[str, Any]) -> None:
        local_update(memory, id, content, metadata)

    def delete(self, records: Sequence[Record], emptied: Sequence[Scope] = ()) -> Steps[None]:
        owners = list(dict.fromkeys([*emptied, *(record.owner for record in records)]))
        if not owners:
            return
        ids = [record.id for record in records]
        for owner in emptied:
            ids += yield from self.ask(Call("left", {"owner": owner, "emptied": emptied}, "a deletion"))
        ids = list(dict.fromkeys(ids))
        # First what Mem0 keeps beside the memories: whoever is interrupted still finds them, and deletes them again.
        yield from self.ask(
            Call("forget", {"ids": ids, "owners": owners, "emptied": emptied}, "a deletion", writes=True)
        )
        for id in ids:
            yield from self.ask(Call("delete", {"id": id}, "a deletion", writes=True))

    @staticmethod
    def _do_left(memory: Any, *, owner: Scope, emptied: Sequence[Scope]) -> list[str]:
        """What no listing shows because it has expired; an extraction would still read it."""
        rows = rows_of(memory.vector_store, local_identity(owner))
        return [str(row.id) for row in rows if _owner_of(row.payload, owner) in emptied]

    @staticmethod
    def _do_forget(memory: Any, *, ids: Sequence[str], owners: Sequence[Scope], emptied: Sequence[Scope]) -> None:
        history.forget(memory, ids, sorted({name for owner in owners for name in history.session_scopes(owner)}))
        users = {local_identity(owner): owner for owner in owners}

        def is_emptied(user_id: str, payload: Mapping[str, Any]) -> bool:
            return _owner_of(payload, users[user_id]) in emptied

        entities.forget(memory, list(users), ids, is_emptied)

    @staticmethod
    def _do_delete(memory: Any, *, id: str) -> None:
        if memory.vector_store.get(vector_id=id) is not None:  # else somebody was faster
            memory.delete(id)

    # -- reading ---------------------------------------------------------------------------------------------------

    def search(self, query: str, owners: Sequence[Scope], limit: int, min_score: float) -> Steps[Found]:
        found: list[Record] = []
        complete = True
        for owner in owners:
            arguments = {"query": query, "user_id": local_identity(owner), "limit": limit, "min_score": min_score}
            results = yield from self.ask(Call("search", arguments, "a search"))
            complete = complete and len(results) < limit
            found += self._checked(results, owner, owners)
        found.sort(key=lambda record: -(record.entry.score or 0.0))
        # Not every version and vector store keeps to the threshold.
        return Found([record for record in found if (record.entry.score or 0.0) >= min_score], complete)

    @staticmethod
    def _do_search(memory: Any, *, query: str, user_id: str, limit: int, min_score: float) -> Any:
        more = {"threshold": min_score} if takes(memory.search, "threshold") else {}
        return results_of(memory.search(query, **local_read(memory.search, user_id, limit), **more))

    def everything(self, owners: Sequence[Scope], entry_id: str | None = None) -> Steps[list[Record]]:
        found: list[Record] = []
        for owner in owners:
            limit = FIRST_LISTING
            while True:
                arguments = {"user_id": local_identity(owner), "limit": limit, "entry_id": entry_id}
                results = yield from self.ask(Call("list", arguments, "a listing"))
                if len(results) < limit:
                    break
                limit *= 10  # Mem0 OSS knows no pages
            found += self._checked(results, owner, owners)
        return [record for record in found if entry_id is None or record.entry.id == entry_id]

    @staticmethod
    def _do_list(memory: Any, *, user_id: str, limit: int, entry_id: str | None) -> Any:
        extra = None if entry_id is None else {ID_KEY: entry_id}
        return results_of(memory.get_all(**local_read(memory.get_all, user_id, limit, extra)))

    def by_mem0_id(self, id: str, owners: Sequence[Scope]) -> Steps[Record | None]:
        answer = yield from self.ask(Call("get", {"id": id}, "a read"))
        if answer is None:
            return None
        owner = next((each for each in owners if local_identity(each) == answer.get("user_id")), None)
        return None if owner is None else next(iter(self._checked([answer], owner, owners)), None)

    @staticmethod
    def _do_get(memory: Any, *, id: str) -> Any:
        return memory.get(id)

    def health(self, binding: ScopeBinding, retry_for: float | None = None) -> Steps[dict[str, Any]]:
        provider = yield from self.ask(Call("health", {}, "a health check"), retry_for)
        return {"engine": "mem0-oss", "vector_store": provider, "status": "ok"}

    @staticmethod
    def _do_health(memory: Any) -> str:
        memory.get_all(**local_read(memory.get_all, "health-check/of/nobody", 1))
        return str(memory.config.vector_store.provider)

    @staticmethod
    def _checked(found: Sequence[Mapping[str, Any]], asked: Scope, owners: Sequence[Scope]) -> list[Record]:
        """What belongs to one of the owners. The second of the two checks of every result."""
        records = []
        for each in found:
            if each.get("user_id") != local_identity(asked):
                logger.error("dropped memory %s: Mem0 returned it outside the scope of the call", each.get("id"))
                continue
            owner = _owner_of(each, asked)
            if owner in owners and (record := record_of(each, owner)) is not None:
                records.append(record)
        return records


def _owner_of(found: Mapping[str, Any], asked: Scope) -> Scope:
    """Whose it is. What somebody stored without this package may have a run or an agent of Mem0's own."""
    run, agent = found.get("run_id") or asked.run_id, found.get("agent_id") or asked.agent_id
    return Scope.trusted(asked.user_id, asked.project_id, run, agent, asked.org_id)


def _instructions(infer: Extraction) -> str | None:
    parts = []
    if infer.includes:
        parts.append(f"Remember in particular: {infer.includes}.")
    if infer.excludes:
        parts.append(f"Never remember anything about: {infer.excludes}.")
    if infer.custom_categories:
        parts.append(
            f"What is worth remembering belongs to one of these categories:\n{names_of(infer.custom_categories)}"
        )
    return "\n".join(parts) or None

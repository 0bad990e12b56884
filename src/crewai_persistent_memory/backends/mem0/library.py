"""Mem0 OSS, through ``mem0.Memory``, with the user's own configuration.

``mem0.AsyncMemory`` is not used: it opens the vector store a second time, which a local one refuses, and it uses
threads itself. For an awaiting caller the one ``Memory`` is called in a thread.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any, Final, TypeVar

from ...config.mem0 import Mem0Options
from ...errors import InvalidArgumentError, StoreClosedError
from ...io.retry import Effect
from ...io.steps import Steps, Work
from ...scope import DEFAULT_PROJECT, Scope, ScopeBinding
from ...store.operations import Message
from . import entity_collection, history
from .api import Added, Extraction, Found, sent
from .codec import ID_KEY, Record, has_ended, record_of
from .compat import (
    categories_in_words,
    copied,
    instructed,
    library_add,
    library_read,
    library_update,
    results_of,
    rows_of,
    takes,
)
from .entities import library_user_id
from .errors import request_info
from .library_memory import MEMORIES, LibraryMemory, digest_of, opened
from .vector_stores import check

FIRST_LISTING: Final = 1000
"""How many memories are asked for first when all are wanted; ten times as many while there may be more."""

T = TypeVar("T")

logger = logging.getLogger("crewai_persistent_memory")


class LibraryApi:
    """See :class:`Mem0Api`."""

    most_results = 10_000
    changes_last_day = False

    def __init__(self, options: Mem0Options) -> None:
        assert options.local_mem0_config is not None
        check.check(options.local_mem0_config, allow_untested=options.allow_untested_vector_store)
        self._config = copied(options.local_mem0_config)  # the caller's may change later
        self._key = digest_of(self._config)
        self._retry_for = options.retry_for
        # Two attempts to connect are over when the time for the first check is.
        self._patience = options.startup_timeout / 2
        self._of_process: dict[int, LibraryMemory] = {}
        self._is_closed = False

    def __repr__(self) -> str:
        return "LibraryApi(Mem0 OSS)"

    def close(self) -> None:
        self._is_closed = True
        mine = self._of_process.pop(os.getpid(), None)
        if mine is not None:
            MEMORIES.release(self._key, mine)

    async def aclose(self) -> None:
        await asyncio.to_thread(self.close)

    # -- calling ---------------------------------------------------------------------------------------------------

    def _ask(
        self,
        function: Callable[[Any], T],
        doing: str,
        effect: Effect = Effect.READ,
        retry_for: float | None = None,
    ) -> Steps[T]:
        """Call a function with the ``mem0.Memory``."""
        if self._is_closed:
            raise StoreClosedError("this store was closed: open it again with open_store()")
        request = request_info("Mem0 OSS", doing, effect)
        step = Work(partial(self._called, function))
        return (yield from sent(step, request, self._retry_for if retry_for is None else retry_for))

    def _called(self, function: Callable[[Any], T]) -> T:
        local = self._open()
        with local.call_lock:
            return function(local.memory)

    def _open(self) -> LibraryMemory:
        # Of this process: a forked child opens its own, and leaves the parent's files and sockets alone.
        mine = self._of_process.get(os.getpid())
        if mine is not None:
            return mine
        with MEMORIES.lock:  # two threads that come first are one holder of it, not two
            mine = self._of_process.get(os.getpid())
            if mine is None:
                mine = MEMORIES.acquire(self._key, partial(opened, self._config, self._patience))
                self._of_process[os.getpid()] = mine
            return mine

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
            "user_id": library_user_id(owner),
            "metadata": dict(metadata),
            "infer": infer is not None,
        }
        instructions = None if infer is None else _instructions(infer)
        add = partial(_add, arguments=arguments, instructions=instructions, expires=expires)
        results = yield from self._ask(add, "adding memories", Effect.ONCE)
        return Added(tuple(each for each in results if each.get("event") in ("ADD", "UPDATE")))

    def outcome(self, event_id: str) -> Steps[Added]:
        yield from ()
        raise InvalidArgumentError(f"event {event_id}: Mem0 OSS answers when it is done, and has no events")

    def update(
        self, record: Record, content: str | None, metadata: Mapping[str, Any], expires: date | None
    ) -> Steps[None]:
        text = content or record.entry.content
        yield from self._ask(
            lambda memory: library_update(memory, record.id, text, metadata), "an update", Effect.IDEMPOTENT
        )

    def delete(self, records: Sequence[Record], emptied: Sequence[Scope] = ()) -> Steps[None]:
        owners = list(dict.fromkeys([*emptied, *(record.owner for record in records)]))
        if not owners:
            return
        ids = [record.id for record in records]
        for owner in emptied:
            ids += yield from self._ask(partial(_left_behind, owner=owner, emptied=emptied), "a deletion")
        ids = list(dict.fromkeys(ids))
        # First what Mem0 keeps beside the memories. If this is interrupted, the memories are still found, and the next
        # deletion removes them.
        forget = partial(_forget, ids=ids, owners=owners, emptied=emptied)
        yield from self._ask(forget, "a deletion", Effect.IDEMPOTENT)
        for id in ids:
            yield from self._ask(partial(_delete, id=id), "a deletion", Effect.IDEMPOTENT)

    # -- reading ---------------------------------------------------------------------------------------------------

    def search(self, query: str, owners: Sequence[Scope], limit: int, min_score: float) -> Steps[Found]:
        found: list[Record] = []
        complete = True
        for owner in owners:
            search = partial(_search, query=query, user_id=library_user_id(owner), limit=limit, min_score=min_score)
            results = yield from self._ask(search, "a search")
            complete = complete and len(results) < limit
            found += _checked(results, owner, owners)
        found.sort(key=lambda record: -(record.entry.score or 0.0))
        # Not every version and vector store keeps to the threshold.
        return Found([record for record in found if (record.entry.score or 0.0) >= min_score], complete)

    def everything(
        self, owners: Sequence[Scope], entry_id: str | None = None, *, with_expired: bool = False
    ) -> Steps[list[Record]]:
        found: list[Record] = []
        for owner in owners:
            results = yield from self._listed(owner, entry_id)
            found += _checked(results, owner, owners, with_expired=with_expired)
        return [record for record in found if entry_id is None or record.entry.id == entry_id]

    def of_user(self, scope: Mapping[str, str | None]) -> Steps[list[Record]]:
        project = scope.get("project_id") or DEFAULT_PROJECT
        user, org = scope["user_id"], scope.get("org_id")
        # What others have stored in a run has the user's own name, and the run beside it.
        owners = {
            Scope.trusted(user, project, None, None, org),
            Scope.trusted(user, project, scope.get("run_id"), scope.get("agent_id"), org),
        }
        found: list[Record] = []
        for owner in sorted(owners, key=library_user_id):
            results = yield from self._listed(owner, None)
            mine = [each for each in results if each.get("user_id") == library_user_id(owner)]
            records = (record_of(each, _owner_of(each, owner)) for each in mine)
            found += [record for record in records if not has_ended(record)]
        return found

    def _listed(self, owner: Scope, entry_id: str | None) -> Steps[list[Mapping[str, Any]]]:
        limit = FIRST_LISTING
        while True:
            list_ = partial(_list, user_id=library_user_id(owner), limit=limit, entry_id=entry_id)
            results = yield from self._ask(list_, "a listing")
            if len(results) < limit:
                return results
            limit *= 10  # Mem0 OSS knows no pages

    def by_mem0_id(self, id: str, owners: Sequence[Scope]) -> Steps[Record | None]:
        answer = yield from self._ask(lambda memory: memory.get(id), "a read")
        if answer is None:
            return None
        owner = next((each for each in owners if library_user_id(each) == answer.get("user_id")), None)
        return None if owner is None else next(iter(_checked([answer], owner, owners)), None)

    def health(self, binding: ScopeBinding, retry_for: float | None = None) -> Steps[dict[str, Any]]:
        provider = yield from self._ask(_provider, "a health check", retry_for=retry_for)
        return {"engine": "mem0-oss", "vector_store": provider, "status": "ok"}


# -- what is done with a mem0.Memory -------------------------------------------------------------------------------


def _add(
    memory: Any, *, arguments: dict[str, Any], instructions: str | None, expires: date | None
) -> list[Mapping[str, Any]]:
    extractor, more = instructed(memory, instructions)
    if expires is not None and takes(extractor.add, "expiration_date"):
        more["expiration_date"] = expires.isoformat()
    return results_of(library_add(extractor, {**arguments, **more}))


def _left_behind(memory: Any, *, owner: Scope, emptied: Sequence[Scope]) -> list[str]:
    """Ids of expired memories: no listing shows them, but an extraction would still read them."""
    rows = rows_of(memory.vector_store, library_user_id(owner))
    return [str(row.id) for row in rows if _owner_of(row.payload, owner) in emptied]


def _forget(memory: Any, *, ids: Sequence[str], owners: Sequence[Scope], emptied: Sequence[Scope]) -> None:
    history.forget(memory, ids, sorted({name for owner in owners for name in history.session_scopes(owner)}))
    users = {library_user_id(owner): owner for owner in owners}

    def is_emptied(user_id: str, payload: Mapping[str, Any]) -> bool:
        return _owner_of(payload, users[user_id]) in emptied

    entity_collection.forget(memory, list(users), ids, is_emptied)


def _delete(memory: Any, *, id: str) -> None:
    if memory.vector_store.get(vector_id=id) is not None:  # another process may have deleted it
        memory.delete(id)


def _search(memory: Any, *, query: str, user_id: str, limit: int, min_score: float) -> list[Mapping[str, Any]]:
    more = {"threshold": min_score} if takes(memory.search, "threshold") else {}
    return results_of(memory.search(query, **library_read(memory.search, user_id, limit), **more))


def _list(memory: Any, *, user_id: str, limit: int, entry_id: str | None) -> list[Mapping[str, Any]]:
    extra = None if entry_id is None else {ID_KEY: entry_id}
    return results_of(memory.get_all(**library_read(memory.get_all, user_id, limit, extra)))


def _provider(memory: Any) -> str:
    """The name of the vector store, after a read from it."""
    memory.get_all(**library_read(memory.get_all, "health-check/of/nobody", 1))
    return str(memory.config.vector_store.provider)


def _checked(
    found: Sequence[Mapping[str, Any]], searched: Scope, owners: Sequence[Scope], *, with_expired: bool = False
) -> list[Record]:
    """The memories that belong to one of the owners, and have not expired. This is the second of the two checks of
    every result."""
    records = []
    for each in found:
        if each.get("user_id") != library_user_id(searched):
            logger.error("dropped memory %s: Mem0 returned it outside the scope of the call", each.get("id"))
            continue
        owner = _owner_of(each, searched)
        if owner in owners:
            record = record_of(each, owner)
            if with_expired or not has_ended(record):
                records.append(record)
    return records


def _owner_of(found: Mapping[str, Any], searched: Scope) -> Scope:
    """The owner of a memory. One that was stored without this package may have a run or an agent of Mem0's own."""
    run, agent = found.get("run_id") or searched.run_id, found.get("agent_id") or searched.agent_id
    return Scope.trusted(searched.user_id, searched.project_id, run, agent, searched.org_id)


def _instructions(infer: Extraction) -> str | None:
    parts = []
    if infer.includes:
        parts.append(f"Remember in particular: {infer.includes}.")
    if infer.excludes:
        parts.append(f"Never remember anything about: {infer.excludes}.")
    if infer.custom_categories:
        categories = categories_in_words(infer.custom_categories)
        parts.append(f"What is worth remembering belongs to one of these categories:\n{categories}")
    return "\n".join(parts) or None

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
from ...scope import Scope, ScopeBinding
from ...store.operations import Message
from . import library_calls
from .api import Added, Extraction, Found, sent
from .codec import Record, of_scope, record_of
from .compat import (
    copied,
    library_update,
)
from .ends import OwnersWithEnds
from .entities import library_owner, library_user_id
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
        self.ends = OwnersWithEnds()

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
        instructions = None if infer is None else library_calls.instructions_of(infer)
        add = partial(library_calls.add, arguments=arguments, instructions=instructions, expires=expires)
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
        for owner in dict.fromkeys([*emptied, *map(_without_run, emptied)]):
            ids += yield from self._ask(partial(library_calls.left_behind, owner=owner, emptied=emptied), "a deletion")
        ids = list(dict.fromkeys(ids))
        # First what Mem0 keeps beside the memories. If this is interrupted, the memories are still found, and the next
        # deletion removes them.
        forget = partial(library_calls.forget, ids=ids, owners=owners, emptied=emptied)
        yield from self._ask(forget, "a deletion", Effect.IDEMPOTENT)
        for id in ids:
            yield from self._ask(partial(library_calls.delete, id=id), "a deletion", Effect.IDEMPOTENT)

    # -- reading ---------------------------------------------------------------------------------------------------

    def search(self, query: str, owners: Sequence[Scope], limit: int, min_score: float) -> Steps[Found]:
        found: list[Record] = []
        complete = True
        for owner in owners:
            search = partial(
                library_calls.search, query=query, user_id=library_user_id(owner), limit=limit, min_score=min_score
            )
            results = yield from self._ask(search, "a search")
            complete = complete and len(results) < limit
            found += library_calls.checked(results, owner, owners, self.ends)
        found.sort(key=lambda record: -(record.entry.score or 0.0))
        # Not every version and vector store keeps to the threshold.
        return Found([record for record in found if (record.entry.score or 0.0) >= min_score], complete)

    def everything(
        self, owners: Sequence[Scope], entry_id: str | None = None, *, with_expired: bool = False
    ) -> Steps[list[Record]]:
        found: list[Record] = []
        for owner in owners:
            results = yield from self._listed(owner, entry_id)
            found += library_calls.checked(results, owner, owners, self.ends, with_expired=with_expired)
        return [record for record in found if entry_id is None or record.entry.id == entry_id]

    def of_user(self, scope: Mapping[str, str | None]) -> Steps[list[Record]]:
        owners = yield from self.owners_of_user(scope)
        # What others have stored in a run has the user's own name, and the run beside it.
        named = {user_id: library_owner(user_id) for user_id in map(library_user_id, owners)}
        named |= {library_user_id(owner): owner for owner in map(_without_run, owners)}
        found: list[Record] = []
        for user_id, owner in sorted(named.items()):
            results = yield from self._listed(owner, None)
            mine = [each for each in results if each.get("user_id") == user_id]
            records = (record_of(each, library_calls.owner_of(each, owner)) for each in mine)
            found += of_scope(records, scope, with_expired=False)
        return found

    def owners_of_user(self, scope: Mapping[str, str | None]) -> Steps[dict[Scope, int]]:
        return (yield from self._ask(partial(library_calls.owners_of, scope=scope), "a listing"))

    def erase_user(self, scope: Mapping[str, str | None]) -> Steps[int]:
        owners = yield from self.owners_of_user(scope)
        yield from self.delete((), list(owners))
        return sum(owners.values())

    def _listed(self, owner: Scope, entry_id: str | None) -> Steps[list[Mapping[str, Any]]]:
        limit = FIRST_LISTING
        while True:
            list_ = partial(library_calls.listing, user_id=library_user_id(owner), limit=limit, entry_id=entry_id)
            results = yield from self._ask(list_, "a listing")
            if len(results) < limit:
                return results
            limit *= 10  # Mem0 OSS knows no pages

    def by_mem0_id(self, id: str, owners: Sequence[Scope]) -> Steps[Record | None]:
        answer = yield from self._ask(lambda memory: memory.get(id), "a read")
        if answer is None:
            return None
        owner = next((each for each in owners if library_user_id(each) == answer.get("user_id")), None)
        return None if owner is None else next(iter(library_calls.checked([answer], owner, owners, self.ends)), None)

    def health(self, binding: ScopeBinding, retry_for: float | None = None) -> Steps[dict[str, Any]]:
        provider = yield from self._ask(library_calls.provider, "a health check", retry_for=retry_for)
        return {"engine": "mem0-oss", "vector_store": provider, "status": "ok"}


def _without_run(owner: Scope) -> Scope:
    return Scope.trusted(owner.user_id, owner.project_id, None, None, owner.org_id)

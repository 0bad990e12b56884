"""Mem0 Cloud, through the clients of ``mem0ai``."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

from ...config.mem0 import Mem0Options
from ...errors import EngineError, StoreClosedError, StoreMissingError, StoreUnavailableError
from ...io.retry import Effect
from ...io.steps import Call, Pause, Steps
from ...scope import Scope, ScopeBinding
from ...store.operations import Message
from .api import Added, Extraction, Found, sent
from .cloud_clients import CLIENTS, ClientSettings, CloudClients
from .codec import ID_KEY, Record, has_ended, of_scope, record_of
from .compat import cloud_add, cloud_read, results_of
from .ends import OwnersWithEnds
from .entities import cloud_entities, cloud_owner, names_of_user
from .errors import request_info

PAGE: Final = 200
"""Most memories of one page, by the published interface."""
BATCH: Final = 1000
"""Most deletions of one call."""

logger = logging.getLogger("crewai_persistent_memory")


class CloudApi:
    """See :class:`Mem0Api`."""

    most_results = 1000
    changes_last_day = True

    def __init__(self, options: Mem0Options) -> None:
        self._server = f"Mem0 at {options.host}"
        self._options = options
        self.ends = OwnersWithEnds()
        self._settings = ClientSettings.of(options)
        self._clients = CLIENTS.acquire(self._settings, lambda: CloudClients(self._settings))
        self._is_closed = False
        self._warned_of_the_project = False

    def __repr__(self) -> str:
        return f"CloudApi({self._server})"

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            CLIENTS.release(self._settings, self._clients)

    async def aclose(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            await CLIENTS.arelease(self._settings, self._clients, CloudClients.aclose)

    def _ask(
        self,
        method: str,
        arguments: Mapping[str, Any],
        doing: str,
        effect: Effect = Effect.READ,
        retry_for: float | None = None,
    ) -> Steps[Any]:
        """Call a method of the client, blocking or awaiting."""
        if self._is_closed:
            raise StoreClosedError("this store was closed: open it again with open_store()")

        def blocking() -> Any:
            return getattr(self._clients.blocking(), method)(**arguments)

        async def awaiting() -> Any:
            return await getattr(await self._clients.awaiting(), method)(**arguments)

        request = request_info(self._server, doing, effect)
        patience = self._options.retry_for if retry_for is None else retry_for
        return (yield from sent(Call(blocking, awaiting), request, patience))

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
            **cloud_entities(owner)._asdict(),
            "metadata": dict(metadata),
            "infer": infer is not None,
        }
        if infer is not None:
            arguments.update(
                includes=infer.includes,
                excludes=infer.excludes,
                custom_categories=[dict(each) for each in infer.custom_categories] or None,
            )
        if expires is not None:
            arguments["expiration_date"] = expires.isoformat()
        what = cloud_add(arguments, at_once=infer is None)
        answer = yield from self._ask("add", what, "adding memories", Effect.ONCE)
        results = results_of(answer) if not isinstance(answer, Mapping) or "results" in answer else [answer]
        event_id = next((str(each["event_id"]) for each in results if each.get("event_id")), None)
        event_id = event_id or (answer.get("event_id") if isinstance(answer, Mapping) else None)
        if event_id is None or (isinstance(answer, Mapping) and answer.get("status") == "SUCCEEDED"):
            return Added(tuple(each for each in results if each.get("id")), event_id=event_id)
        # A text that is kept as it is needs no LLM: it is stored in a moment, and its writer may look for it at once.
        return (yield from self.outcome(event_id)) if wait or infer is None else Added(pending=True, event_id=event_id)

    def outcome(self, event_id: str) -> Steps[Added]:
        """Wait for an event, with longer and longer pauses."""
        deadline, pause = time.monotonic() + self._options.wait_timeout, 0.05
        while True:
            event = yield from self._ask("event", {"event_id": event_id}, "the outcome of an add")
            if event["status"] == "SUCCEEDED":
                return Added(tuple(event.get("results") or ()), event_id=event_id)
            if event["status"] == "FAILED":
                why = event.get("error") or "no reason given"
                raise EngineError(f"{self._server} could not add the memories: {why} (event {event_id})")
            if time.monotonic() + pause > deadline:
                raise StoreUnavailableError(
                    f"{self._server} took the memories {self._options.wait_timeout:g} s ago and has not finished: it "
                    f"may still (event {event_id}). Give it more wait_timeout, or do not wait"
                )
            yield Pause(pause)
            pause = min(pause * 1.5, 2.0)

    def update(
        self, record: Record, content: str | None, metadata: Mapping[str, Any], expires: date | None
    ) -> Steps[None]:
        body: dict[str, Any] = {"metadata": dict(metadata), **({} if content is None else {"text": content})}
        if expires != record.expires:
            body["expiration_date"] = None if expires is None else expires.isoformat()
        yield from self._ask("change", {"memory_id": record.id, "body": body}, "an update", Effect.IDEMPOTENT)

    def delete(self, records: Sequence[Record], emptied: Sequence[Scope] = ()) -> Steps[None]:
        # By the ids that were listed and are in the scope: Mem0 does not document that a deletion by several
        # entities needs all of them to match.
        ids = [record.id for record in records]
        for start in range(0, len(ids), BATCH):
            memories = [{"memory_id": id} for id in ids[start : start + BATCH]]
            yield from self._ask("batch_delete", {"memories": memories}, "a deletion", Effect.IDEMPOTENT)

    # -- reading ---------------------------------------------------------------------------------------------------

    def search(self, query: str, owners: Sequence[Scope], limit: int, min_score: float) -> Steps[Found]:
        arguments = {"query": query, "filters": _filters(owners), "top_k": limit, "threshold": min_score}
        if self._options.rerank:
            arguments["rerank"] = True
        results = results_of((yield from self._ask("search", cloud_read(arguments), "a search")))
        return Found(self._checked(results, owners), complete=len(results) < limit)

    def everything(
        self, owners: Sequence[Scope], entry_id: str | None = None, *, with_expired: bool = False
    ) -> Steps[list[Record]]:
        found = yield from self._listed(_filters(owners, entry_id), with_expired=with_expired)
        checked = self._checked(found, owners, with_expired=with_expired)
        return [record for record in checked if entry_id is None or record.entry.id == entry_id]

    def of_user(self, scope: Mapping[str, str | None]) -> Steps[list[Record]]:
        return self._of_user(scope, with_expired=False)

    def _of_user(self, scope: Mapping[str, str | None], *, with_expired: bool) -> Steps[list[Record]]:
        user_id = str(scope["user_id"])
        names = names_of_user(user_id)
        # Entities that a filter does not name are not constrained: all projects, runs and agents.
        named = {"AND": [{"user_id": names[0] if len(names) == 1 else {"in": names}}]}
        listed = yield from self._listed(named, with_expired=with_expired)
        mine = [each for each in listed if each.get("user_id") in names]
        if len(mine) < len(listed):
            logger.error(
                "dropped %d memories: Mem0 returned them to a question about another user", len(listed) - len(mine)
            )
        records = (record_of(each, cloud_owner(user_id, each)) for each in mine)
        return of_scope(records, scope, with_expired=with_expired)

    def owners_of_user(self, scope: Mapping[str, str | None]) -> Steps[dict[Scope, int]]:
        return Counter(record.owner for record in (yield from self._of_user(scope, with_expired=True)))

    def erase_user(self, scope: Mapping[str, str | None]) -> Steps[int]:
        found = yield from self._of_user(scope, with_expired=True)
        yield from self.delete(found)
        return len(found)

    def _listed(self, filters: Mapping[str, Any], *, with_expired: bool = False) -> Steps[list[Mapping[str, Any]]]:
        found: dict[str, Mapping[str, Any]] = {}
        page = 1
        while True:
            arguments: dict[str, Any] = {"filters": filters, "page": page, "page_size": PAGE}
            if with_expired:
                arguments["show_expired"] = True
            answer = yield from self._ask("get_all", cloud_read(arguments), "a listing")
            results = results_of(answer)
            # Pages shift while others write, so a memory may be listed twice.
            found.update((str(each["id"]), each) for each in results)
            more = answer.get("next") if isinstance(answer, Mapping) and "next" in answer else len(results) == PAGE
            if not more or not results:
                return list(found.values())
            page += 1

    def by_mem0_id(self, id: str, owners: Sequence[Scope]) -> Steps[Record | None]:
        try:
            answer = yield from self._ask("get", {"memory_id": id}, "a read")
        except StoreMissingError:
            return None
        # The id may be another user's. That is no error of Mem0, and not logged.
        return next(iter(self._checked([answer], owners, is_read_by_id=True)), None)

    def health(self, binding: ScopeBinding, retry_for: float | None = None) -> Steps[dict[str, Any]]:
        answer = yield from self._ask("ping", {}, "a health check", retry_for=retry_for)
        self._compare_project(answer, binding)
        return {"engine": "mem0-cloud", "host": self._options.host, "status": "ok"}

    def _compare_project(self, ping: Mapping[str, Any], binding: ScopeBinding) -> None:
        """Warn, once, if the key belongs to another organisation or project than the configured one."""
        differs = [
            f"{name}={wanted!r} (the key's is {ping.get(name)!r})"
            for name in ("org_id", "project_id")
            if (wanted := getattr(binding, name)) is not None and ping.get(name) != wanted
        ]
        if differs and not self._warned_of_the_project:
            self._warned_of_the_project = True
            logger.warning(
                "the Mem0 key decides in which Mem0 project memories are kept, and it is not %s. Memories are kept in "
                "the key's project, apart from those of other projects by app_id",
                " and ".join(differs),
            )

    def _checked(
        self,
        found: Sequence[Mapping[str, Any]],
        owners: Sequence[Scope],
        *,
        is_read_by_id: bool = False,
        with_expired: bool = False,
    ) -> list[Record]:
        """The memories that belong to one of the owners, and have not expired. This is the second of the two checks of
        every result. An end that has come is noted."""
        by_entities: dict[Any, Scope] = {cloud_entities(owner): owner for owner in owners}
        records = []
        for each in found:
            run = each.get("run_id") or each.get("session_id")
            owner = by_entities.get((each.get("user_id"), each.get("app_id"), run))
            if owner is None or each.get("agent_id") is not None:  # an agent of Mem0's: not written by this package
                if not is_read_by_id:
                    logger.error("dropped memory %s: Mem0 returned it outside the scope of the call", each.get("id"))
                continue
            record = record_of(each, owner)
            if with_expired or not has_ended(record):
                records.append(record)
            else:
                self.ends.note(owner, record.entry.expires_at, record.expires)
        return records


def _filters(owners: Sequence[Scope], entry_id: str | None = None) -> dict[str, Any]:
    """Every entity is named: Mem0 does not constrain the ones that are not."""
    identities = [cloud_entities(owner) for owner in owners]
    conditions: list[dict[str, Any]] = []
    for name in ("user_id", "app_id", "run_id"):
        values = list(dict.fromkeys(getattr(identity, name) for identity in identities))
        conditions.append({name: values[0] if len(values) == 1 else {"in": values}})
    if entry_id is not None:
        conditions.append({"metadata": {ID_KEY: entry_id}})
    return {"AND": conditions}

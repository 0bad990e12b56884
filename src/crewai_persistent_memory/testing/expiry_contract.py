"""What a backend with the capability ``expires`` promises, as tests; a part of ``backend_contract``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from ..entry_filter import EntryFilter
from ..errors import EntryNotFoundError, InvalidArgumentError
from ..expiry import clock_set_to, now
from ..scope import Scope, ScopeBinding
from ..store import operations as op
from ..store.base import MemoryStore

_HOUR = timedelta(hours=1)
_JOHN = Scope(user_id="john")


class ExpiryContract:
    """See the module. The backend is asked without the checks of a store around it."""

    store: MemoryStore
    _ask: Callable[[Any], Any]

    def test_what_has_expired_is_in_no_answer(self) -> None:
        if not self.store.capabilities.expires:
            self._refuses_an_end()
            return
        self.store.add("the code is 4711", id="code", path="/door", categories=["secret"], ttl=_HOUR)
        self.store.add("the door is green", id="door", path="/door", expires_at=None)
        with clock_set_to(now() + 2 * _HOUR):
            for what, answer in self._answers():
                if "4711" in repr(answer):
                    raise AssertionError(f"{what}: found an entry whose expires_at has passed")
            counts = [self._ask(op.Count(_JOHN, False, each)) for each in (EntryFilter(), EntryFilter(ids=("code",)))]
            if counts != [1, 0]:
                raise AssertionError(f"Count: {counts} entries with and without an expired one, expected [1, 0]")
            if self._ask(op.CountCategories(_JOHN, False, EntryFilter())):
                raise AssertionError("CountCategories: counted an entry whose expires_at has passed")
            if self._ask(op.DescribePath(_JOHN, False, EntryFilter(path="/door"))).count != 1:
                raise AssertionError("DescribePath: counted an entry whose expires_at has passed")
            try:
                self.store.update("code", importance=0.9)
            except EntryNotFoundError:
                pass
            else:
                raise AssertionError("Update: changed an entry whose expires_at has passed")

    def _answers(self) -> list[tuple[str, Any]]:
        every, filter = (_JOHN, False), EntryFilter()
        asked: list[Any] = [
            op.Get(*every, "code"),
            op.List(*every, filter, 10, 0),
            op.ListPage(*every, filter, 10, None),
            op.Scan(*every, filter, 10),
            op.Search(*every, ("the code 4711",), (filter,), 10, 0.0, None),
        ]
        if self.store.capabilities.ranking:
            asked[-1] = replace(asked[-1], weights=self.store.weights)
        return [(type(each).__name__, self._ask(each)) for each in asked]

    def test_the_end_of_an_entry_is_kept_and_changed(self) -> None:
        if not self.store.capabilities.expires:
            return
        added = self.store.add("text", id="a", ttl=_HOUR)
        found = self.store.get("a")
        if found is None or found.expires_at != added.expires_at:
            raise AssertionError(f"expires_at of an entry: {found and found.expires_at}, saved {added.expires_at}")
        self.store.update("a", ttl=3 * _HOUR)
        with clock_set_to(now() + 2 * _HOUR):
            if self.store.get("a") is None:
                raise AssertionError("an entry was not found before the end that update() gave it")

    def test_an_expired_entry_is_purged_and_deleted(self) -> None:
        if not self.store.capabilities.expires:
            return
        binding = ScopeBinding(user_id="john")
        self.store.add("text", id="a", ttl=_HOUR)
        self.store.add("text", id="b", ttl=_HOUR)
        self.store.add("text", id="c")
        with clock_set_to(now() + 2 * _HOUR):
            self.store.delete("a")
            counts = [self._ask(op.PurgeExpired(binding, {}, dry_run)) for dry_run in (True, False, False)]
        if counts != [1, 1, 0]:
            raise AssertionError(f"PurgeExpired: {counts}, expected [1, 1, 0]: a dry run, a purge, and another one")
        left = sorted(entry.id for entry in self.store.list())
        if left != ["c"]:
            raise AssertionError(f"left after a delete and a purge of expired entries: {left}, expected ['c']")

    def test_a_delete_of_one_owner_only(self) -> None:
        run_of = self.store.scoped(run_id="r")
        self.store.add("of the user", id="a")
        run_of.add("of the run", id="a")
        deleted = self._ask(op.Delete(run_of.scope, EntryFilter(ids=("a",)), owner_only=True))
        left = [entry.content for entry in run_of.list()]
        if (deleted, left) != (1, ["of the user"]):
            raise AssertionError(f"Delete(owner_only=True) deleted {deleted}, and left {left}")

    def _refuses_an_end(self) -> None:
        try:
            self.store.add("text", ttl=_HOUR)
        except InvalidArgumentError:
            return
        raise AssertionError("a backend without the capability expires was given an entry that expires")

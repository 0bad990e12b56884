"""Whose writes are applied to what a reader is given: the outbox's check of the scope, whatever the queue gives."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from crewai_persistent_memory import MemoryEntry, Scope, operations
from crewai_persistent_memory.entry_filter import EntryFilter
from crewai_persistent_memory.outbox.pending import Pending
from crewai_persistent_memory.outbox.records import Write, lane_of
from crewai_persistent_memory.scope import visible
from crewai_persistent_memory.validation import utcnow

SCOPES = [
    Scope("john"),
    Scope("jane"),
    Scope("john", "staging"),
    Scope("john", org_id="acme"),
    Scope("john", run_id="r"),
    Scope("john", run_id="s"),
    Scope("john", agent_id="chef"),
    Scope("john", run_id="r", agent_id="chef"),
    Scope.shared(),
]
ALL, NOTHING_ELSE = EntryFilter(), EntryFilter(ids=("a",))


def writes(*accepted: Any) -> list[Write]:
    start = utcnow()
    return [
        Write(number, lane_of(each.scope), each, 1, f"c{number}", start + timedelta(seconds=number))
        for number, each in enumerate(accepted, 1)
    ]


def put(owner: Scope, content: str = "a secret") -> operations.Put:
    return operations.Put(owner, [MemoryEntry("a", content)])


def stored(owner: Scope) -> MemoryEntry:
    return MemoryEntry("a", "as it was", scope=owner)


def pending(accepted: Sequence[Any], reader: Scope, *, include_shared: bool = False) -> Pending:
    return Pending(writes(*accepted), reader, include_shared=include_shared)


@pytest.mark.parametrize("include_shared", [False, True])
@pytest.mark.parametrize("reader", SCOPES, ids=str)
def test_what_waits_is_seen_by_the_rule(reader: Scope, include_shared: bool) -> None:
    for owner in SCOPES:
        said = operations.AddMessages(owner, [{"role": "user", "content": "a secret"}], {}, None)
        found = pending([put(owner), said], reader, include_shared=include_shared)
        sees = visible(owner, reader, include_shared=include_shared)
        entry = found.get("a")
        assert [each.scope for each in found.besides([])] == [owner] * sees
        assert (None if entry is None else entry.scope) == (owner if sees else None)
        assert len(found.said()) == sees


CHANGES: dict[str, Any] = {
    "update": lambda scope: operations.Update(scope, "a", {"content": "changed"}),
    "replace": lambda scope: operations.Replace(scope, MemoryEntry("a", "changed"), create=False),
    "delete by id": lambda scope: operations.Delete(scope, NOTHING_ELSE),
    "delete all": lambda scope: operations.Delete(scope, ALL),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("owner", SCOPES, ids=str)
def test_a_change_concerns_what_its_scope_sees(owner: Scope, change: str) -> None:
    """Of the entry that waits, and of the one that the store has."""
    for writer in SCOPES:
        concerns = visible(owner, writer)
        asked = [put(owner, "as it was"), CHANGES[change](writer)]
        waiting = pending(asked, owner).get("a")
        applied = pending(asked[1:], owner).applied(stored(owner))
        for now in (waiting, applied):
            content = None if now is None else now.content
            if not concerns:
                assert content == "as it was", writer
            else:
                assert content == (None if "delete" in change else "changed"), writer


def test_an_entry_is_put_in_its_own_scope_only() -> None:
    for owner, writer in itertools.product(SCOPES, SCOPES):
        now = pending([put(writer, "changed")], owner).applied(stored(owner))
        assert now is not None
        assert now.content == ("changed" if owner == writer else "as it was"), (owner, writer)


@pytest.mark.parametrize("change", ["delete by id", "delete all"])
def test_it_is_known_to_be_deleted_by_a_delete_of_the_readers_own(change: str) -> None:
    for reader, writer in itertools.product(SCOPES, SCOPES):
        assert pending([CHANGES[change](writer)], reader).is_deleted("a") is (reader == writer)

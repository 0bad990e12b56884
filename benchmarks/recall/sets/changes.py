"""Facts that changed, and pairs of facts that are both true, each with a user of its own: the half held out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from ..cases import Cases, Evidence, Memory, Owner, Question
from .changing_facts import Case, both_true, changing


def cases() -> list[Cases]:
    return [
        Cases("changing", "facts that changed, the newer one asked after", _owners(changing("held_out"), changed=True)),
        Cases(
            "both true", "pairs that stay true, the earlier asked after", _owners(both_true("held_out"), changed=False)
        ),
    ]


def _owners(made: Sequence[Case], *, changed: bool) -> tuple[Owner, ...]:
    return tuple(_owner(f"user-{number}", case, changed) for number, case in enumerate(made))


def _owner(user: str, case: Case, changed: bool) -> Owner:
    start = datetime(2026, 1, 7, 12)
    memories = tuple(Memory(f"{at}", text, start + at * timedelta(days=9)) for at, text in enumerate(case.said))
    wanted = case.newer if changed else case.older
    evidence = Evidence(str(case.said.index(wanted)), wanted)
    return Owner(user, memories, (Question(case.question, (evidence,), outdated=case.older if changed else ""),))

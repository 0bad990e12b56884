"""Whose memory a run has: every way of starting × every lifetime of CrewAI's objects × in turn and at once.

Every cell runs on the newest CrewAI and on 1.9.3; what a version cannot do is skipped with its reason. On those in
between, objects are kept or copied, and fewer cells are streams or of other shapes. A crowd of 16 users and 64 kickoffs
at once runs on the two ends. ``THOROUGH=1`` runs every cell everywhere, with 160 kickoffs.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..support.crowd import (
    AWAITED,
    BLOCKING,
    LIFETIMES,
    SHAPES,
    ConciergeFlow,
    Service,
    check,
    crew_for,
    crowd,
    has,
    installed,
    is_unified,
    memories_were_recalled,
    service_at,
    supports_streaming,
    tools_were_used,
)
from ..support.thorough import IS_THOROUGH

pytestmark = pytest.mark.crew

USERS, REQUESTS = (16, 160) if IS_THOROUGH else (3, 4)
CROWD_AT_ONCE, CROWD_IN_TURN = (160, 48) if IS_THOROUGH else (64, 32)
IS_AN_END = IS_THOROUGH or installed() >= (1, 15, 0) or installed()[:2] == (1, 9)
ORDERS = {"in turn": False, "at once": True}
CELLS = [(lifetime, order) for lifetime in LIFETIMES for order in ORDERS]
BETWEEN = [("copied", "at once"), ("same agent", "at once"), ("same crew", "in turn"), ("same crew", "at once")]
"""Of the lifetimes and the orders, those where objects meet."""
FEWER = [("copied", "at once"), ("same crew", "in turn")]
"""Where a start is tried once more: as a stream, and in other shapes."""


@pytest.fixture
def service(kept_store: Path) -> Iterator[Service]:
    with service_at({"path": kept_store, "project_id": "production"}) as found:
        yield found


def run_cell(
    service: Service, start: str, lifetime: str, order: str, users: int = USERS, requests: int = REQUESTS, **crew: Any
) -> None:
    def start_it(request: str) -> Any:
        inputs = {"request": request}
        return getattr(crew_for(service, lifetime, **crew), start)(inputs=[inputs] if "for_each" in start else inputs)

    outcome = crowd(service, start_it, awaited=start in AWAITED, at_once=ORDERS[order], users=users, requests=requests)
    assert len(outcome.answered) + len(outcome.refused) == requests
    if order == "in turn" or lifetime in ("new", "copied") or "for_each" in start:
        assert not outcome.refused, "nothing of these shares an object at one time"
    assert outcome.answered, "somebody was served"
    check(service, outcome, users)
    if order == "in turn":
        memories_were_recalled(service)
    if is_unified():
        tools_were_used(service)


@pytest.mark.parametrize(("lifetime", "order"), CELLS if IS_AN_END else BETWEEN)
@pytest.mark.parametrize("start", [*BLOCKING, *AWAITED])
def test_every_start(service: Service, start: str, lifetime: str, order: str) -> None:
    if not has(start):
        pytest.skip(f"CrewAI {'.'.join(map(str, installed()))} has no {start}")
    run_cell(service, start, lifetime, order)


@pytest.mark.parametrize(("lifetime", "order"), CELLS if IS_AN_END else FEWER)
@pytest.mark.parametrize("start", [*BLOCKING, *AWAITED])
def test_every_stream(service: Service, start: str, lifetime: str, order: str) -> None:
    if not supports_streaming():
        pytest.skip("this CrewAI does not stream")
    if not has(start):
        pytest.skip(f"CrewAI {'.'.join(map(str, installed()))} has no {start}")
    run_cell(service, start, lifetime, order, stream=True)


@pytest.mark.parametrize(("lifetime", "order"), CELLS if IS_AN_END else FEWER)
@pytest.mark.parametrize("shape", SHAPES[1:])
@pytest.mark.parametrize("start", ["kickoff", "akickoff"])
def test_every_shape(service: Service, start: str, shape: str, lifetime: str, order: str) -> None:
    if not has(start):
        pytest.skip(f"CrewAI {'.'.join(map(str, installed()))} has no {start}")
    run_cell(service, start, lifetime, order, shape=shape)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("lifetime", ["new", "same agent"])
@pytest.mark.parametrize("start", ["kickoff", "kickoff_async", "akickoff"])
def test_every_standalone_agent(service: Service, start: str, lifetime: str, order: str) -> None:
    from crewai import Agent

    if not is_unified():
        pytest.skip("a standalone agent has a memory since CrewAI 1.10")
    if not hasattr(Agent, start):
        pytest.skip(f"Agent.{start}: not in this CrewAI")

    def build() -> Any:
        return service.agent(memory=service.memory)

    def start_it(request: str) -> Any:
        return getattr(build() if lifetime == "new" else service.keep("agent", build), start)(request)

    outcome = crowd(
        service, start_it, awaited=start != "kickoff", at_once=ORDERS[order], users=USERS, requests=REQUESTS
    )
    if order == "in turn" or lifetime == "new":
        assert not outcome.refused
    check(service, outcome, USERS)
    if order == "in turn":
        memories_were_recalled(service)
    if order == "in turn":
        memories_were_recalled(service)
    tools_were_used(service)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("start", ["kickoff", "kickoff_async", "akickoff"])
def test_every_flow(service: Service, start: str, order: str) -> None:
    if not hasattr(ConciergeFlow, start):
        pytest.skip(f"Flow.{start}: not in this CrewAI")

    def start_it(request: str) -> Any:
        flow = ConciergeFlow()
        flow.service, flow.request = service, request
        return getattr(flow, start)()

    outcome = crowd(
        service, start_it, awaited=start != "kickoff", at_once=ORDERS[order], users=USERS, requests=REQUESTS
    )
    assert not outcome.refused
    check(service, outcome, USERS)
    if order == "in turn":
        memories_were_recalled(service)


# In turn, fewer users tell as much: see above. A crowd is tried with the one crew that all of them share.
CROWDS = [(start, lifetime, "at once") for start, lifetime in (("kickoff", "new"), ("akickoff", "copied"))]
CROWDS += [("kickoff", "same crew", order) for order in ORDERS]


@pytest.mark.skipif(not IS_AN_END, reason="the crowd runs on the newest and on 1.9.3")
@pytest.mark.parametrize(("start", "lifetime", "order"), CROWDS)
def test_a_crowd(service: Service, start: str, lifetime: str, order: str) -> None:
    # One after the other, the users' second requests tell all; at once, many are needed to meet.
    run_cell(service, start, lifetime, order, users=16, requests=CROWD_AT_ONCE if ORDERS[order] else CROWD_IN_TURN)

"""Each assertion accepts a crew that keeps its users apart, however it was given its memory."""

from __future__ import annotations

from typing import Any

import crewai
import pytest

from crewai_persistent_memory.testing import assert_isolated, assert_survives_restart

from ..support.thorough import sample
from . import crews

pytestmark = pytest.mark.crew

GOOD = [crews.by_crew_kwargs, crews.by_external_memory, crews.by_memory, crews.by_user]
OF_THE_ENDS = [crews.with_a_model_of_its_own, crews.with_rules_of_its_own, crews.Desk.built]
FACTORIES = [*GOOD, *(pytest.param(each, marks=pytest.mark.ends) for each in OF_THE_ENDS)]


@pytest.mark.parametrize("factory", FACTORIES)
def test_is_remembered(here: None, factory: Any) -> None:
    assert_survives_restart(factory)


@pytest.mark.parametrize("factory", sample(FACTORIES, 4))
def test_isolated(here: None, factory: Any) -> None:
    assert_isolated(factory, users=["john", "jane@example.com", "jürgen"])


@pytest.mark.repeated  # the same crews, in this process, above
@pytest.mark.parametrize("kill", [False, pytest.param(True, marks=pytest.mark.ends)])
def test_survives_a_restart(forked: None, kill: bool) -> None:
    assert_survives_restart(crews.by_crew_kwargs, kill=kill)


@pytest.mark.ends
@pytest.mark.repeated
def test_isolated_in_a_process(forked: None) -> None:
    assert_isolated(crews.copied, users=["john", "jane"])


@pytest.mark.ends
@pytest.mark.skipif("stream" not in crewai.Crew.model_fields, reason="this CrewAI does not stream")
def test_streaming(here: None) -> None:
    assert_isolated(crews.streaming, users=["john", "jane"])


@pytest.mark.ends
def test_in_words_of_ones_own(here: None) -> None:
    assert_survives_restart(
        "tests.kit.crews:with_a_model_of_its_own",
        user_id="john",
        inputs={"request": "{text}", "guest": "a guest", "nights": 2},
        told="The number of my booking is {canary}",
        asked="Which number has my booking?",
    )

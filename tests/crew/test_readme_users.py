"""README's long-lived crew, as it stands there, for 16 users in turn and at once, on every CrewAI."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import CrewInUseError, MissingScopeError

from ..support.crowd import (
    CANARY,
    CrowdLLM,
    Outcome,
    Service,
    check,
    memories_were_recalled,
    request_of,
    supports_streaming,
)

pytestmark = pytest.mark.crew

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
SECTION = README.partition("### One long-lived crew, many users")[2].partition("\n### ")[0]
CREW, STREAM = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)

USERS = 16
REQUESTS = [(f"user{number % USERS}", number) for number in range(2 * USERS)]


class GuestsLLM(CrowdLLM):
    """Answers each user with that user's canary, and streams it."""


@pytest.fixture
def code(kept_store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """README's names, after its code has run. It takes an ``llm`` for granted, and a place for the store."""
    monkeypatch.setenv("CREWAI_MEMORY_PATH", str(kept_store))
    monkeypatch.setenv("OPENAI_API_KEY", "")
    names: dict[str, Any] = {"llm": GuestsLLM()}
    exec(CREW, names)
    exec(STREAM, names)
    yield names
    names["memory"].close()


def serve(code: dict[str, Any], function: str, *, at_once: bool) -> Outcome:
    outcome = Outcome()

    def one(user: str, number: int) -> None:
        try:
            result = code[function](user, request_of(user, number))
            text = result if isinstance(result, str) else "".join(result)
        except CrewInUseError:
            outcome.refused.add((user, number))
        else:
            assert CANARY.findall(text), f"no answer: {text!r}"
            assert {owner for owner, _ in CANARY.findall(text)} == {user}
            outcome.answered.add((user, number))

    with ThreadPoolExecutor(USERS if at_once else 1) as pool:
        for done in [pool.submit(one, *request) for request in REQUESTS]:
            done.result()
    return outcome


def check_all(code: dict[str, Any], outcome: Outcome) -> None:
    check(Service(code["memory"], code["llm"]), outcome, USERS)


@pytest.mark.parametrize(
    ("function", "at_once"),
    [
        pytest.param("one_after_the_other", False, marks=pytest.mark.ends),
        pytest.param("at_once", False, marks=pytest.mark.ends),
        ("at_once", True),
        pytest.param("stream", False, marks=pytest.mark.ends),
        ("stream", True),
    ],
)
def test_every_user_is_served_and_none_is_crossed(code: dict[str, Any], function: str, at_once: bool) -> None:
    if function == "stream" and not supports_streaming():
        pytest.skip("this CrewAI does not stream")
    outcome = serve(code, function, at_once=at_once)
    assert outcome.answered == set(REQUESTS)
    check_all(code, outcome)
    if not at_once:
        memories_were_recalled(Service(code["memory"], code["llm"]))


def test_one_crew_at_once_is_refused_and_not_mixed(code: dict[str, Any]) -> None:
    outcome = serve(code, "one_after_the_other", at_once=True)
    assert outcome.answered
    assert outcome.answered | outcome.refused == set(REQUESTS)
    check_all(code, outcome)


def test_without_a_user_nobody_is_served(code: dict[str, Any]) -> None:
    for user in (None, ""):
        for function in ("one_after_the_other", "at_once", "stream"):
            with pytest.raises(Exception, match="user_id") as caught:
                code[function](user, "hello")
            assert user is not None or isinstance(caught.value, MissingScopeError)
    with pytest.raises(MissingScopeError):
        code["crew"].kickoff(inputs={"question": "hello"})
    assert code["llm"].prompts == []

"""Two threads that use a class of flows for the first time: each agent's executor is one."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from crewai.flow.flow import Flow, start

from crewai_persistent_memory import PersistentMemory

if not hasattr(Flow, "flow_definition"):
    pytest.skip("what CrewAI has since 1.15 only", allow_module_level=True)


def test_two_threads_do_not_prepare_a_class_at_once() -> None:
    second: list[threading.Thread] = []
    results: list[Any] = []

    class Slow:
        """An attribute in whose reading, by the first thread, a second thread comes along."""

        def __get__(self, instance: object, owner: type) -> None:
            if not second:
                second.append(threading.Thread(target=lambda: results.append(Greeting.flow_definition())))
                second[0].start()
                second[0].join(1)  # ends at once without the lock, and waits for this thread with it

    class Greeting(Flow[Any]):
        slow = Slow()

        @start()
        def greet(self) -> str:
            return "hello"

    assert PersistentMemory, "loaded: it guards the flows"
    Greeting.flow_definition()  # without the lock: RuntimeError, dictionary changed size during iteration
    second[0].join(30)
    assert results == [Greeting.flow_definition()]
    assert Greeting().kickoff() == "hello"

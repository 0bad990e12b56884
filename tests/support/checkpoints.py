"""A program in two processes: one writes checkpoints, another restores them. ``python -m tests.support.checkpoints``.

Arguments: ``write``, ``resume`` or ``unaware`` (which does not import the package), and a folder. The last line it
prints is a JSON object.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from crewai import Agent, Crew, Flow, Task
from crewai.flow.flow import start
from crewai.state.checkpoint_config import CheckpointConfig
from crewai.state.event_record import EventRecord

_KEPT: list[Any] = []
"""CrewAI knows a crew by its ``id()``, which another one may get once it is gone (1.14.7 then writes no checkpoint)."""

_dump = EventRecord.model_dump


def _dump_whole(record: Any, **options: Any) -> Any:
    with record._lock.r_locked():
        return _dump(record, **options)


EventRecord.model_dump = _dump_whole  # type: ignore[method-assign]
"""CrewAI reads its events while others are added, and loses a checkpoint by it now and then ("dictionary changed size
during iteration"). Here every one is written."""

SAID = "The guest is allergic to nuts"
ASKED = "What is the guest allergic to?"


class RememberingFlow(Flow):
    """Recalls in its second run what it has kept in its first one."""

    @start()
    def note(self) -> str:
        found = "; ".join(match.record.content for match in self.recall("allergic"))
        self.remember(SAID)
        return found


def crew_with(memory: Any, folder: Path, *, agent_memory: Any = None, **crew: Any) -> Crew:
    from .calling import until
    from .crews import ScriptedLLM, final

    def answer(prompt: str) -> str:
        if ASKED in prompt.rpartition("Current Task")[2]:
            # CrewAI writes a checkpoint in a thread, of what is done when that thread comes to it.
            until(lambda: _first_ones(folder), bool)
        return final("noted")

    own = {} if agent_memory is None else {"memory": agent_memory}
    agent = Agent(role="Concierge", goal="Serve", backstory="Old hand", llm=ScriptedLLM(answer), **own)
    tasks = [Task(description=said, expected_output="A line", agent=agent) for said in (SAID, ASKED)]
    after_a_task = CheckpointConfig(location=str(folder / "checkpoints"), on_events=["task_completed"])
    _KEPT.append(Crew(agents=[agent], tasks=tasks, checkpoint=after_a_task, **({"memory": memory} | crew)))
    return _KEPT[-1]


def _first_ones(folder: Path) -> list[Path]:
    """CrewAI names a checkpoint by the time and by its parent; the first one has none."""
    return list((folder / "checkpoints").rglob("*_p-none.json"))


def first_checkpoint(folder: Path) -> CheckpointConfig:
    [first] = _first_ones(folder)
    return CheckpointConfig(restore_from=str(first))


def write(folder: Path) -> dict[str, Any]:
    from crewai_persistent_memory import Crew as OurCrew
    from crewai_persistent_memory import ExternalMemory, PersistentMemory, register, unregister, use_scope

    from .embedders import WordHashEmbedder

    def at(kind: str, **options: Any) -> dict[str, Any]:
        return {"path": folder / kind / "store", "user_id": "john", "project_id": "hotel", "embedder": None, **options}

    opened: list[Any] = []

    def memory(kind: str, **options: Any) -> Any:
        opened.append(PersistentMemory(**at(kind, **options)))
        return opened[-1]

    crew_with(memory("memory"), folder / "memory").kickoff()
    shared = memory("scoped")
    crew_with(shared, folder / "scoped", agent_memory=shared.scoped(agent_id="chef")).kickoff()
    crew_with(None, folder / "scope", agent_memory=memory("scope").scope("/diet")).kickoff()
    crew_with(memory("slice").slice(["/diet"], read_only=False), folder / "slice").kickoff()
    crew_with(memory("embedder", embedder=WordHashEmbedder()), folder / "embedder").kickoff()
    with use_scope(user_id="john"):
        crew_with(memory("no user", user_id=None), folder / "no user").kickoff()
    external = ExternalMemory(embedder_config={"provider": "qdrant", "config": at("external")})
    opened.append(external)
    plain = crew_with(False, folder / "external")
    ours = OurCrew(agents=plain.agents, tasks=plain.tasks, checkpoint=plain.checkpoint, external_memory=external)
    ours.kickoff()
    register(default=True, **at("default"))
    crew_with(True, folder / "default").kickoff()
    unregister()
    flow = RememberingFlow(
        memory=memory("flow"),
        checkpoint=CheckpointConfig(
            location=str(folder / "flow" / "checkpoints"), on_events=["method_execution_finished"]
        ),
    )
    flow.kickoff()
    for each in opened:
        each.close()
    return {"written": sorted(path.name for path in folder.iterdir())}


def resume(folder: Path) -> dict[str, Any]:
    from crewai_persistent_memory import PersistentMemory, PersistentMemoryError, restoring, use_scope

    from .embedders import WordHashEmbedder

    assert PersistentMemory
    recalled: dict[str, str] = {}
    for kind in ("memory", "scoped", "scope", "slice", "external", "default"):
        recalled[kind] = _resumed(Crew.from_checkpoint(first_checkpoint(folder / kind)))
    with use_scope(user_id="jane"):
        recalled["somebody else"] = _resumed(Crew.from_checkpoint(first_checkpoint(folder / "no user")))
    with use_scope(user_id="john"):
        recalled["no user"] = _resumed(Crew.from_checkpoint(first_checkpoint(folder / "no user")))
    try:
        Crew.from_checkpoint(first_checkpoint(folder / "embedder"))
    except PersistentMemoryError as error:
        recalled["what is missing"] = str(error)
    with restoring(embedder=WordHashEmbedder()):
        recalled["embedder"] = _resumed(Crew.from_checkpoint(first_checkpoint(folder / "embedder")))
    flow: Any = RememberingFlow.from_checkpoint(first_checkpoint(folder / "flow"))
    recalled["flow"] = "; ".join(match.record.content for match in flow.recall("allergic"))
    return {"recalled": recalled, "places": _places(folder)}


def _resumed(crew: Any) -> str:
    from .crews import ScriptedLLM, final, memories_in

    llm = ScriptedLLM(final("noted"))
    for agent in {id(agent): agent for agent in [*crew.agents, *(task.agent for task in crew.tasks)]}.values():
        agent.llm = llm
    crew.kickoff()
    for memory in (crew.memory, *(agent.memory for agent in crew.agents)):
        if hasattr(memory, "close"):
            memory.close()
    [prompt] = llm.prompts
    return memories_in(prompt)


def _places(folder: Path) -> dict[str, list[str]]:
    """Where things lie in the end, by kind of memory: path, agent."""
    from crewai_persistent_memory import open_store

    found = {}
    for kind in ("scoped", "scope"):
        options: Any = {"path": folder / kind / "store", "user_id": "john", "project_id": "hotel", "agent_id": "chef"}
        with open_store(**options) as store:
            found[kind] = sorted({f"{entry.path} {entry.scope and entry.scope.agent_id}" for entry in store.list()})
    return found


def unaware(folder: Path) -> dict[str, Any]:
    """Restores without the package: what CrewAI says then."""
    said = {}
    for kind in ("memory", "scope", "default", "flow"):
        restored: Any = RememberingFlow if kind == "flow" else Crew
        try:
            restored.from_checkpoint(first_checkpoint(folder / kind))
        except (OSError, ValueError) as error:
            said[kind] = str(error)
        else:
            said[kind] = "restored"
    assert "crewai_persistent_memory" not in sys.modules
    return {"said": said}


if __name__ == "__main__":
    act, where = {"write": write, "resume": resume, "unaware": unaware}[sys.argv[1]], Path(sys.argv[2])
    print(json.dumps(act(where)))

"""The steps of a test's process: build a crew, let users ask it, look at what is remembered."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..adapters.crew_memories import agents_of, memories_of_crew, store_of
from ..adapters.memory import PersistentMemory
from ..errors import ConfigurationError, CrewInUseError, PersistentMemoryError
from ..scope_context import use_scope
from ..store.base import MemoryStore
from ..transfer.exporting import entries_of
from .canaries import canaries_in
from .crew_memory import description_of, place_of
from .factories import CrewFactory, FactoryName, find, taken
from .rendezvous import Rendezvous
from .scripted_llm import ScriptedLLM

import crewai  # isort: skip (after ours, which switches CrewAI's telemetry off)

_LLMS_OF_A_CREW = ("manager_llm", "planning_llm", "function_calling_llm", "chat_llm")


class CanaryLLM(ScriptedLLM):
    """Says each canary that it has read, so that one that leaks into a prompt is in the output as well."""

    def __init__(self, rendezvous: Rendezvous) -> None:
        super().__init__(lambda prompt: " ".join(["I know:", *canaries_in(prompt)]))
        self.__dict__["rendezvous"] = rendezvous

    def call(self, messages: Any, tools: Any = None, *args: Any, **kwargs: Any) -> Any:
        self.__dict__["rendezvous"].wait()
        return super().call(messages, tools, *args, **kwargs)

    async def acall(self, messages: Any, tools: Any = None, *args: Any, **kwargs: Any) -> Any:
        await self.__dict__["rendezvous"].wait_awaited()
        return await super().acall(messages, tools, *args, **kwargs)


class WorkerSteps:
    """The steps, by name. Arguments and answers are what JSON can hold."""

    def __init__(self) -> None:
        self._rendezvous = Rendezvous()
        self._llm = CanaryLLM(self._rendezvous)
        self._llms: dict[int, ScriptedLLM] = {id(self._llm): self._llm}
        self._read: dict[tuple[int, int], int] = {}
        """How many prompts of each LLM were given out."""
        self._templates: dict[int, set[str]] = {}
        """The placeholders of each crew, before a kickoff has filled them."""
        self._building = threading.Lock()
        self._memory: PersistentMemory | None = None
        self._kept: Any = None
        self._inputs: Mapping[str, Any] | None = None
        self._factory: CrewFactory
        self._takes: Sequence[str]

    def load(
        self,
        factory: dict[str, Any],
        inputs: Mapping[str, Any] | None,
        place: Mapping[str, str] | None,
    ) -> None:
        """Import the crew factory.

        Args:
            factory: a :class:`FactoryName`.
            inputs: for each kickoff, with ``{text}`` where the request goes. ``None``: it goes into every placeholder.
            place: ``{"path": ...}`` or ``{"url": ...}``: where memories must be. ``None``: wherever the crew has them.
        """
        named = FactoryName(**factory)
        self._factory, self._inputs, self._place = find(named), inputs, place
        self._takes = taken(self._factory, named.name)

    def takes(self) -> list[str]:
        """What the crew factory takes."""
        return list(self._takes)

    def build(self, user: str) -> dict[str, Any]:
        """Build the crew that is kept, and describe its memory as this user has it."""
        crew = self._crew(user, "one")
        with self._scope(user):
            return description_of(crew)

    def serve(self, requests: Sequence[tuple[str, str]], way: str, lifetime: str) -> list[dict[str, Any]]:
        """Serve each request: a user and a text.

        Args:
            requests: at most one for each user if they come at once.
            way: ``"in turn"``, ``"threads"`` or ``"asyncio"``.
            lifetime: ``"one"`` crew for all, or a ``"new"`` crew for each request.
        """
        if way == "in turn":
            answers = []
            for request in requests:
                answers += self._at_once([request], self._in_threads, lifetime)
            return answers
        at_once = self._in_threads if way == "threads" else self._awaited
        answers, left = [], list(requests)
        while left:
            done = self._at_once(left, at_once, lifetime)
            refused = [request for request, answer in zip(left, done, strict=True) if answer.get("refused")]
            answers += [answer for answer in done if not answer.get("refused")]
            # One crew serves one run at a time and refuses the others, which is right. They ask again.
            if len(refused) == len(left):
                return answers + done
            left = refused
        return answers

    def prompts(self) -> list[str]:
        """The prompts of all LLMs since this was asked last."""
        found = []
        for key, llm in self._llms.items():
            for which, prompts in enumerate((llm.prompts, llm.evaluations)):
                found += prompts[self._read.get((key, which), 0) :]
                self._read[key, which] = len(prompts)
        return found

    def flush(self, user: str) -> None:
        """Wait until what was saved is in the store."""
        for memory in self._memories(user):
            with self._scope(user):
                if hasattr(memory, "flush"):
                    memory.flush()

    def look(self, user: str, question: str) -> dict[str, Any]:
        """What the user recalls and lists, by every memory of a crew."""
        recalled: list[str] = []
        listed: list[str] = []
        scopes: list[str] = []
        for memory in self._memories(user):
            with self._scope(user):
                store = store_of(memory)
                if store is None:
                    continue
                if isinstance(memory, PersistentMemory):
                    recalled += [match.record.content for match in memory.recall(question, limit=50)]
                else:  # CrewAI's ExternalMemory over a storage of ours
                    recalled += [entry.content for entry in store.search(question)]
                listed += [entry.content for entry in store.list(limit=1_000)]
                scopes.append(str(store.scope))
        return {"recalled": recalled, "listed": listed, "scopes": scopes}

    def owners(self, user: str) -> list[tuple[str, list[str]]]:
        """The scopes of all entries with a canary, whoever's they are; of a store that is this test's own only."""
        found: list[tuple[str, list[str]]] = []
        for store in self._stores(user):
            if store.capabilities.counts_scopes and "path" in (self._place or {}):
                entries = ((entry, canaries_in(entry.content)) for entry in entries_of(store))
                found += [(str(entry.scope), canaries) for entry, canaries in entries if canaries]
        return found

    def forget(self, user: str) -> None:
        """Delete what this test has stored for the user, and nothing else: it may be a real user."""
        for store in self._stores(user):
            with self._scope(user):
                ids = [entry.id for entry in store.scan() if canaries_in(entry.content)]
                store.delete(ids=ids)

    # -- crews -----------------------------------------------------------------------------------------------------

    def _scope(self, user: str) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext() if "user_id" in self._takes else use_scope(user_id=user)

    def _crew(self, user: str, lifetime: str) -> Any:
        if lifetime == "new" or "user_id" in self._takes:
            with self._scope(user):
                return self._built(user)
        with self._building:
            if self._kept is None:
                self._kept = self._built(user)
            return self._kept

    def _built(self, user: str) -> Any:
        given: dict[str, Callable[[], Any]] = {
            "llm": lambda: self._llm,
            "memory": self._test_memory,
            "user_id": lambda: user,
        }
        crew = self._factory(**{name: given[name]() for name in self._takes})
        if not isinstance(crew, crewai.Crew):
            kind = "a coroutine" if inspect.iscoroutine(crew) else f"a {type(crew).__name__}"
            raise ConfigurationError(f"crew_factory returned {kind}, not a crewai.Crew: return the crew that it builds")
        self._script(crew)
        self._templates[id(crew)] = set(crew.fetch_inputs())
        for memory in memories_of_crew(crew):
            if (store := store_of(memory)) is not None and self._place is not None:
                place_of(store).check(self._place)
        return crew

    def _test_memory(self) -> PersistentMemory:
        if self._memory is None:
            place: dict[str, Any] = dict(self._place or {})
            self._memory = PersistentMemory(**place, embedder=None)
        return self._memory

    def _script(self, crew: Any) -> None:
        """Give the crew's objects an LLM of this test, unless they have one of their own tests."""
        for each in [crew, *agents_of(crew)]:
            for name in ("llm", *_LLMS_OF_A_CREW):
                own = getattr(each, name, None)
                if isinstance(own, ScriptedLLM):
                    self._llms.setdefault(id(own), own)
                elif own is not None:
                    setattr(each, name, self._llm)
        for memory in memories_of_crew(crew):
            if getattr(memory, "_llm_instance", None) is not None or getattr(memory, "_has_llm", False):
                memory._llm_instance = self._llm

    def _memories(self, user: str) -> list[Any]:
        found = [each for each in memories_of_crew(self._crew(user, "one")) if store_of(each) is not None]
        return list({id(each): each for each in found}.values())

    def _stores(self, user: str) -> list[MemoryStore]:
        return [store for each in self._memories(user) if (store := store_of(each)) is not None]

    # -- requests --------------------------------------------------------------------------------------------------

    def _at_once(
        self, requests: Sequence[tuple[str, str]], start: Callable[..., list[dict[str, Any]]], lifetime: str
    ) -> list[dict[str, Any]]:
        self._rendezvous.expect(len(requests))
        return start(requests, lifetime)

    def _in_threads(self, requests: Sequence[tuple[str, str]], lifetime: str) -> list[dict[str, Any]]:
        with ThreadPoolExecutor(len(requests)) as pool:
            return list(pool.map(lambda request: self._served(request[0], request[1], lifetime), requests))

    def _awaited(self, requests: Sequence[tuple[str, str]], lifetime: str) -> list[dict[str, Any]]:
        async def all_of_them() -> list[dict[str, Any]]:
            return await asyncio.gather(*[self._aserved(user, text, lifetime) for user, text in requests])

        return asyncio.run(all_of_them())

    def _served(self, user: str, text: str, lifetime: str) -> dict[str, Any]:
        try:
            crew = self._crew(user, lifetime)
            with self._scope(user):
                return {"user": user, "output": _read(crew.kickoff(inputs=self._inputs_of(crew, text)))}
        except Exception as error:  # noqa: BLE001 (the caller tells whose it was)
            return {"user": user, **_failure(error)}
        finally:
            self._rendezvous.ended()

    async def _aserved(self, user: str, text: str, lifetime: str) -> dict[str, Any]:
        try:
            crew = self._crew(user, lifetime)
            with self._scope(user):
                start = crew.akickoff if hasattr(crew, "akickoff") else crew.kickoff_async
                return {"user": user, "output": await _aread(await start(inputs=self._inputs_of(crew, text)))}
        except Exception as error:  # noqa: BLE001 (the caller tells whose it was)
            return {"user": user, **_failure(error)}
        finally:
            self._rendezvous.ended()

    def _inputs_of(self, crew: Any, text: str) -> dict[str, Any]:
        if self._inputs is not None:
            return {n: v.replace("{text}", text) if isinstance(v, str) else v for n, v in self._inputs.items()}
        names = self._templates[id(crew)]
        if not names:
            raise ConfigurationError(
                "the crew has no {placeholder} in its tasks and agents, so nothing that a user says gets to it: write "
                'Task(description="... {request} ..."), or say with inputs={"request": "{text}"} where it goes'
            )
        return dict.fromkeys(names, text)


def _failure(error: Exception) -> dict[str, Any]:
    failure = {"error": f"{type(error).__name__}: {error}", "kind": type(error).__name__}
    own = isinstance(error, PersistentMemoryError)
    return {**failure, "ours": own, "refused": isinstance(error, CrewInUseError)}


def _read(result: Any) -> str:
    """The output of a crew. One that streams works while its stream is read."""
    if hasattr(result, "get_full_text"):
        for _ in result:
            pass
        return str(result.get_full_text())
    return str(result)


async def _aread(result: Any) -> str:
    if getattr(result, "_async_iterator", None) is not None:
        async for _ in result:
            pass
        return str(result.get_full_text())
    return await asyncio.to_thread(_read, result) if hasattr(result, "get_full_text") else str(result)

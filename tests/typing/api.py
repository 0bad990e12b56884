"""The public names as a user writes them. Type-checked, never run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from crewai import Agent, Task
from typing_extensions import Unpack

from crewai_persistent_memory import (
    AddedMessages,
    CollectionArgs,
    Crew,
    EntryArgs,
    EntryChanges,
    EntryFields,
    EntryFilter,
    ExternalMemory,
    FilterArgs,
    Finding,
    Mem0Args,
    MemoryEntry,
    MemoryOptions,
    MemoryStore,
    Page,
    PathInfo,
    PersistentMemory,
    PersistentMemoryError,
    PersistentMemoryOptions,
    PersistentStorage,
    QdrantStorageBackend,
    RankingWeights,
    Scope,
    ScopeFields,
    ServerArgs,
    StoreBusyError,
    health_report,
    open_store,
    register,
    use_scope,
)
from crewai_persistent_memory.admin import dedicate_project
from crewai_persistent_memory.testing import (
    BackendContract,
    FakeEmbedder,
    ScriptedLLM,
    assert_isolated,
    assert_shared_by_workers,
    assert_survives_restart,
    memories_in,
    temporary_memory,
    temporary_store,
)


def embed(texts: list[str]) -> list[list[float]]:
    return [[0.0] for _ in texts]


def crews(agent: Agent, task: Task) -> None:
    memory = PersistentMemory(user_id="john", project_id="shop", path="/data", embedder=embed, fsync="always")
    chef: PersistentMemory = memory.scoped(agent_id="chef")
    Crew(agents=[agent], tasks=[task], **memory.crew_kwargs())
    Crew(agents=[agent], tasks=[task], memory=chef)
    with use_scope(user_id="jane", run_id="r1"), use_scope(Scope.shared("shop")):
        memory.recall("tea", limit=5, depth="deep")
    PersistentMemory.from_config({"provider": "qdrant", "config": {"user_id": "john"}}).close()
    PersistentMemory(store=open_store(user_id="john"), read_only=True, llm="openai/gpt-4o-mini", infer=True)


def on_every_crewai(agent: Agent, task: Task) -> list[dict[str, Any]]:
    register(default=True, project_id="shop", url="https://a:6333", api_key="key")
    memory = PersistentMemory(project_id="shop")
    Crew(agents=[agent], tasks=[task], memory=True, external_memory=memory)
    Crew(agents=[agent], tasks=[task], **memory.crew_kwargs(long_term=False))
    with PersistentStorage(user_id="john", kind="entity", root_scope="/desk") as storage:
        external = ExternalMemory(storage=storage)
        external.save("John drinks tea", {"relationships": "- guest"})
        storage.reset()
        return storage.search("tea", limit=3, score_threshold=0.1) + external.search("tea")


async def memories(memory: PersistentMemory) -> list[str]:
    """The same methods on every CrewAI, blocking and awaiting."""
    diet: PersistentMemory = memory.scope("/diet").subscope("vegan")
    both: PersistentMemory = memory.slice(["/diet", "/travel"], categories=["food"], read_only=False)
    record = diet.remember("no nuts", categories=["food"], metadata={"day": 1}, importance=0.9, source="chef")
    if record is not None:
        memory.update(record.id, content="no nuts at all")
    deleted: int = await both.aforget(categories=["food"])
    path: str = memory.info("/diet").path
    async with memory.scoped(agent_id="chef") as chef:
        await chef.asave("John drinks tea", {"day": deleted})
        found = [match.record.content for match in await chef.arecall("tea", limit=3)]
    for each in await both.arecall_each(["tea", "nuts"], ["/", path]):
        found += [match.record.content for match in each]
    return [*found, await memory.atree(), *await memory.alist_scopes(), *memory.list_categories()]


def servers(agent: Agent, task: Task) -> None:
    memory = PersistentMemory(
        url=["https://a:6333", "https://b:6333"],
        api_key="key",
        ca_cert="ca.pem",
        headers={"x-team": "crews"},
        ordering="strong",
        read_consistency="majority",
        collection_settings={"shard_number": 6, "quantization": "scalar"},
    )
    many: int = len(memory.recall_each(["tea", "coffee"], limit=3)[0])
    found: list[list[MemoryEntry]] = memory.store.search_many(["tea"], limit=many, paths=["/a"])
    assert found
    moved: int = dedicate_project("large", url="https://a:6333", api_key="key")
    assert moved
    try:
        open_store(host="qdrant", port=6333, prefer_grpc=True, timeout=2.5, startup_check=False)
    except StoreBusyError as error:
        seconds: float | None = error.retry_after
        print(seconds)


def stores() -> list[str]:
    with open_store(user_id="john", embedder={"provider": "openai", "config": {}}, language="german") as store:
        entry: MemoryEntry = store.add("tea", categories=["drinks"], metadata={"a": [1]}, importance=0.9)
        found = store.search("tea", limit=3, weights=RankingWeights(recency=0.5), path="/a", categories=["drinks"])
        store.list(created_after=datetime(2026, 1, 1), include_private=False, reader="chat")
        store.update(entry.id, content="coffee")
        deleted: int = store.delete(ids=[entry.id]) + store.delete(entry.id) + store.reset("/a")
        score: float | None = found[0].score
        page: Page = store.page(limit=50, path="/a")
        page = store.page(cursor=page.cursor)
        everything: Iterator[MemoryEntry] = store.scan(with_vectors=True, page_size=100, kind="entity")
        print([*page.entries, *everything])
        return [entry.id, str(deleted), str(score)]


def in_mem0() -> list[MemoryEntry]:
    about: Mem0Args = {"api_key": "m0-key", "wait": True, "run_expiry_days": 7}
    external = ExternalMemory(embedder_config={"provider": "mem0", "config": {"user_id": "john"}})
    Crew(agents=[], tasks=[], external_memory=external)
    with open_store(user_id="john", mem0=about, includes="diet", custom_categories=[{"diet": "food"}]) as store:
        if store.capabilities.extracts:
            added: AddedMessages = store.add_messages([{"role": "user", "content": "tea"}], path="/a", wait=False)
            return list(added.entries)
    return []


class TypedWrappers:
    """Functions of a user around those of this package, with the same arguments."""

    def open(self, **options: Unpack[MemoryOptions]) -> MemoryStore:
        return open_store(**options)

    def memory(self, **options: Unpack[PersistentMemoryOptions]) -> PersistentMemory:
        return PersistentMemory(**options)

    def dedicate(self, project: str, **server: Unpack[ServerArgs]) -> int:
        return dedicate_project(project, **server)

    def narrowed(self, store: MemoryStore, **fields: Unpack[ScopeFields]) -> MemoryStore:
        with use_scope(**fields):
            return store.scoped(**fields)

    def add(self, store: MemoryStore, text: str, **about: Unpack[EntryArgs]) -> MemoryEntry:
        return store.add(text, **about)

    def update(self, store: MemoryStore, id: str, **changes: Unpack[EntryChanges]) -> MemoryEntry:
        return store.update(id, **changes)

    def find(self, store: MemoryStore, query: str, **filters: Unpack[FilterArgs]) -> list[MemoryEntry]:
        chosen: EntryFilter = EntryFilter.of(filters)
        return [entry for entry in store.search(query, **filters) if chosen.matches(entry)]

    def oldest(self, store: MemoryStore) -> datetime | None:
        info: PathInfo = store.info("/")
        return info.oldest

    def values(self) -> tuple[CollectionArgs, EntryFields]:
        return {"quantization": "binary"}, {"path": "/a", "private": True}


async def awaiting() -> list[MemoryEntry]:
    async with open_store(scope=Scope("john")) as store:
        await store.aadd("tea")
        cursor: str | None = (await store.apage(limit=1)).cursor
        scanned = [entry async for entry in store.ascan(categories=["drinks"])]
        print(cursor, scanned)
        return await store.asearch("tea") + await store.alist()


def backends() -> QdrantStorageBackend:
    try:
        return QdrantStorageBackend(path="/data", user_id="john")
    except PersistentMemoryError:
        raise


def reports(memory: PersistentMemory) -> dict[str, str]:
    found: list[Finding] = health_report(memory, peer="http://b:6333", read_only=True)
    found += health_report(url="http://a:6333", project_id="production")
    return {finding.check: finding.level for finding in found if finding.level != "ok"}


def wrong() -> None:
    health_report(usr_id="john")  # type: ignore[call-arg]
    open_store(usr_id="john")  # type: ignore[call-arg]
    PersistentMemory(user_id=7)  # type: ignore[arg-type]
    Scope(user_id="john", team="x")  # type: ignore[call-arg]
    register(defaults=True)  # type: ignore[call-arg]
    PersistentStorage(usr_id="john")  # type: ignore[call-arg]
    open_store(mem0={"api_kye": "key"})  # type: ignore[arg-type]
    open_store(url="https://a:6333", collection_settings={"shard_number": "6"})  # type: ignore[arg-type]
    open_store().scan(with_vector=True)  # type: ignore[call-arg]
    open_store().page(cursor=7)  # type: ignore[arg-type]
    open_store(url=7)  # type: ignore[arg-type]
    open_store(fsync="sometimes")  # type: ignore[arg-type]


def build_crew(llm: ScriptedLLM) -> Crew:
    return Crew(agents=[Agent(role="x", goal="y", backstory="z", llm=llm)], tasks=[])


def tests_of_ones_own() -> None:
    assert_survives_restart(build_crew, kill=True, timeout=60)
    assert_isolated("app:build_crew", users=["john", "jane"], inputs={"request": "{text}"})
    assert_shared_by_workers(build_crew, url="http://localhost:6333", env={"QDRANT_API_KEY": "key"})
    llm = ScriptedLLM("noted", rules=[("tea", {"drink": "tea"})]).when("rum", lambda prompt: prompt)
    text: str = memories_in(llm.prompts[0])
    with temporary_memory(embedder=FakeEmbedder(384), user_id="john") as memory, temporary_store() as store:
        memory.remember(text)
        store.scoped(user_id="john").add(text)


class TestBackend(BackendContract):
    random_operations = 1_000

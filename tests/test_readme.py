"""The code of README, and of the guides that it leads to, runs as it stands there."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from crewai_persistent_memory import (
    PersistentMemory,
    StorePermissionError,
    open_store,
    unregister,
    use_scope,
)
from crewai_persistent_memory.adapters import defaults
from crewai_persistent_memory.config.mem0 import Mem0Options

from .support.calling import until
from .support.crews import ScriptedLLM, final, needs_unified, one_agent_crew
from .support.embedders import WordHashEmbedder
from .support.mem0_platform import DEFAULT_KEY, Mem0Platform
from .support.memory_llm import MemoryLLM
from .support.programs import run_program
from .support.qdrant_server import QdrantServer
from .support.reference_pages import PAGES, written_anew
from .support.token_embedders import WordTokens

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDES = ["crewai", "recalling", "servers", "store", "mem0"]
PYTHON = re.findall(
    r"```python\n(.*?)```",
    "\n".join([README, *((ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in GUIDES)]),
    re.DOTALL,
)
SHELL = [line for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL) for line in block.splitlines()]


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What README's snippets take for granted: an agent, a task, an LLM."""
    from crewai import Agent, Task

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CREWAI_MEMORY_PATH", str(tmp_path / "default"))
    monkeypatch.setenv("OPENAI_API_KEY", "")
    llm = ScriptedLLM(final("noted"))
    agent = Agent(role="Concierge", goal="Serve", backstory="Old hand", llm=llm)
    return {
        "agent": agent,
        "task": Task(description="John likes tea", expected_output="An answer", agent=agent),
        "llm": llm,
        "embedder": WordHashEmbedder(),
        "Agent": Agent,
        "PersistentMemory": PersistentMemory,
        "use_scope": use_scope,
    }


def snippet(having: str) -> str:
    [found] = [code for code in PYTHON if having in code]
    return found


def test_shared(names: dict[str, Any]) -> None:
    exec(snippet("Scope.shared(project_id"), names)
    names["team"].remember("the office closes at six")
    assert names["john"].recall("when does the office close?")
    for name in ("team", "john"):
        names[name].close()


def test_on_every_crewai(names: dict[str, Any]) -> None:
    exec(snippet("external_memory=memory"), names)
    with use_scope(user_id="john"):
        assert [match.record.content for match in names["memory"].recall("tea")] == ["John likes tea\nResult: noted"]
    names["memory"].close()


def test_by_name(names: dict[str, Any]) -> None:
    """What it makes possible, ``tests/crew/test_register.py`` tries."""
    try:
        exec(snippet("import register"), names)
        assert defaults.current().options == {"project_id": "production"}
    finally:
        unregister()
    assert defaults.current().options == {}


@needs_unified
def test_specialist_and_run(names: dict[str, Any]) -> None:
    exec(snippet('agent_id="chef"'), names)
    names["chef"].memory.remember("the sauce has saffron")
    assert names["memory"].recall("saffron") == []
    names["crew"] = one_agent_crew(names["llm"], "John likes figs", memory=names["memory"])
    exec(snippet('run_id="order-4711"'), names)
    assert names["memory"].recall("figs") == []
    with use_scope(run_id="order-4711"):
        assert names["memory"].recall("figs")
    names["memory"].close()


def test_token_vectors(names: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """With fastembed's classes and methods, and without its models."""

    class Texts:
        def __init__(self, model: str) -> None:
            self.words = WordTokens()

        def embed(self, texts: list[str]) -> Any:
            return iter(self.words(texts))

    class Tokens(Texts):
        def embed(self, texts: list[str]) -> Any:
            return iter(self.words.embed_tokens(texts))

        def query_embed(self, texts: list[str]) -> Any:
            return iter(self.words.embed_tokens(texts, is_query=True))

    fastembed = SimpleNamespace(TextEmbedding=Texts, LateInteractionTextEmbedding=Tokens)
    monkeypatch.setitem(sys.modules, "fastembed", fastembed)
    exec(snippet("LateInteractionTextEmbedding"), names)
    for text in ("John likes tea", "The bank closes at five"):
        names["memory"].remember(text)
    assert names["memory"].recall("enjoys beverage", limit=1)[0].record.content == "John likes tea"
    names["memory"].close()


@needs_unified
def test_llm(names: dict[str, Any]) -> None:
    llm = MemoryLLM()
    names["llm"] = llm
    exec(snippet('user_id="john", llm="openai/gpt-4o-mini"').replace('"openai/gpt-4o-mini"', "llm"), names)
    names["memory"].remember("John is allergic to nuts")
    assert "analyse" in llm.kinds
    names["memory"].close()


@pytest.mark.parametrize("having", ['project_id="production")\n', "collection_settings={"], ids=["server", "cluster"])
def test_server(
    names: dict[str, Any], server: QdrantServer, collection: str, having: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    [code] = [code for code in PYTHON if having in code and "6333" in code]
    assert "collection=" not in code or 'collection="crews"' in code
    code = code.replace("http://127.0.0.1:6333", server.url).replace('"crews"', repr(collection))
    if "collection=" not in code:
        code = code.replace('user_id="john"', f'user_id="john", collection={collection!r}')
    monkeypatch.delenv("CREWAI_MEMORY_PATH")
    exec(code, names)
    names["memory"].remember("John likes tea")
    assert names["memory"].recall("tea")
    names["memory"].close()


class TestMem0:
    @pytest.fixture(autouse=True)
    def environment(self, mem0_platform: Mem0Platform, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MEM0_API_KEY", DEFAULT_KEY)
        monkeypatch.setenv("MEM0_HOST", mem0_platform.url)
        monkeypatch.delenv("CREWAI_MEMORY_PATH", raising=False)

    def test_external_memory(self, names: dict[str, Any], mem0_platform: Mem0Platform) -> None:
        names["task"].description = "John is allergic to nuts"
        exec(snippet("ExternalMemory("), names)
        names["crew"].kickoff()
        names["external_memory"].drain_writes()
        until(lambda: mem0_platform.adds, bool)  # through the outbox
        [add] = mem0_platform.adds
        assert (add["user_id"], add["app_id"], add["includes"]) == ("john", "production", "preferences")
        names["external_memory"].close()

    def test_one_object(self, names: dict[str, Any], mem0_platform: Mem0Platform) -> None:
        exec(snippet('mem0={"wait": True}'), names)
        assert [memory["memory"] for memory in mem0_platform.memories.values()] == ["I am allergic to nuts"]
        names["memory"].close()

    def test_the_page_of_mem0(self) -> None:
        page = (ROOT / "docs" / "mem0.md").read_text(encoding="utf-8")
        [code] = [code for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "facts =" in code]
        found: dict[str, Any] = {}
        exec(code, found)
        assert found["facts"] == ["I am allergic to nuts", "I recommended the soup"]
        documented = set(re.findall(r"`(\w+)`", page.partition("## Options")[2].partition("## How")[0]))
        assert set(Mem0Options.model_fields) <= documented


def test_store(names: dict[str, Any]) -> None:
    exec(snippet('open_store(path="./memory"'), names)
    with open_store(path="./memory", user_id="john") as store:
        assert store.count() == 0


@needs_unified
def test_backend(names: dict[str, Any]) -> None:
    names["llm"] = MemoryLLM()
    exec(snippet("QdrantStorageBackend(path"), names)
    names["memory"].remember("John wants a window seat")
    assert names["memory"].recall("window seat", depth="shallow")
    names["memory"].close()


def test_middleware(names: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    with open_store(user_id="john") as store:
        store.add("John likes tea")
        exec(snippet("tracing(lambda"), names)
        assert [match.record.content for match in names["reader"].recall("tea")] == ["John likes tea"]
        assert "Search 0." in capsys.readouterr().out
        with pytest.raises(StorePermissionError):
            names["reader"].remember("more")
        names["store"].close()


def test_every_snippet_is_run() -> None:
    """The first two in ``tests/crew/test_readme_first_screen.py``; those about many users, ``one_after_the_other`` and
    ``stream``, in ``tests/crew/test_readme_users.py``; what an agent gets in ``tests/crew/test_readme_given.py``."""
    assert len(PYTHON) == 20


@pytest.mark.newest
def test_the_shell_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREWAI_MEMORY_PATH", str(tmp_path / "store"))
    monkeypatch.setenv("COLUMNS", "120")
    commands = [shlex.split(line, comments=True) for line in SHELL if line.startswith("crewai-memory")]
    shown = []
    for command in commands:
        program = str(Path(sys.executable).with_name(command[0]))
        done = run_program([program, *command[1:]])
        assert done.returncode == 0, done.stderr
        shown.append(done.stdout)
    assert "allergic to nuts" in shown[1]
    assert "nothing" in shown[2]
    assert "Forgot 1" in shown[4]


@pytest.mark.newest
def test_the_scripts_named_are_there_and_ci_runs_the_second() -> None:
    demo, test = [line for line in SHELL if line.startswith("./scripts/")]
    for script in (demo, test):
        assert (ROOT / script).stat().st_mode & 0o111
    assert f"exec {test}" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


@pytest.mark.newest
@pytest.mark.parametrize("page", PAGES)
def test_what_is_made_from_the_code_is_new(page: str) -> None:
    there, made = written_anew(page)
    assert there == made, "run python -m tests.support.reference_pages"

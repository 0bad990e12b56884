"""The parts by themselves: the scripted LLM, the fake embedder, temporary stores."""

from __future__ import annotations

import asyncio
import json
import math
import re
from pathlib import Path
from typing import Any

import crewai
import pytest
from pydantic import BaseModel

from crewai_persistent_memory import ConfigurationError, open_store, use_scope
from crewai_persistent_memory.testing import (
    FakeEmbedder,
    ScriptedLLM,
    memories_in,
    temporary_memory,
    temporary_store,
)

from .crews import parts


class TestScriptedLLM:
    def test_the_first_rule_that_matches_decides(self) -> None:
        llm = ScriptedLLM("noted", rules=[("nuts", "No nuts."), ("nuts|tea", lambda prompt: f"{len(prompt)} letters")])
        llm.when(r"(?i)\brum\b", {"drink": "rum"})
        assert llm.call("nuts and tea") == "No nuts."
        assert llm.call([{"role": "user", "content": "tea"}]) == "3 letters"
        assert llm.call("A glass of Rum?") == '{"drink": "rum"}'
        assert llm.call("drums") == "noted"
        assert llm.prompts == ["nuts and tea", "tea", "A glass of Rum?", "drums"]
        with pytest.raises(re.error):
            llm.when("(", "never")

    def test_the_form_that_a_prompt_asks_for(self) -> None:
        asks = "Use the format:\nThought: ...\nFinal Answer: the answer"
        llm = ScriptedLLM("It is tea")
        assert llm.call("tea?") == "It is tea"
        assert llm.call(asks).endswith("\nFinal Answer: It is tea")
        for own in ("Final Answer: tea", "Thought: x\nAction: search\nAction Input: {}", '{"drink": "tea"}'):
            assert ScriptedLLM(own).call(asks) == own

    def test_a_structured_answer(self) -> None:
        class Drink(BaseModel):
            name: str

        assert ScriptedLLM({"name": "tea"}).call("?", response_model=Drink) == Drink(name="tea")

    def test_awaited(self) -> None:
        llm = ScriptedLLM("tea")
        assert asyncio.run(llm.acall("what?")) == "tea"
        assert llm.prompts == ["what?"]

    @pytest.mark.crew
    @pytest.mark.skipif("stream" not in crewai.Crew.model_fields, reason="this CrewAI does not stream")
    def test_a_crew_that_streams(self, caplog: pytest.LogCaptureFixture) -> None:
        stream: Any = crewai.Crew(**parts(ScriptedLLM("green tea, please"), "What?"), stream=True).kickoff()
        words = [chunk.content for chunk in stream if chunk.content]
        assert "".join(words).endswith("green tea, please ")
        assert len(words) >= 3
        assert "outside call context" not in caplog.text

    @pytest.mark.crew
    def test_a_copied_crew_has_the_same(self) -> None:
        llm = ScriptedLLM("tea")
        crew = crewai.Crew(**parts(llm, "What?"))
        assert str(crew.copy().kickoff()) == "tea"
        assert len(llm.prompts) == 1


class TestFakeEmbedder:
    @pytest.mark.parametrize("dimensions", [1, 2, 64, 65, 1536])
    def test_any_length(self, dimensions: int) -> None:
        vectors = FakeEmbedder(dimensions)(["green tea", "?!", "", "\ud83d"])
        for vector in vectors:
            assert len(vector) == dimensions
            assert math.hypot(*vector) == pytest.approx(1)

    @pytest.mark.parametrize("dimensions", [64, 384, 1536])
    def test_texts_that_share_words_are_near(self, dimensions: int) -> None:
        embedder = FakeEmbedder(dimensions)

        def nearness(one: str, other: str) -> float:
            return sum(a * b for a, b in zip(embedder.vector(one), embedder.vector(other), strict=True))

        assert nearness("John likes green tea", "green tea, please") > 0.45
        assert abs(nearness("John likes green tea", "a window seat on flights")) < 0.4
        assert nearness("Tea", "tea!") == pytest.approx(1)

    def test_the_same_in_every_process(self) -> None:
        """A frozen number: a store refuses an embedder that makes other vectors than the one it was made with."""
        assert FakeEmbedder(2).vector("green tea") == pytest.approx([0.993045, 0.117732], abs=1e-6)

    def test_two_models(self) -> None:
        assert FakeEmbedder(salt="a").vector("tea") != FakeEmbedder(salt="b").vector("tea")

    def test_calls_are_kept(self) -> None:
        embedder = FakeEmbedder()
        embedder(["a", "b"])
        assert embedder.calls == [["a", "b"]]

    @pytest.mark.parametrize("dimensions", [0, -1, 2.5, True, "64", None])
    def test_no_length(self, dimensions: Any) -> None:
        with pytest.raises(ConfigurationError, match="dimensions must be a whole number"):
            FakeEmbedder(dimensions)


class TestTemporary:
    def test_a_store_on_disk_that_is_gone_afterwards(self) -> None:
        with temporary_store(user_id="john") as store:
            store.add("John likes tea")
            folder = Path(str(store.health()["path"]))
            assert folder.is_dir()
            with open_store(path=folder, user_id="john", embedder=None) as again:
                assert again.count() == 1
        assert not folder.parent.exists()

    def test_gone_after_an_error_too(self) -> None:
        with pytest.raises(ZeroDivisionError) as caught, temporary_store(user_id="john") as store:
            raise ZeroDivisionError(str(store.health()["path"]))
        assert not Path(str(caught.value)).parent.exists()

    def test_two_at_once_share_nothing(self) -> None:
        with temporary_store(user_id="john") as one, temporary_store(user_id="john") as other:
            one.add("John likes tea")
            assert other.count() == 0

    @pytest.mark.parametrize("option", ["path", "url", "mem0"])
    def test_it_has_a_place_of_its_own(self, option: str) -> None:
        for temporary in (temporary_store, temporary_memory):
            with pytest.raises(ConfigurationError, match=f"{option}= is given"), temporary(**{option: "x"}):
                pass

    def test_nothing_of_the_environment(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("CREWAI_MEMORY_PATH", str(tmp_path / "real"))
        with temporary_memory() as memory, use_scope(user_id="john"):
            memory.remember("John likes tea")
        assert not (tmp_path / "real").exists()


@pytest.mark.crew
def test_the_three_together(tmp_path: Path) -> None:
    llm = ScriptedLLM("noted", rules=[("Which seat", "A window seat")])
    with temporary_memory(embedder=FakeEmbedder(384)) as memory, use_scope(user_id="john"):
        crew = crewai.Crew(**parts(llm), **memory.crew_kwargs(long_term=False))
        crew.kickoff(inputs={"request": "I like a window seat"})
        assert str(crew.kickoff(inputs={"request": "Which seat do I like?"})) == "A window seat"
        assert "I like a window seat" in memories_in(llm.prompts[-1])
        assert memories_in(llm.prompts[0]).strip() == ""
        assert json.dumps(memory.store.list()[0].content)

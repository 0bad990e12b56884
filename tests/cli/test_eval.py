"""``crewai-memory eval``: recall on a user's own questions, as a crew asks them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from crewai_persistent_memory import open_store
from crewai_persistent_memory.cli.evaluation import command

from ..support.embedders import WordHashEmbedder
from .conftest import Call

JOHN = ("--user", "john")
NUTS = {"question": "What is John allergic to?", "words": ["nuts"]}
LONG = "\n\n".join(f"Paragraph {n} of the report is about topic{n} and nothing else. " * 8 for n in range(60))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store for all of these tests: none writes into it."""
    path = tmp_path_factory.mktemp("johns") / "store"
    with open_store(path=path, embedder=None) as store:
        john = store.scoped(user_id="john")
        for text in ("John is allergic to nuts", "John likes a window seat", "John's dog is called Rex"):
            john.add(text)
        store.scoped(user_id="jane").add("Jane is allergic to strawberries")
    return path


@pytest.fixture
def johns(made: Path, store_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CREWAI_MEMORY_PATH", str(made))
    return made


def written(tmp_path: Path, *questions: Any, name: str = "questions.jsonl") -> str:
    file = tmp_path / name
    file.write_text("\n".join(map(json.dumps, questions)), encoding="utf-8")
    return str(file)


@pytest.mark.usefixtures("johns")
class TestFigures:
    def test_what_is_found_and_what_stands_in_the_prompt(self, call: Call, tmp_path: Path) -> None:
        file = written(tmp_path, NUTS, {"question": "What is John allergic to?", "words": ["strawberries"]})
        result = call("eval", file, *JOHN, "--task", "{question}", "--json").json
        assert (result["memories"], result["questions"], result["tasks"]) == (3, 2, 1)
        own = result["settings"][0]
        assert own["setting"] == "as it is"
        # Jane's strawberries are not found for John.
        assert (own["in_prompt"], own["found"]) == (0.5, {"5": 0.5, "10": 0.5})
        assert own["tokens"] == own["characters"] / 4
        assert own["cost"]["gpt-4o"] == pytest.approx(own["tokens"] * 2.5 / 1000)

    def test_ids_as_list_shows_them(self, call: Call, tmp_path: Path) -> None:
        [dog] = [entry["id"] for entry in call("list", *JOHN, "--json").json if "Rex" in entry["content"]]
        file = written(tmp_path, {"question": "What is the dog called?", "ids": [dog[:8]]})
        assert call("eval", file, *JOHN, "--json").json["settings"][0]["in_prompt"] == 1.0

    def test_json_and_csv_say_the_same(self, call: Call, tmp_path: Path) -> None:
        table = tmp_path / "questions.csv"
        table.write_text("question,words\nWhich seat?,window; seat\n", encoding="utf-8")
        listed = tmp_path / "questions.json"
        listed.write_text(json.dumps([{"question": "Which seat?", "words": ["window", "seat"]}]), encoding="utf-8")
        [of_table, of_list] = [call("eval", str(file), *JOHN, "--json").json for file in (table, listed)]
        for result in (of_table, of_list):
            assert result["settings"][0]["in_prompt"] == 1.0

    def test_budgets(self, call: Call, tmp_path: Path, johns: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CREWAI_MEMORY_PATH", str(shutil.copytree(johns, tmp_path / "own")))
        call("remember", LONG, *JOHN)
        file = written(tmp_path, {"question": "What is topic33?", "words": ["topic33"]})
        result = call("eval", file, *JOHN, "--budget", "800", "--budget", "0", "--json").json
        own, small, whole = result["settings"]
        assert [each["setting"] for each in (own, small, whole)] == ["as it is", "budget 800", "no budget"]
        assert small["most_characters"] <= 1_000 < own["most_characters"] < whole["most_characters"]
        assert [each["in_prompt"] for each in (own, small, whole)] == [1.0, 1.0, 1.0]

    def test_a_table_and_a_picture(self, call: Call, tmp_path: Path) -> None:
        printed = call("eval", written(tmp_path, NUTS), *JOHN, "--chart", str(tmp_path / "chart.svg"))
        assert printed.code == 0
        assert "Recall of 3 memories of user_id=john" in printed.out
        assert "█" * 20 in printed.out
        assert "characters ÷ 4" in printed.out
        assert "August 2025" in printed.out
        picture = ElementTree.parse(tmp_path / "chart.svg").getroot()
        assert "100%" in "".join(picture.itertext())

    def test_a_picture_that_cannot_be_written_loses_no_result(self, call: Call, tmp_path: Path) -> None:
        (tmp_path / "chart.svg").mkdir()
        printed = call("eval", written(tmp_path, NUTS), *JOHN, "--chart", str(tmp_path / "chart.svg"))
        assert printed.code == 2
        assert "cannot be written" in printed.err
        assert "Recall of 3 memories of user_id=john" in printed.out

    def test_other_braces_in_a_task(self, call: Call, tmp_path: Path) -> None:
        """They are no names of inputs for CrewAI."""
        printed = call("eval", written(tmp_path, NUTS), *JOHN, "--json", "--task", 'As {"answer": 0}: {question} {} {')
        assert printed.json["settings"][0]["in_prompt"] == 1.0

    def test_it_tells_how_far_it_is(self, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of a file of thousands of questions, which takes many minutes."""
        told: list[str] = []

        @contextmanager
        def telling(what: str) -> Iterator[Callable[[int], None]]:
            yield lambda count: told.append(f"{what}: {count}")

        monkeypatch.setattr(command, "telling_progress", telling)
        call("eval", written(tmp_path, NUTS, NUTS), *JOHN, "--budget", "800", "--task", "{question}")
        assert told == [f"asked by a crew, {setting}: {n}" for setting in ("as it is", "budget 800") for n in (1, 2)]

    def test_prices_of_your_own(self, call: Call, tmp_path: Path) -> None:
        printed = call("eval", written(tmp_path, NUTS), *JOHN, "--price", "1000")
        assert "$1000" in printed.out
        assert "gpt-4o" not in printed.out

    def test_a_bar_for_scripts(self, call: Call, tmp_path: Path) -> None:
        file = written(tmp_path, NUTS, {"question": "Where does John live?", "words": ["Paris"]})
        assert call("eval", file, *JOHN, "--at-least", "0.5").code == 0
        printed = call("eval", file, *JOHN, "--at-least", "0.6")
        assert printed.code == 1
        assert "less than 0.60" in printed.err

    def test_nothing_is_written(self, call: Call, tmp_path: Path, johns: Path) -> None:
        before = call("list", *JOHN, "--json").json
        call("eval", written(tmp_path, NUTS), *JOHN)
        assert call("list", *JOHN, "--json").json == before
        with open_store(path=johns, user_id="john") as store:
            assert store.count() == 3


def test_an_embedder_that_is_a_function_of_the_application(call: Call, tmp_path: Path, store_path: Path) -> None:
    with open_store(path=store_path, user_id="john", embedder=WordHashEmbedder()) as store:
        store.add("John is allergic to nuts")
    printed = call("eval", written(tmp_path, NUTS), *JOHN, "--json")
    assert "By words only" in printed.err
    assert printed.json["settings"][0]["in_prompt"] == 1.0


class TestErrors:
    @pytest.mark.parametrize(
        ("content", "name", "message"),
        [
            ("{}", "q.txt", "is none of .json, .jsonl"),
            ("", "q.jsonl", "has no question"),
            ('{"question": "a", "words": "b"}\n{"question"', "q.jsonl", "line 2 is not JSON"),
            ('{"words": ["b"]}', "q.jsonl", "line 1, field question: is missing"),
            ('{"question": 3, "words": ["b"]}', "q.jsonl", "line 1, field question: must be a text"),
            ('{"question": "a", "words": [" "]}', "q.jsonl", "line 1, field words: must be a text, or a list"),
            ('{"question": "a", "ids": {"b": 1}}', "q.jsonl", "line 1, field ids: must be a text, or a list"),
            ('{"question": "a"}', "q.jsonl", "line 1: neither ids nor words"),
            ('{"question": "a", "word": "b"}', "q.jsonl", "unknown field 'word'; known are question, ids, words"),
            ('{"question": "a", "words": "b"}', "q.json", "is not a list of questions"),
            ('[{"question": "a", "words": "b"}, 7]', "q.json", "question 2 is not an object"),
            ("query,words\na,b\n", "q.csv", "line 1: no column is named question"),
            ("question,words\na,b,c\n", "q.csv", "line 2 has more values than columns"),
            ("question,words\na,\n", "q.csv", "line 2: neither ids nor words"),
            ("[" * 100_000, "q.json", "is not JSON"),
            ('{"question": "a", "words": "b"}\n' + "[" * 100_000, "q.jsonl", "line 2 is not JSON"),
            ('question,words\na,b\nc,"d\n' + "x\n" * 70_000, "q.csv", "line 3 is not CSV"),
            ('{"question": "a", "words": ["\\ud800"]}', "q.jsonl", "line 1, field words has an unpaired surrogate"),
            (
                '{"question": "a \\ud800", "words": ["b"]}',
                "q.jsonl",
                "line 1, field question has an unpaired surrogate",
            ),
            ('{"question": "a", "ids": ["abcdef12"]}', "q.jsonl", "line 1, field ids: no entry of this scope has"),
        ],
    )
    @pytest.mark.usefixtures("johns")
    def test_of_the_file(self, call: Call, tmp_path: Path, content: str, name: str, message: str) -> None:
        (tmp_path / name).write_text(content, encoding="utf-8")
        printed = call("eval", str(tmp_path / name), *JOHN)
        assert (printed.code, printed.out) == (2, "")
        assert message in printed.err
        assert len(printed.err.splitlines()) == 1

    @pytest.mark.usefixtures("johns")
    def test_the_id_of_another_user(self, call: Call, tmp_path: Path) -> None:
        first, *_ = call("list", *JOHN, "--json").json
        file = written(tmp_path, {"question": "allergic?", "ids": [first["id"]]})
        printed = call("eval", file, "--user", "jane")
        assert printed.code == 2
        assert "no entry of this scope has the id" in printed.err

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--task", "Answer the user"], "has no {question}"),
            (["--task", "{question} {name}"], "{question} is the only name in braces"),
            (["--task", "Answer {question} {{name}}"], "{question} is the only name in braces"),
            (["--chart", "chart.png"], "only SVG is written"),
            (["--chart", "/nowhere/at/all/chart.svg"], "there is no folder /nowhere/at/all"),
            (["--budget", "7"], "recall_budget: must be 200 characters or more"),
        ],
    )
    @pytest.mark.usefixtures("johns")
    def test_of_the_options(self, call: Call, tmp_path: Path, options: list[str], message: str) -> None:
        printed = call("eval", written(tmp_path, NUTS), *JOHN, *options)
        assert printed.code == 2
        assert message in printed.err

    @pytest.mark.usefixtures("johns")
    def test_a_user_without_memories(self, call: Call, tmp_path: Path) -> None:
        printed = call("eval", written(tmp_path, NUTS), "--user", "jon")
        assert printed.code == 2
        assert "there is nothing to evaluate" in printed.err
        assert "john" in printed.err

    def test_no_store(self, call: Call, tmp_path: Path, store_path: Path) -> None:
        printed = call("eval", written(tmp_path, NUTS), *JOHN)
        assert printed.code == 2
        assert not store_path.exists()

"""Texts longer than the embedder takes, of every shape: none is lost, each is found by a word of its middle.

``THOROUGH=1`` tries six of each shape, ``LONG_TEXTS=10000`` ten thousand of them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from functools import cache
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import MemoryEntry, PersistentMemory, PersistentStorage, open_store
from crewai_persistent_memory.embedding import Embedder, Fingerprint, KeywordEncoder
from crewai_persistent_memory.embedding.limits import cut, size_of
from crewai_persistent_memory.embedding.spread import SENTENCES
from crewai_persistent_memory.storable import storable_text
from crewai_persistent_memory.text import words as word_boundaries
from crewai_persistent_memory.text.normal_form import normal_form
from crewai_persistent_memory.text.words import PIECE, Grouping, Piece, for_document

from ..support.awkward_texts import SHAPES, awkward_texts
from ..support.embedders import WordHashEmbedder
from ..support.openai_server import MOST_INPUTS, OpenAIServer, refusal_of
from ..support.thorough import IS_THOROUGH, sample

COUNT = int(os.environ.get("LONG_TEXTS", "0")) or (6 if IS_THOROUGH else 1) * len(SHAPES)
MANY = 5_000 if IS_THOROUGH else MOST_INPUTS + 100

pytestmark = [pytest.mark.crew, pytest.mark.ends]


@cache
def one_of_each_shape(**options: int) -> dict[str, str]:
    return {each.shape: each.text for each in awkward_texts(len(SHAPES), **options)}


class Refused(Exception):
    """As ``openai.BadRequestError``."""

    status_code = 400


class StrictEmbedder:
    """Refuses what OpenAI refuses, or less. Its vectors say nothing, so that only words find anything."""

    def __init__(self, most_bytes: int | None = None) -> None:
        self.most_bytes = most_bytes
        self.refusals = 0

    def __call__(self, texts: list[str]) -> list[list[float]]:
        refusal = refusal_of(texts)
        if self.most_bytes is not None and max(map(size_of, texts)) > self.most_bytes:
            refusal = f"input is too long: at most {self.most_bytes} tokens"
        if refusal:
            self.refusals += 1
            raise Refused(refusal)
        return [
            [byte / 127.5 - 1 for byte in hashlib.blake2b(text.encode(), digest_size=16).digest()] for text in texts
        ]


@pytest.mark.parametrize("most_bytes", [None, 3_000], ids=["as OpenAI", "a smaller model"])
def test_none_is_lost_and_each_is_found(tmp_path: Path, most_bytes: int | None) -> None:
    embedder = StrictEmbedder(most_bytes)
    texts = awkward_texts(COUNT)
    lost: list[str] = []
    number, limit = 0, min(100, COUNT // 2)
    with PersistentMemory(path=tmp_path / "s", user_id="john", embedder=embedder) as memory:
        while group := list(islice(texts, 20)):
            memory.remember_many([each.text for each in group])
            for each in group:
                number += 1
                expected = storable_text(each.text)
                # These vectors say nothing, and count all the same: the one that has the word may not be the first.
                found = [match.record.content for match in memory.recall(each.word, limit=limit, whole=True)]
                if size_of(expected) <= 8_192 or expected not in found:
                    lost.append(f"{number} {each.shape} {len(each.text)}")
        assert lost == []
        assert memory.store.count() == number == COUNT
        assert memory.store.embed_missing() == 0, "each has a vector"
    assert embedder.refusals <= 10, "what the embedder takes is known after the first refusals"


def test_what_a_crew_saves_with_its_metadata(tmp_path: Path) -> None:
    """As CrewAI until 1.9.3 saves: an answer, with metadata that JSON cannot always hold."""
    with PersistentStorage(path=tmp_path / "s", user_id="john", embedder=StrictEmbedder()) as storage:
        for number, each in enumerate(awkward_texts((2 if IS_THOROUGH else 1) * len(SHAPES), seed=2)):
            storage.save(each.text, {"number": number, "tags": {each.shape}, 3: float("inf"), "\ud800": b"\xff"})
            [found] = [r for r in storage.search(each.word, limit=5) if r["metadata"].get("number") == number]
            assert each.word in found["content"], each.shape


class TestOpenAI:
    @pytest.fixture
    def spec(self, openai_server: OpenAIServer) -> Iterator[dict[str, Any]]:
        openai_server.embedded.clear()
        config = {"model_name": "words", "api_key": "sk-test", "api_base": f"{openai_server.url}/v1"}
        yield {"provider": "openai", "config": config}
        openai_server.embeddings_away = False
        openai_server.embedded.clear()

    def test_more_texts_at_once_than_a_call_takes(
        self, tmp_path: Path, openai_server: OpenAIServer, spec: dict[str, Any]
    ) -> None:
        with PersistentMemory(path=tmp_path / "s", user_id="john", embedder=spec) as memory:
            memory.remember_many([f"fact number {number}" for number in range(MANY)])
            assert memory.store.count() == MANY
            assert memory.store.embed_missing() == 0
        calls = [len(texts) for texts in openai_server.embedded]
        full, left = divmod(MANY, MOST_INPUTS)
        assert calls[:-1] == [*[MOST_INPUTS] * full, left]
        assert calls[-1] == len(SENTENCES), "the spread of the embedder's cosines is measured once"

    def test_long_texts_and_a_long_query(
        self, tmp_path: Path, openai_server: OpenAIServer, spec: dict[str, Any]
    ) -> None:
        with PersistentMemory(path=tmp_path / "s", user_id="john", embedder=spec) as memory:
            # More than is looked at of one text.
            texts = [f"{'tea and cake ' * 20_000} marker{number} {'量子' * 60_000}" for number in range(3)]
            memory.remember_many(texts)
            assert memory.store.embed_missing() == 0
            assert all(refusal_of(asked) is None for asked in openai_server.embedded)
            openai_server.embedded.clear()
            query = f"marker1 {'what about it? ' * 15_000}"
            assert "marker1" in memory.recall(query, limit=1)[0].record.content
        assert sum(map(len, openai_server.embedded)) <= 8, "a long query is cheap"

    def test_away_and_back(
        self,
        tmp_path: Path,
        openai_server: OpenAIServer,
        spec: dict[str, Any],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        with PersistentMemory(path=tmp_path / "s", user_id="john", embedder=spec) as memory:
            memory.remember("John likes tea")
            openai_server.embeddings_away = True
            memory.remember("John likes cake")
            memory.remember("John lives in Lyon")
            assert memory.recall("cake")[0].record.content == "John likes cake"
            warnings = [r.getMessage() for r in caplog.records if "failed" in r.getMessage()]
            assert len(warnings) == 1, "once an outage"
            assert "overloaded" in warnings[0]
        with PersistentMemory(path=tmp_path / "s", user_id="john", embedder=spec) as memory:
            openai_server.embeddings_away = False
            memory.remember("John has a dog")
            assert {"John likes cake", "John lives in Lyon"} <= {t for texts in openai_server.embedded for t in texts}
            assert memory.store.embed_missing() == 0


class TestRefusals:
    def embed(self, function: Any, texts: list[str]) -> list[list[float]]:
        return Embedder(function, Fingerprint()).embed(texts)

    @pytest.mark.parametrize("position", [0, 1, 100, 255])
    @pytest.mark.parametrize("error", [ValueError("no"), Refused("content policy")], ids=["a callable's", "HTTP 400"])
    def test_one_takes_no_neighbours_with_it(self, position: int, error: Exception) -> None:
        calls = []

        def picky(texts: list[str]) -> list[list[float]]:
            calls.append(texts)
            if any("bad" in text for text in texts):
                raise error
            return [[float(len(text)), 1.0] for text in texts]

        texts = ["x" * (number + 1) for number in range(256)]
        texts[position] = "bad"
        vectors = self.embed(picky, texts)
        assert [number for number, vector in enumerate(vectors) if not vector] == [position]
        assert all(vector == [number + 1.0, 1.0] for number, vector in enumerate(vectors) if vector)
        assert len(calls) <= 20

    def test_an_embedder_that_is_away_is_not_asked_for_each(self) -> None:
        for error in (ConnectionError("refused"), ValueError("whatever is sent"), Refused("unknown model")):
            calls = []

            def away(texts: list[str], error: Exception = error, calls: list[Any] = calls) -> Any:
                calls.append(texts)
                raise error

            with pytest.raises(Exception, match=str(error)):
                self.embed(away, ["x"] * 1_000)
            assert len(calls) <= 2

    def test_many_refusals_cost_a_bounded_number_of_calls(self) -> None:
        calls = []

        def picky(texts: list[str]) -> list[list[float]]:
            calls.append(texts)
            if any("bad" in text for text in texts):
                raise ValueError("no")
            return [[1.0] for _ in texts]

        vectors = self.embed(picky, [f"bad {n}" if n % 2 else "good" for n in range(256)])
        assert not any(vectors[1::2])
        assert len(calls) < 200

    def test_nonsense_for_one_text(self) -> None:
        def odd(texts: list[str]) -> list[list[float]]:
            return [[float("nan") if "odd" in text else 1.0] for text in texts]

        assert self.embed(odd, ["a", "odd", "b"]) == [[1.0], [], [1.0]]


class TestCutting:
    @pytest.mark.parametrize("shape", sorted(SHAPES))
    def test_pieces_are_within_the_limit_and_nothing_is_left_out(self, shape: str) -> None:
        text = storable_text(one_of_each_shape(seed=3)[shape])
        pieces = cut(text, 1_000, most=10**9)
        assert max(map(size_of, pieces)) <= 1_000
        assert "".join(pieces).split() == text.split() or "".join("".join(pieces).split()) == "".join(text.split())

    def test_of_a_very_long_text_pieces_from_all_over_it(self) -> None:
        pieces = cut(" ".join(f"word{n:06}" for n in range(100_000)), 8_000, most=64)
        assert len(pieces) == 64
        firsts = [int(piece.split()[0][4:]) for piece in pieces]
        assert firsts[0] == 0
        assert firsts[-1] > 99_000
        assert max(b - a for a, b in pairwise(firsts)) < 3_000

    def test_the_vector_is_the_mean_of_its_pieces(self) -> None:
        embedder = Embedder(lambda texts: [[1.0, 0.0] if "a" in t else [0.0, 2.0] for t in texts], Fingerprint())
        [short] = embedder.embed(["b"])
        assert short == [0.0, 2.0], "as the embedder gave it"
        [vector] = embedder.embed(["a" * 8_000 + "b" * 8_000])
        assert vector == pytest.approx([0.5**0.5, 0.5**0.5])


class TestKeywords:
    def test_a_cut_looks_at_its_neighbours_only(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Not at the rest of the run, which may be a megabyte: there are hundreds of cuts in it."""
        run, seen = word_boundaries._RUN, []

        class Looking:
            def match(self, *arguments: Any) -> Any:
                found = run.match(*arguments)
                seen.append(found[0])
                return found

        monkeypatch.setattr(word_boundaries, "_RUN", Looking())
        assert word_boundaries.within_run("量" * 10_000, 100) == 1
        assert word_boundaries.within_run("ไ" * 10_000, 100) == 3
        assert max(map(len, seen)) <= 4

    @pytest.mark.parametrize("shape", sorted(SHAPES))
    def test_every_term_of_a_long_text_is_in_one_of_its_passages(self, shape: str) -> None:
        encoder = KeywordEncoder()
        text = storable_text(one_of_each_shape(seed=4, shortest=2 * PIECE, longest=2 * PIECE + 1)[shape])
        at_once = encoder._model.embed_document(for_document(Piece(normal_form(text)), Grouping.ALL))
        found = encoder.document(text)
        # A cut at a mark that stands inside a word of an Indic script makes two words of it.
        assert len(set(at_once.indices) - set(found.indices)) <= len(at_once.indices) / 400
        # A word longer than a passage is there whole, and in parts.
        assert len(found.indices) <= 1.01 * len(at_once.indices) + 200

    @pytest.mark.parametrize("offset", sample(range(-3, 4), 3))
    @pytest.mark.parametrize("unit", ["量子計算", "ชาเขียว", "word ", "wort。", "a" * 1_500 + " ", "가나 API를 "])
    def test_cuts_inside_and_between_words(self, unit: str, offset: int) -> None:
        encoder = KeywordEncoder()
        text = "x" * (7 + offset) + unit * (2 * PIECE // len(unit) + 9)
        at_once = encoder._model.embed_document(for_document(Piece(text), Grouping.ALL))
        assert set(encoder.document(text).indices) >= set(at_once.indices)

    def test_a_fact_in_a_long_report_weighs_as_in_a_note(self) -> None:
        encoder = KeywordEncoder()
        note = "The staging database moved to Lisbon."
        report = "Nothing of interest was reported on that day by anybody. " * 400
        weights = [
            dict(zip(vector.indices, vector.values, strict=True))
            for vector in map(encoder.document, (note, f"{report}\n\n{note}\n\n{report}"))
        ]
        for term in encoder.query("Lisbon", context=False).indices:
            assert weights[1][term] >= 0.8 * weights[0][term]

    @pytest.mark.parametrize(
        ("text", "query"),
        [
            ("我们使用OpenAI的模型来预订东京塔的门票", "东京塔"),
            ("我们使用OpenAI的模型来预订东京塔的门票", "openai"),
            ("彼は緑茶が好きです", "緑茶"),
            ("我想喝茶", "茶"),
            ("我想喝茶", "喝茶吗"),
            ("ฉันชอบชาเขียว", "เขาดื่มชา"),
            ("彼は茶を飲む", "茶"),
            ("ฉันชอบชาเขียว", "ชาเขียว"),
            ("ฉันชอบชาเขียว", "ชา"),
            ("우리는 OpenAI의 모델을 쓴다", "OpenAI"),
            ("הוא משתמש בOpenAI", "OpenAI"),
            ("re\u0301sume\u0301 sent", "résumé"),
        ],
    )
    def test_scripts_without_blanks_are_found_by_their_words(self, kept_store: Path, text: str, query: str) -> None:
        with open_store(path=kept_store, user_id="john", embedder=None) as store:
            store.add("something else: 其他 ほか แมว 다른")
            store.add(text, id="a")
            assert store.search(query)[0].id == "a"

    def test_a_query_has_a_bounded_number_of_terms(self) -> None:
        encoder = KeywordEncoder()
        for text in (" ".join(f"w{n}" for n in range(200_000)), "".join(map(chr, range(0x4E00, 0x9FFF))) * 20):
            assert 0 < len(encoder.query(f"tea {text} cake", context=False).indices) <= 4_096
            terms = set(encoder.query(f"tea {text} cake").indices)
            assert set(encoder.query("tea").indices) <= terms
            assert set(encoder.query("cake").indices) <= terms


class TestStore:
    def test_a_text_the_embedder_refuses_for_good(self, tmp_path: Path) -> None:
        class Picky(WordHashEmbedder):
            def __call__(self, texts: list[str]) -> list[list[float]]:
                if any("forbidden" in text for text in texts):
                    raise Refused("content policy")
                return super().__call__(texts)

        embedder = Picky()
        with open_store(path=tmp_path / "s", user_id="john", embedder=embedder) as store:
            store.put([MemoryEntry(str(n), f"fact {n}" if n % 10 else f"forbidden {n}") for n in range(100)])
            assert store.count() == 100
            assert {entry.id for entry in store.search("forbidden", limit=10)} == {str(n) for n in range(0, 100, 10)}
            assert store.get("1").embedding  # type: ignore[union-attr]
            store.add("another")
            store.add("and another")
            before = len(embedder.calls)
            store.add("they are not tried again with every save")
            assert len(embedder.calls) == before + 1
            assert store.embed_missing() == 0

    def test_vectors_of_another_length_lose_nothing(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        embedder = WordHashEmbedder()
        with open_store(path=tmp_path / "s", user_id="john", embedder=embedder) as store:
            store.add("John likes tea", id="a")
            store.embedder._function = WordHashEmbedder(32)  # type: ignore[attr-defined]
            store.add("John likes cake", id="b")
            assert store.search("cake")[0].id == "b"
            assert "dimensions" in caplog.text

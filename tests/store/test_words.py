"""Words are found however Unicode writes them; the text itself is kept as it was given."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from crewai_persistent_memory import MemoryStore, open_store
from crewai_persistent_memory.embedding import KeywordEncoder
from crewai_persistent_memory.text import bm25
from crewai_persistent_memory.text.normal_form import PIECE, normal_form


def nfd(text: str) -> str:
    return unicodedata.normalize("NFD", text)


SAME = {
    "accent": (nfd("café"), "café"),
    "cyrillic": (nfd("Київ"), "Київ"),
    "hangul": (nfd("한국어"), "한국어"),
    "kana": (nfd("ガイド"), "ガイド"),
    "vietnamese": (nfd("Tiếng"), "Tiếng"),
    "no letter with this accent": ("за\u0301мок", "замок"),
    "soft hyphen": ("aller\u00adgic", "allergic"),
    "zero-width space": ("aller\u200bgic", "allergic"),
    "word joiner": ("aller\u2060gic", "allergic"),
    "zero-width joiner": ("aller\u200dgic", "allergic"),
    "between letter and accent": ("cafe\u200b\u0301", "café"),
    "Persian with and without a non-joiner": ("می\u200cخواهم", "میخواهم"),
    "direction": ("\u202eallergic\u202c", "allergic"),
    "full width": ("ａｌｌｅｒｇｉｃ", "allergic"),
    "half width": ("ｶﾞｲﾄﾞ", "ガイド"),
    "ligature": ("ﬁnance", "finance"),
    "mathematical": ("𝐚𝐥𝐥𝐞𝐫𝐠𝐢𝐜", "allergic"),
    "vowel points": ("كِتَاب", "كتاب"),
    "tatweel": ("كـــتاب", "كتاب"),
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MemoryStore]:
    with open_store(path=tmp_path / "s", project_id="words") as opened:
        yield opened


def test_either_is_found_by_the_other(store: MemoryStore) -> None:
    for case in SAME:
        for number, (text, query) in enumerate([SAME[case], SAME[case][::-1]]):
            own = store.scoped(user_id=f"{case} {number}")
            own.add(f"John: {text}.")
            own.add("Jane: something else.")
            assert own.search(query)[0].content == f"John: {text}.", case  # the next one is found as what followed it


def test_a_zero_width_space_may_stand_between_two_words(store: MemoryStore) -> None:
    own = store.scoped(user_id="john")
    own.add("green\u200btea")
    for query in ("tea", "green", "greentea", "green\u200btea"):
        assert len(own.search(query)) == 1, query


def test_a_query_of_nothing_that_is_seen_finds_nothing(store: MemoryStore) -> None:
    own = store.scoped(user_id="unseen")
    own.add("\u200b\u00ad\u0301 tea")
    assert own.search("\u200b\u00ad") == []
    assert len(own.search("tea")) == 1


def test_what_was_indexed_before_is_found_as_it_was(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before there was a normal form, texts were indexed in NFC."""
    with monkeypatch.context() as older:
        older.setattr(bm25, "normal_form", lambda text: unicodedata.normalize("NFC", text))
        for case, (text, _) in SAME.items():
            store.scoped(user_id=case).add(text)
    for case, (text, _) in SAME.items():
        assert [entry.content for entry in store.scoped(user_id=case).search(text)] == [text], case


@pytest.mark.parametrize("unit", ["한국어", "ガイド ", "Київ – ", "कलम क़लम ", "오늘 진짜 웃겼어ㅋㅋㅠㅠ "])
@pytest.mark.parametrize("offset", range(3))
def test_long_texts_have_one_form_wherever_they_are_cut(unit: str, offset: int) -> None:
    text = "x" * offset + unit * (2 * PIECE // len(unit))
    assert normal_form(nfd(text)) == normal_form(text) == normal_form(unicodedata.normalize("NFC", text))
    assert normal_form(text) == normal_form(unicodedata.normalize("NFKC", text))


def test_similar_texts_are_so_in_every_form() -> None:
    encoder = KeywordEncoder()
    assert encoder.similarity("aller\u00adgic to caf\u00e9", "allergic to cafe\u0301") == pytest.approx(1)

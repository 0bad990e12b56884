"""``reranker="local:/folder"``: a cross-encoder in the process, and folders and names that are none."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from crewai_persistent_memory import ConfigurationError, EmbedderUnavailableError, PersistentMemory
from crewai_persistent_memory.embedding.cross_encoder import CrossEncoder, cross_encoder

from ..support import onnx_models

LATER_WORDS = "immunity biochemistry algebra"
"""They have higher ids than "the", so the model of these tests gives a text with them a higher score."""


@pytest.fixture
def folder(tmp_path: Path, minilm: Path) -> Path:
    folder = tmp_path / "cross-encoder"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(onnx_models.cross_encoder())
    shutil.copy(minilm / "tokenizer.json", folder)
    return folder


def test_it_orders_a_recall(tmp_path: Path, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with PersistentMemory(
        path=tmp_path / "s", user_id="john", reranker=f"local:{folder}", reranker_timeout=60
    ) as memory:
        memory.remember("tea tea tea the the the")
        memory.remember(f"tea {LATER_WORDS}")
        found = [match.record.content for match in memory.recall("tea")]
    assert found == [f"tea {LATER_WORDS}", "tea tea tea the the the"]
    assert "reranker" not in caplog.text


@pytest.mark.parametrize(
    "query",
    ["寿司" * 5_000, "寿司が好き" * 30, "tea " * 3_000, "👩‍👩‍👧" * 500, "x" * 100_000, " ", "\ud800 tea"],
    ids=["10,000 in Chinese", "150 in Japanese", "English", "emoji", "a word", "blank", "half a character"],
)
def test_a_question_of_any_length_leaves_room_for_the_texts(folder: Path, query: str) -> None:
    encoder = cross_encoder(f"local:{folder}")
    the, later, long = encoder(query, ["the " * 20, LATER_WORDS * 5, "寿司" * 2_000])
    assert later > the
    assert long > 0


def test_a_model_with_other_inputs(tmp_path: Path, folder: Path) -> None:
    (folder / "model.onnx").write_bytes(onnx_models.cross_encoder().replace(b"input_ids", b"input_idz"))
    with pytest.raises(EmbedderUnavailableError, match=r"model\.onnx needs input_idz"):
        PersistentMemory(path=tmp_path / "s", user_id="john", reranker=f"local:{folder}")


@pytest.mark.parametrize("files", ["none", "no tokenizer", "no model"])
def test_a_folder_without_a_model_names_the_option(tmp_path: Path, folder: Path, files: str) -> None:
    if files == "none":
        shutil.rmtree(folder)
    else:
        (folder / ("tokenizer.json" if files == "no tokenizer" else "model.onnx")).unlink()
    with pytest.raises(EmbedderUnavailableError, match=r"^reranker: (there is no|the) model folder"):
        PersistentMemory(path=tmp_path / "s", user_id="john", reranker=f"local:{folder}")


def test_by_name_without_a_network(tmp_path: Path, no_network: list[object]) -> None:
    pytest.importorskip("fastembed", reason="the package fastembed is not installed: it downloads models")
    with pytest.raises(
        EmbedderUnavailableError,
        match=r"^the reranker Xenova/ms-marco-MiniLM-L-6-v2 cannot be downloaded .* Give reranker='local:/folder/of",
    ):
        PersistentMemory(path=tmp_path / "s", user_id="john", reranker="local/Xenova/ms-marco-MiniLM-L-6-v2")


@pytest.mark.parametrize("name", ["localhost", "locally/a-model", "local", "onnx", ""])
def test_what_is_no_name_of_one(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"reranker=.* is not known: give a function, 'local:/folder"):
        cross_encoder(name)


def test_loaded_once(folder: Path) -> None:
    first = cross_encoder(f"local:{folder}")
    assert isinstance(first, CrossEncoder)
    assert cross_encoder(f"local:{folder}") is first

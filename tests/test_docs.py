"""The code in ``docs/scaling.md`` is what the package understands, and ``docs/architecture.md`` names what is there.

The code in ``docs/web-services.md`` runs in ``tests/crew/test_web_services.py``.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory.admin import Receipt
from crewai_persistent_memory.config.qdrant import CollectionSettings

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "crewai_persistent_memory"
SCALING = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", SCALING, re.DOTALL)


def test_the_profiles_are_settings() -> None:
    profiles = [code for code in PYTHON if code.startswith("settings =")]
    assert len(profiles) == 3
    for code in profiles:
        names: dict[str, Any] = {}
        exec(code, names)
        CollectionSettings.model_validate(names["settings"])
    for name in re.findall(r"^\| `(\w+)` \|", SCALING, re.MULTILINE):
        assert name in CollectionSettings.model_fields


def test_every_snippet_is_run_somewhere() -> None:
    """The fourth one, ``dedicate_project``, needs a cluster: ``tests/server/test_cluster.py``."""
    assert len(PYTHON) == 4


def named_modules() -> set[Path]:
    """The modules of architecture's table. Names in one cell are in the folder of the name before, or say their own."""
    found: set[Path] = set()
    for cell in re.findall(r"^\| (`.*?) \|", ARCHITECTURE, re.MULTILINE):
        folder = PACKAGE
        for name in re.findall(r"`([^`]+)`", cell):
            here = list(folder.glob(name)) if "/" not in name else []
            modules = here or list(PACKAGE.glob(name))
            assert modules, f"{name} is in docs/architecture.md and not in the package"
            folder = modules[0].parent
            found.update(modules)
    return found


def test_every_module_is_in_the_architecture() -> None:
    named = named_modules()
    folders = {path for path in named if path.is_dir()}
    modules = {path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"}
    missing = {path for path in modules - named if not folders & set(path.parents)}
    assert not missing, sorted(str(path.relative_to(PACKAGE)) for path in missing)


def test_twenty_decisions_have_one_file_each() -> None:
    """A question, and the module that answers it: a newcomer finds it by its name."""
    asked = re.findall(r"^\| ([A-Z][^|]*\?) \| `([^`]+)` \|$", ARCHITECTURE, re.MULTILINE)
    assert len(asked) >= 20
    assert len({question for question, _ in asked}) == len({name for _, name in asked}) == len(asked)
    missing = [name for _, name in asked if not (PACKAGE / name).is_file()]
    assert not missing


def test_the_middleware_and_the_field_of_the_guide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, field = re.findall(r"```python\n(.*?)```", ARCHITECTURE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    with names["store"] as store:
        store.add("John likes tea")
        assert store.count() == 1
    assert names["counted"] == {"Put": 1, "Count": 1}
    exec(field, names)
    with names["store"] as store:
        store.add("the roof leaks", metadata={"priority": 1})
        assert store.count(fields={"priority": [1, 2]}) == 1


def test_links_lead_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")]:
        for target, heading in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", page.read_text(encoding="utf-8")):
            there = page.parent / target if target else page
            assert there.exists(), f"{page.name} links to {target}"
            assert not heading or heading in headings_of(there), f"{page.name} links to {target}#{heading}"


def headings_of(page: Path) -> set[str]:
    """The names of a page's headings in links."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_code_about_durability_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "docs" / "durability.md").read_text(encoding="utf-8")
    [code] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert (tmp_path / "outbox").is_dir()


def test_the_code_about_the_doctor_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (ROOT / "docs" / "doctor.md").read_text(encoding="utf-8")
    program, another = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(program, {})
    assert "settings the folder 'memory' is relative" in capsys.readouterr().out
    names: dict[str, Any] = {}
    exec(another, names)
    assert [finding.found for finding in names["the_clock_is_right"].function(None)] == ["the clock is plausible"]


def test_the_checks_of_the_doctor_are_those_of_the_page() -> None:
    from crewai_persistent_memory.doctor.report import CHECKS

    page = (ROOT / "docs" / "doctor.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ((?:`[^`]+`,? ?)+) \|", page.partition("## What is checked")[2], re.MULTILINE)
    documented = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    assert documented == {check.name for check in CHECKS}


def page_and_code(name: str) -> tuple[str, str]:
    """A page of the docs, and the one program on it."""
    text = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    [code] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    return text, code


def test_the_code_about_moving_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, code = page_and_code("moving")
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert capsys.readouterr().out == "1 new, 0 replaced\n"
    exec(code, {})
    assert capsys.readouterr().out == "1 new, 1 replaced\n", "it is added once more, and the first is there"


def test_the_code_about_expiry_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, code = page_and_code("expiry")
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert capsys.readouterr().out == "1 kept of 2\nNone None\n"


def test_the_code_about_erasing_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text, code = page_and_code("erasing")
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert capsys.readouterr().out == "1 erased, 0 left\nTrue\n"
    fields = {field.name for field in dataclasses.fields(Receipt)} | {"format", "signature"}
    table = text.partition("## The receipt")[2].partition("## ")[0]
    assert set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)))) == fields


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("backups", r"1 memories in .*backup-monday\n"),
        ("correcting", r"John likes tea\n"),
        ("operating", r"0 wait, 0 refused\n"),
        ("reembedding", r"1 of 1 \('semantic', 'keywords'\)\n"),
        ("recall", r"1 1 0\.\d+ given whole John moved to Rome\n"),
    ],
)
def test_the_code_of_other_pages_runs(
    name: str, printed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, code = page_and_code(name)
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert re.fullmatch(printed, capsys.readouterr().out.splitlines(keepends=True)[-1])


def test_every_program_of_the_docs_is_run_by_a_test() -> None:
    """By a test that names its page, or all programs of the page."""
    pages = {page.stem for page in (ROOT / "docs").glob("*.md") if "```python\n" in page.read_text(encoding="utf-8")}
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert {page for page in pages if f'"{page}.md"' not in tests and f'"{page}"' not in tests} == set()

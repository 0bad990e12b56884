"""Wrong arguments are refused before anything is started, with what to do."""

from __future__ import annotations

import functools
import sys
import types
from typing import Any

import pytest

from crewai_persistent_memory import ConfigurationError
from crewai_persistent_memory.testing import (
    assert_isolated,
    assert_shared_by_workers,
    assert_survives_restart,
    processes,
)
from crewai_persistent_memory.testing.factories import find, name_of

from . import crews


@pytest.fixture(autouse=True)
def nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(*_: object) -> Any:
        raise RuntimeError("a process was started")

    monkeypatch.setattr(processes, "start", start)


def local_factory(llm: Any) -> Any:
    def build(llm: Any) -> Any:
        return crews.by_crew_kwargs(llm)

    return build


in_a_module_no_more = crews.by_crew_kwargs


@pytest.mark.parametrize(
    ("factory", "told"),
    [
        (lambda llm: None, "is a lambda"),
        (local_factory(None), "is defined inside another function"),
        (functools.partial(crews.by_user, "john"), "is a functools.partial"),
        (crews.Desk().crew, "is a method of an object"),
        (crews.Desk, "is a class, not a function"),
        (crews.that_needs_more, "requires settings"),
        (crews.that_awaits, "is an async function"),
        (crews.that_generates, "is a generator"),
        ("app", 'write "module:function"'),
        (":build", 'write "module:function"'),
        (None, "is a NoneType, not a function"),
        ({"llm": 1}, "is a dict, not a function"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_is_no_factory(factory: Any, told: str) -> None:
    with pytest.raises(ConfigurationError, match="crew_factory") as caught:
        assert_survives_restart(factory)
    assert told in str(caught.value)


@pytest.mark.parametrize("factory", [lambda llm: None, local_factory(None), crews.Desk().crew])
def test_says_what_to_do(factory: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"Write it as a function of a module \(def build_crew\(llm\)"):
        assert_isolated(factory, users=["john", "jane"])


def test_a_function_that_another_one_has_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crews, "by_user", crews.by_crew_kwargs)
    replaced = types.FunctionType(crews.by_crew_kwargs.__code__, {}, "by_user")
    replaced.__module__, replaced.__qualname__ = crews.__name__, "by_user"
    with pytest.raises(ConfigurationError, match="is not what"):
        name_of(replaced)


def test_of_a_script(monkeypatch: pytest.MonkeyPatch) -> None:
    """A script is imported in the other process under another name, so it is not run again."""
    script = types.ModuleType("__main__")
    exec("def build(llm):\n    return None", vars(script))
    monkeypatch.setitem(sys.modules, "__main__", script)
    with pytest.raises(ConfigurationError, match="interactive session"):
        name_of(script.build)
    script.__file__ = "/app/main.py"
    assert name_of(script.build).module == "__mp_main__"


def test_a_module_that_is_not_on_the_path(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with pytest's ``--import-mode=importlib``."""
    file = tmp_path / "test_app.py"
    file.write_text("def build(llm):\n    return 'a crew'\n")
    module = types.ModuleType("tests_of.test_app")
    module.__file__ = str(file)
    exec(compile(file.read_text(), file, "exec"), vars(module))
    monkeypatch.setitem(sys.modules, "tests_of.test_app", module)
    named = name_of(module.build)
    monkeypatch.delitem(sys.modules, "tests_of.test_app")
    assert find(named)(llm=None) == "a crew"
    monkeypatch.delitem(sys.modules, "tests_of.test_app")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"users": ["john", "jane"], "timout": 3}, "unknown argument timout"),
        ({"users": ["john", "jane"], "path": "x", "url": "http://y"}, "give one of them"),
        ({"users": ["john", "jane"], "url": "localhost"}, "url must be an address"),
        ({"users": ["john", "jane"], "url": 6333}, "url must be an address"),
        ({"users": ["john", "jane"], "path": 3}, "path must be a folder"),
        ({"users": ["john", "jane"], "timeout": 0}, "timeout must be"),
        ({"users": ["john", "jane"], "timeout": "60"}, "timeout must be"),
        ({"users": ["john", "jane"], "told": "My secret is tea"}, "told= needs the place"),
        ({"users": ["john", "jane"], "asked": " "}, "asked= is the question"),
        ({"users": ["john", "jane"], "inputs": {"request": "hello"}}, "inputs has no {text}"),
        ({"users": ["john", "jane"], "inputs": "{text}"}, "inputs must be a mapping"),
        ({"users": ["john", "jane"], "env": {"A": 1}}, "env must be"),
        ({"users": ["john"]}, "at least two different"),
        ({"users": ["john", "john"]}, "at least two different"),
        ({"users": "john"}, "must be a list of ids"),
        ({"users": None}, "must be a list of ids"),
        ({"users": ["john", 7]}, "must be text"),
        ({"users": ["john", "jane "]}, "begins or ends"),
        ({"users": ["john", ""]}, "is blank"),
    ],
    ids=str,
)
def test_wrong_options(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        assert_isolated(crews.by_crew_kwargs, **options)
    assert told in str(caught.value)


@pytest.mark.parametrize("user", ["", " ", 7, "john\n"])
def test_no_id_of_a_user(user: Any) -> None:
    with pytest.raises(ConfigurationError, match="user_id"):
        assert_survives_restart(crews.by_crew_kwargs, user_id=user)


def test_workers_need_a_store_to_share() -> None:
    with pytest.raises(ConfigurationError, match="say which store the workers share"):
        assert_shared_by_workers(crews.by_crew_kwargs)


def test_not_while_a_tests_process_imports_the_factory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A script without a guard would start processes that start processes."""
    monkeypatch.setenv(processes.IS_WORKER, "the first process")
    with pytest.raises(ConfigurationError, match="__main__"):
        assert_survives_restart(crews.by_crew_kwargs)

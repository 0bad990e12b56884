"""Crew factories: how one is named for another process, found there, and called.

A crew factory is a function that builds a crew. What it needs it takes by name, and no more than these:

- ``llm``: a :class:`~.scripted_llm.ScriptedLLM`. If it takes none, the crew's LLMs are replaced once it is built.
- ``memory``: a ``PersistentMemory`` over the test's store, without a user. If it takes none, the crew builds its own.
- ``user_id``: the user. Then no ``use_scope`` is set, and each request has a crew of its own.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..errors import ConfigurationError

CrewFactory = Callable[..., Any]

GIVEN: Final = ("llm", "memory", "user_id")
"""What a crew factory may take."""

_RELOADED: Final = "__mp_main__"
"""The name of a script that another process imports: not ``__main__``, so that it does not run again. It is that of
``multiprocessing``, which people know to guard against."""

_TO_DO: Final = (
    "The test starts processes of its own, which import it by its name. Write it as a function of a module (def "
    "build_crew(llm): ... in app.py or in the test's file), and give it what it needs there"
)


@dataclass(frozen=True)
class FactoryName:
    """Where another process finds a crew factory."""

    module: str
    name: str
    file: str | None

    def __str__(self) -> str:
        return f"{self.module}:{self.name}"


def name_of(crew_factory: CrewFactory | str) -> FactoryName:
    """The name of a crew factory.

    Args:
        crew_factory: the function, or its name: ``"app.crews:build_crew"``.

    Raises:
        ConfigurationError: another process could not find it, or it takes what nobody gives.
    """
    if isinstance(crew_factory, str):
        module, colon, name = crew_factory.partition(":")
        if not (module and colon and name):
            raise ConfigurationError(f'crew_factory is {crew_factory!r}: write "module:function", or give the function')
        return FactoryName(module, name, None)
    _check_kind(crew_factory)
    module, name = crew_factory.__module__, crew_factory.__qualname__
    file = getattr(sys.modules.get(module), "__file__", None)
    if module == "__main__":
        if file is None:
            raise ConfigurationError(f"crew_factory {name} was defined in an interactive session. {_TO_DO}")
        module = _RELOADED
    found = _attribute(sys.modules.get(crew_factory.__module__), name)
    # A method that is read from its class is a new object each time, and equal.
    if found != crew_factory:
        raise ConfigurationError(
            f"crew_factory is not what {crew_factory.__module__}.{name} is: a decorator gave it another one's name, or "
            f"it was replaced. {_TO_DO}"
        )
    taken(crew_factory, name)
    return FactoryName(module, name, file)


def find(factory: FactoryName) -> CrewFactory:
    """The crew factory of this name, in another process than the one that named it.

    Raises:
        ConfigurationError: it is not there, or is no function of the right kind.
        Exception: importing its module failed.
    """
    found = _attribute(_module(factory), factory.name)
    if not callable(found):
        raise ConfigurationError(f"crew_factory {factory} is not there: its module has no such function")
    _check_kind(found)
    crew_factory: CrewFactory = found
    return crew_factory


def taken(crew_factory: CrewFactory, name: str) -> Sequence[str]:
    """Which of ``GIVEN`` a crew factory takes.

    Raises:
        ConfigurationError: it requires something else.
    """
    parameters = inspect.signature(crew_factory).parameters.values()
    if any(each.kind is each.VAR_KEYWORD for each in parameters):
        return GIVEN
    positional_only = [each.name for each in parameters if each.kind is each.POSITIONAL_ONLY]
    required = [
        each.name
        for each in parameters
        if each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    wrong = [each for each in required if each not in GIVEN or each in positional_only]
    if wrong:
        raise ConfigurationError(
            f"crew_factory {name} requires {', '.join(wrong)}, and is called with llm=, memory= and user_id= only, as "
            "far as it takes them: give the others a default, or write a function around it"
        )
    return [each.name for each in parameters if each.name in GIVEN and each.name not in positional_only]


def _check_kind(crew_factory: Any) -> None:
    if isinstance(crew_factory, functools.partial):
        raise ConfigurationError(f"crew_factory is a functools.partial, which has no name. {_TO_DO}")
    if not callable(crew_factory):
        raise ConfigurationError(
            f"crew_factory is a {type(crew_factory).__name__}, not a function that builds a crew. {_TO_DO}"
        )
    name = getattr(crew_factory, "__qualname__", None)
    if name is None or inspect.isclass(crew_factory):
        kind = "class" if inspect.isclass(crew_factory) else f"{type(crew_factory).__name__} object"
        raise ConfigurationError(f"crew_factory is a {kind}, not a function. {_TO_DO}")
    if "<lambda>" in name:
        raise ConfigurationError(f"crew_factory is a lambda. {_TO_DO}")
    if "<locals>" in name:
        raise ConfigurationError(f"crew_factory {name} is defined inside another function. {_TO_DO}")
    owner = getattr(crew_factory, "__self__", None)
    if owner is not None and not inspect.isclass(owner):
        raise ConfigurationError(f"crew_factory {name} is a method of an object. {_TO_DO}")
    if inspect.iscoroutinefunction(crew_factory) or inspect.isgeneratorfunction(crew_factory):
        kind = "n async function" if inspect.iscoroutinefunction(crew_factory) else " generator"
        raise ConfigurationError(
            f"crew_factory {name} is a{kind}, and must return a crew: write a plain function. Crews are also started "
            "with akickoff, where the installed CrewAI has it"
        )


def _module(factory: FactoryName) -> Any:
    """The module of a factory. A test's module may not be on the path (pytest's ``--import-mode=importlib``)."""
    if factory.module != _RELOADED:
        try:
            module = importlib.import_module(factory.module)
        except ModuleNotFoundError as error:
            if factory.file is None or error.name is None or not f"{factory.module}.".startswith(f"{error.name}."):
                raise
        else:
            if factory.file is None or _is_same(getattr(module, "__file__", None), factory.file):
                return module
    assert factory.file is not None
    spec = importlib.util.spec_from_file_location(factory.module, factory.file)
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"crew_factory {factory} is not there: {factory.file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[factory.module] = module
    spec.loader.exec_module(module)
    return module


def _is_same(one: str | None, other: str) -> bool:
    return one is not None and Path(one).resolve() == Path(other).resolve()


def _attribute(module: Any, name: str) -> Any:
    found = module
    for part in name.split("."):
        found = getattr(found, part, None)
    return found

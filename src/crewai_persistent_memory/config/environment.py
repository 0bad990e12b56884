"""Where options come from (arguments, environment variables, defaults), and the messages about wrong ones."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import platformdirs
from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource
from pydantic_settings.exceptions import SettingsError

from ..errors import ConfigurationError
from .mem0 import without_key_of_another

PREFIX: Final = "CREWAI_MEMORY_"

NEVER_FROM_THE_ENVIRONMENT: Final = frozenset(
    {"user_id", "run_id", "agent_id", "scope", "include_shared", "filter_fields"}
)
"""A variable is set for a whole process: one for the user would make every request that user's. Filter fields are
functions."""


def variable_of(model: type[BaseModel], option: str) -> str:
    """The environment variable of an option."""
    alias = model.model_fields[option].validation_alias
    return alias if isinstance(alias, str) else PREFIX + option.upper()


class ArgumentsAndEnvironment(EnvSettingsSource):
    """Arguments, and environment variables for the options that no argument gives.

    Both by the names of the options: versions of pydantic-settings differ in whether an argument, or a variable, comes
    by its alias, and an option that came by both would be refused.
    """

    def __init__(self, model: type[BaseSettings], arguments: PydanticBaseSettingsSource) -> None:
        super().__init__(model)
        self._arguments = arguments

    def __call__(self) -> dict[str, Any]:
        names = _options_by_alias(self.settings_cls)
        arguments = {names.get(key, key): value for key, value in self._arguments().items()}
        values: dict[str, Any] = {}
        # pydantic-settings needs 1 ms to look at the type of each option: not where no variable is set.
        if read := self._read():
            environment = {names.get(key, key): value for key, value in super().__call__().items()}
            values = {name: value for name, value in environment.items() if name in read}
        for name, value in arguments.items():
            both = isinstance(value, Mapping) and isinstance(values.get(name), Mapping)
            if both and name == "mem0":
                values[name] = without_key_of_another(values[name], value)
            values[name] = {**values[name], **value} if both else value
        return values

    def _read(self) -> set[str]:
        """The options whose variables are set. Some versions of pydantic-settings also read, for an option whose
        variable has another name, one of the option's own name, such as ``CREWAI_MEMORY_URL``."""
        found = {name.upper() for name in os.environ}
        options = self.settings_cls.model_fields.keys() - NEVER_FROM_THE_ENVIRONMENT
        return {option for option in options if variable_of(self.settings_cls, option).upper() in found}


class Settings(BaseSettings):
    """Options that come from arguments and from the environment, and from nowhere else."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (ArgumentsAndEnvironment(settings_cls, init_settings),)


def default_path() -> Path:
    """``$CREWAI_STORAGE_DIR/persistent-memory``, else ``persistent-memory`` in the platform's data folder.

    A relative ``CREWAI_STORAGE_DIR`` is, as CrewAI takes it, a name inside the platform's data folder.
    """
    folder = os.environ.get("CREWAI_STORAGE_DIR")
    if folder:
        return Path(platformdirs.user_data_dir(), folder, "persistent-memory")
    return Path(platformdirs.user_data_dir("crewai-persistent-memory", appauthor=False), "persistent-memory")


def refuse_unknown(given: Mapping[str, Any], known: set[str], what: str) -> None:
    """Raise for the first key that is not known, with the one that was probably meant.

    Raises:
        ConfigurationError: an unknown key.
    """
    for key in given:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(sorted(known))}"
            raise ConfigurationError(f"unknown {what} {key!r}: {hint}")


_OURS: Final = "Value error, "
"""Pydantic puts it before what a check of ours says."""


def explain(error: ValidationError | SettingsError, model: type[BaseModel]) -> str:
    """What is wrong, option by option, without the values: they may be secrets."""
    if isinstance(error, SettingsError):
        return f"an environment variable cannot be read: {error}"
    names = _options_by_alias(model)
    problems = []
    for each in error.errors():
        location = [names.get(str(part), str(part)) for part in each["loc"]]
        depth = 2 if location[:1] in (["collection_settings"], ["mem0"]) else 1
        problems.append(f"{'.'.join(location[:depth]) or 'options'}: {each['msg'].removeprefix(_OURS)}")
    return "; ".join(dict.fromkeys(problems))


def _options_by_alias(model: type[BaseModel]) -> dict[str, str]:
    return {
        field.validation_alias: name
        for name, field in model.model_fields.items()
        if isinstance(field.validation_alias, str)
    }

"""The options of Mem0: of Mem0 Cloud, and of Mem0 OSS (``local_mem0_config``)."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from typing_extensions import Self

from ..addresses import origin_of, same_for_all, shown
from ..redaction import sealed
from . import Accepts

DEFAULT_HOST = "https://api.mem0.ai"
_SECRET_NAMES = ("key", "token", "password", "secret")
_CLOUD_ONLY = ("api_key", "host", "trust_env", "telemetry", "rerank")


class Mem0Options(BaseModel):
    """Which Mem0, and how to call it. With ``local_mem0_config`` it is Mem0 OSS, without it Mem0 Cloud."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    api_key: SecretStr | None = Field(None, description="Of Mem0 Cloud. Left out: MEM0_API_KEY.")
    host: Annotated[str, Accepts("str | None")] = Field(
        DEFAULT_HOST, description="Where Mem0 Cloud answers. Left out: MEM0_HOST, else Mem0's own."
    )
    local_mem0_config: Mapping[str, Any] | None = Field(
        None, repr=False, exclude=True, description="For Mem0 OSS: what Memory.from_config takes, given to it as it is."
    )
    allow_untested_vector_store: bool = Field(
        False, description="Mem0 OSS over a vector store that this package was never tried with; see docs/mem0.md."
    )
    trust_env: bool = Field(True, description="Mem0 Cloud: use the proxies that the environment names; false: none.")
    timeout: float = Field(10.0, gt=0, description="Seconds for one request.")
    retry_for: float = Field(
        10.0, ge=0, description="Seconds over which a request that is safe to repeat is repeated; 0: never."
    )
    startup_check: bool = Field(True, description="Open fails if Mem0 does not answer or refuses the key.")
    startup_timeout: float = Field(5.0, gt=0, description="Seconds for that check.")
    wait: bool = Field(False, description="Adding messages returns when their memories are there, not at once.")
    wait_timeout: float = Field(60.0, gt=0, description="Seconds to wait for that at most.")
    run_expiry_days: int | None = Field(
        None, ge=1, description="What is remembered in a run (run_id) is forgotten after so many days."
    )
    rerank: bool = Field(False, description="Mem0 Cloud ranks results a second time: better order, more latency.")
    telemetry: bool = Field(False, description="Let the mem0 package report usage events to its makers.")

    @field_validator("host")
    @classmethod
    def _check_host(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"give http:// or https:// and a host, such as {DEFAULT_HOST}")
        if parts.username is not None or parts.password is not None or parts.query:
            raise ValueError("no user, password or query in it: a key goes into api_key= or MEM0_API_KEY")
        return value.rstrip("/")

    @field_validator("local_mem0_config")
    @classmethod
    def _check_local(cls, value: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        if value is not None and not value:
            raise ValueError("is empty, and Mem0 would send everything to OpenAI: name vector_store, llm and embedder")
        sealed_value: Mapping[str, Any] | None = sealed(value)
        return sealed_value

    @model_validator(mode="before")
    @classmethod
    def _leave_out_what_is_none(cls, values: Any) -> Any:
        # A variable that is not set (os.getenv) is "left out", as everywhere.
        if not isinstance(values, Mapping):
            return values
        given = {name: value for name, value in values.items() if value is not None}
        host = os.environ.get("MEM0_HOST")
        return {"host": host, **given} if host and "local_mem0_config" not in given else given

    @model_validator(mode="after")
    def _one_mem0(self) -> Self:
        if self.local_mem0_config is not None:
            foreign = [name for name in _CLOUD_ONLY if name in self.model_fields_set]
            if foreign:
                raise ValueError(
                    f"{', '.join(foreign)} is of Mem0 Cloud, and local_mem0_config of Mem0 OSS: leave one of them out"
                )
        elif "allow_untested_vector_store" in self.model_fields_set:
            raise ValueError("allow_untested_vector_store is of Mem0 OSS: give local_mem0_config=, or leave it out")
        elif self.api_key is None and not os.environ.get("MEM0_API_KEY"):
            raise ValueError(
                "no key for Mem0 Cloud: give api_key= or set MEM0_API_KEY, or give local_mem0_config= for Mem0 OSS"
            )
        elif self.api_key is None and origin_of(self.host) != origin_of(_host_of_the_environment()):
            raise ValueError(
                f"no key for Mem0 at {shown(self.host)}: MEM0_API_KEY in the environment belongs to "
                f"{shown(_host_of_the_environment())}; give api_key=, or set MEM0_HOST to this address"
            )
        return self

    @property
    def key(self) -> SecretStr:
        """The key for Mem0 Cloud."""
        return self.api_key or SecretStr(os.environ.get("MEM0_API_KEY", ""))


def _host_of_the_environment() -> str:
    return os.environ.get("MEM0_HOST") or DEFAULT_HOST


def address_of(options: Mem0Options) -> tuple[str, tuple[str, ...]]:
    """Which Mem0 it is: a name for messages, and what makes it another one than others.

    A key of Mem0 Cloud decides the project in which memories are kept, so it is in the second part as a digest.
    """
    if options.local_mem0_config is None:
        digest = hashlib.blake2b(options.key.get_secret_value().encode(), digest_size=16).hexdigest()
        return f"Mem0 at {options.host}", (f"Mem0 at {same_for_all(str(options.host))}", digest)
    vector_store = options.local_mem0_config.get("vector_store") or {}
    about = vector_store.get("config") if isinstance(vector_store, Mapping) else None
    places = {
        name: os.path.realpath(os.path.expanduser(str(value))) if _is_folder(name, value) else str(value)
        for name, value in (about or {}).items()
        if isinstance(value, (str, int)) and not any(word in name.lower() for word in _SECRET_NAMES)
    }
    text = json.dumps(
        [vector_store.get("provider") if isinstance(vector_store, Mapping) else None, places], sort_keys=True
    )
    return "Mem0 OSS", ("Mem0 OSS", text)


def _is_folder(name: str, value: Any) -> bool:
    """Whether it is a folder of this process: a relative one is another one in another working folder."""
    return isinstance(value, str) and name.lower().endswith(("path", "dir", "directory"))


def without_key_of_another(environment: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The environment's options of Mem0, without its key if an argument names another Mem0."""
    theirs = environment.get("host") or _host_of_the_environment()
    host = given.get("host") or theirs
    if "local_mem0_config" not in given and origin_of(str(host)) == origin_of(str(theirs)):
        return dict(environment)
    return {name: value for name, value in environment.items() if name != "api_key"}


class ExtractionOptions(BaseModel):
    """What Mem0 extracts from messages. Sent with each call, so that a whole Mem0 project is not changed."""

    includes: str | None = Field(None, description="What to remember, in words.")
    excludes: str | None = Field(None, description="What not to remember, in words.")
    custom_categories: list[Mapping[str, str]] | None = Field(
        None, description="[{name: description}]: how memories are categorised, in place of Mem0's own categories."
    )

    @field_validator("includes", "excludes")
    @classmethod
    def _check_text(cls, value: str | None) -> str | None:
        if value is not None and not value.strip():
            raise ValueError("is blank: say it in words, or leave it out")
        return value

    @field_validator("custom_categories")
    @classmethod
    def _check_categories(cls, value: list[Mapping[str, str]] | None) -> list[Mapping[str, str]] | None:
        if value is not None and not all(value):
            raise ValueError("holds an empty category: write [{name: description}]")
        return value

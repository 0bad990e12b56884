"""The arguments that the three assertions about crews share, checked, and the processes that they start."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, TypedDict

from ..errors import ConfigurationError, InvalidScopeError
from ..scope import check_field
from .canaries import ASKED, TOLD, check_texts, new_canary
from .factories import CrewFactory, FactoryName, name_of
from .processes import StepFailed, Worker, environment_of, refuse_in_worker

TIMEOUT: Final = 120.0


class RunOptions(TypedDict, total=False):
    """Keyword arguments of the assertions about crews.

    Attributes:
        path: the folder of an embedded store. Left out: a temporary one.
        url: the address of a Qdrant server, in place of ``path``.
        own_store: the crew's store is where the crew says, and that place may be written to. In place of ``path`` and
            ``url``. This environment's settings count then.
        inputs: for ``kickoff(inputs=...)``; ``{text}`` in a value stands for what the user says. Left out: that goes
            into every placeholder of the crew's tasks and agents.
        told: what a user says, with ``{canary}`` for the word that is to be remembered.
        asked: the question that brings it back. A store without an embedder needs a word in common.
        env: further environment variables of the processes.
        timeout: seconds that each step of a process may take.
    """

    path: str | Path
    url: str
    own_store: bool
    inputs: Mapping[str, Any]
    told: str
    asked: str
    env: Mapping[str, str]
    timeout: float


@dataclass(frozen=True)
class Run:
    """One run of an assertion."""

    factory: FactoryName
    place: Mapping[str, str] | None
    folder: str
    inputs: Mapping[str, Any] | None
    told: str
    asked: str
    env: Mapping[str, str]
    timeout: float

    def worker(self, name: str, folder: str = "crewai") -> Worker:
        """A process with the factory loaded. Processes with one folder are one installation.

        Raises:
            StepFailed: the factory cannot be imported there.
        """
        named = {"path": "CREWAI_MEMORY_PATH", "url": "QDRANT_URL"}
        variables = {named[kind]: value for kind, value in (self.place or {}).items()}
        environment = environment_of(str(Path(self.folder, folder)), own_store=self.place is None, **variables)
        worker = Worker(name, {**environment, **self.env}, self.timeout)
        try:
            about = f"import the crew factory {self.factory}"
            worker.do("load", about, factory=asdict(self.factory), inputs=self.inputs, place=self.place)
        except BaseException:
            worker.kill()
            raise
        return worker

    @contextmanager
    def cleaning_up(self, worker: Worker, *users: str, if_it_fails: bool = False) -> Iterator[None]:
        """Delete what the test has stored, at the end of the block, also if an assertion fails.

        Args:
            worker: a process that runs.
            users: whose it is.
            if_it_fails: only then. Another process goes on with what is stored.
        """
        try:
            yield
        except Exception:
            with contextlib.suppress(StepFailed):  # what failed before is told
                self._clean_up(worker, users)
            raise
        if not if_it_fails:
            self._clean_up(worker, users)

    def _clean_up(self, worker: Worker, users: Sequence[str]) -> None:
        for user in users:
            worker.do("forget", f"delete what the test has stored for {user}", user=user)


def checked_user(user_id: str | None) -> str:
    """The user of a test: a new one if none is given.

    Raises:
        ConfigurationError: it cannot be a user's id.
    """
    if user_id is None:
        return f"user-{new_canary()}"
    try:
        return check_field("user_id", user_id)
    except InvalidScopeError as error:
        raise ConfigurationError(str(error)) from None


@contextmanager
def running(crew_factory: CrewFactory | str, options: RunOptions) -> Iterator[Run]:
    """Check the arguments, and make a folder for the run.

    Raises:
        ConfigurationError: an argument is unknown or wrong.
    """
    refuse_in_worker()
    unknown = set(options) - set(RunOptions.__annotations__)
    if unknown:
        raise ConfigurationError(
            f"unknown argument {', '.join(sorted(unknown))}: known are {', '.join(sorted(RunOptions.__annotations__))}"
        )
    path, url, own_store = options.get("path"), options.get("url"), options.get("own_store", False)
    if sum([path is not None, url is not None, bool(own_store)]) > 1:
        raise ConfigurationError("path=, url= and own_store= say where memories are: give one of them")
    if url is not None and (not isinstance(url, str) or "://" not in url):
        raise ConfigurationError(f"url must be an address such as http://localhost:6333, got {url!r}")
    if path is not None and not isinstance(path, (str, Path)):
        raise ConfigurationError(f"path must be a folder, got a {type(path).__name__}")
    told, asked = options.get("told", TOLD), options.get("asked", ASKED)
    check_texts(told, asked)
    timeout = options.get("timeout", TIMEOUT)
    if not isinstance(timeout, (int, float)) or isinstance(timeout, bool) or not timeout > 0:
        raise ConfigurationError(f"timeout must be a number of seconds above 0, got {timeout!r}")
    inputs, env = options.get("inputs"), options.get("env", {})
    _check_inputs(inputs)
    if not isinstance(env, Mapping) or not all(isinstance(each, str) for pair in env.items() for each in pair):
        raise ConfigurationError("env must be a mapping of names to texts")
    factory = name_of(crew_factory)
    with tempfile.TemporaryDirectory(prefix="crewai-memory-test-", ignore_cleanup_errors=True) as folder:
        place: Mapping[str, str] | None = {"path": str(Path(path).resolve() if path else Path(folder, "store"))}
        if url is not None or own_store:
            place = None if url is None else {"url": url}
        yield Run(factory, place, folder, inputs, told, asked, env, float(timeout))


def _check_inputs(inputs: Any) -> None:
    if inputs is None:
        return
    if not isinstance(inputs, Mapping):
        raise ConfigurationError(f"inputs must be a mapping for kickoff(inputs=...), got a {type(inputs).__name__}")
    if not any(isinstance(value, str) and "{text}" in value for value in inputs.values()):
        raise ConfigurationError(
            'inputs has no {text}, so nothing that a user says gets to the crew: {"request": "{text}"}'
        )

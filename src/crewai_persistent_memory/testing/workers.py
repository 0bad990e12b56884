"""``assert_shared_by_workers``: two processes run at once, and each recalls what the other has saved."""

from __future__ import annotations

from contextlib import ExitStack

from typing_extensions import Unpack

from ..errors import ConfigurationError
from .canaries import Canaries
from .evidence import NOT_ASKED, REMEDIES, failures, nothing_recalled, remembered_at
from .factories import CrewFactory
from .processes import StepFailed, Worker
from .run_options import Run, RunOptions, checked_user, running


def assert_shared_by_workers(
    crew_factory: CrewFactory | str, *, user_id: str | None = None, **options: Unpack[RunOptions]
) -> None:
    """Assert that two workers share one memory while both run.

    Two processes build the crew and stay. A user tells the one something, and asks the other; then the other way round.

    Args:
        crew_factory: see :func:`assert_survives_restart`.
        user_id: the user. Left out: a new one.
        options: see :class:`.RunOptions`. One of ``url``, ``path`` and ``own_store`` is needed. An embedded store
            (``path``) can be open in one process at a time: a crew that keeps it open fails here, which is right.

    Raises:
        AssertionError: they do not share it, or a crew fails; the message says what is wrong and what to do.
        ConfigurationError: an argument is wrong.
    """
    if not any(options.get(name) for name in ("url", "path", "own_store")):
        raise ConfigurationError(
            "say which store the workers share: url= of a Qdrant server, path= of a folder, or own_store=True"
        )
    user = checked_user(user_id)
    with running(crew_factory, options) as run:
        _shared(run, user)


def _shared(run: Run, user: str) -> None:
    with ExitStack() as open_ones:
        one = open_ones.enter_context(run.worker("the first worker", "one"))
        scopes = {one.name: remembered_at(one, user)["scopes"]}
        try:
            # It has a folder of its own, as on another machine: only the store is shared.
            other = open_ones.enter_context(run.worker("the second worker", "other"))
            scopes[other.name] = remembered_at(other, user)["scopes"]
        except StepFailed as error:
            if error.kind != "StoreInUseError":
                raise
            raise AssertionError(f"Two workers cannot have this store open at once.{REMEDIES[error.kind]}") from error
        with run.cleaning_up(other, user):
            for teller, asker in ((one, other), (other, one)):
                _recalls(run, user, teller, asker, scopes)
        for worker in (one, other):
            worker.end()


def _recalls(run: Run, user: str, teller: Worker, asker: Worker, scopes: dict[str, list[str]]) -> None:
    canaries = Canaries.of([user])
    secret = canaries.secret[user]
    told, asked = canaries.tell(user, run.told), canaries.ask(user, run.asked)
    answers = teller.do("serve", "run the crew", requests=[(user, told)], way="in turn", lifetime="one")
    failures(answers, f"in {teller.name}")
    if not teller.do("prompts", "show its prompts"):
        raise AssertionError(NOT_ASKED)
    teller.do("flush", "wait for the store", user=user)
    answers = asker.do("serve", "run the crew", requests=[(user, asked)], way="in turn", lifetime="one")
    failures(answers, f"in {asker.name}")
    prompts = asker.do("prompts", "show its prompts")
    found = asker.do("look", "recall", user=user, question=run.asked)
    lost = []
    if not any(secret in prompt for prompt in prompts):
        lost.append("the prompt of its LLM")
    if not any(secret in text for text in found["recalled"]):
        lost.append("recall")
    if lost:
        owners = asker.do("owners", "list the store", user=user)
        why = nothing_recalled(run, secret, scopes[teller.name], scopes[asker.name], found, owners)
        raise AssertionError(
            f"What {teller.name} has saved is not in {' nor in '.join(lost)} in {asker.name}, while both run. {why}"
        )

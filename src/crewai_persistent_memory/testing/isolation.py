"""``assert_isolated``: no user sees anything of another one, in turn and at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from typing_extensions import Unpack

from ..errors import ConfigurationError, PersistentMemoryError
from ..scope import check_field
from .canaries import Canaries, around
from .evidence import NOT_ASKED, failures, nothing_recalled, remembered_at
from .factories import CrewFactory
from .processes import Worker
from .run_options import Run, RunOptions, running

_REMEDY: Final = (
    "Leave user_id out of PersistentMemory(...), and start each request in use_scope(user_id=...) with the user who is "
    "logged in; keep nothing of a request in a module or in an agent's texts"
)


def assert_isolated(crew_factory: CrewFactory | str, *, users: Sequence[str], **options: Unpack[RunOptions]) -> None:
    """Assert that no user of a crew sees anything of another one.

    Each user tells the crew a word of their own, and asks for it later: one user after the other, all at once in
    threads, and all at once on an event loop (``akickoff``, where the installed CrewAI has it); with one crew for all
    and with a new crew for each request. No word of one user may come up in another one's prompt, recall, list or
    output, and each user must recall their own. All this is done in a process of its own.

    A factory that takes ``user_id`` builds a crew for each request; one that does not is started in
    ``use_scope(user_id=...)``.

    Args:
        crew_factory: see :func:`assert_survives_restart`.
        users: at least two ids of users, as your application has them.
        options: see :class:`.RunOptions`.

    Raises:
        AssertionError: somebody sees what is another one's, or a crew fails; the message says what leaks, where, and
            what to do.
        ConfigurationError: an argument is wrong.
    """
    _check_users(users)
    with running(crew_factory, options) as run, run.worker("the crew's process") as worker:
        _isolated(run, worker, list(users))


def _check_users(users: Sequence[str]) -> None:
    if isinstance(users, str) or not isinstance(users, Sequence):
        raise ConfigurationError(f'users must be a list of ids, got a {type(users).__name__}: users=["john", "jane"]')
    for user in users:
        try:
            check_field("users", user)
        except PersistentMemoryError as error:
            raise ConfigurationError(str(error)) from None
    if len(set(users)) < 2 or len(set(users)) < len(users):
        raise ConfigurationError(f"users must be at least two different ids, got {list(users)!r}")


@dataclass(frozen=True)
class Round:
    """One way in which the users are served."""

    way: str
    lifetime: str

    def __str__(self) -> str:
        ways = {"in turn": "one user after the other", "threads": "all users at once, in threads"}
        crews = {"one": "one crew for all", "new": "a new crew for each request"}
        return f"{ways.get(self.way, 'all users at once, on an event loop')}, {crews[self.lifetime]}"


def _isolated(run: Run, worker: Worker, users: list[str]) -> None:
    about = remembered_at(worker, users[0])
    lifetimes = ["new"] if "user_id" in worker.do("takes", "tell what the factory takes") else ["new", "one"]
    canaries: Canaries | None = None
    for way in ("in turn", "threads", "asyncio"):
        for lifetime in lifetimes:
            # A word of an earlier round may come up as well.
            canaries = Canaries.of(users, before=canaries)
            with run.cleaning_up(worker, *users):
                _check_round(run, worker, canaries, Round(way, lifetime), about)
    worker.end()


def _check_round(run: Run, worker: Worker, canaries: Canaries, this: Round, about: dict[str, Any]) -> None:
    users = list(canaries.secret)
    said = [
        [(user, canaries.tell(user, run.told)) for user in users],
        [(user, canaries.ask(user, run.asked)) for user in users],
    ]
    prompts: list[str] = []
    for requests, what in zip(said, ("tell", "ask"), strict=True):
        answers = worker.do(
            "serve", f"let the users {what} the crew ({this})", requests=requests, way=this.way, lifetime=this.lifetime
        )
        _check_prompts(seen := worker.do("prompts", "show its prompts"), canaries, this, about)
        failures(answers, f"({this})")
        for answer in answers:
            _check_texts([answer["output"]], answer["user"], canaries, "the output for", this, about)
        if not seen:
            raise AssertionError(NOT_ASKED)
        prompts = seen
        for user in users:
            worker.do("flush", "wait for the store", user=user)
    for user in users:
        found = worker.do("look", f"recall and list as {user}", user=user, question=run.asked)
        _check_texts(found["recalled"], user, canaries, "what is recalled by", this, about)
        _check_texts(found["listed"], user, canaries, "the list of memories of", this, about)
        _check_own(run, worker, user, canaries, prompts, found, this)


def _check_prompts(prompts: list[str], canaries: Canaries, this: Round, about: dict[str, Any]) -> None:
    for prompt in prompts:
        owners = canaries.owners(prompt)
        if len(owners) > 1:
            what = f"one prompt has something of the users {' and '.join(map(repr, owners))}"
            raise AssertionError(_leak(what, owners, prompt, canaries, this, about))


def _check_texts(
    texts: Sequence[str], user: str, canaries: Canaries, where: str, this: Round, about: dict[str, Any]
) -> None:
    for text in texts:
        for owner in canaries.owners(text):
            if owner != user:
                what = f"something of user {owner!r} is in {where} {user!r}"
                raise AssertionError(_leak(what, [owner], text, canaries, this, about))


def _check_own(
    run: Run,
    worker: Worker,
    user: str,
    canaries: Canaries,
    prompts: list[str],
    found: dict[str, Any],
    this: Round,
) -> None:
    secret = canaries.secret[user]
    in_prompt = any(secret in prompt and canaries.asking[user] in prompt for prompt in prompts)
    if in_prompt and any(secret in text for text in found["recalled"]):
        return
    owners = worker.do("owners", "list the store", user=user)
    why = nothing_recalled(run, secret, found["scopes"], found["scopes"], found, owners)
    raise AssertionError(
        f"User {user!r} does not recall what {user!r} has told the crew ({this}), so nothing is known of isolation. "
        f"{why}"
    )


def _leak(what: str, owners: Sequence[str], text: str, canaries: Canaries, this: Round, about: dict[str, Any]) -> str:
    shown = []
    for owner in owners:
        canary = next(each for each in canaries.all_of(owner) if each in text)
        shown.append(f"  of {owner!r}: {around(text, canary)}")
    if about["shared"]:
        why = "The memory's scope is Scope.shared(...), the memory of a whole team. "
    elif about["fixed"] is not None:
        why = f"The memory is fixed to user_id={about['fixed']!r} for everybody. "
    else:
        why = ""
    excerpts = "\n".join(shown)
    return (
        f"A leak: {what} ({this}).\n{excerpts}\n{why}Scope of the crew's memory: {'; '.join(about['scopes'])}. "
        f"{_REMEDY}"
    )
